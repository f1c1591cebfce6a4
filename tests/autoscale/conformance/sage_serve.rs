//! SageServe's arbiters.

use fleetsim::autoscale::policies::{
    Chiron, SageServeLtI, SageServeLtU, SageServeLtUa, SageServeReactive, planned_change,
};
use fleetsim::autoscale::{InstanceSnapshot, Load, Policy, RoleSnapshot, Snapshot};
use fleetsim::fleet::InstanceStatus;
use fleetsim::serving::Role::Mixed;
use fleetsim::time::SimDuration;

use super::*;
use crate::support::{decide, role, tuned};

const SOURCE: &str = "sage_serve";
const NO_SPOT: &str = "no spot market: an addition is always possible";

/// No time passes for a policy that is asked every 0 s, so it never plans by itself.
const NEVER: SimDuration = SimDuration::ZERO;

/// What the market and the lock of a case were after its last step.
struct Market {
    level: u32,
    spot: u32,
    other: u32,
    /// When the last action ends, and whether its instance is in service before that.
    locked: Option<(f64, bool)>,
}

impl Market {
    fn of(case: &Row) -> Self {
        Self {
            level: case.whole("scaling_level"),
            spot: case.whole("spot_at_start"),
            other: case.whole("other_spot_at_start"),
            locked: None,
        }
    }

    fn sells(&self) -> bool {
        self.level >= 1 && self.spot > 0 || self.level >= 2 && self.other > 0
    }

    fn after(&mut self, step: &Row) {
        self.spot = step.whole("spot_after");
        self.other = step.whole("other_spot_after");
        let acts = step.text("actions");
        if acts == "reclaim" || acts == "spin_up" {
            self.locked = Some((step.real("next_scale_time_s"), acts == "spin_up"));
        }
    }
}

/// By how many the number changes in the answer of a step.
fn change(step: &Row) -> Option<i64> {
    let mut by = 0;
    for column in ["forced_actions", "actions"] {
        for action in step.text(column).split_whitespace() {
            by += match action {
                "reclaim" | "spin_up" => 1,
                "spin_down" => -1,
                _ => return None,
            };
        }
    }
    Some(by)
}

