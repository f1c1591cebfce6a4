use std::collections::BTreeMap;

use super::bins::{Bins, Merge};
use super::happenings::Happenings;
use super::histogram::Histogram;
use super::marks::{MarkKind, Marks};
use super::mean::{Mean, SAMPLES};
use super::use_by_group::UseByGroup;
use crate::autoscale::{Amount, Decision};
use crate::fleet::{ScalingAction, ScalingEvent, Target};
use crate::observe::{Rows, Sample};
use crate::scenario::{CheckedScenario, Role, Slo};
use crate::serving::{Outcome, RequestRecord};
use crate::simulation::{Finished, News, Simulation};
use crate::time::{SimDuration, SimTime};

/// The largest number of bins of arrivals: few enough for a percentile in each.
const ARRIVALS: usize = 240;

/// At first a bin of arrivals is this part of the sample interval, for the sake of short runs.
const PART: f64 = 1.0 / 8.0;

/// What the charts of a run are made of, gathered while it goes on, in memory that does not grow
/// with its length or its requests.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) applications: Vec<ApplicationSeries>,
    /// What was scaled and why.
    pub(super) happenings: Happenings,
    /// What broke.
    pub(super) faults: Marks,
    /// The application, by position, and the role of every instance that is there.
    instances: BTreeMap<(u32, u64), (usize, Role)>,
}

/// What is gathered of an application.
#[derive(Debug)]
pub(super) struct ApplicationSeries {
    name: String,
    slo: Slo,
    pub(super) arrivals: Bins<Arrivals>,
    pub(super) e2e: Histogram,
    pub(super) roles: BTreeMap<Role, RoleSeries>,
    pub(super) by_group: UseByGroup,
}

/// Requests by when they arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals {
    pub(super) amount: Amount,
    /// Within every limit of the objective.
    pub(super) met: u64,
    /// Completed, beyond a limit.
    pub(super) missed: u64,
    pub(super) rejected: u64,
    /// Not over at the end of the run.
    pub(super) unfinished: u64,
    pub(super) ttft: Known,
    pub(super) tbt: Known,
}

/// A metric of requests, with those of which it is not known yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) values: Histogram,
    pub(super) unknown: u64,
}

/// What is gathered of an application's instances of one role.
#[derive(Debug)]
pub(super) struct RoleSeries {
    pub(super) samples: Bins<Option<Point>>,
    pub(super) marks: Marks,
}

/// The samples of a while, summed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    pub(super) waiting: Mean,
    pub(super) queued: Mean,
    pub(super) running: Mean,
    /// The most that waited at the application.
    pub(super) most_waiting: u64,
    /// Share of the memory that is in use, 0 to 1.
    pub(super) memory: Mean,
    /// Share of the KV cache that is in use, 0 to 1.
    pub(super) kv: Mean,
    /// Share of the time in which a batch ran, 0 to 1.
    pub(super) busy: Mean,
    /// Share of the tokens looked up in the prefix cache that were found, 0 to 1.
    pub(super) hits: Mean,
}

impl Collected {
    pub(super) fn new(checked: &CheckedScenario) -> Self {
        let scenario = checked.series().scenario();
        let interval = scenario.sample_interval;
        let series = |role| {
            let series = RoleSeries {
                samples: Bins::new(SAMPLES, interval),
                marks: Marks::default(),
            };
            (role, series)
        };
        let applications = scenario.applications.iter().enumerate();
        let applications = applications.map(|(position, of)| ApplicationSeries {
            name: of.name.clone(),
            slo: of.slo.limits(),
            arrivals: Bins::new(ARRIVALS, interval * PART),
            e2e: Histogram::default(),
            roles: of.instances.iter().map(|it| series(it.role)).collect(),
            by_group: UseByGroup::new(scenario, position),
        });
        let mut instances = BTreeMap::new();
        let mut first = 0;
        let regions = checked.regions().iter().map(|it| &it.scenario);
        let alone = Some(checked).filter(|_| checked.regions().is_empty());
        for (fleet, of) in (0..).zip(alone.into_iter().chain(regions)) {
            let specs = &of.scenario().applications;
            for (number, placed) in (0..).zip(&of.placement().instances) {
                let role = specs[placed.application].instances[placed.template].role;
                instances.insert((fleet, number), (first + placed.application, role));
            }
            first += specs.len();
        }
        Self {
            applications: applications.collect(),
            happenings: Happenings::default(),
            faults: Marks::default(),
            instances,
        }
    }

