//! How the load mode decides: what each instance's load asks for, within the limits.

use super::estimate::{Estimates, Thought};
use super::load::{Aim, DynamoLoad};
use super::report::{RoleReports, StepReport};
use super::{
    Answer, Limits, Prediction, groups, limits, reduction, say, starts_up, while_starting,
};
use crate::autoscale::{CapacityModel, DesiredInstances, Signals};
use crate::serving::Role;

/// What is wanted of a role by the load of its instances.
struct Wish {
    /// None for no opinion.
    count: Option<u32>,
    /// Whether both latencies of `Mixed` instances are so low that a start-up is not needed.
    gives_up: bool,
    reason: String,
}

/// What one latency asks for.
struct Opinion {
    count: Option<u32>,
    /// Whether one fewer was looked at and is not safe.
    refused: bool,
    highest: f64,
}

impl DynamoLoad {
    /// What the throughput mode expects, when its time has come.
    pub(super) fn next(&mut self, signals: &Signals) -> Option<Prediction> {
        let throughput = self.throughput.as_mut()?;
        let now = signals.now().seconds();
        let every = throughput.interval.seconds();
        let number = |at: f64| (at / every).floor();
        let due = number(now) > number(now - self.interval.seconds());
        if due {
            throughput.predict(signals)
        } else {
            None
        }
    }

    /// Takes the answer of the throughput mode to what is expected as the floor of its own.
    pub fn expect(&mut self, next: &Prediction, roles: &[RoleReports], capacity: &CapacityModel) {
        if let Some(throughput) = &self.throughput {
            self.floors = throughput.floors(next, roles, capacity);
        }
    }

    /// Decides by what the instances report.
    pub fn decide_by(
        &mut self,
        roles: &[RoleReports],
        capacity: &CapacityModel,
        desired: &mut DesiredInstances,
    ) {
        roles.iter().for_each(|of| self.means.observe(of));
        for group in groups(roles) {
            let answers = match is_held(&group) {
                Some(reason) => Answer::none(&group, reason),
                None => match group[..] {
                    [prompt, token] => self.answer_pair([prompt, token], capacity),
                    [one] => vec![self.answer_one(one, capacity)],
                    _ => Vec::new(),
                },
            };
            say(answers, self.max, desired);
        }
    }

    fn limits(&self) -> Limits {
        limits!(self)
    }

    fn floor(&self, role: Role) -> u32 {
        self.floors.get(&role).copied().unwrap_or(0)
    }

    fn answer_pair(&self, pair: [&RoleReports; 2], capacity: &CapacityModel) -> Vec<Answer> {
        let limits = self.limits();
        let waits = starts_up(&pair);
        let wishes = pair.map(|of| {
            let wish = self.wish(of, capacity);
            let count = wish.count.filter(|&it| !waits || it <= of.ready);
            Wish { count, ..wish }
        });
        let lifted = [0, 1].map(|it| {
            let own = wishes[it].count.unwrap_or(pair[it].ready);
            own.max(self.floor(pair[it].role))
        });
        let by_floor = (0..2).any(|it| lifted[it] > wishes[it].count.unwrap_or(pair[it].ready));
        let wanted = [0, 1].map(|it| lifted[it].max(limits.least(pair[it].role)));
        let share = |it: usize, wanted: u32| limits.share(pair[it], wanted, capacity);
        let counts = if waits {
            let wanted = [0, 1].map(|it| wishes[it].count.map(|_| wanted[it]));
            while_starting(pair, wanted, &limits, capacity)
        } else {
            let [prompt, token] = match by_floor {
                true => limits
                    .budget
                    .two_below([share(0, wanted[0]), share(1, wanted[1])]),
                false => wanted,
            };
            let counts = limits.budget.two([share(0, prompt), share(1, token)]);
            let same = counts == [pair[0].ready, pair[1].ready];
            counts.map(|it| Some(it).filter(|_| !same))
        };
        let of = pair.iter().zip(wishes).zip(counts);
        of.map(|((of, wish), count)| Answer::new(of.role, count, wish.reason))
            .collect()
    }

    fn answer_one(&self, of: &RoleReports, capacity: &CapacityModel) -> Answer {
        let wish = self.wish(of, capacity);
        let count = self.count_of_one(of, &wish, capacity);
        Answer::new(of.role, count, wish.reason)
    }

