//! The policies that go by what an instance can carry, on both sides of where one more is needed.
//!
//! In all of them an instance takes one request at a time: 0.5 s for a prompt, and 10 × 0.05 s for the
//! other tokens.

use fleetsim::autoscale::forecast::Method;
use fleetsim::autoscale::policies::{DynamoSla, Forecast, TokenVelocity};
use fleetsim::autoscale::{
    Amount, CapacityModel, Desire, DesiredInstances, Policy, RoleSnapshot, Signals, Snapshot,
};
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::Role::{self, Mixed, Prompt, Token};

use crate::support::*;

fn capacity(instances: &str) -> CapacityModel {
    let scheduler = if instances.contains("Mixed") {
        "Jsq"
    } else {
        "KvJsq()"
    };
    let text = format!(
        r#"(
        name: "planners",
        fleet: [(sku: "dgx-h100", count: 2, provision_delay: Constant(40))],
        applications: [(
            name: "chat", model: "llama2-70b",
            performance: Constant(prompt_time: 0.5, token_time: 0.05),
            scheduler: {scheduler}, instances: [{instances}],
            scaling: (spin_up: Constant(5), scale_up_delay: 15),
            workload: Synthetic(
                arrivals: Constant(rate: 1), requests: 9,
                prompt_tokens: Constant(100), output_tokens: Constant(11),
            ),
        )],
    )"#
    );
    let checked = CheckedScenario::from_ron(&text, ".".as_ref());
    CapacityModel::new(&checked.unwrap_or_else(|problems| panic!("{problems}")), 0)
}

fn mixed() -> CapacityModel {
    capacity("(role: Mixed, engine: Fcfs, start: Servers(1))")
}

fn split() -> CapacityModel {
    capacity(
        "(role: Prompt, engine: Fcfs, start: Servers(1)), (role: Token, engine: Fcfs, start: Servers(1))",
    )
}

/// So many requests of 100 and 11 tokens.
fn requests(count: u64) -> Amount {
    Amount {
        requests: count,
        prompt_tokens: 100 * count,
        output_tokens: 11 * count,
        squared_prompt_tokens: 10_000 * count,
    }
}

/// A look every `interval`, after which so many more requests have arrived; one was completed at the
/// start.
struct Looks {
    signals: Signals,
    interval: f64,
    taken: u32,
    arrived: u64,
    active: u32,
}

impl Looks {
    fn new(capacity: &CapacityModel, interval: f64) -> Self {
        let signals = Signals::new(seconds(interval), seconds(0.0));
        let mut looks = Self {
            signals: signals.with_capacity(capacity.clone()),
            interval,
            taken: 0,
            arrived: 0,
            active: 0,
        };
        looks.look(1);
        looks
    }

    fn look(&mut self, arrivals: u64) {
        self.arrived += arrivals;
        let now = at(f64::from(self.taken) * self.interval);
        self.taken += 1;
        let roles = self.signals.capacity().roles();
        let mut roles: Vec<_> = roles.map(RoleSnapshot::new).collect();
        roles[0].output_tokens = requests(1).output_tokens;
        roles.iter_mut().for_each(|it| it.active = self.active);
        self.signals.scrape(Snapshot {
            time: now,
            arrived: self.arrived,
            arrived_prompt_tokens: requests(self.arrived).prompt_tokens,
            completed: requests(1),
            roles,
            ..Snapshot::default()
        });
        assert!(self.signals.look(now));
    }

    /// What is wanted after each so many more arrivals.
    fn wanted(&mut self, policy: &mut impl Policy, role: Role, arrivals: &[u64]) -> Vec<u32> {
        let arrivals = arrivals.iter();
        let decisions = arrivals.map(|&count| {
            self.look(count);
            exactly(&decide(policy, &self.signals), role)
        });
        decisions.collect()
    }
}

