//! Sweeps: a scenario with each value of some axes.

mod axis;
mod file;
pub mod journal;
mod plan;
mod result;
mod starts;

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

pub(super) use axis::latin_hypercube;
pub use file::{Axis, Column, Range, Setting, SweepFile, Written};
pub use journal::{Done, Heading, InvalidShard, Shard};
pub use plan::Plan;
pub use result::{SettingFigures, SweepResult};
pub use starts::Shared;

use super::runner::Missed;
use super::side_by_side::side_by_side;
use crate::autoscale::PolicyRegistry;
use starts::Starts;

/// Watches the runs of a sweep. Several threads call it.
pub trait SweepFollower: Sync {
    /// A run has ended.
    ///
    /// # Errors
    /// Why that cannot be kept; no other run begins.
    fn ended(&self, done: &Done) -> Result<(), String>;

    /// Whether to come to an end: runs under way stop at the next tick, and no other begins.
    fn stops(&self) -> bool {
        false
    }
}

/// Runs these runs of a plan, at most `jobs` at once, and tells the follower of each when it has ended.
/// One that fails, or panics, leaves the others as they are.
///
/// Runs that differ in scripted actions and faults alone are one run up to the first of them that differs: they
/// go on from copies of it, and leave the same as each by itself. Says how much that saved.
///
/// # Errors
/// What the follower could not keep.
pub fn run(
    plan: &Plan,
    runs: &[usize],
    registry: &PolicyRegistry,
    jobs: NonZero<usize>,
    follower: &dyn SweepFollower,
) -> Result<Shared, String> {
    let starts = Starts::of(plan, runs, registry);
    let order = starts.order(runs);
    let shared = Mutex::new(Shared::default());
    let failure = Mutex::new(None);
    side_by_side(jobs, order.len(), |position| {
        let run = order[position];
        let stops = || follower.stops();
        let outcome = match plan.scenario(run, registry) {
            Ok(scenario) => starts.run(run, &scenario, registry, &stops),
            Err(wrong) => Err(Missed::Failed(wrong.to_string())),
        };
        let (outcome, error) = match outcome {
            Ok((outcome, saved)) => {
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                shared.runs += usize::from(saved.is_some());
                shared.saved_s += saved.unwrap_or_default();
                shared.total_s += outcome.figures.end_s.seconds();
                (Some(outcome), None)
            }
            Err(Missed::Failed(error)) => (None, Some(error)),
            Err(Missed::Stopped) => return false,
        };
        let done = Done {
            run,
            cells: plan.cells(run),
            set: plan.settings(run),
            outcome,
            error,
        };
        match follower.ended(&done) {
            Ok(()) => !follower.stops(),
            Err(error) => {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
                false
            }
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(shared.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}
