/// A series in bounded room, however long it gets.
///
/// When it would outgrow its room, every other entry is dropped and the stride doubles: from then on the
/// first of `stride` entries is kept.
#[derive(Clone, Debug)]
pub(super) struct Thinned<T> {
    kept: Vec<T>,
    /// What one takes.
    weigh: fn(&T) -> usize,
    weight: usize,
    most: usize,
    /// The first of this many entries is kept.
    stride: usize,
    seen: usize,
}

impl<T> Thinned<T> {
    /// Those kept weigh no more than `most` together, unless the first alone does.
    pub(super) const fn new(most: usize, weigh: fn(&T) -> usize) -> Self {
        Self {
            kept: Vec::new(),
            weigh,
            weight: 0,
            most,
            stride: 1,
            seen: 0,
        }
    }

    /// Adds the next one, which is made only when it is its turn to be kept.
    pub(super) fn add(&mut self, make: impl FnOnce() -> T) {
        if self.seen.is_multiple_of(self.stride) {
            let next = make();
            self.weight += (self.weigh)(&next);
            self.kept.push(next);
        }
        self.seen += 1;
        while self.weight > self.most && self.kept.len() > 1 {
            self.leave_out_every_other();
        }
    }

    /// What is kept, in order.
    pub(super) fn kept(&self) -> &[T] {
        &self.kept
    }

    /// One of this many entries is kept.
    pub(super) const fn stride(&self) -> usize {
        self.stride
    }

    fn leave_out_every_other(&mut self) {
        self.stride *= 2;
        let mut keep = false;
        self.kept.retain(|_| {
            keep = !keep;
            keep
        });
        self.weight = self.kept.iter().map(self.weigh).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_evenly_spread_and_within_its_room() {
        let mut series = Thinned::new(8, |_| 1);
        for number in 0..1000 {
            series.add(|| number);
            assert!(series.kept().len() <= 8);
        }
        assert_eq!(series.stride(), 128);
        assert_eq!(series.kept(), [0, 128, 256, 384, 512, 640, 768, 896]);
    }

    #[test]
    fn one_that_is_too_large_alone_is_kept_all_the_same() {
        let mut series = Thinned::new(3, |size| *size);
        for size in [5, 5, 1] {
            series.add(|| size);
        }
        assert_eq!(series.kept(), [5]);
    }
}
