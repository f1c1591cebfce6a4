use std::collections::BTreeMap;

use crate::fleet::{Refusals, ScalingAction, ScalingLog};

/// Counts the events of the scaling log, and refusals by reason.
#[derive(Clone, Debug, Default)]
pub struct ScalingCounts {
    events: [u64; ScalingAction::ALL.len()],
    refusals: Refusals,
}

impl ScalingCounts {
    /// Adds those of another fleet.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.events.iter_mut().zip(other.events) {
            *count += more;
        }
        self.refusals.merge(&other.refusals);
    }

    /// Those of a fleet so far.
    #[must_use]
    pub fn of(log: &ScalingLog, refusals: &Refusals) -> Self {
        Self {
            events: ScalingAction::ALL.map(|action| log.count(action)),
            refusals: refusals.clone(),
        }
    }

    /// Counts one event.
    pub fn record(&mut self, action: ScalingAction) {
        self.events[action as usize] += 1;
    }

    /// How often this happened.
    #[must_use]
    pub fn count(&self, action: ScalingAction) -> u64 {
        self.events[action as usize]
    }

    /// The count of every action by its name in `scaling.csv`, zeros included.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        ScalingAction::ALL
            .into_iter()
            .map(|action| (action.name().to_owned(), self.count(action)))
            .collect()
    }

    /// Takes over the refusals of a run.
    pub fn set_refusals(&mut self, refusals: Refusals) {
        self.refusals = refusals;
    }

    /// Refusals by the action's name in `scaling.csv` and by reason; without those that there are none of.
    #[must_use]
    pub fn refusals_by_name(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut names: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for (action, reason, count) in self.refusals.iter() {
            let reasons = names.entry(action.name().to_owned()).or_default();
            reasons.insert(reason.to_owned(), count);
        }
        names
    }
}
