use std::collections::BTreeMap;

use super::bins::{Bins, Merge};
use super::histogram::Histogram;
use super::marks::{MarkKind, Marks};
use crate::autoscale::Decision;
use crate::fleet::{InstanceRole, OfApplication, Roster, ScalingAction, ScalingEvent, Target};
use crate::observe::{Rows, Sample};
use crate::scenario::{CheckedScenario, Role};
use crate::serving::{Outcome, RequestRecord};
use crate::simulation::{Finished, News, Simulation};

/// The largest number of points of a series over time; a long run has at least half of it.
const SAMPLES: usize = 600;

/// The largest number of bins of arrivals: few enough for a percentile in each.
const ARRIVALS: usize = 240;

/// At first a bin of arrivals is this part of the sample interval, for the sake of short runs.
const PART: f64 = 1.0 / 8.0;

/// What the charts of a run are made of, gathered while it goes on, in memory that does not grow
/// with its length or its requests.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) applications: Vec<ApplicationSeries>,
    /// The application, by position, and the role of every instance that is there.
    instances: BTreeMap<u64, (usize, Role)>,
}

/// What is gathered of an application.
#[derive(Debug)]
pub(super) struct ApplicationSeries {
    name: String,
    pub(super) arrivals: Bins<Arrivals>,
    pub(super) e2e: Histogram,
    pub(super) roles: BTreeMap<Role, RoleSeries>,
}

/// Requests by when they arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals {
    pub(super) requests: u64,
    pub(super) prompt_tokens: u64,
    pub(super) output_tokens: u64,
    /// Of those that were completed.
    pub(super) ttft: Histogram,
    pub(super) tbt: Histogram,
}

/// What is gathered of an application's instances of one role.
#[derive(Debug)]
pub(super) struct RoleSeries {
    pub(super) samples: Bins<Option<Point>>,
    pub(super) marks: Marks,
}

/// A sample, or the samples of a while: the instances as the first has them, the most of the queues
/// and the memory, the mean of the utilisation and of the prefix cache's hit rates.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) first: Sample,
    pub(super) waiting: u64,
    pub(super) queued: u64,
    pub(super) running: u64,
    /// Share of the memory that is in use, 0 to 1.
    pub(super) memory: f64,
    /// Share of the KV cache that is in use, 0 to 1.
    pub(super) kv: f64,
    utilisation: f64,
    samples: u32,
    prefix_hit_rates: f64,
    /// Samples that have one.
    prefix_samples: u32,
}

impl Collected {
    pub(super) fn new(checked: &CheckedScenario) -> Self {
        let scenario = checked.scenario();
        let interval = scenario.sample_interval;
        let placed = &checked.placement().instances;
        let role = |application: usize, template: usize| {
            scenario.applications[application].instances[template].role
        };
        Self {
            applications: scenario
                .applications
                .iter()
                .map(|of| ApplicationSeries {
                    name: of.name.clone(),
                    arrivals: Bins::new(ARRIVALS, interval * PART),
                    e2e: Histogram::default(),
                    roles: of
                        .instances
                        .iter()
                        .map(|template| {
                            let series = RoleSeries {
                                samples: Bins::new(SAMPLES, interval),
                                marks: Marks::default(),
                            };
                            (template.role, series)
                        })
                        .collect(),
                })
                .collect(),
            instances: (0..)
                .zip(placed)
                .map(|(number, it)| (number, (it.application, role(it.application, it.template))))
                .collect(),
        }
    }

    /// Takes in what is new after a tick.
    pub(super) fn see(&mut self, simulation: &Simulation, news: &News) {
        for event in &news.scaling {
            if let (ScalingAction::ScaleUpStart, Target::Instance(number)) =
                (event.action, event.target)
                && let Some(of) = whose(simulation, number)
            {
                self.instances.insert(number, of);
            }
            self.mark(event, &news.decisions);
        }
        self.add(&news.rows);
    }

    /// Takes in what was left when the books were closed.
    pub(super) fn finish(&mut self, finished: &Finished) {
        for event in &finished.scaling {
            self.mark(event, &[]);
        }
        self.add(&finished.rows);
    }