    /// Takes in what is new after a tick.
    pub(super) fn see(&mut self, simulation: &Simulation, news: &News) {
        for decision in &news.decisions {
            self.happenings.decided(decision);
        }
        for event in &news.scaling {
            if let (ScalingAction::ScaleUpStart, Target::Instance(number)) =
                (event.action, event.target)
                && let Some(of) = simulation.whose(event.fleet, number)
            {
                self.instances.insert((event.fleet, number), of);
            }
            self.mark(event, &news.decisions);
        }
        news.faults.iter().for_each(|it| self.faults.fault(it));
        self.add(&news.rows);
        if let Some(sample) = news.rows.samples.last() {
            for (position, of) in self.applications.iter_mut().enumerate() {
                of.by_group
                    .sample(simulation, position, &self.instances, sample.time);
            }
        }
    }

    /// Takes in what was left when the books were closed.
    pub(super) fn finish(&mut self, finished: &Finished) {
        for event in &finished.scaling {
            self.mark(event, &[]);
        }
        let faults = finished.faults.iter();
        faults.for_each(|it| self.faults.fault(it));
        self.add(&finished.rows);
        for of in &mut self.applications {
            of.arrivals.close(finished.record.end);
        }
    }

    fn mark(&mut self, event: &ScalingEvent, decisions: &[Decision]) {
        let Target::Instance(number) = event.target else {
            return;
        };
        let Some(&(position, role)) = self.instances.get(&(event.fleet, number)) else {
            return;
        };
        let of = &mut self.applications[position];
        if let (Some(kind), Some(series)) = (MarkKind::of(event.action), of.roles.get_mut(&role)) {
            let decision = decisions
                .iter()
                .find(|it| it.time == event.time && it.role == role && *it.application == *of.name);
            let target = event.target.to_string();
            let reason = kind.reason(decision);
            series.marks.add(kind, event.time, &target, &reason);
            if kind.decided(decision).is_none() {
                self.happenings.happened(kind, event.time, &of.name, role);
            }
        }
        if matches!(
            event.action,
            ScalingAction::ScaleDownComplete
                | ScalingAction::ScaleUpCancelled
                | ScalingAction::Crash
        ) {
            self.instances.remove(&(event.fleet, number));
        }
    }

    fn add(&mut self, rows: &Rows) {
        for (position, request) in &rows.requests {
            self.applications[*position].request(request);
        }
        for sample in &rows.samples {
            let mut applications = self.applications.iter_mut();
            let of = applications.find(|of| *of.name == *sample.application);
            if let Some(series) = of.and_then(|of| of.roles.get_mut(&sample.role)) {
                let bin = series.samples.at(sample.time);
                bin.get_or_insert_default().add(sample);
            }
        }
    }
}

/// Whether a completed request keeps within every limit.
fn meets(slo: &Slo, request: &RequestRecord) -> bool {
    let limits = [
        (slo.ttft, request.ttft()),
        (slo.tbt, request.tbt()),
        (slo.e2e, request.e2e()),
    ];
    let within = |(limit, took): (Option<SimDuration>, Option<SimDuration>)| {
        limit.is_none_or(|limit| took.is_some_and(|took| took <= limit))
    };
    limits.into_iter().all(within)
}

