use crate::observe::Sample;
use crate::time::SimTime;

/// Samples that become counters: so many at most, for which every other instant is left out when
/// there are more, and so on.
#[derive(Debug)]
pub(super) struct Counters {
    kept: Vec<Sample>,
    most: usize,
    /// Of so many instants, the first is kept.
    stride: usize,
    instants: usize,
}

impl Counters {
    pub(super) fn new(most: usize) -> Self {
        Self {
            kept: Vec::new(),
            most,
            stride: 1,
            instants: 0,
        }
    }

    /// Of so many instants, one is kept.
    pub(super) const fn stride(&self) -> usize {
        self.stride
    }

    /// What is kept, by time.
    pub(super) fn kept(&self) -> &[Sample] {
        &self.kept
    }

    /// Adds samples, each instant's together.
    pub(super) fn add(&mut self, samples: &[Sample]) {
        for samples in samples.chunk_by(|a, b| a.time == b.time) {
            if self.instants.is_multiple_of(self.stride) {
                self.kept.extend_from_slice(samples);
            }
            self.instants += 1;
            while self.kept.len() > self.most && self.kept.len() > samples.len() {
                self.leave_out_every_other();
            }
        }
    }

    fn leave_out_every_other(&mut self) {
        self.stride *= 2;
        let (mut last, mut keep) = (None::<SimTime>, false);
        self.kept.retain(|sample| {
            if last.replace(sample.time) != Some(sample.time) {
                keep = !keep;
            }
            keep
        });
    }
}
