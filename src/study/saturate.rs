//! The highest rate of requests that meets the objective.

use std::collections::BTreeMap;
use std::num::NonZero;

use serde::{Deserialize, Serialize};

use super::evaluate::{Evaluator, Settings, StudyError, StudyFollower};
use super::replicate::intervals;
use super::{Interval, Measure};
use crate::autoscale::PolicyRegistry;
use crate::scenario::{CheckedScenario, Workload};

/// How a knee is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saturate {
    /// Share of the requests that must meet every limit of their objective, 0 to 1. Limits of percentiles say
    /// themselves for how many requests they are: each run must meet them, and the share is of the other limits.
    pub attainment: f64,
    /// How near the highest rate that meets it and the lowest that does not must come, as a share.
    pub tolerance: f64,
    /// Seeds that each rate is run with; the mean counts.
    pub replications: NonZero<usize>,
    /// Runs at once.
    pub jobs: NonZero<usize>,
}

impl Default for Saturate {
    /// 99 % of the requests, within 2 %, three seeds, one run at once.
    fn default() -> Self {
        Self {
            attainment: 0.99,
            tolerance: 0.02,
            replications: NonZero::<usize>::MIN.saturating_add(2),
            jobs: NonZero::<usize>::MIN,
        }
    }
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saturation {
    /// The scenario's name.
    pub scenario: String,
    /// Its hash.
    pub hash: String,
    /// The share of requests that had to meet their objective.
    pub attainment: f64,
    /// Seeds that each rate was run with.
    pub replications: usize,
    /// The highest factor on every arrival rate that meets the objective; `None` where the lowest that was
    /// tried does not.
    pub scale: Option<f64>,
    /// The lowest factor above it that was tried and does not; `None` where every factor met it.
    pub fails_at: Option<f64>,
    /// Whether no factor above one that does not meet the objective meets it.
    pub monotone: bool,
    /// Runs made.
    pub runs: usize,
    /// Each rate that was tried, lowest first: the latency-throughput curve.
    pub points: Vec<LoadPoint>,
}

/// One rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// The factor on every arrival rate.
    pub scale: f64,
    /// Requests a second that arrived, over all applications.
    pub offered_per_s: f64,
    /// Whether the objective is met.
    pub meets: bool,
    /// Each figure's mean over the seeds, with its interval.
    pub figures: BTreeMap<String, Interval>,
}

/// Factors beyond which it is given up: 2 to this power, up and down.
const DOUBLINGS: u32 = 16;

/// Further points of the curve, as shares of the knee.
const CURVE: [f64; 6] = [0.25, 0.5, 0.75, 0.9, 1.1, 1.25];

impl Saturate {
    /// Looks for the highest factor on the arrival rates of a scenario at which its objective is met: it
    /// doubles or halves the rate until the knee lies between two rates, then closes in.
    ///
    /// # Errors
    /// [`StudyError`] where there is no objective, a workload whose rate cannot be changed, or a run that
    /// fails.
    pub fn run(
        &self,
        scenario: &CheckedScenario,
        registry: &PolicyRegistry,
        follower: &dyn StudyFollower,
    ) -> Result<Saturation, StudyError> {
        let loads = loads(scenario)?;
        let mut evaluator = Evaluator::new(scenario, registry, self.jobs, usize::MAX, follower);
        let mut points: Vec<LoadPoint> = Vec::new();
        let mut meets = |scale: f64, points: &mut Vec<LoadPoint>| -> Result<bool, StudyError> {
            let settings = at(&loads, scale);
            evaluator.ensure(std::slice::from_ref(&settings), self.replications.get())?;
            let point = self.point(scale, &evaluator, &settings)?;
            let meets = point.meets;
            points.push(point);
            Ok(meets)
        };
        let (mut low, mut high) = (None, None);
        let mut scale = 1.0;
        for _ in 0..DOUBLINGS {
            match meets(scale, &mut points)? {
                true => low = Some(scale),
                false => high = Some(scale),
            }
            match (low, high) {
                (Some(_), Some(_)) => break,
                (Some(_), None) => scale *= 2.0,
                (None, _) => scale /= 2.0,
            }
        }
        while let (Some(met), Some(missed)) = (low, high)
            && missed / met - 1.0 > self.tolerance
        {
            let middle = libm::sqrt(met * missed);
            match meets(middle, &mut points)? {
                true => low = Some(middle),
                false => high = Some(middle),
            }
        }
        if let Some(knee) = low {
            for share in CURVE {
                meets(knee * share, &mut points)?;
            }
        }
        points.sort_by(|one, other| one.scale.total_cmp(&other.scale));
        let first_miss = points.iter().position(|it| !it.meets);
        let monotone = first_miss.is_none_or(|first| points[first..].iter().all(|it| !it.meets));
        Ok(Saturation {
            scenario: scenario.scenario().name.clone(),
            hash: scenario.hash().to_owned(),
            attainment: self.attainment,
            replications: self.replications.get(),
            scale: low,
            fails_at: high.filter(|_| low.is_some()),
            monotone,
            runs: evaluator.spent(),
            points,
        })
    }

