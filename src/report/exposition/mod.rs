//! A run as Prometheus would have scraped it.

mod histogram;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use self::histogram::{DEFINITIONS, Histogram};
use super::ReportError;
use super::thinned::Thinned;
use crate::observe::{InstanceSample, Rows, Sample};
use crate::scenario::{Role, Scenario};
use crate::serving::{Outcome, RequestRecord};
use crate::time::SimTime;

/// Scrapes that are kept: a day of them every 20 s.
const MOST: usize = 4096;

/// Instances of a scrape up to which that holds; with more, fewer scrapes are kept.
const INSTANCES: usize = 64;

/// A run as Prometheus would have scraped it from its instances, in the OpenMetrics text format, with
/// vLLM's names for what vLLM has, so that dashboards and alert rules made for vLLM can be tried on a
/// simulated fleet.
///
/// There is a scrape at each sample, its time stamp the simulated seconds, or those after a date
/// ([`MetricsOptions`]). `promtool tsdb
/// create-blocks-from openmetrics metrics.prom` makes a database of it. Gauges and counters are of an
/// application's instances of one role together or, on demand, of each instance; histograms of an application's requests.
///
/// It takes constant memory: of more than 4,096 scrapes every other one is left out, and so on.
#[derive(Clone, Debug)]
pub struct Exposition {
    applications: Vec<Exposed>,
    scrapes: Thinned<Scrape>,
    options: MetricsOptions,
}

/// How `metrics.prom` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MetricsOptions {
    /// What time zero is, in seconds since the start of the year 1970 in UTC. Default 0.
    pub start: f64,
    /// Whether what an instance of vLLM tells has a series for each instance instead of one for all of a role;
    /// [`Rows::instances`] must then be recorded.
    pub by_instance: bool,
}

/// What there was to scrape at an instant.
#[derive(Clone, Debug)]
struct Scrape {
    time: SimTime,
    /// Of each application.
    served: Vec<Served>,
    /// Of each role that an application has instances of, application by application.
    roles: Vec<Vec<[f64; FAMILIES.len()]>>,
    /// Every instance, by number; only where each is exposed.
    instances: Vec<(InstanceKey, [f64; OF_INSTANCE])>,
}

/// An instance: application, role and number.
type InstanceKey = (usize, Role, u64);

/// One application.
#[derive(Clone, Debug)]
struct Exposed {
    labels: String,
    roles: Vec<ExposedRole>,
    now: Served,
}

/// What an application had done.
#[derive(Clone, Debug)]
struct Served {
    waiting: u64,
    completed: u64,
    /// In the order of [`DEFINITIONS`].
    histograms: Vec<Histogram>,
}

/// The instances of one role.
#[derive(Clone, Debug)]
struct ExposedRole {
    role: Role,
    labels: String,
    last: SimTime,
    now: [f64; FAMILIES.len()],
}

/// A gauge or counter of the instances of a role.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    let kind = "gauge";
    Family { name, kind, help }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    let kind = "counter";
    Family { name, kind, help }
}

/// The first of [`FAMILIES`], which an instance of vLLM tells.
const OF_INSTANCE: usize = 8;

const FAMILIES: [Family; 11] = [
    counter("vllm:prompt_tokens", "Prompt tokens processed"),
    counter("vllm:generation_tokens", "Output tokens generated"),
    gauge("vllm:num_requests_running", "Requests in batches"),
    gauge(
        "vllm:num_requests_waiting",
        "Requests queued or preempted on instances",
    ),
    gauge(
        "vllm:kv_cache_usage_perc",
        "KV cache in use, 1 for all of it",
    ),
    counter(
        "vllm:prefix_cache_queries",
        "Tokens looked for in the prefix cache",
    ),
    counter("vllm:prefix_cache_hits", "Tokens found in the prefix cache"),
    counter("vllm:num_preemptions", "Preemptions"),
    gauge("fleetsim:instances_scaling_up", "Instances that start up"),
    gauge("fleetsim:instances_active", "Instances that take requests"),
    gauge(
        "fleetsim:instances_draining",
        "Instances that finish their work",
    ),
];

