use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bills::{Bill, PurchaseSummary};
use super::faults::{FaultsSummary, ResilienceSummary};
use super::power::PowerCapSummary;
use super::regions::{RegionRecord, RegionSummary};
use super::requests::{
    ApplicationStatistics, Metrics, PercentileSummary, RequestCounts, Throughput, VllmSummary,
};
use super::scaling::ScalingCounts;
use super::slo::SloSummary;
use super::start_up::StageSummary;
use super::usage::{InstanceUsage, ServerUsage};
use crate::fleet::AttemptCounts;
use crate::scenario::Role;
use crate::serving::StepTimes;
use crate::time::SimTime;
use crate::warning::Warnings;

/// All that a run leaves to be summed up.
#[derive(Clone, Debug, Default)]
pub struct RunRecord {
    /// The scenario's name.
    pub scenario: String,
    /// The hash of what the run was made from: see [`CheckedScenario::hash`](crate::scenario::CheckedScenario::hash).
    pub hash: String,
    /// The seed in force.
    pub seed: u64,
    /// The percentiles that are asked for.
    pub percentiles: Vec<f64>,
    /// Simulated time at which the run ended.
    pub end: SimTime,
    /// Why the run stopped before its end, if it did.
    pub stopped: Option<String>,
    /// Every application, in the order of the scenario; of a scenario with regions, that of each, named
    /// `REGION/APPLICATION`: what was served there.
    pub applications: Vec<ApplicationRecord>,
    /// The regions, if there are any.
    pub regions: Vec<RegionRecord>,
    /// The servers of every SKU, in fleet order, each SKU once.
    pub servers: Vec<ServerUsage>,
    /// Servers that crashes left empty, if any.
    pub deserted: Option<DesertedSummary>,
    /// What broke, where something may.
    pub faults: Option<FaultsSummary>,
    /// How long steps took longer for want of power, where they may.
    pub power_cap: Option<PowerCapSummary>,
    /// What the scaling log holds.
    pub scaling: ScalingCounts,
    /// What is likely a mistake in the scenario, and what went unnoticed in the run.
    pub warnings: Warnings,
}

/// All that a run leaves of one application.
#[derive(Clone, Debug)]
pub struct ApplicationRecord {
    /// Its name.
    pub name: Arc<str>,
    /// What became of its requests.
    pub statistics: ApplicationStatistics,
    /// The time of its instances; one row for each role, SKU and size that there was.
    pub instances: Vec<InstanceUsage>,
    /// What its step times rest on, where that is a roofline.
    pub step_times: Vec<StepTimes>,
    /// How long its start-ups were in each stage, where it has stages.
    pub start_up: Vec<StageSummary>,
    /// How its attempts at start-ups went, where they may fail.
    pub start_up_attempts: Option<AttemptCounts>,
    /// How it came through faults, where something may break.
    pub resilience: Option<ResilienceSummary>,
}

impl RunRecord {
    /// The summary of the run, in time proportional to the requests completed.
    #[must_use]
    pub fn summarise(&self) -> Summary {
        Summary {
            scenario: self.scenario.clone(),
            hash: self.hash.clone(),
            seed: self.seed,
            fleetsim_version: env!("CARGO_PKG_VERSION").to_owned(),
            end_s: self.end,
            partial: self.stopped.is_some(),
            partial_reason: self.stopped.clone(),
            applications: self
                .applications
                .iter()
                .map(|application| application.summarise(self.end, &self.percentiles))
                .collect(),
            total: (self.applications.len() > 1).then(|| self.total()),
            regions: self.regions.iter().map(|it| it.summarise(self)).collect(),
            fleet: self.summarise_fleet(),
            warnings: WarningSummary::list(&self.warnings),
        }
    }

    /// All applications in figures, as if their requests were one application's.
    fn total(&self) -> TotalSummary {
        let statistics = self.applications.iter().map(|of| &of.statistics);
        self.total_of(statistics)
    }

