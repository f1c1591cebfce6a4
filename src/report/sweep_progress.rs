use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::progress;

/// How far a study is: a line on standard error with the runs done and the time left. A line a minute
/// where that is no terminal. Any thread may tell it.
#[derive(Debug)]
pub struct SweepProgress {
    bar: Option<ProgressBar>,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    done: u64,
    of: u64,
    begun: Instant,
    /// None where no line is wanted.
    text: Option<progress::Lines>,
}

impl SweepProgress {
    /// Starts the line for this number of runs.
    #[must_use]
    pub fn new(runs: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = "{bar:10} {percent:>3} %  {pos} of {len} runs  {eta} left";
            let style =
                ProgressStyle::with_template(template).expect("the template is a valid constant");
            ProgressBar::new(runs as u64).with_style(style)
        });
        let now = Instant::now();
        Self {
            bar,
            lines: Mutex::new(Lines {
                done: 0,
                of: runs as u64,
                begun: now,
                text: progress::Lines::new(),
            }),
        }
    }

    /// Shows that another run is over.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
            return;
        }
        let Ok(mut lines) = self.lines.lock() else {
            return;
        };
        lines.done += 1;
        let Lines {
            done,
            of,
            begun,
            text,
        } = &mut *lines;
        if let Some(text) = text {
            text.say(|| {
                let each = begun.elapsed().as_secs_f64() / *done as f64;
                let left = each * of.saturating_sub(*done) as f64;
                format!("{done} of {of} runs, about {:.0} min left", left / 60.0)
            });
        }
    }

    /// Takes the line away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
