//! How long start-ups were in each stage.

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::scenario::StageKind;
use crate::time::SimDuration;

/// How long the start-ups of an application were in each stage. Only applications with `stages` have it.
#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageTimes(BTreeMap<StageKind, StageTime>);

/// How long start-ups were in one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// Seconds of each that came through, in the order of their ends; 0 where nothing was to do.
    pub seconds: Vec<f64>,
    /// How many of them were short, or passed it over, for what was on the server.
    pub cached: u64,
    /// How many were given up in it.
    pub abandoned: u64,
}

/// A stay in a stage.
pub(super) enum Stay {
    Ended { seconds: f64, cached: bool },
    Abandoned,
}

impl Stay {
    /// There was nothing to do.
    pub(super) const PASSED: Self = Self::Ended {
        seconds: 0.0,
        cached: true,
    };
    /// The instance went.
    pub(super) const ABANDONED: Self = Self::Abandoned;

    pub(super) fn ended(length: SimDuration, cached: bool) -> Self {
        Self::Ended {
            seconds: length.seconds(),
            cached,
        }
    }
}

impl StageTimes {
    /// Each stage that there was, in the order of the kinds.
    pub fn iter(&self) -> impl Iterator<Item = (StageKind, &StageTime)> + '_ {
        self.0.iter().map(|(&kind, time)| (kind, time))
    }

    pub(super) fn note(&mut self, kind: StageKind, stay: Stay) {
        let time = self.0.entry(kind).or_default();
        match stay {
            Stay::Ended { seconds, cached } => {
                time.seconds.push(seconds);
                time.cached += u64::from(cached);
            }
            Stay::Abandoned => time.abandoned += 1,
        }
    }
}