    pub(super) fn total_of<'a>(
        &self,
        statistics: impl Iterator<Item = &'a ApplicationStatistics> + Clone,
    ) -> TotalSummary {
        let mut all = ApplicationStatistics::default();
        statistics.clone().for_each(|of| all.merge(of));
        let metrics = all.metrics();
        TotalSummary {
            requests: all.counts().clone(),
            throughput: all.throughput(self.end),
            slo: SloSummary::of_all(statistics, self.end),
            percentiles: all.percentiles(&metrics, &self.percentiles),
            metrics,
            vllm: all.vllm(),
        }
    }

    /// The servers in figures: the summary's `fleet`.
    #[must_use]
    pub fn summarise_fleet(&self) -> FleetSummary {
        let instances = || self.applications.iter().flat_map(|one| &one.instances);
        let servers: Vec<_> = self
            .servers
            .iter()
            .map(|usage| ServerSummary {
                sku: usage.sku.name.clone(),
                server_hours: usage.hours(),
                gpu_hours: usage.gpu_hours(),
                peak: usage.peak,
                mean: mean(usage.seconds, self.end),
                cost: usage.cost(),
                purchases: usage.bills.iter().map(Bill::summarise).collect(),
                energy_kwh: usage.energy_kwh(instances()),
                step_energy_kwh: usage.step_energy_kwh(instances()),
            })
            .collect();
        // A SKU of which there never was a server adds nothing, known or not, but for what is paid for in any case.
        let paid = |sku: &&ServerSummary| sku.purchases.iter().any(|it| it.billed_hours > 0.0);
        let used = || {
            let there = |sku: &&ServerSummary| sku.server_hours > 0.0 || paid(sku);
            servers.iter().filter(there)
        };
        let total = |figure: fn(&ServerSummary) -> Option<f64>| {
            used().try_fold(0.0, |sum, sku| Some(sum + figure(sku)?))
        };
        let cost = total(|sku| sku.cost);
        let mut cost_by_option = BTreeMap::new();
        for of in servers.iter().flat_map(|sku| &sku.purchases) {
            if let Some(cost) = of.cost {
                *cost_by_option.entry(of.option.clone()).or_insert(0.0) += cost;
            }
        }
        let statistics = self.applications.iter().map(|of| of.statistics.tokens());
        let [prompt, output] = statistics.fold([0, 0], |sum, of| [sum[0] + of[0], sum[1] + of[1]]);
        FleetSummary {
            rates: CostRates::new(cost, self.end, prompt, output),
            server_hours: used().fold(0.0, |sum, sku| sum + sku.server_hours),
            gpu_hours: used().fold(0.0, |sum, sku| sum + sku.gpu_hours),
            cost,
            cost_by_option,
            energy_kwh: total(|sku| sku.energy_kwh),
            step_energy_kwh: used()
                .filter_map(|sku| sku.step_energy_kwh)
                .reduce(|sum, more| sum + more),
            scaling_events: self.scaling.by_name(),
            refusals: self.scaling.refusals_by_name(),
            deserted: self.deserted,
            faults: self.faults.clone(),
            power_cap: self.power_cap,
            servers,
        }
    }
}

impl ApplicationRecord {
    fn summarise(&self, end: SimTime, percentiles: &[f64]) -> ApplicationSummary {
        let metrics = self.statistics.metrics();
        ApplicationSummary {
            name: self.name.to_string(),
            requests: self.statistics.counts().clone(),
            throughput: self.statistics.throughput(end),
            slo: self.statistics.slo(end),
            percentiles: self.statistics.percentiles(&metrics, percentiles),
            metrics,
            vllm: self.statistics.vllm(),
            instances: self
                .instances
                .iter()
                .map(|usage| InstanceSummary {
                    role: usage.role,
                    sku: usage.sku.to_string(),
                    processors: usage.processors,
                    scaling_up_s: usage.scaling_up_s,
                    active_s: usage.active_s,
                    draining_s: usage.draining_s,
                    prompt_busy_s: usage.prompt_busy_s,
                    token_busy_s: usage.token_busy_s,
                    gpu_hours: usage.gpu_hours(),
                    peak: usage.peak,
                    mean: mean(usage.seconds(), end),
                })
                .collect(),
            step_times: self.step_times.clone(),
            start_up: self.start_up.clone(),
            start_up_attempts: self.start_up_attempts,
            resilience: self.resilience,
        }
    }
}

/// How many there were on average over the run; 0 when it took no time.
fn mean(seconds: f64, end: SimTime) -> f64 {
    if end > SimTime::ZERO {
        seconds / end.seconds()
    } else {
        0.0
    }
}

