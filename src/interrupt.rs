//! Whether somebody asked the process to end: looked at in loops that may take long between two ticks.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Asks every loop that looks to come to an end.
#[cfg(feature = "cli")]
pub(crate) fn ask() {
    ASKED.store(true, Ordering::Relaxed);
}

/// Whether it was asked.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
