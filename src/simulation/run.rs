use super::Simulation;
use crate::autoscale::Decision;
use crate::fleet::{Agenda, FaultEvent, FleetWorldExt, ScalingEvent, TickError, TickLimits};
use crate::observe::Rows;
use crate::time::SimTime;

/// What came of a run since it was last asked.
#[derive(Debug, Default)]
pub struct News {
    /// Requests that ended, and samples.
    pub rows: Rows,
    /// Lines of the scaling log.
    pub scaling: Vec<ScalingEvent>,
    /// What the policies decided.
    pub decisions: Vec<Decision>,
    /// What broke.
    pub faults: Vec<FaultEvent>,
}

impl Simulation {
    /// Takes everything that is new since the last call.
    pub fn take_news(&mut self) -> News {
        News {
            rows: self.take_rows(),
            scaling: self.take_scaling(),
            decisions: self.take_decisions(),
            faults: self.take_faults(),
        }
    }

    /// Runs to the end and hands over what is new after every tick. What happens when the books are
    /// closed is left to [`Self::finish`].
    ///
    /// # Errors
    /// What `each` fails with, at once. Otherwise, as the value, why the clock could not move on; the
    /// run is then stopped, and what was done so far counts.
    pub fn run<E>(
        &mut self,
        each: impl FnMut(&Self, News) -> Result<(), E>,
    ) -> Result<Result<(), TickError>, E> {
        self.run_until(SimTime::MAX, each)
    }

    /// The same up to an instant, with all that happens at it: the run can go on from there. It
    /// [is over](Self::is_over) before, if nothing is left to do.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_until<E>(
        &mut self,
        until: SimTime,
        mut each: impl FnMut(&Self, News) -> Result<(), E>,
    ) -> Result<Result<(), TickError>, E> {
        loop {
            if self.has_reached(until) {
                return Ok(Ok(()));
            }
            let more = self.tick_within(until);
            let news = self.take_news();
            each(self, news)?;
            match more {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(())),
                Err(error) => {
                    self.stop(error.to_string());
                    return Ok(Err(error));
                }
            }
        }
    }

    /// Whether nothing is left to do up to an instant, that included.
    fn has_reached(&self, until: SimTime) -> bool {
        let served = self.world.next_served();
        let due = self.world.resource::<Agenda>().next_due();
        self.now() >= until && due.min(served.unwrap_or(SimTime::MAX)) > until
    }

    /// One tick that does not go beyond an instant.
    fn tick_within(&mut self, until: SimTime) -> Result<bool, TickError> {
        let mut limits = self.world.resource_mut::<TickLimits>();
        let horizon = limits.horizon;
        limits.horizon = horizon.min(until);
        let more = self.tick();
        self.world.resource_mut::<TickLimits>().horizon = horizon;
        more
    }
}
