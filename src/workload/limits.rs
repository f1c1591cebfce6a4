//! What a scenario makes of a source, whichever it is: a part of it, faster or slower.

use super::{Arrival, ArrivalStream, WorkloadError};
use crate::time::SimTime;

/// A window of time, a scale of time and a number of requests, applied in this order.
pub(super) struct Limits {
    pub(super) window: Option<(SimTime, SimTime)>,
    pub(super) rate_scale: f64,
    pub(super) requests: Option<u64>,
}

impl Limits {
    /// Applies them to a source that is in order of time.
    pub(super) fn apply<I>(self, source: I) -> Result<ArrivalStream, WorkloadError>
    where
        I: Iterator<Item = Result<Arrival, WorkloadError>> + Send + Sync + 'static,
    {
        let rate_scale = self.rate_scale;
        let holds = rate_scale > 0.0 && rate_scale.is_finite();
        WorkloadError::unless(holds, "rate_scale", rate_scale, "a number above 0")?;
        let window = self.window.unwrap_or((SimTime::ZERO, SimTime::MAX));
        let (from, to) = window;
        WorkloadError::unless(from < to, "window", window, "an end after the start")?;
        Ok(Box::new(Limited {
            source,
            from,
            to,
            rate_scale,
            left: self.requests.unwrap_or(u64::MAX),
        }))
    }
}

struct Limited<I> {
    source: I,
    from: SimTime,
    to: SimTime,
    rate_scale: f64,
    /// Requests that may still come; zero for good after the end or an error.
    left: u64,
}

impl<I: Iterator<Item = Result<Arrival, WorkloadError>>> Iterator for Limited<I> {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            match self.source.next() {
                Some(Ok(arrival)) if arrival.time < self.from => {}
                Some(Ok(arrival)) if arrival.time < self.to => {
                    self.left -= 1;
                    let time = (arrival.time - self.from).seconds() / self.rate_scale;
                    let time = SimTime::saturating(time);
                    return Some(Ok(Arrival { time, ..arrival }));
                }
                last => {
                    self.left = 0;
                    return last.filter(Result::is_err);
                }
            }
        }
        None
    }
}
