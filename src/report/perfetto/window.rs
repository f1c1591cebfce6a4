use std::str::FromStr;

use crate::time::SimTime;

/// A stretch of simulated time, from its start up to but not at its end.
///
/// ```
/// use fleetsim::report::TraceWindow;
/// let window: TraceWindow = "600..660".parse()?;
/// assert_eq!((window.from.seconds(), window.until.seconds()), (600.0, 660.0));
/// assert_eq!("..".parse(), Ok(TraceWindow::default()));
/// assert!("660..600".parse::<TraceWindow>().is_err());
/// # Ok::<(), fleetsim::report::InvalidWindow>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceWindow {
    /// Where it starts.
    pub from: SimTime,
    /// Where it ends.
    pub until: SimTime,
}

/// A text that is not a [`TraceWindow`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a window: write FROM..UNTIL in simulated seconds, as in 600..660, FROM before \
     UNTIL; either may be left out"
)]
pub struct InvalidWindow(String);

impl Default for TraceWindow {
    /// All of the time.
    fn default() -> Self {
        Self {
            from: SimTime::ZERO,
            until: SimTime::MAX,
        }
    }
}

impl TraceWindow {
    /// Whether an instant is in it.
    #[must_use]
    pub fn contains(&self, at: SimTime) -> bool {
        self.from <= at && at < self.until
    }

    /// Whether something that lasts from `start` to `end` was there at any time of it.
    #[must_use]
    pub fn overlaps(&self, start: SimTime, end: SimTime) -> bool {
        start < self.until && self.from <= end
    }
}

impl FromStr for TraceWindow {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        let parse = || {
            let all = Self::default();
            let (from, until) = text.split_once("..")?;
            let seconds = |text: &str, otherwise| match text.trim() {
                "" => Some(otherwise),
                text => SimTime::new(text.parse().ok()?).ok(),
            };
            let (from, until) = (seconds(from, all.from)?, seconds(until, all.until)?);
            (from < until).then_some(Self { from, until })
        };
        parse().ok_or_else(|| InvalidWindow(text.to_owned()))
    }
}
