mod saved;

use std::collections::VecDeque;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CapacityModel, Completion, Demand, InstanceCounts, Mix, RoleSnapshot, Snapshot};
use crate::scenario::Slo;
use crate::serving::Role;
use crate::statistics::{Ascending, mean_of};
use crate::time::{SimDuration, SimTime};

/// The most completions kept, the latest: enough for percentiles of any window, and a bound on memory
/// (10 MiB an application).
const MOST_COMPLETIONS: usize = 1 << 18;

/// What a policy sees of its application: the latest snapshot that has reached it, those before it as
/// far back as its window, and the requests completed meanwhile. Nothing here is newer than
/// [`Self::time`], except how many instances there are: see [`Self::count`].
///
/// It is easily made by hand, to try a policy on:
///
/// ```
/// use fleetsim::autoscale::{RoleSnapshot, Signals, Snapshot};
/// use fleetsim::serving::Role;
/// use fleetsim::time::{SimDuration, SimTime};
///
/// let seconds = |s| SimDuration::saturating(s);
/// let at = |s, output_tokens| Snapshot {
///     time: SimTime::ZERO + seconds(s),
///     roles: vec![RoleSnapshot { active: 2, output_tokens, ..RoleSnapshot::new(Role::Token) }],
///     ..Snapshot::default()
/// };
/// let mut signals = Signals::new(seconds(30.0), SimDuration::ZERO);
/// signals.scrape(at(0.0, 0));
/// signals.scrape(at(30.0, 6000));
/// assert!(signals.look(SimTime::new(30.0)?));
/// assert_eq!(signals.current(Role::Token), 2);
/// assert_eq!(signals.output_tokens_per_s(Role::Token, seconds(30.0)), 200.0);
/// # Ok::<(), fleetsim::time::InvalidTime>(())
/// ```
#[derive(Component, Clone, Debug, Default)]
pub struct Signals {
    window: SimDuration,
    delay: SimDuration,
    slo: Slo,
    capacity: CapacityModel,
    now: SimTime,
    /// In order of time; those behind `latest` have not reached the policy yet.
    snapshots: VecDeque<Snapshot>,
    latest: usize,
    /// In order of time.
    completions: VecDeque<Completion>,
    nothing: Snapshot,
}

/// What is measured of a completed request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Latency {
    /// Time to first token.
    #[default]
    Ttft,
    /// Mean time between tokens.
    Tbt,
    /// Arrival to last token.
    E2e,
}

impl Signals {
    /// Nothing seen yet. Snapshots reach the policy after `delay`, and are kept for `window`.
    #[must_use]
    pub fn new(window: SimDuration, delay: SimDuration) -> Self {
        Self {
            window,
            delay,
            ..Self::default()
        }
    }

    /// The same, with what users were promised.
    #[must_use]
    pub fn with_slo(self, slo: Slo) -> Self {
        Self { slo, ..self }
    }

    /// The same, with what instances can carry and how long they take to start up.
    #[must_use]
    pub fn with_capacity(self, capacity: CapacityModel) -> Self {
        Self { capacity, ..self }
    }

    /// Snapshots are kept for `window` from now on.
    pub(super) const fn keep(&mut self, window: SimDuration) {
        self.window = window;
    }

    /// Adds a snapshot, not older than the one before. Its active instances are those measured.
    pub fn scrape(&mut self, mut snapshot: Snapshot) {
        for of in &mut snapshot.roles {
            of.measured = of.active;
        }
        self.snapshots.push_back(snapshot);
    }

    /// Adds a completed request, not completed before the one before.
    pub fn complete(&mut self, completion: Completion) {
        if self.completions.len() == MOST_COMPLETIONS {
            self.completions.pop_front();
        }
        self.completions.push_back(completion);
    }

    /// Moves to what is known at `now`, and forgets what no window reaches any more. False if nothing
    /// has reached the policy yet.
    pub fn look(&mut self, now: SimTime) -> bool {
        self.now = now;
        let reaches = now.seconds() - self.delay.seconds();
        let arrived = |snapshot: &Snapshot| snapshot.time.seconds() <= reaches;
        let known = self.snapshots.partition_point(arrived);
        if known == 0 {
            return false;
        }
        self.latest = known - 1;
        let begin = self.begin(self.window);
        for old in self.snapshots.iter_mut().take(self.latest) {
            old.roles
                .iter_mut()
                .for_each(|it| it.instances = Vec::new());
        }
        while self.latest > 0 && self.snapshots[1].time <= begin {
            self.snapshots.pop_front();
            self.latest -= 1;
        }
        while self.completions.front().is_some_and(|it| it.end <= begin) {
            self.completions.pop_front();
        }
        true
    }

    /// Replaces the counts of a role in the latest snapshot known by those of this instant. Without
    /// it, the counts are as old as the snapshot.
    pub fn count(&mut self, counts: InstanceCounts) {
        let latest = self.snapshots.get_mut(self.latest);
        let mut roles = latest.into_iter().flat_map(|it| &mut it.roles);
        if let Some(of) = roles.find(|it| it.role == counts.role) {
            of.starting = counts.starting;
            of.active = counts.active;
            of.draining = counts.draining;
            of.variants = counts.variants;
        }
    }