    fn point(
        &self,
        scale: f64,
        evaluator: &Evaluator<'_>,
        settings: &Settings,
    ) -> Result<LoadPoint, StudyError> {
        let runs = evaluator.of(settings);
        let figures = intervals(runs.iter().map(|it| &it.figures));
        // Limits of percentiles say themselves how many requests they are for.
        let percentiles = runs.iter().filter_map(|it| it.figures.slo_met);
        let percentiles = percentiles.reduce(|one, other| one && other);
        let Some(met) = figures.get(Measure::Attainment.name()) else {
            let message = "there is no objective to meet: give an application an `slo`, such as \
                           slo: (ttft: 1.0, tbt: 0.1)";
            return Err(StudyError::Input(message.to_owned()));
        };
        let kept = figures.get(Measure::SloKept.name()).unwrap_or(met);
        let offered: Vec<f64> = runs.iter().filter_map(|it| it.offered_per_s).collect();
        Ok(LoadPoint {
            scale,
            offered_per_s: Interval::of(&offered).map_or(0.0, |it| it.mean),
            meets: percentiles != Some(false) && kept.mean >= self.attainment,
            figures,
        })
    }
}

impl Saturation {
    /// The rate at the knee.
    #[must_use]
    pub fn knee(&self) -> Option<&LoadPoint> {
        let scale = self.scale?;
        self.points.iter().find(|it| it.scale == scale)
    }
}

/// What sets the load of an application.
enum Load {
    /// The factor on its arrivals.
    Rate(f64),
    /// Its users.
    Users(u32),
}

/// The field that sets the load of each application, with its value in the scenario.
fn loads(scenario: &CheckedScenario) -> Result<Vec<(String, Load)>, StudyError> {
    let scenario = scenario.scenario();
    let applications = scenario.applications.iter().enumerate();
    let shared = applications.map(|(index, of)| {
        let path = format!("applications[{index}].workload");
        (path, &of.name, &of.workload)
    });
    let regions = scenario.regions.iter().enumerate();
    let own = regions.flat_map(|(region, of)| {
        let different = of.applications.iter().enumerate();
        different.filter_map(move |(index, of)| {
            let path = format!("regions[{region}].applications[{index}].workload");
            Some((path, &of.name, of.workload.as_ref()?))
        })
    });
    let loads = shared.chain(own).map(|(path, name, workload)| {
        let (field, load) = match *workload {
            Workload::Trace { rate_scale, .. }
            | Workload::Planned { rate_scale, .. }
            | Workload::Synthetic { rate_scale, .. } => {
                ("rate_scale", Load::Rate(rate_scale))
            }
            Workload::Users { users, .. } => ("users", Load::Users(users)),
            Workload::Host => {
                return Err(StudyError::Input(format!(
                    "{path}: the requests of `{name}` come from a host, so there is no rate to raise; give it a \
                     workload of its own"
                )));
            }
        };
        Ok((format!("{path}.{field}"), load))
    });
    loads.collect()
}

fn at(loads: &[(String, Load)], scale: f64) -> Settings {
    let settings = loads.iter().map(|(path, load)| match load {
        Load::Rate(rate) => format!("{path}={:?}", rate * scale),
        Load::Users(users) => {
            let users = (f64::from(*users) * scale).round().max(1.0);
            format!("{path}={users}")
        }
    });
    settings.collect()
}