impl Exposition {
    /// Nothing scraped yet of a scenario's applications.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self::with(scenario, MetricsOptions::default())
    }

    /// The names of all that there is in the text, in its order: gauges, counters and histograms.
    pub fn names() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let families = FAMILIES.iter().chain([&WAITING, &SUCCESS]);
        let families = families.map(|it| (it.name, it.kind, it.help));
        families.chain(DEFINITIONS.iter().map(|it| (it.name, "histogram", it.help)))
    }

    /// The same as these options have it.
    #[must_use]
    pub fn with(scenario: &Scenario, options: MetricsOptions) -> Self {
        let exposed = scenario.applications.iter().map(|application| Exposed {
            labels: format!(
                "application=\"{}\",model_name=\"{}\"",
                escaped(&application.name),
                escaped(&application.model)
            ),
            roles: Vec::new(),
            now: Served {
                waiting: 0,
                completed: 0,
                histograms: DEFINITIONS.iter().map(Histogram::new).collect(),
            },
        });
        Self {
            applications: exposed.collect(),
            scrapes: Thinned::new(MOST * INSTANCES, |it| it.instances.len().max(INSTANCES)),
            options,
        }
    }

    /// Adds what ended and what was sampled since the last call. `applications` are their names, in
    /// the order of the scenario.
    pub fn add(&mut self, rows: &Rows, applications: &[String]) {
        let mut requests = rows.requests.iter().peekable();
        let ended = |request: &RequestRecord| request.end.unwrap_or(request.arrival);
        for samples in rows.samples.chunk_by(|a, b| a.time == b.time) {
            let time = samples[0].time;
            while let Some((application, request)) = requests.next_if(|it| ended(&it.1) <= time) {
                self.applications[*application].now.add(request);
            }
            for sample in samples {
                let of = applications
                    .iter()
                    .position(|name| **name == *sample.application);
                if let Some(application) = of {
                    self.applications[application].sample(sample);
                }
            }
            let instances = rows.instances.iter().filter(|it| it.time == time);
            self.scrape(time, instances);
        }
        for (application, request) in requests {
            self.applications[*application].now.add(request);
        }
    }

    fn scrape<'a>(&mut self, time: SimTime, instances: impl Iterator<Item = &'a InstanceSample>) {
        let (applications, each) = (&self.applications, self.options.by_instance);
        let roles = |of: &Exposed| of.roles.iter().map(|role| role.now).collect();
        self.scrapes.add(|| Scrape {
            time,
            served: applications.iter().map(|of| of.now.clone()).collect(),
            roles: applications.iter().map(roles).collect(),
            instances: if each {
                let mut all: Vec<_> = instances.map(of_instance).collect();
                all.sort_by_key(|(key, _)| *key);
                all
            } else {
                Vec::new()
            },
        });
    }

    /// Writes everything to `out`; errors will name `path`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when `out` fails.
    pub fn write(&self, out: impl Write, path: &Path) -> Result<(), ReportError> {
        let mut out = BufWriter::new(out);
        self.expose(&mut out)
            .and_then(|()| out.flush())
            .map_err(ReportError::io(path, "write"))
    }

    fn expose(&self, out: &mut impl Write) -> io::Result<()> {
        let stamp = |time: SimTime| self.options.start + time.seconds();
        let instances: BTreeSet<InstanceKey> = self
            .scrapes
            .kept()
            .iter()
            .flat_map(|scrape| scrape.instances.iter().map(|(key, _)| *key))
            .collect();
        for (position, family) in FAMILIES.iter().enumerate() {
            head(out, family)?;
            if self.options.by_instance && position < OF_INSTANCE {
                for key in &instances {
                    self.expose_instance(out, family, position, *key)?;
                }
                continue;
            }
            let suffix = family.suffix();
            for (application, of) in self.applications.iter().enumerate() {
                for (place, role) in of.roles.iter().enumerate() {
                    let (name, labels) = (family.name, &role.labels);
                    for scrape in self.scrapes.kept() {
                        if let Some(values) = scrape.roles[application].get(place) {
                            let (value, time) = (values[position], stamp(scrape.time));
                            writeln!(out, "{name}{suffix}{{{labels}}} {value} {time}")?;
                        }
                    }
                }
            }
        }
        head(out, &WAITING)?;
        self.each(|labels, time, served| {
            let (name, value) = (WAITING.name, served.waiting);
            writeln!(out, "{name}{{{labels}}} {value} {time}")
        })?;
        head(out, &SUCCESS)?;
        self.each(|labels, time, served| {
            let (name, value) = (SUCCESS.name, served.completed);
            writeln!(
                out,
                "{name}_total{{finished_reason=\"stop\",{labels}}} {value} {time}"
            )
        })?;
        for (position, of) in DEFINITIONS.iter().enumerate() {
            let (name, help, kind) = (of.name, of.help, "histogram");
            head(out, &Family { name, kind, help })?;
            self.each(|labels, time, served| {
                let Histogram { counts, sum } = &served.histograms[position];
                let mut total = 0;
                for (place, count) in counts.iter().enumerate() {
                    total += count;
                    let bound = of.bounds.get(place);
                    let bound = bound.map_or_else(|| "+Inf".to_owned(), |it| format!("{it:?}"));
                    writeln!(
                        out,
                        "{name}_bucket{{le=\"{bound}\",{labels}}} {total} {time}"
                    )?;
                }
                writeln!(out, "{name}_count{{{labels}}} {total} {time}")?;
                writeln!(out, "{name}_sum{{{labels}}} {sum} {time}")
            })?;
        }
        writeln!(out, "# EOF")
    }

    /// The series of an instance, while it was there.
    fn expose_instance(
        &self,
        out: &mut impl Write,
        family: &Family,
        position: usize,
        key: InstanceKey,
    ) -> io::Result<()> {
        let (application, role, number) = key;
        let (name, suffix) = (family.name, family.suffix());
        let Some(of) = self.applications.get(application) else {
            return Ok(());
        };
        let labels = format!("{},role=\"{role:?}\",instance=\"{number}\"", of.labels);
        for scrape in self.scrapes.kept() {
            let found = scrape.instances.binary_search_by_key(&key, |(key, _)| *key);
            if let Ok(place) = found {
                let value = scrape.instances[place].1[position];
                let time = self.options.start + scrape.time.seconds();
                writeln!(out, "{name}{suffix}{{{labels}}} {value} {time}")?;
            }
        }
        Ok(())
    }

    fn each(&self, mut line: impl FnMut(&str, f64, &Served) -> io::Result<()>) -> io::Result<()> {
        for (position, application) in self.applications.iter().enumerate() {
            for scrape in self.scrapes.kept() {
                let time = self.options.start + scrape.time.seconds();
                line(&application.labels, time, &scrape.served[position])?;
            }
        }
        Ok(())
    }
}

