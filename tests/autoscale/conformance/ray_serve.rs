//! Ray Serve's policy on totals, what makes a total of reports, and the whole loop.

use std::collections::BTreeSet;

use fleetsim::autoscale::policies::{Aggregation, Metric, RayServe, Series};
use fleetsim::autoscale::{InstanceSnapshot, Load, Policy, RoleSnapshot};
use fleetsim::fleet::InstanceStatus;
use fleetsim::serving::Role::Mixed;

use super::*;
use crate::support::{decide, role, seconds, tuned};

const SOURCE: &str = "ray_serve";

#[test]
fn decisions() {
    let mut tally = Tally::new("RayServe");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "decisions_cases.csv", "decisions_steps.csv") {
            let factor = |column| case.number(column).or(case.number("smoothing_factor"));
            let delay = |column| case.number(column).map(seconds);
            let mut policy = tuned(RayServe::default(), |it| {
                it.metric = Metric::OutputTokensPerS;
                it.target_ongoing_requests = case.real("target_ongoing_requests");
                it.upscaling_factor = factor("upscaling_factor").unwrap_or(1.0);
                it.downscaling_factor = factor("downscaling_factor").unwrap_or(1.0);
                it.upscale_delay = seconds(case.real("upscale_delay_s"));
                it.downscale_delay = seconds(case.real("downscale_delay_s"));
                it.downscale_to_zero_delay = delay("downscale_to_zero_delay_s");
                it.min = case.whole("min_replicas");
                it.max = case.whole("max_replicas");
            });
            assert!(policy.check().is_ok(), "{case:?}");
            let mut before = None;
            for step in steps {
                let (running, target) = (step.whole("running"), step.whole("target_before"));
                let total = step.real("total_requests");
                if !total.is_finite() || total < 0.0 {
                    tally.by_choice("a number of requests is finite and not negative");
                    break;
                }
                if before.is_some_and(|before| before != target) {
                    tally.by_choice("nobody else sets what a policy asked for");
                    break;
                }
                let of = RoleSnapshot {
                    output_tokens: millionths(total),
                    ..role(Mixed, running, Load::ZERO)
                };
                let now = instant(step.real("t_s"));
                let mut signals = seen(now, vec![of]);
                // What was asked for and does not run starts up.
                let starting = target.saturating_sub(running);
                signals.count(counts(Mixed, starting, running, 0));
                let desired = decide(&mut policy, &signals);
                let ours = wanted(&desired, Mixed, target);
                tally.compare(&step, ours, step.whole("answer"));
                before = Some(step.whole("answer"));
            }
        }
    }
    tally.finish();
}

/// The clock of the original began here; where a time falls between two hundredths it matters.
const CLOCK: f64 = 1e6;

/// What routers reported, as one number.
#[test]
fn aggregates() {
    let mut tally = Tally::new("RayServe, aggregates");
    for folder in sources(SOURCE) {
        for (case, points) in cases(&folder, "aggregate_cases.csv", "aggregate_points.csv") {
            let runs = case.list("running_replicas", ' ');
            let mut series: BTreeMap<[&str; 3], Series> = BTreeMap::new();
            for point in &points {
                let key = ["kind", "handle", "replica"].map(|it| point.text(it));
                let of = series.entry(key).or_default();
                of.push((CLOCK + point.real("t_s"), point.real("value")));
            }
            series.retain(|[kind, _, replica], _| *kind == "queued" || runs.contains(replica));
            let series: Vec<Series> = series.into_values().collect();
            let how = aggregation(&case);
            let ours = how.of(&series, CLOCK + case.real("now_s"));
            let theirs = case.real("total_requests");
            // The vectors have nine digits.
            let near = (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0);
            tally.compare(&case, if near { theirs } else { ours }, theirs);
        }
    }
    tally.finish();
}

fn aggregation(case: &Row) -> Aggregation {
    match case.text("aggregation_function") {
        "max" => Aggregation::Max,
        "min" => Aggregation::Min,
        _ => Aggregation::Mean,
    }
}

/// What happens in a closed loop, in the order of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Demand(u64),
    Up(u64),
    Report,
    Tick,
}

/// Requests at one router, and the replicas that serve them.
struct Loop {
    demand: u64,
    arrived: u64,
    most: u64,
    running: Vec<u64>,
    starting: Vec<u64>,
}

impl Loop {
    /// What is seen at an instant: replicas are filled evenly, and the rest queues.
    fn signals(&self, now: f64) -> Signals {
        let count = self.running.len() as u64;
        let served = self.demand.min(self.most * count);
        let load = |place: u64| Load {
            assigned: served / count + u64::from(place < served % count),
            ..Load::ZERO
        };
        let instance = |(place, &number): (u64, &u64)| InstanceSnapshot {
            number,
            status: InstanceStatus::Active,
            sku: 0,
            load: load(place),
        };
        let of = RoleSnapshot {
            instances: (0..).zip(&self.running).map(instance).collect(),
            ..role(Mixed, count as u32, Load::ZERO)
        };
        let mut signals = Signals::default();
        signals.scrape(Snapshot {
            time: instant(now),
            waiting: self.demand - served,
            arrived: self.arrived,
            roles: vec![of],
            ..Snapshot::default()
        });
        assert!(signals.look(instant(now)));
        signals.count(counts(Mixed, self.starting.len() as u32, count as u32, 0));
        signals
    }

