use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::shell::{Failure, print};
use super::warn::Telling;
use crate::autoscale::PolicyRegistry;
use crate::scenario::{Application, CheckedScenario, Diagnostics, Template};
use crate::serving::Priced;
use crate::warning::Warnings;
use crate::workload::{self, IdleStretch};

/// Check scenarios without running them
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Scenario files
    #[arg(required = true, value_name = "SCENARIO.ron")]
    scenarios: Vec<PathBuf>,
    /// Replace a value, as in `applications[0].scaling.scale_up_delay=20`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// Take warnings for errors, with exit status 2
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        let mut warnings = Warnings::default();
        for path in &self.scenarios {
            match load(path, &self.overrides, policies) {
                Ok((checked, found)) => {
                    print(&describe(&path.display().to_string(), &checked))?;
                    warnings.merge(&found);
                }
                Err(problems) => wrong.push(problems.to_string()),
            }
        }
        let telling = Telling {
            quiet: false,
            strict: self.strict,
        };
        let told = telling.tell(&warnings);
        if wrong.is_empty() {
            told
        } else {
            Err(Failure::Input(wrong.join("\n\n")))
        }
    }
}

/// A scenario whose policies are right, too, and its warnings.
fn load(
    path: &Path,
    overrides: &[String],
    policies: &PolicyRegistry,
) -> Result<(CheckedScenario, Warnings), Diagnostics> {
    let checked = policies.load(path, overrides)?;
    let mut warnings = policies.check(&checked)?;
    traces(&checked, policies, &mut warnings)?;
    Ok((checked, warnings))
}

/// Reads every trace to its end, once.
fn traces(
    checked: &CheckedScenario,
    policies: &PolicyRegistry,
    warnings: &mut Warnings,
) -> Result<(), Diagnostics> {
    if !checked.regions().is_empty() {
        // A trace that several regions have is read for each.
        return checked
            .regions()
            .iter()
            .try_for_each(|region| traces(&region.scenario, policies, warnings));
    }
    let mut problems = Vec::new();
    for (index, application) in checked.scenario().applications.iter().enumerate() {
        let Some(spec) = application.workload.recorded() else {
            continue;
        };
        let path = format!("applications[{index}].workload");
        let named = policies.serving().named(checked, index)?;
        let (directory, name) = (checked.directory(), &application.name);
        let format = named.trace_format();
        let arrivals = workload::check_origin(&spec, directory, name, format)
            .and_then(|()| workload::open_named(&spec, directory, 0, name, format));
        match arrivals.and_then(workload::longest_idle) {
            Ok(None) => {}
            Ok(Some(IdleStretch { from, to })) => {
                let message = format!(
                    "no request comes between {from} s and {to} s, and all others are close together"
                );
                let warning = checked.warning_at("idle_stretch", &path, message);
                warnings.push(warning.help("look whether the trace mixes times of two kinds"));
            }
            Err(error) => problems.push(checked.problem_at(&path, error.to_string())),
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Diagnostics::new(problems))
    }
}

/// What the step times of a template rest on, on each SKU that can carry it.
fn step_times(checked: &CheckedScenario, of: &Application, template: &Template) -> String {
    let catalog = checked.catalog();
    let mut text = String::new();
    if of.performance.precisions().is_none() {
        return text;
    }
    for entry in &checked.scenario().fleet {
        let Some(sku) = catalog.skus.get(&entry.sku) else {
            continue;
        };
        let tensor = template.tensor_parallelism;
        let priced = Priced::new(
            &of.performance,
            catalog,
            &of.model,
            sku,
            tensor,
            &template.engine,
        );
        if let Ok(priced) = priced {
            let _ = writeln!(text, "      on {}: {priced}", entry.sku);
        }
    }
    text
}

/// What a scenario would build.
fn describe(file: &str, checked: &CheckedScenario) -> String {
    let mut text = format!("{file}: \"{}\" is fine\n", checked.scenario().name);
    if checked.regions().is_empty() {
        text += &described(checked);
    }
    for region in checked.regions() {
        let _ = writeln!(text, " region {}", region.name);
        text += &described(&region.scenario);
    }
    for pair in &checked.scenario().region_latency {
        let (one, other) = &pair.between;
        let _ = writeln!(text, " {one} and {other} are {} s apart", pair.one_way);
    }
    text
}

/// What a scenario or a region would build.
fn described(checked: &CheckedScenario) -> String {
    let scenario = checked.scenario();
    let placement = checked.placement();
    let mut text = String::new();
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
        let sku = checked.catalog().skus.get(&entry.sku);
        let gpu = sku.and_then(|it| checked.catalog().processors.get(&it.processor));
        let power = match gpu {
            Some(gpu) if gpu.idle_power().is_none() => {
                ", energy of steps alone: no source for idle power"
            }
            _ => "",
        };
        let kept = match entry.warm {
            0 => String::new(),
            warm => format!(" and {warm} kept ready"),
        };
        let _ = writeln!(
            text,
            "  {}: {servers} at the start{kept}, {limit}{power}",
            entry.sku
        );
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
            let engine = &template.engine;
            let like = match engine.is_approximated() {
                true => format!(
                    ", {} approximated by the engine of vLLM",
                    engine.server().title()
                ),
                false => String::new(),
            };
            let _ = writeln!(
                text,
                "    {instances} at the start, {processors} each{like}"
            );
            text += &step_times(checked, application, template);
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