impl Family {
    /// What a sample has behind the name.
    fn suffix(&self) -> &'static str {
        if self.kind == "counter" { "_total" } else { "" }
    }
}

const WAITING: Family = gauge(
    "fleetsim:requests_waiting",
    "Requests that wait for an instance",
);
const SUCCESS: Family = counter("vllm:request_success", "Requests completed");

/// What an instance tells, in the order of [`FAMILIES`].
fn of_instance(it: &InstanceSample) -> (InstanceKey, [f64; OF_INSTANCE]) {
    let values = [
        it.prompt_tokens as f64,
        it.output_tokens as f64,
        it.running as f64,
        it.queued as f64,
        it.kv_usage().unwrap_or(0.0),
        it.prefix_queries as f64,
        it.prefix_hits as f64,
        it.preemptions as f64,
    ];
    ((it.application, it.role, it.instance), values)
}

fn head(out: &mut impl Write, family: &Family) -> io::Result<()> {
    let Family { name, kind, help } = family;
    writeln!(out, "# TYPE {name} {kind}\n# HELP {name} {help}.")
}

impl Served {
    fn add(&mut self, request: &RequestRecord) {
        if request.outcome != Outcome::Completed {
            return;
        }
        self.completed += 1;
        for (histogram, of) in self.histograms.iter_mut().zip(&DEFINITIONS) {
            histogram.observe(of, request);
        }
    }
}

impl Exposed {
    fn sample(&mut self, sample: &Sample) {
        self.now.waiting = sample.waiting;
        let found = self.roles.iter().position(|it| it.role == sample.role);
        let position = found.unwrap_or_else(|| {
            self.roles.push(ExposedRole {
                role: sample.role,
                labels: format!("{},role=\"{:?}\"", self.labels, sample.role),
                last: sample.time,
                now: [0.0; FAMILIES.len()],
            });
            self.roles.len() - 1
        });
        let role = &mut self.roles[position];
        let passed = (sample.time - role.last).seconds();
        role.last = sample.time;
        let [prompt_tokens, output_tokens, ..] = role.now;
        // Rates are whole numbers of tokens over the time passed.
        role.now = [
            prompt_tokens + (sample.prompt_tokens_per_s * passed).round(),
            output_tokens + (sample.output_tokens_per_s * passed).round(),
            sample.running as f64,
            sample.queued as f64,
            sample.kv_usage().unwrap_or(0.0),
            sample.prefix_queries as f64,
            sample.prefix_hits as f64,
            sample.preemptions as f64,
            sample.scaling_up.into(),
            sample.active.into(),
            sample.draining.into(),
        ];
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
