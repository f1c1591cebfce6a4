use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

/// How long ticks may be for few requests to end in each, so that what ended is handed over before it
/// fills the memory. Results do not depend on it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Pace(SimDuration);

/// So many requests may end in a tick.
const FEW: usize = 16_384;

impl Default for Pace {
    fn default() -> Self {
        Self(SimDuration::saturating(1.0))
    }
}

impl Pace {
    /// Where a tick ends that begins at `now`: later than that, or nothing would ever happen.
    pub(super) fn bound(self, now: SimTime) -> SimTime {
        let bound = now + self.0;
        if bound > now { bound } else { SimTime::MAX }
    }

    /// Learns from a tick how long it took and how many requests ended in it.
    pub(super) fn learn(&mut self, took: SimDuration, ended: usize) {
        if took == SimDuration::ZERO {
            return;
        }
        if ended > FEW {
            self.0 = took * (FEW as f64 / ended as f64);
        } else if took >= self.0 {
            self.0 = self.0 * 2.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests that end in each tick at this rate a second.
    fn ended(rate: f64, ticks: usize) -> impl Iterator<Item = f64> {
        let mut pace = Pace::default();
        let mut now = SimTime::ZERO;
        std::iter::repeat_with(move || {
            let took = pace.bound(now) - now;
            let ended = took.seconds() * rate;
            pace.learn(took, ended as usize);
            now = now + took;
            ended
        })
        .take(ticks)
    }

    #[test]
    fn few_requests_end_in_a_tick_at_any_rate() {
        for rate in [1e-6, 1.0, 1e4, 1e7] {
            let late = ended(rate, 100).skip(50);
            for ended in late {
                assert!((8_000.0..33_000.0).contains(&ended), "{ended} at {rate}");
            }
        }
    }

    #[test]
    fn a_burst_at_one_instant_does_not_stop_the_clock() {
        let mut pace = Pace::default();
        pace.learn(SimDuration::ZERO, 1_000_000);
        let late = SimTime::saturating(1e17);
        pace.learn(SimDuration::saturating(1e-300), 1_000_000);
        assert!(pace.bound(SimTime::ZERO) > SimTime::ZERO);
        assert!(pace.bound(late) > late);
    }
}
