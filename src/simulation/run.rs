use super::Simulation;
use crate::autoscale::Decision;
use crate::fleet::{ScalingEvent, TickError};
use crate::observe::Rows;

/// What came of a run since it was last asked.
#[derive(Debug, Default)]
pub struct News {
    /// Requests that ended, and samples.
    pub rows: Rows,
    /// Lines of the scaling log.
    pub scaling: Vec<ScalingEvent>,
    /// What the policies decided.
    pub decisions: Vec<Decision>,
}

impl Simulation {
    /// Takes everything that is new since the last call.
    pub fn take_news(&mut self) -> News {
        News {
            rows: self.take_rows(),
            scaling: self.take_scaling(),
            decisions: self.take_decisions(),
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
        mut each: impl FnMut(&Self, News) -> Result<(), E>,
    ) -> Result<Result<(), TickError>, E> {
        loop {
            let more = self.tick();
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
}
