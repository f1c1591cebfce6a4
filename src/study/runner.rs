//! One run of a study: whole, or from a start that it shares with others.

use super::flapping::Directions;
use super::flat::flat;
use super::side_by_side::caught;
use super::{Figures, Outcome};
use crate::autoscale::PolicyRegistry;
use crate::scenario::CheckedScenario;
use crate::simulation::Simulation;
use crate::time::SimTime;

/// Why a run has no figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// The study was to end.
    Stopped,
    /// It failed, in words.
    Failed(String),
}

/// Runs a scenario to its end; a panic is a failure like any other.
pub(super) fn run(
    scenario: &CheckedScenario,
    registry: &PolicyRegistry,
    stops: &dyn Fn() -> bool,
) -> Result<Outcome, Missed> {
    caught(|| run_to_end(scenario, registry, stops), Missed::Failed)
}

/// Runs a scenario up to an instant, that included. A panic is a failure like any other.
pub(super) fn begin(
    scenario: &CheckedScenario,
    registry: &PolicyRegistry,
    until: SimTime,
    stops: &dyn Fn() -> bool,
) -> Result<Begun, Missed> {
    let run = || {
        let mut begun = Begun::new(scenario, registry)?;
        begun.run(until, stops)?;
        Ok(begun)
    };
    caught(run, Missed::Failed)
}

/// Lets a copy of a run go on to its end with the script of another scenario, which is the same so far.
pub(super) fn go_on(
    begun: &Begun,
    scenario: &CheckedScenario,
    registry: &PolicyRegistry,
    stops: &dyn Fn() -> bool,
) -> Result<Outcome, Missed> {
    let run = || {
        let mut begun = begun.clone();
        let followed = begun.simulation.follow_script_of(scenario, registry);
        followed.map_err(|error| Missed::Failed(error.to_string()))?;
        begun.run(SimTime::MAX, stops)?;
        begun.end()
    };
    caught(run, Missed::Failed)
}

fn run_to_end(
    scenario: &CheckedScenario,
    registry: &PolicyRegistry,
    stops: &dyn Fn() -> bool,
) -> Result<Outcome, Missed> {
    let mut begun = Begun::new(scenario, registry)?;
    begun.run(SimTime::MAX, stops)?;
    begun.end()
}

/// A run under way.
#[derive(Debug)]
pub(super) struct Begun {
    simulation: Simulation,
    directions: Directions,
    last_arrival: SimTime,
    failed: Option<String>,
}

impl Clone for Begun {
    fn clone(&self) -> Self {
        Self {
            simulation: self.simulation.fork(),
            directions: self.directions.clone(),
            last_arrival: self.last_arrival,
            failed: self.failed.clone(),
        }
    }
}

impl Begun {
    fn new(scenario: &CheckedScenario, registry: &PolicyRegistry) -> Result<Self, Missed> {
        let simulation = Simulation::with_policies(scenario, registry);
        Ok(Self {
            simulation: simulation.map_err(|error| Missed::Failed(error.to_string()))?,
            directions: Directions::default(),
            last_arrival: SimTime::ZERO,
            failed: None,
        })
    }

    /// The instant that it has reached.
    pub(super) fn now(&self) -> SimTime {
        self.simulation.now()
    }

    fn run(&mut self, until: SimTime, stops: &dyn Fn() -> bool) -> Result<(), Missed> {
        let Self {
            directions,
            last_arrival,
            ..
        } = self;
        let ran = self.simulation.run_until(until, |_, news| {
            directions.note(&news.decisions);
            let arrivals = news.rows.requests.iter().map(|(_, it)| it.arrival);
            *last_arrival = arrivals.fold(*last_arrival, SimTime::max);
            match stops() {
                true => Err(Missed::Stopped),
                false => Ok(()),
            }
        })?;
        self.failed = ran.err().map(|error| error.to_string());
        Ok(())
    }

    fn end(self) -> Result<Outcome, Missed> {
        let finished = self.simulation.finish();
        if let Some(reason) = self.failed.or_else(|| finished.record.stopped.clone()) {
            return Err(Missed::Failed(reason));
        }
        let left = finished.rows.requests.iter().map(|(_, it)| it.arrival);
        let last = left.fold(self.last_arrival, SimTime::max);
        let figures = Figures::new(&finished.record, self.directions, None);
        let offered = figures.arrived as f64 / last.seconds();
        let summary = flat(&finished.record.summarise());
        Ok(Outcome {
            figures,
            offered_per_s: offered.is_finite().then_some(offered),
            summary: summary.map_err(|error| Missed::Failed(error.to_string()))?,
        })
    }
}
