//! Counts over time.

use std::ops::Range;

use crate::time::SimTime;

/// The largest number of instants at which levels change; beyond it, steps are means.
const CHANGES: usize = 400;

/// The number of means then.
const MEANS: u32 = 300;

/// How many there are of several kinds, from when each came and went: exact up to any instant.
#[derive(Clone, Debug)]
pub(crate) struct Levels {
    end: f64,
    /// Of each kind: the seconds at which it changes, and by how much.
    kinds: Vec<Vec<(f64, i64)>>,
}

/// Levels that hold from their second on, of each kind.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<Vec<f64>>,
    /// Seconds of which each value is the mean; none where the values are exact.
    pub(crate) mean_of: Option<f64>,
}

impl Levels {
    /// None of any kind, up to the end of the run.
    pub(crate) fn new(kinds: usize, end: SimTime) -> Self {
        Self {
            end: end.seconds(),
            kinds: vec![Vec::new(); kinds],
        }
    }

    /// One of a kind was there for a time.
    pub(crate) fn add(&mut self, kind: usize, span: Range<SimTime>) {
        self.add_several(kind, span, 1);
    }

    /// Several of a kind were there for a time.
    pub(crate) fn add_several(&mut self, kind: usize, span: Range<SimTime>, count: u32) {
        let (from, to) = (span.start.seconds(), span.end.seconds().min(self.end));
        if from < to {
            let by = i64::from(count);
            self.kinds[kind].extend([(from, by), (to, -by)]);
        }
    }

    /// The levels as steps.
    pub(crate) fn steps(&self) -> Steps {
        let mut instants: Vec<f64> = self.kinds.iter().flatten().map(|it| it.0).collect();
        instants.extend([0.0, self.end]);
        instants.sort_by(f64::total_cmp);
        instants.dedup();
        if instants.len() > CHANGES {
            let width = self.end / f64::from(MEANS);
            let mut y = self.means(width, MEANS);
            for levels in &mut y {
                levels.extend(levels.last().copied());
            }
            let x = (0..=MEANS).map(|bin| f64::from(bin) * width).collect();
            return Steps {
                x,
                y,
                mean_of: Some(width),
            };
        }
        let y = self.sorted().map(|changes| {
            let mut changes = changes.into_iter().peekable();
            let mut level = 0_i64;
            let at = |instant: &f64| {
                while let Some((_, by)) = changes.next_if(|(at, _)| at <= instant) {
                    level += by;
                }
                level as f64
            };
            let mut levels: Vec<f64> = instants.iter().map(at).collect();
            // At the end, what was there until then.
            if let [.., before, last] = levels.as_mut_slice() {
                *last = *before;
            }
            levels
        });
        Steps {
            y: y.collect(),
            x: instants,
            mean_of: None,
        }
    }

    /// The mean levels of each kind over bins of this many seconds.
    pub(crate) fn means(&self, width: f64, bins: u32) -> Vec<Vec<f64>> {
        let means = self.sorted().map(|changes| {
            let mut seconds = vec![0.0; bins as usize];
            let (mut level, mut reached) = (0_i64, 0.0);
            for (at, by) in changes.into_iter().chain([(self.end, 0)]) {
                spread(&mut seconds, width, reached..at, level as f64);
                level += by;
                reached = at;
            }
            let within = |bin: u32| (self.end - f64::from(bin) * width).clamp(0.0, width);
            let over = (0..bins).zip(seconds);
            over.map(|(bin, seconds)| match within(bin) {
                0.0 => 0.0,
                within => seconds / within,
            })
            .collect()
        });
        means.collect()
    }

    fn sorted(&self) -> impl Iterator<Item = Vec<(f64, i64)>> {
        self.kinds.iter().map(|changes| {
            let mut changes = changes.clone();
            changes.sort_by(|a, b| a.0.total_cmp(&b.0));
            changes
        })
    }
}

impl Steps {
    /// The points of a kind.
    pub(crate) fn of(&self, kind: usize) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.x.iter().copied().zip(self.y[kind].iter().copied())
    }

    /// Whether there ever was one of a kind.
    pub(crate) fn any(&self, kind: usize) -> bool {
        self.y[kind].iter().any(|level| *level > 0.0)
    }
}

/// Adds a level that holds for a time to the bins that it is in.
fn spread(bins: &mut [f64], width: f64, over: Range<f64>, level: f64) {
    if level == 0.0 || over.start >= over.end {
        return;
    }
    let first = (over.start / width) as usize;
    for (bin, seconds) in bins.iter_mut().enumerate().skip(first) {
        let start = bin as f64 * width;
        if start >= over.end {
            break;
        }
        let within = over.end.min(start + width) - over.start.max(start);
        *seconds += level * within.max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: f64, to: f64) -> Range<SimTime> {
        SimTime::saturating(from)..SimTime::saturating(to)
    }

    #[test]
    fn few_changes_are_exact_and_the_last_level_holds_to_the_end() {
        let mut levels = Levels::new(2, SimTime::saturating(100.0));
        levels.add(0, span(0.0, 100.0));
        levels.add(0, span(10.0, 40.0));
        levels.add(1, span(40.0, 500.0));
        let steps = levels.steps();
        assert_eq!(steps.x, [0.0, 10.0, 40.0, 100.0]);
        assert_eq!(steps.y, [[1.0, 2.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]);
        assert!(steps.any(1) && steps.mean_of.is_none());
    }

    #[test]
    fn means_are_by_time() {
        let mut levels = Levels::new(1, SimTime::saturating(25.0));
        levels.add(0, span(0.0, 15.0));
        levels.add(0, span(5.0, 25.0));
        assert_eq!(levels.means(10.0, 3), [[1.5, 1.5, 1.0]]);
    }

    #[test]
    fn many_changes_become_means_that_lose_no_time() {
        let mut levels = Levels::new(1, SimTime::saturating(3000.0));
        for second in 0..3000_u32 {
            levels.add(0, span(f64::from(second), f64::from(second) + 0.5));
        }
        let steps = levels.steps();
        assert_eq!(steps.mean_of, Some(10.0));
        assert!(steps.y[0].iter().all(|mean| (mean - 0.5).abs() < 1e-9));
    }
}
