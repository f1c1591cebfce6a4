//! How fast an HPA lets a number of pods change: `spec.behavior`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Nothing changes this way where a ratio is so near to 1. Default: that of the policy.
    #[schemars(range(min = 0, max = 1))]
    pub tolerance: Option<f64>,
}

/// How much may change in a period of the past, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum RateLimit {
    /// A number of instances.
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    wishes: Wishes,
    added: Vec<Change>,
    removed: Vec<Change>,
}

/// When a number changed, and by how many.
type Change = (SimTime, i64);

/// By how many a number changed one way within the last `period`.
fn recent(changes: &[Change], now: SimTime, period: SimDuration) -> i64 {
    let recent = changes.iter().filter(|it| now < it.0 + period);
    recent.map(|it| it.1).sum()
}

impl Past {
    /// By how many the number grew within the last `period`, removals counted as negative.
    fn change(&self, now: SimTime, period: SimDuration) -> i64 {
        recent(&self.added, now, period) - recent(&self.removed, now, period)
    }

    /// Notes a change. It takes the place of the last change the same way that is older than `longest`,
    /// the longest period of the limits of that way.
    pub(super) fn changed(&mut self, now: SimTime, by: i64, longest: SimDuration) {
        let changes = match by > 0 {
            true => &mut self.added,
            false => &mut self.removed,
        };
        let change = (now, by.abs());
        match changes.iter().rposition(|it| it.0 + longest < now) {
            Some(old) => changes[old] = change,
            None => changes.push(change),
        }
    }

    /// Counts the number that there is at first as recommended.
    pub(super) fn begin(&mut self, now: SimTime, current: u32) {
        self.wishes.begin_with(now, current);
    }

    /// The highest recommendation of the last `window`, this one included.
    pub(super) fn highest(&mut self, now: SimTime, wanted: u32, window: SimDuration) -> u32 {
        let highest = self.wishes.highest_since(now, window);
        self.wishes.add_after(now, wanted, window);
        highest.unwrap_or(wanted).max(wanted)
    }

    /// The recommendation that is nearest to the current number and within the recent ones: not above
    /// the lowest of the window of `up`, not below the highest of that of `down`.
    pub(super) fn stabilized(
        &mut self,
        now: SimTime,
        (current, wanted): (u32, u32),
        (up, down): (&Behaviour, &Behaviour),
    ) -> u32 {
        let (up, down) = (up.window(Way::Up), down.window(Way::Down));
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
            u32::try_from(it.allows(way, base).max(0)).unwrap_or(u32::MAX)
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
    fn allows(self, way: Way, base: i64) -> i64 {
        match (self, way) {
            (Self::Pods { value, .. }, Way::Up) => base + i64::from(value),
            (Self::Pods { value, .. }, Way::Down) => base - i64::from(value),
            (Self::Percent { value, .. }, Way::Up) => {
                (base as f64 * (1.0 + value / 100.0)).ceil() as i64
            }
            (Self::Percent { value, .. }, Way::Down) => {
                (base as f64 * (1.0 - value / 100.0)) as i64
            }
        }
    }
}
