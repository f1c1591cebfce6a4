use std::fmt;

use serde::{Deserialize, Serialize};

use super::position::Position;
use super::source::Place;

/// Problems that are displayed one by one.
const SHOWN: usize = 50;

/// Everything that is wrong with what a user wrote, in order of place.
///
/// Displayed, each problem is a line `FILE:LINE:COLUMN: error: MESSAGE`, the source line with
/// the culprit marked, and a `help:` line where there is something to suggest. Of more than 50 problems
/// the rest is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    problems: Vec<Problem>,
}

impl Diagnostics {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.order().cmp(&b.order()));
        problems.dedup();
        Self { problems }
    }

    /// The problems, at least one, by file, line and column.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

impl From<Problem> for Diagnostics {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem])
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        match self.problems.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, "\n\nerror: {more} more are not shown"),
            _ => Ok(()),
        }
    }
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file's name as it was given, or `--set PATH`; empty for data made in code.
    pub source: String,
    /// Where in that text. None for data made in code and for a text as a whole.
    pub position: Option<Position>,
    /// The value's path, such as `applications[0].model`; empty for a text as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do, where there is something to suggest.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with the value at `path`, not placed in a text yet.
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            source: String::new(),
            position: None,
            path: path.into(),
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.source = place.source;
        self.position = place.position;
        self
    }

    /// Whether both point at the same place of the same text.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.position.is_some() && self.order() == other.order()
    }

    fn order(&self) -> (&str, Option<(usize, usize)>) {
        let position = self.position.as_ref().map(|at| (at.line, at.column));
        (&self.source, position)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "error")
    }
}

impl Problem {
    /// Writes it with what it is called: an error or a warning.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
        if !self.source.is_empty() {
            write!(f, "{}:", self.source)?;
            if let Some(at) = &self.position {
                write!(f, "{}:{}:", at.line, at.column)?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{label}: ")?;
        if self.position.is_none() && !self.path.is_empty() && !self.source.ends_with(&self.path) {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(at) = &self.position {
            // One space for a tab, so that the marks stand under what they mark.
            let text = at.text.replace('\t', " ");
            let (before, after) = (
                if at.cut > 0 { "…" } else { "" },
                if at.goes_on { "…" } else { "" },
            );
            let text = format!("{before}{text}{after}");
            let number = at.line.to_string();
            let column = at.column - at.cut + usize::from(at.cut > 0);
            let (gap, indent) = (" ".repeat(number.len()), " ".repeat(column - 1));
            let marks = "^".repeat(at.width);
            write!(f, "\n{number} | {text}\n{gap} | {indent}{marks}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\nhelp: {help}")?;
        }
        Ok(())
    }
}