impl ApplicationSeries {
    fn request(&mut self, request: &RequestRecord) {
        let bin = self.arrivals.at(request.arrival);
        bin.amount += Amount::one(request.prompt_tokens, request.output_tokens);
        let completed = request.outcome == Outcome::Completed;
        match request.outcome {
            Outcome::Completed if meets(&self.slo, request) => bin.met += 1,
            Outcome::Completed => bin.missed += 1,
            Outcome::InFlight | Outcome::Waiting => bin.unfinished += 1,
            Outcome::Failed => {
                bin.missed += 1;
                return;
            }
            Outcome::Rejected(_) => {
                bin.rejected += 1;
                return;
            }
        }
        let seconds = SimDuration::seconds;
        bin.ttft.record(request.ttft().map(seconds));
        bin.tbt
            .record(request.tbt().filter(|_| completed).map(seconds));
        if let Some(e2e) = request.e2e().filter(|_| completed) {
            self.e2e.record(e2e.seconds());
        }
    }

    /// One metric over the whole run.
    pub(super) fn whole(&self, metric: fn(&Arrivals) -> &Known) -> Histogram {
        let mut all = Histogram::default();
        for (_, bin) in self.arrivals.iter() {
            all.merge(metric(bin).values.clone());
        }
        all
    }
}

impl Arrivals {
    /// All of them.
    pub(super) const fn requests(&self) -> u64 {
        self.amount.requests
    }
}

impl Known {
    fn record(&mut self, seconds: Option<f64>) {
        match seconds {
            Some(seconds) => self.values.record(seconds),
            None => self.unknown += 1,
        }
    }

    /// The value that this share, 0 to 1, of the requests does not exceed; none where it depends on those of
    /// which it is not known.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let known = self.values.count();
        let all = known + self.unknown;
        let rank = (share * all as f64).ceil().max(1.0);
        if rank > known as f64 {
            return None;
        }
        self.values.quantile(rank / known as f64)
    }

    /// The share that is not known.
    pub(super) fn share_unknown(&self) -> f64 {
        match self.values.count() + self.unknown {
            0 => 0.0,
            all => self.unknown as f64 / all as f64,
        }
    }
}

impl Merge for Known {
    fn merge(&mut self, later: Self) {
        self.values.merge(later.values);
        self.unknown += later.unknown;
    }
}

impl Merge for Arrivals {
    fn merge(&mut self, later: Self) {
        self.amount += later.amount;
        self.met += later.met;
        self.missed += later.missed;
        self.rejected += later.rejected;
        self.unfinished += later.unfinished;
        self.ttft.merge(later.ttft);
        self.tbt.merge(later.tbt);
    }
}

impl Point {
    fn add(&mut self, sample: &Sample) {
        let there = sample.scaling_up + sample.active + sample.draining > 0;
        let memory = sample.memory_bytes.filter(|bytes| there && *bytes > 0);
        let used = sample.memory_used_bytes as f64;
        self.waiting.add(Some(sample.waiting as f64));
        self.queued.add(Some(sample.queued as f64));
        self.running.add(Some(sample.running as f64));
        self.most_waiting = self.most_waiting.max(sample.waiting);
        self.memory.add(memory.map(|bytes| used / bytes as f64));
        self.kv.add(sample.kv_usage().filter(|_| there));
        // Before the first instant is over, nothing has been busy or idle.
        let passed = there && sample.time > SimTime::ZERO;
        self.busy.add(passed.then_some(sample.utilisation));
        self.hits.add(sample.prefix_hit_rate);
    }
}

impl Merge for Option<Point> {
    fn merge(&mut self, later: Self) {
        let Some(later) = later else { return };
        let Some(point) = self else {
            *self = Some(later);
            return;
        };
        point.waiting.merge(later.waiting);
        point.queued.merge(later.queued);
        point.running.merge(later.running);
        point.most_waiting = point.most_waiting.max(later.most_waiting);
        point.memory.merge(later.memory);
        point.kv.merge(later.kv);
        point.busy.merge(later.busy);
        point.hits.merge(later.hits);
    }
}