    /// Has as many replicas as the target says, and returns those that begin to start up.
    fn follow(&mut self, target: u32, next: &mut u64) -> Vec<u64> {
        let mut new = Vec::new();
        while self.running.len() + self.starting.len() < target as usize {
            new.push(*next);
            self.starting.push(*next);
            *next += 1;
        }
        while self.running.len() + self.starting.len() > target as usize {
            if self.starting.pop().is_none() {
                self.running.pop();
            }
        }
        new
    }
}

/// The whole loop: records, reports, decisions and what comes of them. Each change of the target is a vector.
#[test]
fn loops() {
    let mut tally = Tally::new("RayServe, loops");
    for folder in sources(SOURCE) {
        for (case, events) in cases(&folder, "loop_cases.csv", "loop_events.csv") {
            let smoothing = case.number("smoothing_factor").unwrap_or(1.0);
            let delay = |column| case.number(column).map(seconds);
            let mut policy = tuned(RayServe::default(), |it| {
                it.target_ongoing_requests = case.real("target_ongoing_requests");
                it.upscaling_factor = case.number("upscaling_factor").unwrap_or(smoothing);
                it.downscaling_factor = case.number("downscaling_factor").unwrap_or(smoothing);
                it.upscale_delay = seconds(case.real("upscale_delay_s"));
                it.downscale_delay = seconds(case.real("downscale_delay_s"));
                it.downscale_to_zero_delay = delay("downscale_to_zero_delay_s");
                it.look_back = seconds(case.real("look_back_period_s"));
                it.metrics_interval = seconds(case.real("metrics_interval_s"));
                it.aggregation = aggregation(&case);
                it.min = case.whole("min_replicas");
                it.max = case.whole("max_replicas");
            });
            assert!(policy.check().is_ok(), "{case:?}");
            let of = |kind: &'static str| events.iter().filter(move |it| it.text("kind") == kind);
            let theirs: Vec<(f64, u32)> = of("target")
                .map(|it| (it.real("t_s"), it.whole("value")))
                .collect();
            let micros = |time: f64| (time * 1e6).round() as u64;
            let (end, phase) = (case.real("end_s"), case.real("phase_s"));
            let demands = of("demand").map(|it| (it.real("t_s"), it.whole("value").into()));
            let mut due: BTreeSet<(u64, Event)> = demands
                .map(|(time, value)| (micros(time), Event::Demand(value)))
                .collect();
            let every = policy.metrics_interval.seconds();
            let records = (policy.look_back.seconds() * 0.2).min(every);
            for period in [every, records] {
                let times = (0..).map(|it| phase + f64::from(it) * period);
                let times = times.take_while(|&it| it <= end);
                due.extend(times.map(|it| (micros(it), Event::Report)));
            }
            due.extend((0..=(end * 10.0) as u64).map(|it| (it * 100_000, Event::Tick)));
            let first = theirs[0].1;
            let mut next = u64::from(first);
            let mut state = Loop {
                demand: 0,
                arrived: 0,
                most: case.whole("max_ongoing_requests").into(),
                running: (0..next).collect(),
                starting: Vec::new(),
            };
            let mut ours = vec![(0.0, first)];
            let mut heard = false;
            while let Some((micro, event)) = due.pop_first() {
                let now = micro as f64 / 1e6;
                match event {
                    Event::Demand(demand) => {
                        let more = demand > state.demand;
                        state.arrived += demand.saturating_sub(state.demand);
                        state.demand = demand;
                        if heard && more && state.running.is_empty() {
                            policy.report(&state.signals(now));
                        }
                    }
                    Event::Up(number) if state.starting.contains(&number) => {
                        state.starting.retain(|it| *it != number);
                        state.running.push(number);
                    }
                    Event::Up(_) => {}
                    Event::Report => {
                        heard = true;
                        policy.report(&state.signals(now));
                    }
                    Event::Tick if !heard => {}
                    Event::Tick => {
                        let desired = decide(&mut policy, &state.signals(now));
                        let current = ours.last().unwrap().1;
                        let target = wanted(&desired, Mixed, current);
                        if target != current {
                            ours.push((now, target));
                        }
                        let ready = micros(now + case.real("startup_s"));
                        let new = state.follow(target, &mut next);
                        due.extend(new.into_iter().map(|it| (ready, Event::Up(it))));
                    }
                }
            }
            for (place, &(time, target)) in theirs.iter().enumerate() {
                let same = |it: &&(f64, u32)| it.1 == target && (it.0 - time).abs() < 0.15;
                let found = ours.get(place).filter(same).map(|_| (time, target));
                let all = ours.len() == theirs.len();
                let shown = found.filter(|_| all).ok_or(&ours);
                if !tally.compare(&case.text("case"), shown, Ok((time, target))) {
                    break;
                }
            }
        }
    }
    tally.finish();
}