    fn count_of_one(&self, of: &RoleReports, wish: &Wish, capacity: &CapacityModel) -> Option<u32> {
        let limits = self.limits();
        let (mixed, by_latency) = (of.role == Role::Mixed, self.aim == Aim::Sla);
        if wish.count.is_none() && mixed && !by_latency {
            // Without an opinion the source does not even restore the minimum.
            return None;
        }
        let wanted = wish.count.unwrap_or(of.ready);
        if of.pending > 0 && wanted > of.ready {
            return None;
        }
        let wanted = wanted.max(limits.least(of.role)).max(self.floor(of.role));
        let count = limits.budget.one(limits.share(of, wanted, capacity));
        let stays = count == of.ready
            && match mixed && by_latency {
                true => !wish.gives_up,
                false => wish.count.is_none(),
            };
        match of.pending {
            _ if stays => None,
            0 => Some(count),
            _ => reduction(of, Some(count)),
        }
    }

    fn wish(&self, of: &RoleReports, capacity: &CapacityModel) -> Wish {
        let none = |reason: &str| Wish {
            count: None,
            gives_up: false,
            reason: reason.to_owned(),
        };
        if of.reports.is_empty() || of.ready == 0 {
            return none("no instance is active");
        }
        if self.aim != Aim::Sla {
            return self.by_thresholds(of);
        }
        let Some(engine) = capacity.engine(of.role) else {
            return none("the time of a step is not known");
        };
        let Some(estimates) = self.means.estimates(of.role, &engine, of.hit_rate) else {
            return none("nothing was reported");
        };
        self.by_latency(of, &estimates)
    }

    fn by_thresholds(&self, of: &RoleReports) -> Wish {
        let of_prompts = of.role == Role::Prompt;
        let context = match self.aim {
            Aim::Load => 1.0,
            _ => f64::from(self.context_length),
        };
        let level = |it: &StepReport| match of_prompts {
            true => it.queued_prompt_tokens as f64 / context,
            false => share(held(of, it) as f64, of.kv_tokens),
        };
        let (up, down) = match (self.aim, of_prompts) {
            (Aim::Throughput | Aim::Sla, true) => (1.0, 0.1),
            (Aim::Throughput | Aim::Sla, false) => (1.0, 0.6),
            (Aim::Latency, true) => (0.1, 0.0),
            (Aim::Latency, false) => (0.4, 0.1),
            (Aim::Load, true) => (self.prompt_up, self.prompt_down),
            (Aim::Load, false) => (self.kv_up, self.kv_down),
        };
        let high = |it: f64| it > up || it >= up && (of_prompts || self.aim == Aim::Load);
        let even = self.aim == Aim::Load || of_prompts && self.aim == Aim::Latency;
        let low = |it: f64| it < down || it <= down && even;
        let levels: Vec<f64> = of.reports.iter().map(level).collect();
        let highest = levels.iter().copied().fold(0.0, f64::max);
        let count = if levels.iter().any(|&it| high(it)) {
            Some(of.ready.saturating_add(1))
        } else if levels.iter().all(|&it| low(it)) && (of.ready > 1 || of.pending > 0) {
            let fewer = self.one_fewer(of);
            let safe = !self.consolidation
                || fewer == 0
                || fewer >= of.ready
                || highest * f64::from(of.ready) / f64::from(fewer) < up;
            Some(if safe { fewer } else { of.ready })
        } else {
            None
        };
        Wish {
            count,
            gives_up: false,
            reason: format!("highest load {highest:.3}"),
        }
    }

    fn one_fewer(&self, of: &RoleReports) -> u32 {
        of.ready.saturating_sub(1).max(self.limits().least(of.role))
    }

    fn by_latency(&self, of: &RoleReports, estimates: &Estimates<'_>) -> Wish {
        let first = || self.by_ttft(of, estimates);
        let next = || self.by_tbt(of, estimates);
        let of_one = |name: &str, it: Opinion| Wish {
            count: it.count,
            gives_up: false,
            reason: format!("{name} {:.4} s", it.highest),
        };
        match of.role {
            Role::Prompt => of_one("TTFT", first()),
            Role::Token => of_one("TBT", next()),
            Role::Mixed => {
                let (first, next) = (first(), next());
                let ready = of.ready;
                let more = |it: &Opinion| it.count.filter(|&count| count > ready);
                let fewer = |it: &Opinion| it.count.filter(|&count| count < ready);
                let count = match (more(&first).or(more(&next)), fewer(&first), fewer(&next)) {
                    (Some(more), ..) => more,
                    (None, Some(by_ttft), Some(by_tbt)) => by_ttft.max(by_tbt),
                    (None, None, Some(by_tbt)) if first.count.is_none() => by_tbt,
                    (None, ..) => ready,
                };
                let low = |it: &Opinion| it.count.is_some_and(|count| count <= ready);
                let refused = first.refused || next.refused;
                Wish {
                    count: Some(count),
                    gives_up: of.pending > 0 && !refused && low(&first) && low(&next),
                    reason: format!("TTFT {:.4} s, TBT {:.4} s", first.highest, next.highest),
                }
            }
        }
    }

