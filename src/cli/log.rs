//! What the fleet does, on standard error.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use super::shell::Failure;

/// Logs what `RUST_LOG` asks for; by default errors, and rows of traces that are left out.
///
/// A host that has set a subscriber of its own keeps it.
pub(super) fn start() -> Result<(), Failure> {
    let colours = io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(colours);
    let _ = registry().with(filter()?).with(lines).try_init();
    Ok(())
}

fn filter() -> Result<Targets, Failure> {
    let asked = env::var_os("RUST_LOG").unwrap_or_default();
    let asked = asked.to_string_lossy();
    if asked.trim().is_empty() {
        let default = Targets::new().with_default(LevelFilter::ERROR);
        return Ok(default.with_target("fleetsim::workload", LevelFilter::WARN));
    }
    asked.parse().map_err(|error| {
        let help = "write it as in RUST_LOG=warn,fleetsim::scaling=info";
        Failure::Input(format!("RUST_LOG={asked}: {error}; {help}"))
    })
}
