//! What a schema cannot say: names, sums, what fits on what, files that are there.

mod actions;
mod actuator;
mod delays;
mod fit;
mod hazards;
mod market;
mod pool;
mod power;
mod reach;
mod stages;
mod start_ups;
mod templates;
mod workload;

use std::collections::BTreeSet;
use std::path::Path;

use super::Scenario;
use super::placement::Placement;
use crate::catalog::Catalog;
use crate::document::{Problem, nearest, suggest};
use crate::random::Delay;
use crate::warning::Warning;

/// Percentiles that the table of a run has room for.
const MOST_PERCENTILES: usize = 5;

/// Checks a scenario against its catalog: what is there at time zero and what is likely a mistake, or
/// everything that is wrong.
pub(super) fn validate(
    scenario: &Scenario,
    catalog: &Catalog,
    directory: &Path,
) -> Result<(Placement, Vec<Warning>), Vec<Problem>> {
    let mut check = Check {
        scenario,
        catalog,
        directory,
        hopeless: BTreeSet::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    check.scenario_name();
    check.percentiles();
    check.fleet();
    check.applications();
    check.templates();
    let placement = check.placement();
    check.actions(&placement);
    check.faults();
    check.hazards();
    check.market();
    check.power_cap();
    check.actuators();
    check.pool(&placement);
    check.delays();
    check.stages();
    check.start_ups();
    check.drains();
    check.pools();
    check.reach(&placement);
    if check.problems.is_empty() {
        Ok((placement, check.warnings))
    } else {
        Err(check.problems)
    }
}

struct Check<'a> {
    scenario: &'a Scenario,
    catalog: &'a Catalog,
    directory: &'a Path,
    /// Application and template, for those that nothing in the fleet can carry: that is enough to
    /// say of them.
    hopeless: BTreeSet<(usize, usize)>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl<'a> Check<'a> {
    fn report(&mut self, path: impl Into<String>, message: impl Into<String>, help: &str) {
        self.problems.push(Problem::new(path, message).help(help));
    }

    /// Warns of what is likely a mistake; `kind` is as in [`crate::warning`].
    fn warn(
        &mut self,
        kind: &'static str,
        path: impl Into<String>,
        message: impl Into<String>,
        help: &str,
    ) {
        let problem = Problem::new(path, message).help(help);
        self.warnings.push(Warning::of(kind, problem));
    }

    /// Reports a name that is not among those there are.
    fn known(
        &mut self,
        path: String,
        kind: &str,
        name: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let names: BTreeSet<&str> = names.into_iter().collect();
        let known = names.contains(name);
        if !known {
            let problem = Problem::new(path, format!("unknown {kind} `{name}`"));
            let help = suggest(name, names, "there are");
            self.problems.push(Problem { help, ..problem });
        }
        known
    }

    /// Reports a model that the catalog does not have, with the nearest name of its family, if one is near.
    fn model(&mut self, path: String, name: &str) -> bool {
        let models = || self.catalog.models.keys().map(String::as_str);
        let known = self.catalog.models.contains_key(name);
        if !known {
            let problem = Problem::new(path, format!("unknown model `{name}`"));
            // Hubs put the organisation before it.
            let bare = name.rsplit('/').next().unwrap_or(name);
            let relatives = models().filter(|other| of_one_family(bare, other, models()));
            let help = match nearest(bare, relatives) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "`fleetsim list models` shows those there are; `fleetsim catalog import-model` \
                         makes an entry from a config.json"
                        .to_owned()
                }
            };
            self.problems.push(problem.help(help));
        }
        known
    }

    fn scenario_name(&mut self) {
        let name = &self.scenario.name;
        if name.contains(['/', '\\']) || matches!(name.as_str(), "." | "..") {
            let message = format!("`{name}` cannot name a results directory");
            self.report("name", message, "leave slashes out of the name");
        }
    }

    fn percentiles(&mut self) {
        let percentiles = &self.scenario.percentiles;
        for (index, percent) in percentiles.iter().enumerate() {
            let path = format!("percentiles[{index}]");
            if !(0.0..=100.0).contains(percent) {
                let message = format!("there is no {percent}th percentile");
                self.report(path, message, "percentiles are from 0 to 100");
            } else if index > 0 && *percent <= percentiles[index - 1] {
                let message = format!("{percent} does not follow {}", percentiles[index - 1]);
                self.report(path, message, "write each once, in rising order");
            }
        }
        if percentiles.len() > MOST_PERCENTILES {
            let message = format!("there is room for {MOST_PERCENTILES} percentiles");
            let help = "every request is in requests.csv, for all others";
            self.report("percentiles", message, help);
        }
    }

    fn fleet(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, entry) in self.scenario.fleet.iter().enumerate() {
            let path = format!("fleet[{index}]");
            let skus = self.catalog.skus.keys().map(String::as_str);
            self.known(format!("{path}.sku"), "SKU", &entry.sku, skus);
            if !seen.insert(&entry.sku) {
                let message = format!("`{}` is in the fleet already", entry.sku);
                self.report(format!("{path}.sku"), message, "put the counts together");
            }
            if let Some(limit) = entry.limit
                && entry.count > limit
            {
                let message = format!("{} servers are more than the limit of {limit}", entry.count);
                self.report(
                    format!("{path}.count"),
                    message,
                    "raise the limit, or start fewer",
                );
            }
            self.rising(&format!("{path}.available"), &entry.available);
            self.delay(&format!("{path}.provision_delay"), &entry.provision_delay);
        }
    }

    fn delay(&mut self, path: &str, delay: &Delay) {
        if let Delay::Uniform { min, max } = delay
            && max < min
        {
            let message = format!("the longest delay, {max} s, is shorter than the shortest");
            self.report(format!("{path}.max"), message, "swap `min` and `max`");
        }
    }

    fn applications(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, application) in self.scenario.applications.iter().enumerate() {
            let path = format!("applications[{index}]");
            if !seen.insert(&application.name) {
                let message = format!("there is another application `{}`", application.name);
                self.report(
                    format!("{path}.name"),
                    message,
                    "give each a name of its own",
                );
            }
            let known = self.model(format!("{path}.model"), &application.model);
            let model = self.catalog.models.get(&application.model);
            if known
                && application.performance.precisions().is_some()
                && model.is_some_and(|it| it.architecture.is_none())
            {
                let message = format!(
                    "`{}` has no architecture in the catalog, and the roofline needs its dimensions",
                    application.model
                );
                self.report(
                    format!("{path}.performance"),
                    message,
                    "take a model of `fleetsim list models` with its parameters, or add an architecture",
                );
            }
            self.delay(
                &format!("{path}.scaling.spin_up"),
                &application.scaling.spin_up,
            );
            self.workload(&format!("{path}.workload"), &application.workload);
        }
    }

    /// The position of the application of this name, or a report that there is none.
    fn application(&mut self, path: String, name: &str) -> Option<usize> {
        let applications = &self.scenario.applications;
        let names = applications.iter().map(|of| of.name.as_str());
        self.known(path, "application", name, names);
        applications.iter().position(|of| of.name == name)
    }

    /// A SKU of the fleet: the first where none is named, or a report that it is not there.
    fn fleet_sku(&mut self, path: String, sku: Option<&'a str>) -> Option<&'a str> {
        let Some(sku) = sku else {
            return self.scenario.fleet.first().map(|entry| entry.sku.as_str());
        };
        let fleet = self.scenario.fleet.iter().map(|entry| entry.sku.as_str());
        if !fleet.clone().all(|sku| self.catalog.skus.contains_key(sku)) {
            // Perhaps this is the name that was meant there.
            return None;
        }
        let known = self.known(path, "SKU of the fleet", sku, fleet);
        known.then_some(sku)
    }
}

/// Whether a model may be meant by a name: what stands before the first digit or sign is the same or, for a
/// name of no family there is, one letter off.
fn of_one_family<'a>(name: &str, model: &str, mut models: impl Iterator<Item = &'a str>) -> bool {
    let family = |name: &str| {
        let end = name.find(|c: char| !c.is_alphabetic());
        name[..end.unwrap_or(name.len())].to_lowercase()
    };
    let (wanted, other) = (family(name), family(model));
    wanted == other
        || wanted.len() > 3
            && strsim::damerau_levenshtein(&wanted, &other) <= 1
            && !models.any(|it| family(it) == wanted)
}
