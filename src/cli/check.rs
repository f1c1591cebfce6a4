use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, print};
use crate::autoscale::PolicyRegistry;
use crate::scenario::{CheckedScenario, Diagnostics};

/// Check scenarios without running them
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Scenario files
    #[arg(required = true, value_name = "SCENARIO.ron")]
    scenarios: Vec<PathBuf>,
    /// Replace a value, as in `applications[0].scaling.scale_up_delay=20`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
}

impl Check {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let mut wrong = String::new();
        for path in &self.scenarios {
            match load(path, &self.overrides, policies) {
                Ok(checked) => print(&describe(&path.display().to_string(), &checked))?,
                Err(problems) => wrong.push_str(&problems.to_string()),
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Failure::Input(wrong))
        }
    }
}

/// A scenario whose policies are right, too.
fn load(
    path: &Path,
    overrides: &[String],
    policies: &PolicyRegistry,
) -> Result<CheckedScenario, Diagnostics> {
    let checked = CheckedScenario::load(path, overrides)?;
    policies.check(&checked)?;
    Ok(checked)
}

/// What a scenario would build.
fn describe(file: &str, checked: &CheckedScenario) -> String {
    let scenario = checked.scenario();
    let placement = checked.placement();
    let mut text = format!("{file}: \"{}\" is fine\n", scenario.name);
    for (position, entry) in scenario.fleet.iter().enumerate() {
        let count = placement
            .servers
            .iter()
            .filter(|&&sku| sku == position)
            .count();
        let limit = entry
            .limit
            .map_or_else(|| "no limit".to_owned(), |limit| format!("at most {limit}"));
        let servers = counted(count, "server");
        let _ = writeln!(text, "  {}: {servers} at the start, {limit}", entry.sku);
    }
    for (position, application) in scenario.applications.iter().enumerate() {
        let policy = application.autoscaler.as_ref();
        let policy = policy.map_or_else(String::new, |it| format!(", scaled by {}", it.name()));
        let (name, model) = (&application.name, &application.model);
        let _ = writeln!(text, "  {name} serves {model}{policy}");
        for (number, template) in application.instances.iter().enumerate() {
            let count = placement
                .instances
                .iter()
                .filter(|placed| (placed.application, placed.template) == (position, number))
                .count();
            let instances = counted(count, &format!("{:?} instance", template.role));
            let processors = counted(template.processors() as usize, "processor");
            let _ = writeln!(text, "    {instances} at the start, {processors} each");
        }
    }
    let (actions, faults) = (scenario.actions.len(), scenario.faults.len());
    if actions + faults > 0 {
        let (actions, faults) = (
            counted(actions, "scripted action"),
            counted(faults, "fault"),
        );
        let _ = writeln!(text, "  {actions}, {faults}");
    }
    text
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
