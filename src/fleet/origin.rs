use bevy_ecs::component::Component;

use crate::scenario::CheckedScenario;
use crate::serving::StepTimes;
use crate::warning::Warnings;

/// What a fleet was made from, for its summary.
#[derive(Component, Clone, Debug, Default)]
pub struct Origin {
    /// The scenario's name.
    pub scenario: String,
    /// Its [hash](CheckedScenario::hash).
    pub hash: String,
    /// The seed in force.
    pub seed: u64,
    /// The percentiles that its summary is to show.
    pub percentiles: Vec<f64>,
    /// What step times rest on, by application.
    pub step_times: Vec<Vec<StepTimes>>,
    /// What is likely a mistake in the scenario.
    pub warnings: Warnings,
}

impl Origin {
    pub(super) fn new(checked: &CheckedScenario) -> Self {
        let scenario = checked.scenario();
        let step_times = |of| StepTimes::of(of, checked);
        Self {
            scenario: scenario.name.clone(),
            hash: checked.hash().to_owned(),
            seed: scenario.seed,
            percentiles: scenario.percentiles.clone(),
            step_times: scenario.applications.iter().map(step_times).collect(),
            warnings: checked.warnings().clone(),
        }
    }
}
