use serde::{Deserialize, Serialize};

use super::Flapping;
use super::flapping::Directions;
use crate::fleet::ScalingAction;
use crate::observe::{ApplicationStatistics, CostRates, Distribution, RunRecord, Statistics};
use crate::time::SimTime;

/// A contender's run in figures, over every application of the scenario. Figures that are not known are
/// `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Simulated seconds that the run took.
    pub end_s: SimTime,
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests that were completed.
    pub completed: u64,
    /// Requests that missed a limit of their application's objective, were rejected, or were not
    /// over at the end; of applications that have an objective. `None` where none has.
    pub slo_misses: Option<u64>,
    /// Share of the arrived requests of those applications that met every limit, 0 to 1. Other
    /// than in `summary.json`, a request that is not over at the end counts as a miss: a policy
    /// that lets requests wait must not look the better for it.
    pub attainment: Option<f64>,
    /// Whether every limit of a percentile was met, of all requests that arrived. `None` without one.
    #[serde(default)]
    pub slo_met: Option<bool>,
    /// How far the objective was kept, 0 to 1; the frontier goes by it. Limits of each request count as
    /// in `attainment`; a limit of a percentile by the share of requests within it over the share that it
    /// demands, at most 1. The least counts. `None` without an objective.
    #[serde(default)]
    pub slo_kept: Option<f64>,
    /// Requests that met every limit, per second of the run.
    pub goodput_per_s: Option<f64>,
    /// Times to first token of the completed requests, in seconds.
    pub ttft_s: Percentiles,
    /// Times between tokens of the completed requests, in seconds.
    pub tbt_s: Percentiles,
    /// The percentiles that the scenario asks for.
    #[serde(default)]
    pub percentiles: Vec<PercentileFigures>,
    /// Hours of processors, used or not.
    pub gpu_hours: f64,
    /// Dollars; `None` when a SKU in use has no price.
    pub cost: Option<f64>,
    /// The cost by time and by work.
    #[serde(flatten)]
    pub rates: CostRates,
    /// Energy in kWh; `None` when a SKU in use has no power figures.
    pub energy_kwh: Option<f64>,
    /// Share of the run in which some role that a policy took over had fewer active instances than
    /// the requests of the minute take, 0 to 1: the under-provisioning timeshare of SPEC RG. Demand is
    /// by the [`CapacityModel`](crate::autoscale::CapacityModel), instances used to the full. `None`
    /// when the workload could not be read ahead.
    pub under_provisioned: Option<f64>,
    /// Start-ups begun, start-ups cancelled and drains begun, by any cause.
    pub scaling_actions: u64,
    /// How often the scaling turned round.
    pub flapping: Flapping,
}

/// The percentiles that are compared, linear between the two values around each; `None` where there is
/// no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: Option<f64>,
    /// The 90th.
    pub p90: Option<f64>,
    /// The 95th.
    #[serde(default)]
    pub p95: Option<f64>,
    /// The 99th.
    pub p99: Option<f64>,
}

/// A percentile of the requests completed, in seconds; `None` where there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PercentileFigures {
    /// Which, from 0 to 100.
    pub percentile: f64,
    /// Time to first token.
    pub ttft_s: Option<f64>,
    /// Time between tokens.
    pub tbt_s: Option<f64>,
}

impl Figures {
    pub(super) fn new(
        record: &RunRecord,
        directions: Directions,
        under_provisioned: Option<f64>,
    ) -> Self {
        let applications = || record.applications.iter().map(|of| &of.statistics);
        let promised: Vec<(u64, u64)> = applications()
            .filter_map(|of| Some((of.met_slo()?, of.counts().arrived)))
            .collect();
        let any = !promised.is_empty();
        let (met, of) = promised
            .iter()
            .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        let each: Vec<(u64, u64)> = applications()
            .filter_map(|of| Some((of.met_each()?, of.counts().arrived)))
            .collect();
        let each = each
            .iter()
            .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        let each = (each.1 > 0).then(|| each.0 as f64 / each.1 as f64);
        let kept = applications().filter_map(|of| of.kept_percentiles(of.counts().arrived));
        let kept = each.into_iter().chain(kept).reduce(f64::min);
        let verdicts = applications().filter_map(|of| of.met_percentiles(of.counts().arrived));
        let (ttft, tbt) = (
            merged(applications(), ApplicationStatistics::ttft),
            merged(applications(), ApplicationStatistics::tbt),
        );
        let asked = record
            .percentiles
            .iter()
            .map(|&percentile| PercentileFigures {
                percentile,
                ttft_s: ttft.percentile(percentile),
                tbt_s: tbt.percentile(percentile),
            });
        let fleet = record.summarise_fleet();
        let actions = [
            ScalingAction::ScaleUpStart,
            ScalingAction::ScaleUpCancelled,
            ScalingAction::ScaleDownStart,
        ];
        let seconds = record.end.seconds();
        Self {
            end_s: record.end,
            arrived: applications().map(|of| of.counts().arrived).sum(),
            completed: applications().map(|of| of.counts().completed).sum(),
            slo_misses: any.then(|| of - met),
            attainment: (of > 0).then(|| met as f64 / of as f64),
            slo_met: verdicts.reduce(|one, other| one && other),
            slo_kept: kept,
            goodput_per_s: (any && seconds > 0.0).then(|| met as f64 / seconds),
            ttft_s: percentiles(&ttft),
            tbt_s: percentiles(&tbt),
            percentiles: asked.collect(),
            gpu_hours: fleet.gpu_hours,
            cost: fleet.cost,
            rates: fleet.rates,
            energy_kwh: fleet.energy_kwh,
            under_provisioned,
            scaling_actions: actions.map(|it| record.scaling.count(it)).iter().sum(),
            flapping: directions.flapping(record.end),
        }
    }
}

/// The values of all applications together.
fn merged<'a>(
    applications: impl Iterator<Item = &'a ApplicationStatistics>,
    metric: fn(&ApplicationStatistics) -> &Distribution,
) -> Distribution {
    let mut all = Distribution::default();
    applications.for_each(|of| all.merge(metric(of)));
    all
}

fn percentiles(of: &Distribution) -> Percentiles {
    let Statistics {
        p50, p90, p95, p99, ..
    } = of.statistics();
    Percentiles { p50, p90, p95, p99 }
}
