use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::recovery::{RecoverySummary, Windows};
use super::slo::{Kept, SloSummary, rate};
use super::{Distribution, Sample, Statistics};
use crate::scenario::Objective;
use crate::serving::{Outcome, RequestRecord};
use crate::statistics::BatchMeans;
use crate::time::{SimDuration, SimTime};

/// Collects what became of one application's requests.
///
/// Each request is recorded once: when it ends, or where it stands at the end of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ApplicationStatistics {
    kept: Kept,
    counts: RequestCounts,
    prompt_tokens: u64,
    output_tokens: u64,
    vllm: VllmSummary,
    kv: KvUsage,
    queue: Distribution,
    ttft: Distribution,
    tbt: Distribution,
    e2e: Distribution,
    second_token: Distribution,
    itl: Distribution,
    /// Of `queue`, `ttft`, `tbt` and `e2e`, in the order in which requests were completed.
    batches: [BatchMeans; 4],
    /// Only where something may break.
    windows: Option<Windows>,
}

impl ApplicationStatistics {
    /// Starts empty, with the objective to hold requests against.
    #[must_use]
    pub fn new(objective: impl Into<Objective>) -> Self {
        Self {
            kept: Kept::new(objective.into()),
            ..Self::default()
        }
    }

    /// Notes from now on how many requests met the objective in each stretch of this length, so that what came of
    /// faults can be told. Without an objective there is nothing to note.
    pub(crate) fn watch(&mut self, length: SimDuration) {
        let objective = self.kept.objective();
        if objective != Objective::default() && self.windows.is_none() {
            self.windows = Some(Windows::new(objective, length));
        }
    }

    /// What came of faults at these instants, in order, in a run up to `end`; none where nothing was noted.
    pub(crate) fn recovery(&self, faults: &[SimTime], end: SimTime) -> Option<RecoverySummary> {
        let windows = self.windows.as_ref()?;
        Some(windows.recovery(faults, end))
    }

    /// Takes one request in. Only a completed one adds to the metrics and the tokens.
    pub fn record(&mut self, request: &RequestRecord) {
        if let Some(windows) = &mut self.windows {
            windows.record(request);
        }
        self.counts.arrived += 1;
        self.counts.restarted += u64::from(request.restarts > 0);
        match request.outcome {
            Outcome::Completed => self.complete(request),
            Outcome::InFlight => self.counts.in_flight += 1,
            Outcome::Waiting => self.counts.waiting += 1,
            Outcome::Failed => self.counts.failed += 1,
            Outcome::Rejected(rejection) => {
                let reason = rejection.reason();
                match self.counts.rejected.get_mut(reason) {
                    Some(count) => *count += 1,
                    None => _ = self.counts.rejected.insert(reason.to_owned(), 1),
                }
            }
        }
    }

    fn complete(&mut self, request: &RequestRecord) {
        self.counts.completed += 1;
        self.kept.complete(request);
        self.prompt_tokens += u64::from(request.prompt_tokens);
        self.output_tokens += u64::from(request.output_tokens);
        self.vllm.complete(request);
        for (distribution, metric) in [
            (&mut self.queue, request.queue()),
            (&mut self.ttft, request.ttft()),
            (&mut self.tbt, request.tbt()),
            (&mut self.e2e, request.e2e()),
            (&mut self.second_token, request.second_token()),
        ] {
            if let Some(duration) = metric {
                distribution.record(duration.seconds());
            }
        }
        let ordered = [
            request.queue(),
            request.ttft(),
            request.tbt(),
            request.e2e(),
        ];
        for (batches, metric) in self.batches.iter_mut().zip(ordered) {
            if let Some(duration) = metric {
                batches.record(duration.seconds());
            }
        }
    }

    /// Adds what `other` collected, of another application or another run. The objective stays; how sure the
    /// means are is no longer known.
    pub fn merge(&mut self, other: &Self) {
        self.batches = match self.counts.arrived {
            0 => other.batches.clone(),
            _ => Default::default(),
        };
        self.counts.merge(&other.counts);
        self.kept.merge(&other.kept);
        self.prompt_tokens += other.prompt_tokens;
        self.output_tokens += other.output_tokens;
        self.vllm.merge(&other.vllm);
        self.kv.merge(&other.kv);
        for (ours, theirs) in [
            (&mut self.queue, &other.queue),
            (&mut self.ttft, &other.ttft),
            (&mut self.tbt, &other.tbt),
            (&mut self.e2e, &other.e2e),
            (&mut self.second_token, &other.second_token),
            (&mut self.itl, &other.itl),
        ] {
            ours.merge(theirs);
        }
    }

    /// Counts evictions: requests put out of memory, to be computed again.
    pub fn record_evictions(&mut self, evictions: u64) {
        self.counts.evicted += evictions;
    }

    /// Counts tokens that were processed for requests before these lost their instance.
    pub fn record_lost_tokens(&mut self, tokens: u64) {
        self.counts.lost_tokens += tokens;
    }

    /// Counts moves of requests with their KV cache.
    pub fn record_moves(&mut self, moves: u64) {
        self.counts.moved += moves;
    }

