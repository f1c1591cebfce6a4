use std::collections::BTreeMap;

use crate::fleet::ScalingAction;

/// Counts the events of the scaling log.
#[derive(Clone, Debug, Default)]
pub struct ScalingCounts([u64; ScalingAction::ALL.len()]);

impl ScalingCounts {
    /// Counts one event.
    pub fn record(&mut self, action: ScalingAction) {
        self.0[action as usize] += 1;
    }

    /// How often this happened.
    #[must_use]
    pub fn count(&self, action: ScalingAction) -> u64 {
        self.0[action as usize]
    }

    /// The count of every action by its name in `scaling.csv`, zeros included.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        ScalingAction::ALL
            .into_iter()
            .map(|action| (action.name().to_owned(), self.count(action)))
            .collect()
    }
}
