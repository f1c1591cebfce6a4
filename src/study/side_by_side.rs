//! Work by number, on several threads.

use std::any::Any;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Calls `work` with each number below `count`, lowest first, on at most `jobs` threads, until it says
/// false: then no other number begins.
pub(super) fn side_by_side(
    jobs: NonZero<usize>,
    count: usize,
    work: impl Fn(usize) -> bool + Sync,
) {
    let begun = AtomicUsize::new(0);
    let turns = || {
        loop {
            let number = begun.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            if !work(number) {
                begun.store(count, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.get().min(count) {
            scope.spawn(turns);
        }
        turns();
    });
}

/// The result of `work`, or what it said when it panicked.
pub(super) fn caught<T, E>(
    work: impl FnOnce() -> Result<T, E>,
    failed: impl FnOnce(String) -> E,
) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(failed(said(&*panic))))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("without a word"))
}
