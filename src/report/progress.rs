use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::time::SimTime;

/// Redraws at most so often.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// Length of the whole bar; its cells are finer than a character.
pub(super) const STEPS: u64 = 1000;

/// Lines of text where standard error is no terminal: one a minute of wall time.
///
/// The environment variable `FLEETSIM_PROGRESS` says another number of seconds, or 0 for no line.
#[derive(Debug)]
pub(super) struct Lines {
    every: Duration,
    said: Instant,
}

impl Lines {
    const EVERY: f64 = 60.0;

    /// None where standard error is a terminal, or no line is wanted.
    pub(super) fn new() -> Option<Self> {
        let asked = std::env::var("FLEETSIM_PROGRESS").ok();
        let every = asked.and_then(|it| it.parse().ok()).unwrap_or(Self::EVERY);
        let every = Duration::try_from_secs_f64(every).ok()?;
        (!io::stderr().is_terminal() && !every.is_zero()).then(|| Self {
            every,
            said: Instant::now(),
        })
    }

    /// Says a line, if it is time to.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.said.elapsed() >= self.every {
            self.said = Instant::now();
            // Nothing is lost with this line.
            _ = writeln!(io::stderr().lock(), "{}", line());
        }
    }
}

/// A progress line on standard error while a run goes on; where that is no terminal, a line of text a
/// minute of wall time.
///
/// The only user of wall time: it tells how fast the simulation goes and when it will be done.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    lines: Option<Lines>,
    end: Option<SimTime>,
    started: Instant,
    drawn: Instant,
}

impl Progress {
    /// Starts the line. With an `end` it has a bar and the time left.
    #[must_use]
    pub fn new(end: Option<SimTime>) -> Self {
        let now = Instant::now();
        Self {
            bar: io::stderr().is_terminal().then(|| bar(end)),
            lines: Lines::new(),
            end,
            started: now,
            drawn: now,
        }
    }

    /// Shows where the run is. Cheap enough for every tick: it draws at most ten times a second.
    pub fn update(&mut self, now: SimTime, requests_completed: u64) {
        if let Some(lines) = &mut self.lines {
            let (end, started) = (self.end, self.started);
            let line = || {
                status(
                    now,
                    end,
                    requests_completed,
                    started.elapsed().as_secs_f64(),
                )
            };
            lines.say(line);
        }
        let Some(bar) = &self.bar else { return };
        if self.drawn.elapsed() < INTERVAL {
            return;
        }
        self.drawn = Instant::now();
        if let Some(end) = self.end {
            bar.set_position((share(now, end) * STEPS as f64) as u64);
        }
        let elapsed = self.started.elapsed().as_secs_f64();
        bar.set_message(status(now, self.end, requests_completed, elapsed));
    }

    /// Takes the line away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(end: Option<SimTime>) -> ProgressBar {
    let (bar, template) = match end {
        Some(_) => (
            ProgressBar::new(STEPS),
            "{bar:10} {percent:>3} %  {wide_msg}",
        ),
        None => (ProgressBar::new_spinner(), "{wide_msg}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is a valid constant");
    bar.with_style(style)
}

/// How much of the run is done, 0 to 1.
pub(super) fn share(now: SimTime, end: SimTime) -> f64 {
    if now < end {
        now.seconds() / end.seconds()
    } else {
        1.0
    }
}

/// The text of the line after `elapsed` seconds of wall time.
///
/// The most important part comes first, because a narrow terminal cuts off the rest.
fn status(now: SimTime, end: Option<SimTime>, requests_completed: u64, elapsed: f64) -> String {
    let mut text = format!("{} simulated", span(now.seconds()));
    if let Some(share) = end.map(|end| share(now, end)).filter(|&share| share > 0.0) {
        text += &format!("  {} left", span(elapsed / share - elapsed));
    }
    let speed = now.seconds() / elapsed.max(1e-9);
    text + &format!("  {requests_completed} requests  {speed:.0}× speed")
}

/// A length of time as hours, minutes and seconds.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds as u64;
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_speed_and_time_left() {
        let at = SimTime::saturating;
        assert_eq!(
            status(at(900.0), Some(at(3600.0)), 42, 0.5),
            "0:15:00 simulated  0:00:01 left  42 requests  1800× speed"
        );
        assert_eq!(
            status(at(90_061.0), None, 7, 1.0),
            "25:01:01 simulated  7 requests  90061× speed"
        );
        assert_eq!(
            status(SimTime::ZERO, Some(at(10.0)), 0, 1.0),
            "0:00:00 simulated  0 requests  0× speed"
        );
    }
}
