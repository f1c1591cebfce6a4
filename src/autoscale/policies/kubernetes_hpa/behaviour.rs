//! How fast an HPA lets a number of pods change: `spec.behavior`.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::autoscale::policies::round_up;
use crate::autoscale::policies::wishes::Wishes;
use crate::time::{SimDuration, SimTime};

/// How fast instances may be added, or removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Seconds over which the most cautious recommendation counts: the lowest to add, the highest to
    /// remove. Default: 0 to add, 300 to remove.
    pub stabilization: Option<SimDuration>,
    /// The limits. Default: to add, 4 instances or 100 % in 15 s; to remove, 100 % in 15 s.
    pub policies: Option<Vec<RateLimit>>,
    /// Which of the limits holds. Default `Max`.
    pub select: Select,
}

/// How much may change in a period of the past, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum RateLimit {
    /// So many instances.
    Pods {
        /// The number. Required.
        value: u32,
        /// Seconds. Required.
        #[schemars(extend("exclusiveMinimum" = 0))]
        period: SimDuration,
    },
    /// A share of those that there were when the period began.
    Percent {
        /// The share, in percent. Required.
        #[schemars(range(min = 0))]
        value: f64,
        /// Seconds. Required.
        #[schemars(extend("exclusiveMinimum" = 0))]
        period: SimDuration,
    },
}

/// Which of several limits holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Select {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: no change this way.
    Disabled,
}

/// Which way a number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// What a role's number was to be, and how it changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Past {
    wishes: Wishes,
    changes: VecDeque<(SimTime, i64)>,
}

impl Past {
    /// By how many the number changed within the last `period`.
    fn change(&self, now: SimTime, period: SimDuration) -> i64 {
        let recent = self.changes.iter().filter(|it| now < it.0 + period);
        recent.map(|it| it.1).sum()
    }

    /// Notes a change, and forgets those that are `keep` old or older.
    pub(super) fn changed(&mut self, now: SimTime, by: i64, keep: SimDuration) {
        self.changes.retain(|it| now < it.0 + keep);
        self.changes.push_back((now, by));
    }

    /// The recommendation that is nearest to the current number and within what was recommended of
    /// late: not above the lowest of the window of `up`, not below the highest of that of `down`. The
    /// number that there is at first counts as recommended.
    pub(super) fn stabilized(
        &mut self,
        now: SimTime,
        (current, wanted): (u32, u32),
        (up, down): (&Behaviour, &Behaviour),
    ) -> u32 {
        let (up, down) = (up.window(Way::Up), down.window(Way::Down));
        self.wishes.begin_with(now, current);
        let lowest = self.wishes.lowest(now, up).unwrap_or(wanted).min(wanted);
        let highest = self.wishes.highest(now, down).unwrap_or(wanted).max(wanted);
        self.wishes.add(now, wanted, up.max(down));
        current.max(lowest).min(highest)
    }
}

impl Behaviour {
    fn window(&self, way: Way) -> SimDuration {
        let default = match way {
            Way::Up => SimDuration::ZERO,
            Way::Down => SimDuration::saturating(300.0),
        };
        self.stabilization.unwrap_or(default)
    }

    fn limits(&self, way: Way) -> &[RateLimit] {
        const PERIOD: SimDuration = SimDuration::saturating(15.0);
        const PODS: RateLimit = RateLimit::Pods {
            value: 4,
            period: PERIOD,
        };
        const PERCENT: RateLimit = RateLimit::Percent {
            value: 100.0,
            period: PERIOD,
        };
        match (&self.policies, way) {
            (Some(policies), _) => policies,
            (None, Way::Up) => &[PODS, PERCENT],
            (None, Way::Down) => &[PERCENT],
        }
    }

    /// Whether there is no limit to select.
    pub(super) fn is_empty(&self) -> bool {
        self.select != Select::Disabled && self.policies.as_ref().is_some_and(Vec::is_empty)
    }

    /// The longest period that a limit looks back.
    pub(super) fn longest(&self, way: Way) -> SimDuration {
        let periods = self.limits(way).iter().map(|it| it.period());
        periods.max().unwrap_or(SimDuration::ZERO)
    }

    /// The farthest number from the current one that the limits allow.
    pub(super) fn farthest(&self, way: Way, now: SimTime, current: u32, past: &Past) -> u32 {
        let allowed = self.limits(way).iter().map(|it| {
            let base = i64::from(current) - past.change(now, it.period());
            it.allows(way, u32::try_from(base).unwrap_or(0))
        });
        let farthest = match (self.select, way) {
            (Select::Disabled, _) => None,
            (Select::Max, Way::Up) | (Select::Min, Way::Down) => allowed.max(),
            (Select::Min, Way::Up) | (Select::Max, Way::Down) => allowed.min(),
        };
        let farthest = farthest.unwrap_or(current);
        match way {
            Way::Up => farthest.max(current),
            Way::Down => farthest.min(current),
        }
    }
}

impl RateLimit {
    const fn period(self) -> SimDuration {
        match self {
            Self::Pods { period, .. } | Self::Percent { period, .. } => period,
        }
    }

    /// What it allows of a number that was `base` when its period began.
    fn allows(self, way: Way, base: u32) -> u32 {
        match (self, way) {
            (Self::Pods { value, .. }, Way::Up) => base.saturating_add(value),
            (Self::Pods { value, .. }, Way::Down) => base.saturating_sub(value),
            (Self::Percent { value, .. }, Way::Up) => {
                round_up(f64::from(base) * (1.0 + value / 100.0))
            }
            (Self::Percent { value, .. }, Way::Down) => {
                (f64::from(base) * (1.0 - value / 100.0) + 1e-9) as u32
            }
        }
    }
}