/// Runs the cases of an arbiter; `prepare` tells the policy what it was told just before a step.
fn conforms<P: Policy>(
    (name, kind): (&'static str, &str),
    make: impl Fn() -> P,
    prepare: impl Fn(&mut P, &Row),
) {
    let mut tally = Tally::new(name);
    for folder in sources(SOURCE) {
        let tables = (format!("{kind}_cases.csv"), format!("{kind}_steps.csv"));
        for (case, steps) in cases(&folder, &tables.0, &tables.1) {
            let (mut policy, mut market) = (make(), Market::of(&case));
            let mut arrived = 0_u64;
            for step in &steps {
                let now = step.real("t_s");
                let locked = market.locked.filter(|(until, _)| now < *until);
                let starting = u32::from(locked.is_some());
                // Those that the plan took away are gone there already.
                let forced = step.text("forced_actions").split_whitespace().count();
                let in_service = step.whole("instances_before") + forced as u32;
                // One that spins up is in service at once there.
                let counted = u32::from(locked.is_some_and(|(_, serves)| serves));
                let active = in_service - counted;
                let Some(theirs) = change(step) else {
                    tally.by_choice("an error of the original");
                    break;
                };
                if step.whole("force_down") > 0 && starting > 0 {
                    tally.by_choice("a removal under an addition, where groups get out of step");
                    break;
                }
                let share = step.real("memory_utilisation");
                if !share.is_finite() {
                    tally.by_choice("a share is a number");
                    break;
                }
                prepare(&mut policy, step);
                arrived += step.real("prompt_tokens_of_arrival") as u64;
                let of = RoleSnapshot {
                    load: Load {
                        memory_used: (share * 1e9).round() as u64,
                        memory: 1_000_000_000,
                        ..Load::ZERO
                    },
                    ..role(Mixed, active, Load::ZERO)
                };
                let snapshot = Snapshot {
                    arrived_prompt_tokens: arrived,
                    ..Snapshot::default()
                };
                let mut signals = seen_with(instant(now), vec![of], snapshot, &[]);
                signals.count(counts(Mixed, starting, active, 0));
                let current = starting + active;
                let desired = decide(&mut policy, &signals);
                let ours = i64::from(wanted(&desired, Mixed, current)) - i64::from(current);
                if ours != theirs && (!market.sells() || market.level == 0) {
                    tally.by_choice(NO_SPOT);
                    break;
                }
                if !tally.compare(step, ours, theirs) {
                    break;
                }
                market.after(step);
            }
        }
    }
    tally.finish();
}

macro_rules! order {
    ($policy:expr, $step:expr) => {
        $policy.order(
            Mixed,
            matches!($step.text("reset_changes"), "1" | "True"),
            $step.whole("force_up"),
            $step.whole("force_down"),
        )
    };
}

#[test]
fn reactive() {
    conforms(
        ("SageServeReactive", "reactive"),
        SageServeReactive::default,
        |_, _| {},
    );
}

#[test]
fn long_term_at_once() {
    let make = || {
        tuned(SageServeLtI::default(), |it| {
            it.interval = NEVER;
        })
    };
    conforms(("SageServeLtI", "lt_i"), make, |policy, step| {
        order!(policy, step);
    });
}

#[test]
fn long_term_by_utilisation() {
    let make = || {
        tuned(SageServeLtU::default(), |it| {
            it.interval = NEVER;
        })
    };
    conforms(("SageServeLtU", "lt_u"), make, |policy, step| {
        order!(policy, step);
    });
}

#[test]
fn long_term_by_forecast() {
    let make = || {
        tuned(SageServeLtUa::default(), |it| {
            it.interval = NEVER;
        })
    };
    conforms(("SageServeLtUa", "lt_ua"), make, |policy, step| {
        order!(policy, step);
        policy.expect(Mixed, step.real("predicted_tokens_this_minute"));
    });
}

#[test]
fn chiron() {
    let mut tally = Tally::new("Chiron");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "chiron_cases.csv", "chiron_steps.csv") {
            let mut market = Market::of(&case);
            for step in &steps {
                // Interactive and mixed instances are one role here.
                let (interactive, mixed) = (
                    step.whole("interactive_instances"),
                    step.whole("instances_before"),
                );
                let busy = step.whole("busy_interactive") + step.whole("busy_mixed").min(mixed);
                let all = interactive + mixed;
                let instance = |number: u32| InstanceSnapshot {
                    number: number.into(),
                    status: InstanceStatus::Active,
                    sku: 0,
                    load: Load {
                        assigned: (number < busy).into(),
                        ..Load::ZERO
                    },
                };
                let of = RoleSnapshot {
                    instances: (0..all).map(instance).collect(),
                    ..role(Mixed, all, Load::ZERO)
                };
                let mut policy = tuned(Chiron::default(), |it| {
                    it.min = interactive + 2;
                    it.max = u32::MAX;
                });
                let signals = seen(instant(step.real("t_s")), vec![of]);
                let desired = decide(&mut policy, &signals);
                let ours = i64::from(wanted(&desired, Mixed, all)) - i64::from(all);
                let Some(theirs) = change(step) else {
                    tally.by_choice("an error of the original");
                    continue;
                };
                if ours != theirs && ours > 0 && !market.sells() {
                    tally.by_choice(NO_SPOT);
                } else {
                    tally.compare(step, ours, theirs);
                }
                market.after(step);
            }
        }
    }
    tally.finish();
}

#[test]
fn the_plan_is_what_the_programme_answers() {
    let mut tally = Tally::new("SageServe's plan");
    for folder in sources(SOURCE) {
        for row in Table::read(&folder, "milp.csv").rows() {
            let grid = |column: &str| -> Vec<Vec<f64>> {
                let models = row.list(column, ';').into_iter();
                let parse = |it: &str| it.parse::<f64>().unwrap();
                models
                    .map(|it| it.split_whitespace().map(parse).collect())
                    .collect()
            };
            let current = grid("current (model by model, regions within)");
            let forecast = grid("forecast_tokens_per_minute");
            let of_one = row.text("tokens_per_minute_per_instance");
            let of_one: Vec<f64> = of_one
                .split_whitespace()
                .map(|it| it.parse().unwrap())
                .collect();
            let ours: Vec<Vec<f64>> = (current.iter().zip(&forecast).zip(&of_one))
                .map(|((current, forecast), of_one)| {
                    let regions = current.iter().zip(forecast);
                    let change = |(&current, &forecast): (&f64, &f64)| {
                        planned_change(forecast, *of_one, current as u32) as f64
                    };
                    regions.map(change).collect()
                })
                .collect();
            tally.compare(&row, ours, grid("change"));
        }
    }
    tally.finish();
}
