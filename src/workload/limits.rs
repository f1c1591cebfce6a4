//! What a scenario makes of a source, whichever it is: a part of it, faster or slower.

use super::arrival::Arrival;
use super::error::WorkloadError;
use crate::interrupt;
use crate::time::SimTime;

/// Requests before a window that are passed over between two looks whether to end.
const LOOK: u32 = 1 << 16;

/// A window of time, a scale of time and a number of requests, applied in this order.
///
/// ```
/// use fleetsim::time::SimTime;
/// use fleetsim::workload::{Limits, TraceStream};
/// let text = "Timestamp,Request tokens,Response tokens\n5,472,18\n45,12,7\n90,12,7\n";
/// let trace = TraceStream::read("burst.csv".as_ref(), text.as_bytes(), None)?;
/// let limits = Limits {
///     window: Some((SimTime::saturating(35.0), SimTime::MAX)),
///     rate_scale: 2.0,
///     ..Limits::default()
/// };
/// let times: Result<Vec<_>, _> = limits.apply(trace)?.map(|it| it.map(|it| it.time.seconds())).collect();
/// assert_eq!(times?, [2.5, 25.0]);
/// # Ok::<(), fleetsim::workload::WorkloadError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Only arrivals from the first instant (kept) to the second (left out); time zero becomes the
    /// first. `None`: all.
    pub window: Option<(SimTime, SimTime)>,
    /// Arrivals come this many times as fast.
    pub rate_scale: f64,
    /// Maximum number of requests. `None`: all.
    pub requests: Option<u64>,
}

impl Default for Limits {
    /// No limits.
    fn default() -> Self {
        Self {
            window: None,
            rate_scale: 1.0,
            requests: None,
        }
    }
}

impl Limits {
    /// Applies them to a source that is in order of time.
    ///
    /// # Errors
    /// The window is empty, or `rate_scale` is not a number above 0.
    pub fn apply<I>(self, source: I) -> Result<Limited<I>, WorkloadError>
    where
        I: Iterator<Item = Result<Arrival, WorkloadError>>,
    {
        let rate_scale = self.rate_scale;
        let holds = rate_scale > 0.0 && rate_scale.is_finite();
        WorkloadError::unless(holds, "rate_scale", rate_scale, "a number above 0")?;
        let window = self.window.unwrap_or((SimTime::ZERO, SimTime::MAX));
        let (from, to) = window;
        WorkloadError::unless(from < to, "window", window, "an end after the start")?;
        Ok(Limited {
            source,
            from,
            to,
            rate_scale,
            left: self.requests.unwrap_or(u64::MAX),
        })
    }
}

/// A source within [`Limits`].
#[derive(Clone, Debug)]
pub struct Limited<I> {
    source: I,
    from: SimTime,
    to: SimTime,
    rate_scale: f64,
    /// Requests that may still come; zero for good after the end or an error.
    left: u64,
}

impl<I> Limited<I> {
    /// Requests that may still come.
    pub(super) const fn left(&self) -> u64 {
        self.left
    }

    /// Lets this many come still, and gives what they are taken from.
    pub(super) const fn go_on(&mut self, left: u64) -> &mut I {
        self.left = left;
        &mut self.source
    }

    /// What it takes from.
    pub const fn source(&self) -> &I {
        &self.source
    }
}

impl<I: Iterator<Item = Result<Arrival, WorkloadError>>> Iterator for Limited<I> {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut passed_over = 0_u32;
        while self.left > 0 {
            match self.source.next() {
                Some(Ok(arrival)) if arrival.time < self.from => {
                    passed_over = passed_over.wrapping_add(1);
                    if passed_over.is_multiple_of(LOOK) && interrupt::asked() {
                        self.left = 0;
                        return Some(Err(WorkloadError::new("interrupted")));
                    }
                }
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