    /// What the time to first token asks for. Times are compared in milliseconds, as in the source.
    fn by_ttft(&self, of: &RoleReports, estimates: &Estimates<'_>) -> Opinion {
        let mixed = of.role == Role::Mixed;
        let limit = self.ttft * 1000.0;
        let more = spread_over_one_fewer(of);
        let safe = |it: &StepReport| {
            let with = |queue| Thought {
                queue,
                decodes: if mixed { more } else { 1.0 },
                both_queues: mixed,
            };
            let alone = estimates.ttft(it, with(0.0)) * 1000.0;
            let after = estimates.ttft(it, with(more)) * 1000.0;
            let room = (limit - alone) * self.sensitivity;
            room > 0.0 && after - alone < room
        };
        let now = |it: &StepReport| estimates.ttft(it, Thought::AS_IT_IS) * 1000.0;
        self.opinion(of, limit, now, safe)
    }

    /// What the time between tokens asks for.
    fn by_tbt(&self, of: &RoleReports, estimates: &Estimates<'_>) -> Opinion {
        let limit = self.tbt * 1000.0;
        let more = spread_over_one_fewer(of);
        let safe = |it: &StepReport| {
            let thought = Thought {
                decodes: more,
                both_queues: of.role == Role::Mixed,
                ..Thought::AS_IT_IS
            };
            let fits = of.kv_tokens <= 0.0 || (held(of, it) as f64 * more).trunc() < of.kv_tokens;
            fits && estimates.tbt(it, thought) * 1000.0 < limit * self.sensitivity
        };
        let now = |it: &StepReport| estimates.tbt(it, Thought::AS_IT_IS) * 1000.0;
        self.opinion(of, limit, now, safe)
    }

    /// One more if all are above the limit, one fewer if that is safe for all.
    fn opinion(
        &self,
        of: &RoleReports,
        limit: f64,
        now: impl Fn(&StepReport) -> f64,
        safe: impl Fn(&StepReport) -> bool,
    ) -> Opinion {
        let estimates: Vec<f64> = of.reports.iter().map(now).collect();
        let may_shrink = of.ready > 1 || of.pending > 0;
        let safe = may_shrink && of.reports.iter().all(safe);
        let refused = may_shrink && !safe;
        let count = if estimates.iter().all(|&it| it > limit) {
            Some(of.ready.saturating_add(1))
        } else if safe {
            Some(self.one_fewer(of))
        } else if refused && of.role == Role::Mixed {
            Some(of.ready)
        } else {
            None
        };
        Opinion {
            count,
            refused,
            highest: estimates.into_iter().fold(0.0, f64::max) / 1000.0,
        }
    }
}

/// Why nothing changes under any load.
fn is_held(group: &[&RoleReports]) -> Option<&'static str> {
    if group.iter().all(|it| it.reports.is_empty()) {
        return Some("no instance is active");
    }
    let shows_all =
        |it: &RoleReports| it.reports.is_empty() || it.reports.len() == it.ready as usize;
    let moves = group.iter().any(|it| it.moving) && !starts_up(group);
    let hidden = group.iter().any(|it| !shows_all(it));
    (moves || hidden).then_some("a change is in progress")
}

/// Tokens that an instance holds or is to hold in its KV cache.
fn held(of: &RoleReports, it: &StepReport) -> u64 {
    let queue = match of.role {
        Role::Mixed => it.queued_prompt_tokens,
        Role::Prompt | Role::Token => 0,
    };
    it.kv_tokens + it.queued_kv_tokens + queue
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// What the load of each is multiplied by if one goes; 1 of the last.
fn spread_over_one_fewer(of: &RoleReports) -> f64 {
    match of.ready {
        0 | 1 => 1.0,
        ready => f64::from(ready) / (f64::from(ready) - 1.0),
    }
}
