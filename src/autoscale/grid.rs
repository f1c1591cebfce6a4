//! Instants that are whole multiples of an interval.

use crate::time::{SimDuration, SimTime};

/// The first instant after `now` that lies `lead` before a whole multiple of `interval`, from one
/// interval on. None where floating-point numbers cannot tell such instants apart.
pub(super) fn next_on_grid(
    interval: SimDuration,
    lead: SimDuration,
    now: SimTime,
) -> Option<SimTime> {
    let instant = |count: f64| {
        let multiple = SimTime::ZERO + interval * count;
        SimTime::saturating(multiple.seconds() - lead.seconds())
    };
    let passed = ((now.seconds() + lead.seconds()) / interval.seconds()).floor();
    // The quotient may be rounded to either side of the whole number.
    let counts = (-1..=2).map(|off| (passed + f64::from(off)).max(1.0));
    let mut instants = counts.map(instant);
    instants.find(|&due| due > now && due < SimTime::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> SimDuration {
        SimDuration::saturating(seconds)
    }

    /// The definition: multiples are tried one by one.
    fn counted(interval: SimDuration, lead: SimDuration, now: SimTime) -> SimTime {
        let due = |count: u32| {
            let multiple = SimTime::ZERO + interval * f64::from(count);
            SimTime::saturating(multiple.seconds() - lead.seconds())
        };
        (1..)
            .map(due)
            .find(|&due| due > now)
            .unwrap_or(SimTime::MAX)
    }

    #[test]
    fn it_finds_what_counting_finds() {
        for interval in [0.001, 0.1, 0.3, 7.0, 15.0, 1.0 / 3.0] {
            for lead in [0.0, 0.1, 0.7, 20.0, 45.0] {
                let (interval, lead) = (seconds(interval), seconds(lead));
                let mut now = SimTime::ZERO;
                for _ in 0..200 {
                    let next = next_on_grid(interval, lead, now);
                    assert_eq!(next, Some(counted(interval, lead, now)));
                    now = next.unwrap_or(SimTime::MAX);
                }
            }
        }
    }

    #[test]
    fn a_lead_of_ages_takes_no_time() {
        let next = next_on_grid(seconds(15.0), seconds(1e12), SimTime::ZERO);
        assert!(next.is_some_and(|next| next.seconds() <= 15.0));
        assert_eq!(
            next_on_grid(seconds(15.0), seconds(1e300), SimTime::ZERO),
            None
        );
    }
}
