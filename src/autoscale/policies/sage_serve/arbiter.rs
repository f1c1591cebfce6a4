use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::OVERRIDE;
use crate::autoscale::RoleSnapshot;
use crate::time::{SimDuration, SimTime};

/// When what a plan owes is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// At once.
    AtOnce,
    /// While the memory is in use, and beyond the plan where it is nearly full.
    ByUtilisation,
    /// While the memory is in use, and beyond the plan where the forecast was too low.
    ByForecast,
}

/// The prompt tokens of a minute are this many times those expected where the forecast failed.
const FAILED: f64 = 5.0;

const MINUTE: SimDuration = SimDuration::saturating(60.0);

/// What a role owes to the plan, and what it sees of the minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Arbiter {
    /// Instances to be added; negative for those that were added beyond the plan.
    owed: i64,
    /// Instances that the plan takes away at the next decision.
    fewer: u32,
    /// Prompt tokens expected in this minute.
    expected: f64,
    /// Prompt tokens that had ever arrived, at each look of the last minute, and before.
    arrived: VecDeque<(SimTime, u64)>,
    before: u64,
}

/// What a decision goes by.
pub(super) struct Look {
    pub(super) now: SimTime,
    /// Share of the memory in use.
    pub(super) share: f64,
    /// Prompt tokens that ever arrived.
    pub(super) arrived: u64,
    pub(super) up: f64,
    pub(super) down: f64,
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Arbiter {
    pub(super) const fn expect(&mut self, prompt_tokens: f64) {
        self.expected = prompt_tokens;
    }

    pub(super) fn order(&mut self, reset: bool, more: u32, fewer: u32) {
        if reset {
            self.owed = 0;
        }
        self.owed += i64::from(more);
        self.fewer = self.fewer.saturating_add(fewer);
    }

    /// How many more or fewer there are to be, and why.
    pub(super) fn decide(
        &mut self,
        carries: Carries,
        of: &RoleSnapshot,
        look: &Look,
    ) -> (i32, String) {
        let minute = self.minute(look);
        let starting = of.scaling_up() > 0;
        let ample = of.active.saturating_sub(look.min);
        let fewer = if starting { 0 } else { self.fewer.min(ample) };
        self.fewer = 0;
        let by_plan = -i32::try_from(fewer).unwrap_or(i32::MAX);
        if starting {
            return (by_plan, "an addition is under way".to_owned());
        }
        let share = look.share;
        let reason = format!("{} owed, memory {share:.3}", self.owed);
        let wants_more = match (carries, self.owed) {
            (Carries::AtOnce, owed) => owed > 0,
            (_, 1..) => share > look.up,
            (Carries::ByUtilisation, 0) => share > OVERRIDE,
            (Carries::ByForecast, 0) if self.expected > 0.0 => minute > FAILED * self.expected,
            (Carries::ByForecast, 0) => minute > 0.0,
            (_, _) => false,
        };
        if wants_more && of.current().saturating_sub(fewer) < look.max {
            self.owed -= 1;
            return (by_plan + 1, reason);
        }
        let gives_back = carries != Carries::AtOnce && self.owed < 0 && share < look.down;
        if gives_back && ample > fewer {
            self.owed += 1;
            return (by_plan - 1, reason);
        }
        (by_plan, reason)
    }

    /// Prompt tokens that arrived within the last minute.
    fn minute(&mut self, look: &Look) -> f64 {
        let now = look.now;
        while let Some(&(then, arrived)) = self.arrived.front()
            && now - then > MINUTE
        {
            self.before = arrived;
            self.arrived.pop_front();
        }
        self.arrived.push_back((now, look.arrived));
        look.arrived.saturating_sub(self.before) as f64
    }
}
