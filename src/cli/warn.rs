use std::io::{self, Write};

use super::shell::Failure;
use crate::warning::Warnings;

/// Which warnings are told, and whether they are errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling {
    /// Says nothing that is not an error.
    pub(super) quiet: bool,
    /// Takes warnings for errors.
    pub(super) strict: bool,
}

impl Telling {
    /// Says on standard error that something asked for has no effect.
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            // Nothing is left to tell the user if the terminal is gone.
            _ = writeln!(io::stderr().lock(), "note: {text}");
        }
    }

    /// Prints warnings on standard error.
    ///
    /// # Errors
    /// The count of the warnings, where they are errors.
    pub(super) fn tell(self, warnings: &Warnings) -> Result<(), Failure> {
        if warnings.is_empty() {
            return Ok(());
        }
        if self.strict || !self.quiet {
            // Nothing is left to tell the user if the terminal is gone.
            _ = writeln!(io::stderr().lock(), "{warnings}");
        }
        if self.strict {
            let count = match warnings.count() {
                1 => "a warning, which".to_owned(),
                count => format!("{count} warnings, which"),
            };
            let message = format!("{count} --strict takes for an error");
            return Err(Failure::Input(message));
        }
        Ok(())
    }
}
