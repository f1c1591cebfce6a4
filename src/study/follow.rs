use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, News, Simulation};

/// Follows the runs of a contest: shows how far they are, keeps what they leave. Several runs go on at
/// once, each on a thread of its own.
///
/// `()` follows nothing.
pub trait Follower: Sync {
    /// The run of the contender at this position is about to begin, with this scenario.
    ///
    /// # Errors
    /// Why it cannot; the contender has then failed.
    fn begin(
        &self,
        position: usize,
        scenario: &CheckedScenario,
    ) -> Result<Box<dyn Watch + '_>, String>;

    /// Whether to come to an end: runs under way stop at the next tick, and no other begins. Default: no.
    fn stops(&self) -> bool {
        false
    }
}

/// Watches one run. Dropped when the run is over, however it went.
pub trait Watch {
    /// What is new after a tick.
    ///
    /// # Errors
    /// Why the run cannot go on; the contender has then failed.
    fn see(&mut self, simulation: &Simulation, news: &News) -> Result<(), String>;

    /// The run is over, and this is what it leaves; of a run that stopped early, too.
    ///
    /// # Errors
    /// Why that could not be kept; the contender has then failed.
    fn end(self: Box<Self>, finished: &Finished) -> Result<(), String>;
}

impl Follower for () {
    fn begin(&self, _: usize, _: &CheckedScenario) -> Result<Box<dyn Watch + '_>, String> {
        Ok(Box::new(()))
    }
}

impl Watch for () {
    fn see(&mut self, _: &Simulation, _: &News) -> Result<(), String> {
        Ok(())
    }

    fn end(self: Box<Self>, _: &Finished) -> Result<(), String> {
        Ok(())
    }
}
