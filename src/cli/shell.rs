//! What a subcommand leaves to its caller: text on standard output, or why it failed.

use std::fmt::Display;
use std::io::{self, Write};

/// Why a command failed, and with which exit status: the user's input was wrong (2), or something
/// failed while running (1).
#[derive(Debug)]
pub(super) enum Failure {
    Input(String),
    Running(String),
}

impl Failure {
    pub(super) fn input(error: impl Display) -> Self {
        Self::Input(error.to_string())
    }

    pub(super) fn running(error: impl Display) -> Self {
        Self::Running(error.to_string())
    }
}

/// Writes to standard output. A reader that went away, as in `fleetsim … | head`, is not an error.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Running(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}