    fn mark(&mut self, event: &ScalingEvent, decisions: &[Decision]) {
        let Target::Instance(number) = event.target else {
            return;
        };
        let Some(&(position, role)) = self.instances.get(&number) else {
            return;
        };
        let of = &mut self.applications[position];
        if let (Some(kind), Some(series)) = (MarkKind::of(event.action), of.roles.get_mut(&role)) {
            let decision = decisions
                .iter()
                .find(|it| it.time == event.time && it.role == role && *it.application == *of.name);
            series.marks.add(kind, event, &kind.reason(decision));
        }
        if matches!(
            event.action,
            ScalingAction::ScaleDownComplete
                | ScalingAction::ScaleUpCancelled
                | ScalingAction::Crash
        ) {
            self.instances.remove(&number);
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
                bin.merge(Some(Point::new(sample)));
            }
        }
    }
}

/// The application, by position, and the role of an instance.
fn whose(simulation: &Simulation, number: u64) -> Option<(usize, Role)> {
    let world = simulation.world();
    let instance = world.resource::<Roster>().instance(number)?;
    let role = world.get::<InstanceRole>(instance)?.role();
    let application = world.get::<OfApplication>(instance)?.application();
    let application = world.get::<crate::fleet::Application>(application)?;
    Some((application.index(), role))
}

impl ApplicationSeries {
    fn request(&mut self, request: &RequestRecord) {
        let bin = self.arrivals.at(request.arrival);
        bin.requests += 1;
        bin.prompt_tokens += u64::from(request.prompt_tokens);
        bin.output_tokens += u64::from(request.output_tokens);
        if request.outcome != Outcome::Completed {
            return;
        }
        for (histogram, metric) in [
            (&mut bin.ttft, request.ttft()),
            (&mut bin.tbt, request.tbt()),
            (&mut self.e2e, request.e2e()),
        ] {
            if let Some(duration) = metric {
                histogram.record(duration.seconds());
            }
        }
    }

    /// One metric over the whole run.
    pub(super) fn whole(&self, metric: fn(&Arrivals) -> &Histogram) -> Histogram {
        let mut all = Histogram::default();
        for (_, bin) in self.arrivals.iter() {
            all.merge(metric(bin).clone());
        }
        all
    }
}

impl Merge for Arrivals {
    fn merge(&mut self, later: Self) {
        self.requests += later.requests;
        self.prompt_tokens += later.prompt_tokens;
        self.output_tokens += later.output_tokens;
        self.ttft.merge(later.ttft);
        self.tbt.merge(later.tbt);
    }
}

impl Point {
    fn new(sample: &Sample) -> Self {
        Self {
            first: sample.clone(),
            waiting: sample.waiting,
            queued: sample.queued,
            running: sample.running,
            memory: match sample.memory_bytes {
                None | Some(0) => 0.0,
                Some(bytes) => sample.memory_used_bytes as f64 / bytes as f64,
            },
            kv: sample.kv_usage().unwrap_or(0.0),
            utilisation: sample.utilisation,
            samples: 1,
            prefix_hit_rates: sample.prefix_hit_rate.unwrap_or(0.0),
            prefix_samples: sample.prefix_hit_rate.is_some().into(),
        }
    }

    /// Share of the time in which a batch ran, 0 to 1.
    pub(super) fn utilisation(&self) -> f64 {
        self.utilisation / f64::from(self.samples)
    }

    /// Share of the tokens looked up in the prefix cache that were found; none where nobody looked.
    pub(super) fn prefix_hit_rate(&self) -> Option<f64> {
        let samples = f64::from(self.prefix_samples);
        (self.prefix_samples > 0).then(|| self.prefix_hit_rates / samples)
    }
}

impl Merge for Option<Point> {
    fn merge(&mut self, later: Self) {
        let Some(point) = self else {
            *self = later;
            return;
        };
        if let Some(later) = later {
            point.waiting = point.waiting.max(later.waiting);
            point.queued = point.queued.max(later.queued);
            point.running = point.running.max(later.running);
            point.memory = point.memory.max(later.memory);
            point.kv = point.kv.max(later.kv);
            point.utilisation += later.utilisation;
            point.samples = point.samples.saturating_add(later.samples);
            point.prefix_hit_rates += later.prefix_hit_rates;
            point.prefix_samples = point.prefix_samples.saturating_add(later.prefix_samples);
        }
    }
}
