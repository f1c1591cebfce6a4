//! Warnings: what is likely a mistake in a scenario or went unnoticed in a run, though nothing stops.
//!
//! A warning has a *kind*, a short name with underscores such as `late_action`, and a sentence. Warnings of
//! a scenario have the path of a value, and a place in its file; warnings of a run have the simulated time.
//! Of each kind the first few are kept, and a count of the rest.
//!
//! - A check of a scenario adds to the list of [`CheckedScenario::warnings`](crate::scenario::CheckedScenario::warnings).
//! - A policy returns warnings about its own parameters from [`Policy::warnings`](crate::autoscale::Policy::warnings).
//! - Code that runs in the world adds to the resource [`RunWarnings`](crate::fleet::RunWarnings).
//!
//! All of them are in `summary.json`. The command line prints them on standard error; with `--strict` they
//! are errors.
//!
//! ```
//! use fleetsim::time::SimTime;
//! use fleetsim::warning::{Warning, Warnings};
//!
//! let mut warnings = Warnings::default();
//! for second in 1..=9 {
//!     warnings.push(
//!         Warning::new("slow_server", "a server was slow").at_time(SimTime::saturating(f64::from(second))),
//!     );
//! }
//! assert_eq!(warnings.count(), 9);
//! let text = warnings.to_string();
//! assert!(text.starts_with("warning: at 1 s: a server was slow"));
//! assert!(text.ends_with("warning: 4 more of the kind slow_server"));
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::document::Problem;
use crate::snapshot::name::Name;
use crate::time::SimTime;

/// Warnings of one kind that are kept one by one.
const SHOWN: usize = 5;

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Its kind, in lower case with underscores.
    #[serde(with = "crate::snapshot::name")]
    pub kind: Name,
    /// When it came up, in a run.
    pub time: Option<SimTime>,
    /// What is wrong, where, and what to do about it.
    pub problem: Problem,
}

impl Warning {
    /// A warning without a place.
    #[must_use]
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self::of(kind, Problem::new("", message))
    }

    /// A warning about what a problem describes, at its place.
    #[must_use]
    pub const fn of(kind: &'static str, problem: Problem) -> Self {
        Self {
            kind,
            time: None,
            problem,
        }
    }

    /// The same at a simulated time.
    #[must_use]
    pub const fn at_time(mut self, time: SimTime) -> Self {
        self.time = Some(time);
        self
    }

    /// The same about the value at a path of the scenario, such as `faults[0].fault`.
    #[must_use]
    pub fn at_path(mut self, path: impl Into<String>) -> Self {
        self.problem.path = path.into();
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.problem.help = Some(help.into());
        self
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match self.time {
            Some(time) => format!("warning: at {time} s"),
            None => "warning".to_owned(),
        };
        self.problem.write(f, &label)
    }
}

/// Warnings by kind: the first few of each, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warnings {
    /// In the order in which each kind came first.
    kinds: Vec<Kind>,
}

/// The warnings of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    #[serde(with = "crate::snapshot::name")]
    name: Name,
    first: Vec<Warning>,
    count: u64,
}

impl Warnings {
    /// Adds a warning.
    pub fn push(&mut self, warning: Warning) {
        let known = self.kinds.iter().position(|it| it.name == warning.kind);
        let at = known.unwrap_or_else(|| {
            self.kinds.push(Kind {
                name: warning.kind,
                first: Vec::new(),
                count: 0,
            });
            self.kinds.len() - 1
        });
        let kind = &mut self.kinds[at];
        kind.count += 1;
        if kind.first.len() < SHOWN {
            kind.first.push(warning);
        }
    }

    /// Adds all that another list holds.
    pub fn merge(&mut self, other: &Self) {
        for kind in &other.kinds {
            kind.first.iter().for_each(|it| self.push(it.clone()));
            if let Some(mine) = self.kinds.iter_mut().find(|it| it.name == kind.name) {
                mine.count += kind.more();
            }
        }
    }

    /// How many warnings there were, of all kinds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.count).sum()
    }

    /// Whether there were none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The kinds, in the order in which each came first.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }
}

impl Kind {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The first few.
    #[must_use]
    pub fn first(&self) -> &[Warning] {
        &self.first
    }

    /// How many there were beyond the first few.
    #[must_use]
    pub const fn more(&self) -> u64 {
        self.count - self.first.len() as u64
    }
}

impl Extend<Warning> for Warnings {
    fn extend<T: IntoIterator<Item = Warning>>(&mut self, warnings: T) {
        warnings.into_iter().for_each(|it| self.push(it));
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for kind in &self.kinds {
            for warning in &kind.first {
                write!(f, "{gap}{warning}")?;
                gap = "\n\n";
            }
            if kind.more() > 0 {
                write!(
                    f,
                    "{gap}warning: {} more of the kind {}",
                    kind.more(),
                    kind.name
                )?;
            }
        }
        Ok(())
    }
}