fn exactly(desired: &DesiredInstances, role: Role) -> u32 {
    match desired.of(role).unwrap().0 {
        Desire::Exactly(count) => count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn start_up_times_are_those_of_the_scenario() {
    // 40 s for the server, then whichever takes longer.
    assert_eq!(mixed().start_up(Mixed).mean, seconds(55.0));
    assert_eq!(mixed().start_up(Mixed).longest, seconds(55.0));
    assert_eq!(mixed().start_up(Token).mean, seconds(0.0));
}

#[test]
fn with_nothing_completed_nothing_changes() {
    let mut signals = Signals::new(seconds(30.0), seconds(0.0)).with_capacity(mixed());
    for (time, arrived) in [(0.0, 0), (30.0, 90)] {
        signals.scrape(Snapshot {
            time: at(time),
            arrived,
            arrived_prompt_tokens: requests(arrived).prompt_tokens,
            roles: vec![RoleSnapshot::new(Mixed)],
            ..Snapshot::default()
        });
    }
    assert!(signals.look(at(30.0)));
    assert_eq!(signals.demand(seconds(30.0)), None);
    for desired in [
        decide(&mut DynamoSla::default(), &signals),
        decide(&mut TokenVelocity::default(), &signals),
        decide(&mut Forecast::default(), &signals),
    ] {
        assert_eq!(desired.of(Mixed).unwrap().0, Desire::Keep);
    }
}

#[test]
fn dynamo_divides_the_next_intervals_tokens_by_those_of_an_instance() {
    // The objective of TBT is kept by one request alone: 1 request a second on a mixed instance, 2 on a prompt
    // instance. A token instance takes a step of 0.05 s for each of 11 tokens.
    let wanted = |capacity: &CapacityModel, role, arrivals| {
        Looks::new(capacity, 180.0).wanted(&mut DynamoSla::default(), role, arrivals)
    };
    assert_eq!(wanted(&mixed(), Mixed, &[180, 540, 541, 0]), [1, 3, 4, 1]);
    assert_eq!(wanted(&split(), Prompt, &[1080, 1081]), [3, 4]);
    assert_eq!(wanted(&split(), Token, &[981, 982]), [3, 4]);
    // A rising series is carried on by Holt's method: 1, 3 and then 2 + 2 × 1.
    let mut rising = DynamoSla::default();
    rising.predictor = Method::Holt {
        level: 1.0,
        trend: 0.5,
    };
    let wanted = Looks::new(&mixed(), 180.0).wanted(&mut rising, Mixed, &[180, 540]);
    assert_eq!(wanted, [1, 4]);
}

#[test]
fn a_prompt_that_takes_longer_than_its_objective_asks_dynamo_for_no_more() {
    // Of 1,000 tokens, at 400 a second within 0.5 s: no number of instances makes it faster.
    let wanted = |prompt_capacity, role| {
        let mut signals = Signals::new(seconds(180.0), seconds(0.0)).with_capacity(split());
        for (time, arrived) in [(0.0, 1), (180.0, 2)] {
            signals.scrape(Snapshot {
                time: at(time),
                arrived,
                arrived_prompt_tokens: 1000 * arrived,
                completed: requests(1),
                roles: vec![RoleSnapshot {
                    prompt_capacity,
                    ..RoleSnapshot::new(role)
                }],
                ..Snapshot::default()
            });
        }
        assert!(signals.look(at(180.0)));
        exactly(&decide(&mut DynamoSla::default(), &signals), role)
    };
    assert_eq!(wanted(400.0, Prompt), 1);
    assert_eq!(wanted(2000.0, Prompt), 1);
    assert_eq!(wanted(400.0, Token), 1);
}

#[test]
fn token_velocity_goes_by_what_arrived_in_its_window() {
    let wanted = |capacity: &CapacityModel, role, arrivals| {
        let mut at_once = TokenVelocity::default();
        at_once.scale_down_delay = seconds(0.0);
        Looks::new(capacity, 30.0).wanted(&mut at_once, role, arrivals)
    };
    // At 80 % of 1 and 2 requests a second.
    assert_eq!(wanted(&mixed(), Mixed, &[24, 72, 73, 0]), [1, 3, 4, 1]);
    assert_eq!(wanted(&split(), Prompt, &[144, 145]), [3, 4]);
    assert_eq!(wanted(&split(), Token, &[144, 145]), [3, 4]);
    // 200 GiB/s carry 81,920 tokens of 2.5 MiB; three seconds' worth of prompts take three links.
    assert_eq!(split().transfer_tokens_per_s(), Some(81_920.0));
    assert_eq!(mixed().transfer_tokens_per_s(), None);
}

#[test]
fn fewer_must_be_wanted_for_long_enough() {
    let mut delayed = TokenVelocity::default();
    delayed.scale_down_delay = seconds(60.0);
    let arrivals = &[72, 24, 24, 48, 24, 24];
    let wanted = Looks::new(&mixed(), 30.0).wanted(&mut delayed, Mixed, arrivals);
    assert_eq!(wanted, [3, 3, 1, 2, 2, 1]);
    // What there is at the first decision was wanted then.
    let mut delayed = TokenVelocity::default();
    delayed.scale_down_delay = seconds(60.0);
    let mut looks = Looks::new(&mixed(), 30.0);
    looks.active = 5;
    assert_eq!(looks.wanted(&mut delayed, Mixed, &[24, 24, 24]), [5, 5, 1]);
    let mut delayed = Forecast::default();
    delayed.method = Method::Last;
    delayed.scale_down_delay = seconds(60.0);
    let arrivals = &[63, 21, 21, 42, 21, 21];
    let wanted = Looks::new(&mixed(), 30.0).wanted(&mut delayed, Mixed, arrivals);
    assert_eq!(wanted, [3, 3, 1, 2, 2, 1]);
}

#[test]
fn a_forecast_orders_one_start_up_ahead() {
    // At 70 % an instance takes 0.7 requests a second. 55 s and the next decision are three intervals.
    let policy = |method| {
        let mut policy = Forecast::default();
        policy.method = method;
        policy.scale_down_delay = seconds(0.0);
        policy
    };
    let wanted = |method, arrivals: &[u64]| {
        Looks::new(&mixed(), 30.0).wanted(&mut policy(method), Mixed, arrivals)
    };
    assert_eq!(wanted(Method::Last, &[63, 64, 0]), [3, 4, 1]);
    // From 1 to 2 requests a second: in three intervals 2 + 3 × 1 ÷ 2.
    let holt = Method::Holt {
        level: 1.0,
        trend: 0.5,
    };
    assert_eq!(wanted(holt, &[30, 60]), [2, 5]);
    // The season comes again three intervals later, and until then the instances stay.
    let season = seconds(150.0);
    let naive = Method::SeasonalNaive { season };
    assert_eq!(
        wanted(naive, &[0, 0, 0, 0, 63, 0, 0, 0, 0, 63]),
        [1, 1, 1, 1, 3, 1, 3, 3, 3, 3]
    );
}