    /// Adds times between two tokens of a request, in seconds: see
    /// [`Endpoint::token_gaps`](crate::serving::Endpoint::token_gaps).
    pub fn record_token_gaps(&mut self, gaps: &Distribution) {
        self.itl.merge(gaps);
    }

    /// Adds how full the KV caches of instances were.
    pub fn record_kv_usage(&mut self, usage: &KvUsage) {
        self.kv.merge(usage);
    }

    /// Where the requests stand.
    #[must_use]
    pub fn counts(&self) -> &RequestCounts {
        &self.counts
    }

    /// Requests that met every limit, of which there must be one.
    #[must_use]
    pub fn met_slo(&self) -> Option<u64> {
        self.kept.met()
    }

    /// Times to first token of the completed requests, in seconds.
    #[must_use]
    pub fn ttft(&self) -> &Distribution {
        &self.ttft
    }

    /// Times between tokens of the completed requests, in seconds.
    #[must_use]
    pub fn tbt(&self) -> &Distribution {
        &self.tbt
    }

    /// How engines `Vllm` served the completed requests; none if no such engine did.
    #[must_use]
    pub fn vllm(&self) -> Option<VllmSummary> {
        (self.vllm.prompt_tokens > 0).then(|| VllmSummary {
            prefix_hit_rate: self.vllm.cached_tokens as f64 / self.vllm.prompt_tokens as f64,
            kv_usage_mean: self.kv.mean(),
            kv_usage_peak: self.kv.peak(),
            ..self.vllm
        })
    }

    /// What was completed over a run of this length.
    #[must_use]
    pub fn throughput(&self, end: SimTime) -> Throughput {
        Throughput {
            requests_per_s: rate(self.counts.completed, end),
            prompt_tokens_per_s: rate(self.prompt_tokens, end),
            output_tokens_per_s: rate(self.output_tokens, end),
        }
    }

    /// Prompt and output tokens of the completed requests.
    #[must_use]
    pub const fn tokens(&self) -> [u64; 2] {
        [self.prompt_tokens, self.output_tokens]
    }

    /// Requests that met every limit of each request, of which there must be one.
    #[must_use]
    pub fn met_each(&self) -> Option<u64> {
        self.kept.met_each()
    }

    /// How far the limits of percentiles were kept, 0 to 1, held against this many requests: the share within
    /// a limit as a share of what it demands, at most 1, and of several limits the least. `None` without one.
    #[must_use]
    pub fn kept_percentiles(&self, requests: u64) -> Option<f64> {
        self.kept.kept_percentiles(requests)
    }

    /// Whether this many requests keep every limit of a percentile. `None` without one.
    #[must_use]
    pub fn met_percentiles(&self, requests: u64) -> Option<bool> {
        self.kept.met_percentiles(requests)
    }

    /// Percentiles of the metrics of the completed requests, a row each; `metrics` are
    /// [`Self::metrics`], which have some of them.
    #[must_use]
    pub fn percentiles(&self, metrics: &Metrics, percents: &[f64]) -> Vec<PercentileSummary> {
        let row = |&percent: &f64| {
            let of = |known: &Statistics, values: &Distribution| {
                let known = known.percentile(percent);
                known.or_else(|| values.percentile(percent))
            };
            let itl = metrics.itl_s.as_ref();
            PercentileSummary {
                percentile: percent,
                queue_s: of(&metrics.queue_s, &self.queue),
                ttft_s: of(&metrics.ttft_s, &self.ttft),
                tbt_s: of(&metrics.tbt_s, &self.tbt),
                e2e_s: of(&metrics.e2e_s, &self.e2e),
                second_token_s: of(&metrics.second_token_s, &self.second_token),
                itl_s: itl.and_then(|known| of(known, &self.itl)),
            }
        };
        percents.iter().map(row).collect()
    }

    /// The metrics of the completed requests.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let [queue, ttft, tbt, e2e] = &self.batches;
        let ordered = |values: &Distribution, batches: &BatchMeans| Statistics {
            mean_half_width: batches.interval().and_then(|it| it.half_width),
            ..values.statistics()
        };
        Metrics {
            queue_s: ordered(&self.queue, queue),
            ttft_s: ordered(&self.ttft, ttft),
            tbt_s: ordered(&self.tbt, tbt),
            e2e_s: ordered(&self.e2e, e2e),
            second_token_s: self.second_token.statistics(),
            itl_s: (self.itl.count() > 0).then(|| self.itl.statistics()),
        }
    }

    /// How the objective fared over a run of this length.
    #[must_use]
    pub fn slo(&self, end: SimTime) -> SloSummary {
        let ended = self.counts.ended();
        self.kept.summary(ended, end)
    }
}

/// A percentile of what users felt, in seconds; `None` where there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PercentileSummary {
    /// Which, from 0 to 100.
    pub percentile: f64,
    /// Arrival to the first run of the prompt.
    pub queue_s: Option<f64>,
    /// Time to first token.
    pub ttft_s: Option<f64>,
    /// Time between tokens.
    pub tbt_s: Option<f64>,
    /// Arrival to the last token.
    pub e2e_s: Option<f64>,
    /// End of the prompt phase to the start of the token phase.
    pub second_token_s: Option<f64>,
    /// Inter-token latency; only engines `Vllm` tell of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub itl_s: Option<f64>,
}