/// A run in figures: what `summary.json` holds. Figures that are not known are `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The scenario's name.
    pub scenario: String,
    /// The hash of what the run was made from: see [`CheckedScenario::hash`](crate::scenario::CheckedScenario::hash).
    pub hash: String,
    /// The seed in force.
    pub seed: u64,
    /// The version of fleetsim that ran it.
    pub fleetsim_version: String,
    /// Simulated seconds that the run took.
    pub end_s: SimTime,
    /// Whether the run stopped before its end, so that every figure is of a part of it.
    pub partial: bool,
    /// Why it stopped.
    pub partial_reason: Option<String>,
    /// Every application, in the order of the scenario.
    pub applications: Vec<ApplicationSummary>,
    /// All of them together; only where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<TotalSummary>,
    /// The regions: what their users felt, and what their servers cost. Only of a scenario with regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionSummary>,
    /// The servers under them.
    pub fleet: FleetSummary,
    /// What is likely a mistake in the scenario, and what went unnoticed in the run.
    #[serde(default)]
    pub warnings: Vec<WarningSummary>,
}

/// A warning, or those of its kind that are not listed one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WarningSummary {
    /// Its kind, in lower case with underscores.
    pub kind: String,
    /// How many warnings this is: 1, or the number of those that are not listed.
    pub count: u64,
    /// Simulated seconds; `None` for a warning about the scenario.
    pub time_s: Option<SimTime>,
    /// The path of the value in the scenario; `None` where there is none.
    pub path: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl WarningSummary {
    /// The first few of each kind, then a line for the rest of the kind.
    #[must_use]
    pub fn list(warnings: &Warnings) -> Vec<Self> {
        let mut list = Vec::new();
        for kind in warnings.kinds() {
            list.extend(kind.first().iter().map(|warning| {
                Self {
                    kind: kind.name().to_owned(),
                    count: 1,
                    time_s: warning.time,
                    path: Some(&warning.problem.path)
                        .filter(|it| !it.is_empty())
                        .cloned(),
                    message: warning.problem.message.clone(),
                }
            }));
            if kind.more() > 0 {
                list.push(Self {
                    kind: kind.name().to_owned(),
                    count: kind.more(),
                    time_s: None,
                    path: None,
                    message: format!("{} more of this kind", kind.more()),
                });
            }
        }
        list
    }
}

/// All applications of a scenario in figures: statistics over the requests of all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TotalSummary {
    /// Where their requests stand.
    pub requests: RequestCounts,
    /// What was completed per second.
    pub throughput: Throughput,
    /// Whether users got what they were promised, each by the objective of their application; without
    /// the applications that have none. There are no limits that hold for all of them.
    pub slo: SloSummary,
    /// What users felt.
    pub metrics: Metrics,
    /// The percentiles of it that the scenario asks for.
    #[serde(default)]
    pub percentiles: Vec<PercentileSummary>,
    /// How engines `Vllm` served the completed requests; only where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vllm: Option<VllmSummary>,
}

/// One application in figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplicationSummary {
    /// Its name.
    pub name: String,
    /// Where its requests stand.
    pub requests: RequestCounts,
    /// What was completed per second.
    pub throughput: Throughput,
    /// Whether users got what they were promised.
    pub slo: SloSummary,
    /// What users felt.
    pub metrics: Metrics,
    /// The percentiles of it that the scenario asks for.
    #[serde(default)]
    pub percentiles: Vec<PercentileSummary>,
    /// How engines `Vllm` served the completed requests; only where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vllm: Option<VllmSummary>,
    /// The time of its instances by role, SKU and size.
    pub instances: Vec<InstanceSummary>,
    /// What its step times rest on, by template and SKU; only where that is a roofline or a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_times: Vec<StepTimes>,
    /// How long its start-ups were in each stage; only where there were stages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_up: Vec<StageSummary>,
    /// How its attempts at start-ups went; only with `start_up_failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_up_attempts: Option<AttemptCounts>,
    /// How it came through faults; only where something may break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resilience: Option<ResilienceSummary>,
}

