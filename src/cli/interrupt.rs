use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status of what a second interrupt ends, as shells have it: 128 + SIGINT.
const KILLED: i32 = 130;

/// Ctrl-C, and the signals that ask a process to end. The first lets the run come to an orderly end at
/// the next tick, the second ends the process.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen.
    pub(super) fn listen() -> Result<Self, ctrlc::Error> {
        let came = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&came);
        ctrlc::set_handler(move || {
            crate::interrupt::ask();
            if flag.swap(true, Ordering::Relaxed) {
                process::exit(KILLED);
            }
        })?;
        Ok(Self(came))
    }

    /// Whether it came.
    pub(super) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