    /// When the policy decides.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// When what it sees was so.
    #[must_use]
    pub fn time(&self) -> SimTime {
        self.snapshot().time
    }

    /// What users were promised.
    #[must_use]
    pub const fn slo(&self) -> Slo {
        self.slo
    }

    /// What instances of the application can carry, and how long they take to start up; empty in
    /// signals made by hand, unless given.
    #[must_use]
    pub const fn capacity(&self) -> &CapacityModel {
        &self.capacity
    }

    /// The latest that is known.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        self.snapshots.get(self.latest).unwrap_or(&self.nothing)
    }

    /// The roles that the application has instances or templates of.
    pub fn roles(&self) -> impl Iterator<Item = &RoleSnapshot> {
        self.snapshot().roles.iter()
    }

    /// The instances of a role; none if the application has no such role.
    #[must_use]
    pub fn role(&self, role: Role) -> Option<&RoleSnapshot> {
        self.snapshot().role(role)
    }

    /// Instances of a role that start up or are active at the instant of the decision.
    #[must_use]
    pub fn current(&self, role: Role) -> u32 {
        self.role(role).map_or(0, RoleSnapshot::current)
    }

    /// Requests a second that arrived within the window.
    #[must_use]
    pub fn arrivals_per_s(&self, window: SimDuration) -> f64 {
        self.rate(window, |snapshot| snapshot.arrived as f64)
    }

    /// Prompt tokens a second that arrived within the window.
    #[must_use]
    pub fn arrived_prompt_tokens_per_s(&self, window: SimDuration) -> f64 {
        self.rate(window, |snapshot| snapshot.arrived_prompt_tokens as f64)
    }

    /// Mean prompt tokens of the requests that arrived within the window or, if none did, ever; none
    /// before any did.
    #[must_use]
    pub fn mean_prompt_tokens(&self, window: SimDuration) -> Option<f64> {
        let latest = self.snapshot();
        let before = self.before(self.begin(window))?;
        let all = (latest.arrived_prompt_tokens, latest.arrived);
        let (tokens, requests) = match latest.arrived.saturating_sub(before.arrived) {
            0 => all,
            recent => (all.0.saturating_sub(before.arrived_prompt_tokens), recent),
        };
        (requests > 0).then(|| tokens as f64 / requests as f64)
    }

    /// Mean output tokens, with what requests under way have of them already: those generated within the
    /// window for each request completed within it or, if none was, ever. None before as many requests
    /// were completed as are in batches: until then hardly any but the short ones were.
    ///
    /// The mean of the requests completed is that of the short ones when load has just come or instances
    /// are overloaded; this one is not too low then, and in the long run they are equal.
    #[must_use]
    pub fn mean_output_tokens(&self, window: SimDuration) -> Option<f64> {
        let latest = self.snapshot();
        let before = self.before(self.begin(window))?;
        let done = |it: &Snapshot| (it.output_tokens() as f64, it.completed.requests);
        let ((tokens, requests), (tokens_before, requests_before)) = (done(latest), done(before));
        if requests == 0 || requests < latest.running() {
            None
        } else if requests > requests_before {
            Some((tokens - tokens_before) / (requests - requests_before) as f64)
        } else {
            Some(tokens / requests as f64)
        }
    }

    /// The mean lengths of requests: of prompts as they arrived within the window; of outputs, and by
    /// how much lengths differ, as they were completed within it. Where none did, or was, that of ever
    /// counts; none before any was completed.
    ///
    /// A prompt's length is known when it arrives. Those of the requests completed would be too short in
    /// an overload: the long ones take longest.
    #[must_use]
    pub fn mix(&self, window: SimDuration) -> Option<Mix> {
        let completed = &self.snapshot().completed;
        let before = self.before(self.begin(window))?;
        let recent = completed.since(&before.completed).mix();
        let completed = recent.or_else(|| completed.mix())?;
        Some(completed.with_prompts(self.mean_prompt_tokens(window)?))
    }

    /// What users asked for within the window: the requests that arrived, at the mean lengths of the
    /// [mix](Self::mix). None before any request was completed.
    #[must_use]
    pub fn demand(&self, window: SimDuration) -> Option<Demand> {
        Some(self.mix(window)?.at(self.arrivals_per_s(window)))
    }

    /// Prompt tokens a second that instances of a role processed within the window.
    #[must_use]
    pub fn prompt_tokens_per_s(&self, role: Role, window: SimDuration) -> f64 {
        self.rate(window, |it| of(it, role, |it| it.prompt_tokens as f64))
    }

    /// Output tokens a second that instances of a role generated within the window.
    #[must_use]
    pub fn output_tokens_per_s(&self, role: Role, window: SimDuration) -> f64 {
        self.rate(window, |it| of(it, role, |it| it.output_tokens as f64))
    }

    /// Share of the tokens that were looked for in a role's prefix caches within the window and were found;
    /// none if none was looked for.
    #[must_use]
    pub fn hit_rate(&self, role: Role, window: SimDuration) -> Option<f64> {
        let queried = self.rate(window, |it| of(it, role, |it| it.queried_tokens as f64));
        let hit = self.rate(window, |it| of(it, role, |it| it.hit_tokens as f64));
        (queried > 0.0).then(|| hit / queried)
    }

    /// Share of a role's instance time within the window in which a batch ran, 0 to 1.
    #[must_use]
    pub fn busy_share(&self, role: Role, window: SimDuration) -> f64 {
        let up = self.rate(window, |it| of(it, role, |it| it.up_s));
        let busy = self.rate(window, |it| of(it, role, |it| it.busy_s));
        if up > 0.0 {
            (busy / up).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// The mean of a figure over the snapshots within the window, the latest at least.
    #[must_use]
    pub fn mean_over(&self, window: SimDuration, figure: impl Fn(&Snapshot) -> f64) -> f64 {
        let begin = self.begin(window);
        let known = self.snapshots.iter().take(self.latest + 1).rev();
        let within = known.take_while(|it| it.time > begin);
        let (sum, count) = within.fold((0.0, 0_u32), |(sum, count), it| {
            (sum + figure(it), count + 1)
        });
        if count > 0 {
            sum / f64::from(count)
        } else {
            figure(self.snapshot())
        }
    }

    /// The sum of a figure over the snapshots within the window, each weighted by its age in seconds.
    #[must_use]
    pub fn weighted_over(
        &self,
        window: SimDuration,
        weight: impl Fn(f64) -> f64,
        figure: impl Fn(&Snapshot) -> f64,
    ) -> f64 {
        let (begin, end) = (self.begin(window), self.time());
        let known = self.snapshots.iter().take(self.latest + 1);
        let within = known.filter(|it| it.time > begin);
        let weighted = within.map(|it| figure(it) * weight((end - it.time).seconds()));
        weighted.sum()
    }

    /// Mean prompt tokens and output tokens of the requests completed within the window; none if there
    /// are none.
    #[must_use]
    pub fn mean_tokens(&self, window: SimDuration) -> Option<(f64, f64)> {
        let (mut prompt, mut output, mut count) = (0_u64, 0_u64, 0_u64);
        for it in self.within(window) {
            prompt += u64::from(it.prompt_tokens);
            output += u64::from(it.output_tokens);
            count += 1;
        }
        let mean = |sum: u64| sum as f64 / count as f64;
        (count > 0).then(|| (mean(prompt), mean(output)))
    }

    /// The mean over the requests completed within the window, in seconds; none if there are none.
    #[must_use]
    pub fn mean(&self, latency: Latency, window: SimDuration) -> Option<f64> {
        let values = self.values(latency, window);
        (!values.is_empty()).then(|| mean_of(&values, |value| value))
    }

    /// The percentile (0 to 100) over the requests completed within the window, in seconds, linear
    /// between the two values around it; none if there are none.
    #[must_use]
    pub fn percentile(&self, latency: Latency, percent: f64, window: SimDuration) -> Option<f64> {
        let values = self.values(latency, window);
        let percent = percent.clamp(0.0, 100.0);
        (!values.is_empty()).then(|| Ascending::new(values).percentile(percent))
    }

    /// Requests completed within the window.
    #[must_use]
    pub fn completed(&self, window: SimDuration) -> usize {
        self.within(window).count()
    }

    fn values(&self, latency: Latency, window: SimDuration) -> Vec<f64> {
        let value = |it: &Completion| match latency {
            Latency::Ttft => it.ttft,
            Latency::Tbt => it.tbt,
            Latency::E2e => it.e2e,
        };
        self.within(window).map(value).collect()
    }

    fn within(&self, window: SimDuration) -> impl Iterator<Item = &Completion> {
        let (begin, end) = (self.begin(window), self.time());
        let whole = window >= end - SimTime::ZERO;
        let first = match whole {
            true => 0,
            false => self.completions.partition_point(|it| it.end <= begin),
        };
        let known = self.completions.iter().skip(first);
        known.take_while(move |it| it.end <= end)
    }

    /// When a window that ends with the latest snapshot begins.
    fn begin(&self, window: SimDuration) -> SimTime {
        SimTime::saturating(self.time().seconds() - window.seconds())
    }

    /// The last snapshot at or before an instant; the first that there is, if none is.
    fn before(&self, begin: SimTime) -> Option<&Snapshot> {
        let known = self.snapshots.iter().take(self.latest + 1);
        let before = known.take_while(|it| it.time <= begin).last();
        before.or_else(|| self.snapshots.front())
    }

    /// How fast a figure grew from the last snapshot before the window to the latest.
    fn rate(&self, window: SimDuration, figure: impl Fn(&Snapshot) -> f64) -> f64 {
        let Some(before) = self.before(self.begin(window)) else {
            return 0.0;
        };
        let latest = self.snapshot();
        let passed = (latest.time - before.time).seconds();
        if passed > 0.0 {
            (figure(latest) - figure(before)) / passed
        } else {
            0.0
        }
    }
}

fn of(snapshot: &Snapshot, role: Role, figure: impl Fn(&RoleSnapshot) -> f64) -> f64 {
    snapshot.role(role).map_or(0.0, figure)
}