/// Instances of one role, on one SKU, of one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceSummary {
    /// What they serve.
    pub role: Role,
    /// The SKU of their servers.
    pub sku: String,
    /// Processors that each of them holds.
    pub processors: u32,
    /// Instance-seconds in which they started up.
    pub scaling_up_s: f64,
    /// Instance-seconds in which they took requests.
    pub active_s: f64,
    /// Instance-seconds in which they finished their work.
    pub draining_s: f64,
    /// Instance-seconds in which they ran a batch that had a prompt in it.
    pub prompt_busy_s: f64,
    /// Instance-seconds in which they ran a batch of tokens alone.
    pub token_busy_s: f64,
    /// Hours of processors held.
    pub gpu_hours: f64,
    /// The most of them at any one time, in any status.
    pub peak: u64,
    /// How many there were on average, in any status.
    pub mean: f64,
}

/// The servers of all applications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetSummary {
    /// By SKU, in fleet order.
    pub servers: Vec<ServerSummary>,
    /// Hours of servers.
    pub server_hours: f64,
    /// Hours of processors, used or not.
    pub gpu_hours: f64,
    /// Dollars; `None` when a SKU in use has no price.
    pub cost: Option<f64>,
    /// The cost by purchase option, as far as it is known; only where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cost_by_option: BTreeMap<String, f64>,
    /// The cost by time and by work.
    #[serde(flatten)]
    pub rates: CostRates,
    /// Energy in kWh; `None` when a SKU in use has no power figures.
    pub energy_kwh: Option<f64>,
    /// Energy in kWh of steps alone, on the SKUs whose processors draw nobody says how much when idle; only
    /// where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_energy_kwh: Option<f64>,
    /// Events of the scaling log, by action.
    pub scaling_events: BTreeMap<String, u64>,
    /// Refusals among them, by action and reason; only where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refusals: BTreeMap<String, BTreeMap<String, u64>>,
    /// Servers that crashes left empty; only where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deserted: Option<DesertedSummary>,
    /// What broke; only where something may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<FaultsSummary>,
    /// How long steps took longer for want of power; only with a `power_cap` that lets them. Of regions, in each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_cap: Option<PowerCapSummary>,
}

/// Dollars by time and by work; `None` where the cost is not known, or there was no time or no token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CostRates {
    /// A day of 24 hours, if all days are as this run is on average.
    pub cost_per_day: Option<f64>,
    /// A month of 30 days.
    pub cost_per_month: Option<f64>,
    /// A million tokens, prompt and output, of completed requests.
    pub cost_per_million_tokens: Option<f64>,
    /// A million output tokens of completed requests.
    pub cost_per_million_output_tokens: Option<f64>,
}

impl CostRates {
    /// Seconds of a day, and days of a month.
    const DAY: f64 = 86_400.0;
    const MONTH: f64 = 30.0;

    fn new(cost: Option<f64>, end: SimTime, prompt_tokens: u64, output_tokens: u64) -> Self {
        let over = |of: f64| cost.filter(|_| of > 0.0).map(|cost| cost / of);
        let day = over(end.seconds() / Self::DAY);
        let millions = |tokens: u64| over(tokens as f64 / 1e6);
        Self {
            cost_per_day: day,
            cost_per_month: day.map(|day| day * Self::MONTH),
            cost_per_million_tokens: millions(prompt_tokens + output_tokens),
            cost_per_million_output_tokens: millions(output_tokens),
        }
    }
}

/// Servers that crashes of their instances left empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DesertedSummary {
    /// Those that stand empty at the end.
    pub at_end: u64,
    /// Hours in which servers stood empty so, to the next instance or to the end; they are part of
    /// `server_hours`.
    pub server_hours: f64,
}

/// Servers of one SKU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSummary {
    /// Its name.
    pub sku: String,
    /// Hours of servers.
    pub server_hours: f64,
    /// Hours of processors, used or not.
    pub gpu_hours: f64,
    /// The most servers at any one time.
    pub peak: u64,
    /// How many there were on average.
    pub mean: f64,
    /// Dollars; `None` when there is no price.
    pub cost: Option<f64>,
    /// What was paid for by purchase option; only where the fleet entry has any, or a minimum or steps of billing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purchases: Vec<PurchaseSummary>,
    /// Energy in kWh, by the formula at [`ServerUsage::energy_kwh`]; `None` when not known.
    pub energy_kwh: Option<f64>,
    /// Energy in kWh of steps alone, where no source says what its processors draw when idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_energy_kwh: Option<f64>,
}
