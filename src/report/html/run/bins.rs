use crate::time::{SimDuration, SimTime};

/// What can be put together when two bins become one.
pub(super) trait Merge {
    /// Takes in `later`, which comes after it in time.
    fn merge(&mut self, later: Self);
}

/// A series over time in a bounded number of equally wide bins. When a time is beyond the last that
/// there may be, the bins become twice as wide.
#[derive(Clone, Debug)]
pub(super) struct Bins<T> {
    width: f64,
    most: usize,
    bins: Vec<T>,
}

impl<T: Default + Merge> Bins<T> {
    /// Empty bins: at most `most`, at first of `width`, which is not 0.
    pub(super) fn new(most: usize, width: SimDuration) -> Self {
        Self {
            width: width.seconds(),
            most,
            bins: Vec::new(),
        }
    }

    /// Seconds that a bin stands for.
    pub(super) fn width(&self) -> f64 {
        self.width
    }

    /// The bins in order, each with the second at which it begins.
    pub(super) fn iter(&self) -> impl Iterator<Item = (f64, &T)> + Clone {
        let starts = (0_u32..).map(|position| f64::from(position) * self.width);
        starts.zip(&self.bins)
    }

    /// The bin that this instant is in.
    pub(super) fn at(&mut self, time: SimTime) -> &mut T {
        while self.position(time) >= self.most {
            self.widen();
        }
        let position = self.position(time);
        if position >= self.bins.len() {
            self.bins.resize_with(position + 1, T::default);
        }
        &mut self.bins[position]
    }

    /// Makes the bins reach to this instant, which is the end: none begins at it.
    pub(super) fn close(&mut self, end: SimTime) {
        self.at(end);
        let begins_there =
            |width: f64, bins: &[T]| (bins.len() - 1) as f64 * width >= end.seconds();
        if self.bins.len() > 1
            && begins_there(self.width, &self.bins)
            && let Some(last) = self.bins.pop()
            && let Some(before) = self.bins.last_mut()
        {
            before.merge(last);
        }
    }

    fn position(&self, time: SimTime) -> usize {
        (time.seconds() / self.width) as usize
    }

    fn widen(&mut self) {
        self.width *= 2.0;
        let mut before = std::mem::take(&mut self.bins).into_iter();
        while let Some(mut bin) = before.next() {
            if let Some(next) = before.next() {
                bin.merge(next);
            }
            self.bins.push(bin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Merge for u32 {
        fn merge(&mut self, later: Self) {
            *self += later;
        }
    }

    #[test]
    fn bins_grow_wider_and_lose_nothing() {
        let mut bins = Bins::<u32>::new(4, SimDuration::saturating(1.0));
        for second in 0..13_u32 {
            *bins.at(SimTime::saturating(second.into())) += 1;
        }
        let found: Vec<_> = bins.iter().map(|(start, count)| (start, *count)).collect();
        assert_eq!(found, [(0.0, 4), (4.0, 4), (8.0, 4), (12.0, 1)]);
        *bins.at(SimTime::MAX) += 1;
        assert_eq!(bins.iter().map(|(_, count)| count).sum::<u32>(), 14);
    }

    #[test]
    fn no_bin_begins_at_the_end() {
        let mut bins = Bins::<u32>::new(4, SimDuration::saturating(10.0));
        *bins.at(SimTime::saturating(30.0)) += 1;
        bins.close(SimTime::saturating(30.0));
        let found: Vec<_> = bins.iter().map(|(start, count)| (start, *count)).collect();
        assert_eq!(found, [(0.0, 0), (10.0, 0), (20.0, 1)]);
        bins.close(SimTime::saturating(35.0));
        assert_eq!(bins.iter().count(), 4);
    }
}
