//! Start-ups that fail or hang, and what is done about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::SimDuration;

/// Start-ups that fail or hang. An attempt that is given up leaves its processors to the next one, after a back-off; what
/// it has brought onto the server stays there.
///
/// An attempt begins when the server is there, and later ones when the back-off is over: with the spin-up again, then the
/// stages. It is up when its stages are over, without stages when the instance is active.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartUpFailure {
    /// The share of attempts that fail. Without stages they fail when the instance would become active. With stages they
    /// fail at the end of one of them, each as likely as the others but never `Provision` or `Boot`, and that stage leaves
    /// nothing; where it is passed over, at the end of the next that is not, or of all. Default 0.
    #[schemars(range(min = 0, max = 1))]
    pub probability: f64,
    /// The share of attempts that hang: instead of failing, they go on without end. Needs a `timeout`. Default 0.
    #[schemars(range(min = 0, max = 1))]
    pub hang: f64,
    /// Seconds from its beginning after which an attempt is given up that is not up, be it slow or hung. Default: never.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub timeout: Option<SimDuration>,
    /// Seconds between an attempt that is given up and the next. Default `(first: 10, factor: 2, most: 300)`, as Kubernetes
    /// restarts containers.
    pub back_off: BackOff,
    /// Attempts in all. After the last one the instance is cancelled, as `CancelScaleUp` does. Default: without end.
    #[schemars(range(min = 1))]
    pub attempts: Option<u32>,
}

impl Default for StartUpFailure {
    fn default() -> Self {
        Self {
            probability: 0.0,
            hang: 0.0,
            timeout: None,
            back_off: BackOff::default(),
            attempts: None,
        }
    }
}

/// How long is waited before something is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackOff {
    /// Seconds the first time. Default 10.
    pub first: SimDuration,
    /// By what it grows each time, 1 or more. Default 2.
    #[schemars(range(min = 1))]
    pub factor: f64,
    /// Seconds at most. Default 300.
    pub most: SimDuration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self {
            first: SimDuration::saturating(10.0),
            factor: 2.0,
            most: SimDuration::saturating(300.0),
        }
    }
}

impl BackOff {
    /// How long is waited after this many attempts, 1 or more.
    #[must_use]
    pub fn after(&self, attempts: u32) -> SimDuration {
        let mut wait = self.first.min(self.most);
        for _ in 1..attempts {
            let longer = (wait * self.factor).min(self.most);
            if longer <= wait {
                break;
            }
            wait = longer;
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_until_it_is_the_longest() {
        let waits =
            |of: BackOff| [1, 2, 3, 5, 6, 7, 4_000_000_000].map(|it| of.after(it).seconds());
        let kubernetes = [10.0, 20.0, 40.0, 160.0, 300.0, 300.0, 300.0];
        assert_eq!(waits(BackOff::default()), kubernetes);
        let constant = BackOff {
            factor: 1.0,
            ..BackOff::default()
        };
        assert_eq!(waits(constant), [10.0; 7]);
        let none = BackOff {
            first: SimDuration::ZERO,
            ..BackOff::default()
        };
        assert_eq!(waits(none), [0.0; 7]);
    }
}
