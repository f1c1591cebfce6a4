use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::progress::{INTERVAL, Lines, STEPS, share, span};
use crate::time::SimTime;

/// A progress line on standard error while contenders run side by side: how many are done, and how far
/// those are that run. Where that is no terminal, a line of text a minute of wall time. Any thread may
/// tell it.
#[derive(Debug)]
pub struct ComparisonProgress {
    line: Option<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    bar: Option<ProgressBar>,
    lines: Option<Lines>,
    end: Option<SimTime>,
    drawn: Instant,
    contenders: Vec<Contender>,
}

#[derive(Debug)]
struct Contender {
    label: String,
    /// None before it runs.
    reached: Option<SimTime>,
    done: bool,
}

impl ComparisonProgress {
    /// Starts the line for contenders of these names, whose runs end at `end` where that is known.
    #[must_use]
    pub fn new(labels: Vec<String>, end: Option<SimTime>) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let lines = Lines::new();
        let line = (is_terminal || lines.is_some()).then(|| {
            let contenders = labels.into_iter().map(|label| Contender {
                label,
                reached: None,
                done: false,
            });
            let contenders: Vec<_> = contenders.collect();
            Mutex::new(Line {
                bar: is_terminal.then(|| bar(STEPS * contenders.len() as u64)),
                lines,
                end,
                drawn: Instant::now(),
                contenders,
            })
        });
        Self { line }
    }

    /// Shows where the contender at a position is. Cheap enough for every tick.
    pub fn update(&self, position: usize, now: SimTime) {
        self.change(position, |contender| contender.reached = Some(now));
    }

    /// Shows that the contender at a position is through.
    pub fn done(&self, position: usize) {
        self.change(position, |contender| contender.done = true);
    }

    /// Takes the line away.
    pub fn finish(self) {
        if let Some(line) = self.line {
            let line = line.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(bar) = line.bar {
                bar.finish_and_clear();
            }
        }
    }

    fn change(&self, position: usize, change: impl FnOnce(&mut Contender)) {
        let Some(line) = &self.line else { return };
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contender) = line.contenders.get_mut(position) {
            change(contender);
        }
        let Line {
            bar,
            lines,
            end,
            drawn,
            contenders,
        } = &mut *line;
        if let Some(lines) = lines {
            lines.say(|| status(contenders));
        }
        if let Some(bar) = bar
            && drawn.elapsed() >= INTERVAL
        {
            *drawn = Instant::now();
            bar.set_position(position_of(contenders, *end));
            bar.set_message(status(contenders));
        }
    }
}

fn bar(length: u64) -> ProgressBar {
    let template = "{bar:10} {percent:>3} %  {wide_msg}";
    let style = ProgressStyle::with_template(template).expect("the template is a valid constant");
    ProgressBar::new(length).with_style(style)
}

/// Steps of the bar that are done.
fn position_of(contenders: &[Contender], end: Option<SimTime>) -> u64 {
    let done = |contender: &Contender| match (contender.done, contender.reached, end) {
        (true, ..) => STEPS,
        (false, Some(now), Some(end)) => (share(now, end) * STEPS as f64) as u64,
        _ => 0,
    };
    contenders.iter().map(done).sum()
}

/// The text of the line.
fn status(contenders: &[Contender]) -> String {
    let done = contenders.iter().filter(|it| it.done).count();
    let mut text = format!("{done} of {} policies", contenders.len());
    for contender in contenders.iter().filter(|it| !it.done) {
        if let Some(now) = contender.reached {
            let at = span(now.seconds());
            _ = write!(text, "  {} {at}", contender.label);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_who_is_done_and_where_the_others_are() {
        let contender = |label: &str, reached: Option<f64>, done| Contender {
            label: label.to_owned(),
            reached: reached.map(SimTime::saturating),
            done,
        };
        let contenders = [
            contender("None", Some(3600.0), true),
            contender("HpaGpu", Some(900.0), false),
            contender("Threshold", None, false),
        ];
        assert_eq!(status(&contenders), "1 of 3 policies  HpaGpu 0:15:00");
        let end = Some(SimTime::saturating(3600.0));
        assert_eq!(position_of(&contenders, end), STEPS + STEPS / 4);
        assert_eq!(position_of(&contenders, None), STEPS);
    }
}
