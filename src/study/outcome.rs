//! One run of a study, and what it leaves.

use serde::{Deserialize, Serialize};

use super::flapping::Directions;
use super::flat::{Figure, flat};
use super::side_by_side::caught;
use super::{Figures, Percentiles};
use crate::autoscale::PolicyRegistry;
use crate::scenario::CheckedScenario;
use crate::simulation::Simulation;
use crate::time::SimTime;

/// A run in figures: those that studies compare, and all of its summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The figures that studies compare.
    pub figures: Figures,
    /// Requests that arrived, over the time of the last arrival.
    pub offered_per_s: Option<f64>,
    /// Those of `summary.json`, each under the path to it.
    pub summary: Vec<(String, Figure)>,
}

impl Outcome {
    /// A figure by the name of its [`Measure`], or by its path in the summary; none where it is not
    /// known.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        if let Some(measure) = Measure::ALL.into_iter().find(|it| it.name() == name) {
            return measure.of(&self.figures);
        }
        let found = self.summary.iter().find(|(path, _)| path == name);
        found.and_then(|(_, figure)| figure.number())
    }
}

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

/// A figure that studies compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Share of the requests that met every limit of their objective.
    Attainment,
    /// How far the objective was kept: [`Figures::slo_kept`]. Only with limits of percentiles; without, it is
    /// the attainment.
    SloKept,
    /// Requests that met every limit, a second.
    Goodput,
    /// Median time to first token.
    TtftP50,
    /// 99th percentile of the time to first token.
    TtftP99,
    /// 99th percentile of the time between tokens.
    TbtP99,
    /// Dollars.
    Cost,
    /// Hours of processors.
    GpuHours,
    /// kWh.
    Energy,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Attainment,
        Self::SloKept,
        Self::Goodput,
        Self::TtftP50,
        Self::TtftP99,
        Self::TbtP99,
        Self::Cost,
        Self::GpuHours,
        Self::Energy,
    ];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attainment => "attainment",
            Self::SloKept => "slo_kept",
            Self::Goodput => "goodput_per_s",
            Self::TtftP50 => "ttft_s.p50",
            Self::TtftP99 => "ttft_s.p99",
            Self::TbtP99 => "tbt_s.p99",
            Self::Cost => "cost",
            Self::GpuHours => "gpu_hours",
            Self::Energy => "energy_kwh",
        }
    }

    /// Its value in a run; none where it is not known.
    #[must_use]
    pub fn of(self, figures: &Figures) -> Option<f64> {
        let Percentiles { p50, p99, .. } = figures.ttft_s;
        match self {
            Self::Attainment => figures.attainment,
            Self::SloKept => figures.slo_met.and(figures.slo_kept),
            Self::Goodput => figures.goodput_per_s,
            Self::TtftP50 => p50,
            Self::TtftP99 => p99,
            Self::TbtP99 => figures.tbt_s.p99,
            Self::Cost => figures.cost,
            Self::GpuHours => Some(figures.gpu_hours),
            Self::Energy => figures.energy_kwh,
        }
    }
}