/// How engines `Vllm` served the completed requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VllmSummary {
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Of these, those found in the prefix cache when the requests were first admitted.
    pub cached_tokens: u64,
    /// The share found.
    pub prefix_hit_rate: f64,
    /// How often they were preempted.
    pub preemptions: u64,
    /// Seconds of the longest time between two tokens of a request.
    pub max_tbt_s: f64,
    /// The share of the KV cache in use, 0 to 1: the mean of the samples of `timeline.csv`. `None` without one.
    #[serde(default)]
    pub kv_usage_mean: Option<f64>,
    /// The largest share of the KV cache of a role in use at a sample.
    #[serde(default)]
    pub kv_usage_peak: Option<f64>,
}

/// How full KV caches were, over samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KvUsage {
    /// Σ bytes in use.
    used: f64,
    /// Σ bytes that there are.
    all: f64,
    peak: f64,
}

impl KvUsage {
    /// Adds a sample.
    pub fn record(&mut self, sample: &Sample) {
        if let (Some(bytes), Some(usage)) = (sample.kv_bytes, sample.kv_usage()) {
            self.used += sample.kv_used_bytes as f64;
            self.all += bytes as f64;
            self.peak = self.peak.max(usage);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.used += other.used;
        self.all += other.all;
        self.peak = self.peak.max(other.peak);
    }

    fn mean(&self) -> Option<f64> {
        (self.all > 0.0).then(|| self.used / self.all)
    }

    fn peak(&self) -> Option<f64> {
        (self.all > 0.0).then_some(self.peak)
    }
}

impl VllmSummary {
    fn complete(&mut self, request: &RequestRecord) {
        let Some(cached) = request.served.cached_tokens else {
            return;
        };
        self.prompt_tokens += u64::from(request.prompt_tokens);
        self.cached_tokens += u64::from(cached);
        self.preemptions += u64::from(request.served.preemptions);
        let longest = request.served.max_tbt.map_or(0.0, SimDuration::seconds);
        self.max_tbt_s = self.max_tbt_s.max(longest);
    }

    fn merge(&mut self, other: &Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.cached_tokens += other.cached_tokens;
        self.preemptions += other.preemptions;
        self.max_tbt_s = self.max_tbt_s.max(other.max_tbt_s);
    }
}

/// Where requests stand: `arrived = completed + in_flight + waiting + rejected + failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests of which every token was generated.
    pub completed: u64,
    /// Requests that an instance had at the end.
    pub in_flight: u64,
    /// Requests that waited for an instance at the end.
    pub waiting: u64,
    /// Requests turned away, by reason; only reasons that occurred.
    pub rejected: BTreeMap<String, u64>,
    /// Requests whose instance was lost and that did not begin again.
    #[serde(default)]
    pub failed: u64,
    /// Requests that lost their instance or their memory and began again, each counted once.
    pub restarted: u64,
    /// Evictions that resolved a shortage of memory.
    pub evicted: u64,
    /// Tokens that were processed for requests before these lost their instance.
    #[serde(default)]
    pub lost_tokens: u64,
    /// How often a request was moved to another instance with its KV cache.
    #[serde(default)]
    pub moved: u64,
}

impl RequestCounts {
    fn merge(&mut self, other: &Self) {
        self.arrived += other.arrived;
        self.completed += other.completed;
        self.in_flight += other.in_flight;
        self.waiting += other.waiting;
        for (reason, count) in &other.rejected {
            *self.rejected.entry(reason.clone()).or_default() += count;
        }
        self.failed += other.failed;
        self.lost_tokens += other.lost_tokens;
        self.moved += other.moved;
        self.restarted += other.restarted;
        self.evicted += other.evicted;
    }

    /// Requests that have ended, each in its way.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.completed + self.rejected_total() + self.failed
    }

    /// Requests turned away for any reason.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }
}

/// Work of completed requests per second of the run; 0 when the run took no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// Requests completed a second.
    pub requests_per_s: f64,
    /// Prompt tokens of completed requests a second.
    pub prompt_tokens_per_s: f64,
    /// Output tokens of completed requests a second.
    pub output_tokens_per_s: f64,
}

/// What users felt: statistics over completed requests, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Arrival to the first run of the prompt.
    pub queue_s: Statistics,
    /// Time to first token: arrival to the end of the prompt phase.
    pub ttft_s: Statistics,
    /// Time between tokens: (e2e − ttft) / output tokens, a mean per request.
    pub tbt_s: Statistics,
    /// Arrival to the last token.
    pub e2e_s: Statistics,
    /// End of the prompt phase to the start of the token phase; requests of more than one
    /// output token.
    pub second_token_s: Statistics,
    /// Inter-token latency: each gap between two tokens of a request, of all requests. `None` unless an engine
    /// tells of it, as `Vllm` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub itl_s: Option<Statistics>,
}
