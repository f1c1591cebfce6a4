//! A scenario with regions, taken apart: what each region is by itself, and how they are connected.

use std::collections::BTreeSet;
use std::path::Path;

use super::spec::{
    Arrivals, Region, RegionRouting, RegionalApplication, Resample, Scenario, Shape, Workload,
};
use super::{Fnv, Placement, validate};
use crate::catalog::Catalog;
use crate::document::{Problem, nearest};
use crate::time::{SimDuration, SimTime};
use crate::warning::Warning;

/// Seconds of a week.
const WEEK: f64 = 604_800.0;

/// Where what a region's scenario says stands in the scenario that it was taken from.
#[derive(Clone, Debug)]
pub(super) struct RegionPlace {
    region: usize,
    /// By application: its position among those that are different here, and what it says of them.
    different: Vec<Option<(usize, Vec<&'static str>)>>,
}

impl RegionPlace {
    fn of(scenario: &Scenario, region: usize) -> Self {
        let own = &scenario.regions[region].applications;
        let different = scenario.applications.iter().map(|application| {
            let at = own.iter().position(|it| it.name == application.name)?;
            Some((at, fields(&own[at])))
        });
        Self {
            region,
            different: different.collect(),
        }
    }

    /// The position of the region.
    pub(super) const fn region(&self) -> usize {
        self.region
    }

    /// The path in the scenario that it was taken from.
    pub(super) fn path(&self, path: &str) -> String {
        let region = self.region;
        let of_region = [
            "fleet",
            "actions",
            "faults",
            "hazards",
            "quotas",
            "power_cap",
        ];
        if of_region.iter().any(|it| path.starts_with(it)) {
            return format!("regions[{region}].{path}");
        }
        let Some(rest) = path.strip_prefix("applications[") else {
            return path.to_owned();
        };
        let Some((index, rest)) = rest.split_once(']') else {
            return path.to_owned();
        };
        let index: Option<usize> = index.parse().ok();
        let different = index.and_then(|index| self.different.get(index)?.as_ref());
        let field = rest.trim_start_matches('.');
        match different {
            Some((at, fields)) if fields.iter().any(|it| field.starts_with(it)) => {
                format!("regions[{region}].applications[{at}]{rest}")
            }
            _ => path.to_owned(),
        }
    }
}

/// What is different about an application, by the names of the fields.
fn fields(of: &RegionalApplication) -> Vec<&'static str> {
    let all = [
        ("instances", of.instances.is_some()),
        ("scaling", of.scaling.is_some()),
        ("autoscaler", of.autoscaler.is_some()),
        ("workload", of.workload.is_some()),
    ];
    let there = all.into_iter().filter(|(_, there)| *there);
    there.map(|(name, _)| name).collect()
}

/// A region as a scenario by itself.
pub(super) struct Apart {
    pub(super) scenario: Scenario,
    pub(super) placement: Placement,
    pub(super) place: RegionPlace,
}

/// Takes a scenario with regions apart, and checks each: the regions and what is likely a mistake, or everything
/// that is wrong.
pub(super) fn take_apart(
    scenario: &Scenario,
    catalog: &Catalog,
    directory: &Path,
) -> Result<(Vec<Apart>, Vec<Warning>), Vec<Problem>> {
    let mut problems = check(scenario);
    let mut warnings: Vec<Warning> = Vec::new();
    let mut regions = Vec::new();
    for (index, region) in scenario.regions.iter().enumerate() {
        let place = RegionPlace::of(scenario, index);
        let alone = match alone(scenario, region, index, &mut problems) {
            Some(alone) => alone,
            None => continue,
        };
        match validate::validate(&alone, catalog, directory) {
            Ok((placement, found)) => {
                for mut warning in found {
                    warning.problem.path = place.path(&warning.problem.path);
                    let known = |it: &Warning| it.problem.message == warning.problem.message;
                    if !warnings.iter().any(known) {
                        warnings.push(warning);
                    }
                }
                regions.push(Apart {
                    scenario: alone,
                    placement,
                    place,
                });
            }
            Err(found) => {
                for problem in found {
                    let path = place.path(&problem.path);
                    let problem = Problem { path, ..problem };
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
            }
        }
    }
    if problems.is_empty() {
        Ok((regions, warnings))
    } else {
        Err(problems)
    }
}

/// What is said of regions where there are none.
pub(super) fn check_without(scenario: &Scenario) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut unused = |path: &str| {
        let message = format!("`{path}` has no effect without `regions`");
        problems.push(Problem::new(path, message).help("leave it out, or add `regions`"));
    };
    if !scenario.region_latency.is_empty() {
        unused("region_latency");
    }
    if scenario.region_routing != RegionRouting::default() {
        unused("region_routing");
    }
    if scenario.fleet.is_empty() {
        let problem = Problem::new("", "missing field `fleet`");
        problems.push(problem.help("add the servers there are, or `regions` with a fleet each"));
    }
    problems
}

/// Checks names, latencies, and what belongs into a region.
fn check(scenario: &Scenario) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |path: String, message: String, help: &str| {
        problems.push(Problem::new(path, message).help(help));
    };
    let in_regions = "give it to a region";
    if !scenario.fleet.is_empty() {
        let message = "with `regions`, the servers are those of the regions".to_owned();
        report("fleet".into(), message, in_regions);
    }
    for (field, there) in [
        ("actions", !scenario.actions.is_empty()),
        ("faults", !scenario.faults.is_empty()),
        ("hazards", !scenario.hazards.is_empty()),
        ("quotas", !scenario.quotas.is_empty()),
        ("power_cap", scenario.power_cap.is_some()),
    ] {
        if there {
            let message = format!("with `regions`, `{field}` are those of the regions");
            report(field.into(), message, in_regions);
        }
    }
    let mut seen = BTreeSet::new();
    for (index, region) in scenario.regions.iter().enumerate() {
        let path = format!("regions[{index}].name");
        if region.name.contains('/') {
            let message = format!("`{}` cannot name a region", region.name);
            report(path, message, "leave slashes out of the name");
        } else if !seen.insert(&region.name) {
            let message = format!("there is another region `{}`", region.name);
            report(path, message, "give each a name of its own");
        }
        let mut different = BTreeSet::new();
        for (at, of) in region.applications.iter().enumerate() {
            let path = format!("regions[{index}].applications[{at}]");
            let names = || scenario.applications.iter().map(|it| it.name.as_str());
            if !names().any(|name| name == of.name) {
                let help = near_or(&of.name, names(), "name one of `applications`");
                let message = format!("unknown application `{}`", of.name);
                report(format!("{path}.name"), message, &help);
            } else if !different.insert(&of.name) {
                let message = format!("`{}` is there already", of.name);
                report(format!("{path}.name"), message, "put both together");
            } else if fields(of).is_empty() {
                let message = "nothing is different here".to_owned();
                report(path, message, "say what is, or leave it out");
            }
        }
    }
    let position = |name: &str| scenario.regions.iter().position(|it| it.name == name);
    let mut pairs = BTreeSet::new();
    for (index, latency) in scenario.region_latency.iter().enumerate() {
        let path = format!("region_latency[{index}].between");
        let (one, other) = &latency.between;
        let unknown = [one, other]
            .into_iter()
            .find(|name| position(name).is_none());
        if let Some(name) = unknown {
            let known = scenario.regions.iter().map(|it| it.name.as_str());
            let help = near_or(name, known, "name two of `regions`");
            report(path, format!("unknown region `{name}`"), &help);
        } else if one == other {
            let message = format!("`{one}` is no distance from itself");
            report(path, message, "name two regions");
        } else if !pairs.insert((one.min(other), one.max(other))) {
            let message = format!("how far `{one}` is from `{other}` was said before");
            report(
                path,
                message,
                "say it once: it is the same in both directions",
            );
        }
    }
    let names: Vec<&String> = scenario.regions.iter().map(|it| &it.name).collect();
    for (index, one) in names.iter().enumerate() {
        for other in &names[index + 1..] {
            if one != other && !pairs.contains(&(*one.min(other), *one.max(other))) {
                let message = format!("how far is `{one}` from `{other}`?");
                let help =
                    format!("add `(between: (\"{one}\", \"{other}\"), one_way: 0.05)`, in seconds");
                report("region_latency".into(), message, &help);
            }
        }
    }
    problems
}

/// The nearest name, as a question; what to do where none is near.
fn near_or<'a>(name: &str, names: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    }
}

/// A region by itself: its fleet, the applications as they are there, its share of the workloads.
fn alone(
    scenario: &Scenario,
    region: &Region,
    index: usize,
    problems: &mut Vec<Problem>,
) -> Option<Scenario> {
    let before = problems.len();
    let mut alone = scenario.clone();
    alone.seed = seed(scenario.seed, &region.name);
    alone.fleet = region.fleet.clone();
    alone.actions.clone_from(&region.actions);
    alone.faults.clone_from(&region.faults);
    alone.hazards.clone_from(&region.hazards);
    alone.quotas.clone_from(&region.quotas);
    alone.power_cap = region.power_cap;
    alone.regions.clear();
    alone.region_latency.clear();
    alone.region_routing = RegionRouting::default();
    for (at, application) in alone.applications.iter_mut().enumerate() {
        let mut own = region.applications.iter();
        let own = own.find(|it| it.name == application.name);
        if let Some(own) = own {
            if let Some(instances) = &own.instances {
                application.instances.clone_from(instances);
            }
            if let Some(scaling) = &own.scaling {
                application.scaling = scaling.clone();
            }
            if own.autoscaler.is_some() {
                application.autoscaler.clone_from(&own.autoscaler);
            }
            if let Some(workload) = &own.workload {
                application.workload = workload.clone();
            }
        }
        let path = format!("applications[{at}].workload");
        if matches!(application.workload, Workload::Users { .. }) {
            let message = "a closed loop of users cannot be shared out among regions";
            let help = "give the application an open workload, such as `Synthetic`";
            problems.push(Problem::new(path, message).help(help));
        } else if own.is_none_or(|it| it.workload.is_none()) {
            match regional(&application.workload, region.share, region.shift) {
                Ok(workload) => application.workload = workload,
                Err((field, message)) => {
                    let help = format!(
                        "give `{}` a `workload` of its own in this region, or leave `{field}` out",
                        application.name
                    );
                    let path = format!("regions[{index}].{field}");
                    problems.push(Problem::new(path, message).help(help));
                }
            }
        }
    }
    (problems.len() == before).then_some(alone)
}

/// The seed of a region: all that is random there goes by its name.
fn seed(seed: u64, region: &str) -> u64 {
    let mut hash = Fnv::new();
    hash.text(&seed.to_string());
    hash.text(region);
    hash.value()
}

/// A region's share of a workload, moved; or which setting does not apply to it, and why.
fn regional(
    workload: &Workload,
    share: f64,
    shift: f64,
) -> Result<Workload, (&'static str, String)> {
    if share == 1.0 && shift == 0.0 {
        return Ok(workload.clone());
    }
    let mut regional = workload.clone();
    match &mut regional {
        Workload::Host | Workload::Users { .. } => return Ok(regional),
        Workload::Trace { resample, .. } => {
            if shift != 0.0 {
                return Err(("shift", "a trace has no shape that could be moved".into()));
            }
            if share > 1.0 {
                let message = format!("{share} times the requests of a trace are not there");
                return Err(("share", message));
            }
            let (keep, block) = resample.map_or((1.0, None), |it| (it.keep, it.block));
            let keep = keep * share;
            *resample = Some(Resample { keep, block });
            return Ok(regional);
        }
        Workload::Planned { .. } | Workload::Synthetic { .. } => {}
    }
    let mut regional = regional.generator().into_owned();
    if let Workload::Synthetic {
        arrivals, shape, ..
    } = &mut regional
    {
        let (Arrivals::Poisson { rate }
        | Arrivals::Gamma { rate, .. }
        | Arrivals::Constant { rate }) = arrivals;
        *rate *= share;
        move_shape(shape, shift)?;
    }
    Ok(regional)
}

/// Moves a shape to a later time.
fn move_shape(shape: &mut Shape, by: f64) -> Result<(), (&'static str, String)> {
    let refuse = |message: &str| Err(("shift", message.to_owned()));
    if by == 0.0 {
        return Ok(());
    }
    match shape {
        Shape::Constant => refuse("the rate is always the same: nothing could be moved"),
        Shape::OnOff { .. } => refuse("an `OnOff` begins at time zero and cannot be moved"),
        Shape::Sinusoidal { phase, .. } => {
            *phase -= by;
            Ok(())
        }
        Shape::Piecewise(pieces) => {
            let moved = |(from, _): &(SimTime, f64)| from.seconds() + by;
            // Of those that begin before time zero, the last is in force then.
            let past = pieces.iter().filter(|it| moved(it) <= 0.0).count();
            let mut later = pieces.split_off(past.saturating_sub(1));
            for piece in &mut later {
                piece.0 = SimTime::saturating(moved(piece));
            }
            *pieces = later;
            Ok(())
        }
        Shape::Calendar {
            daily, begins_at, ..
        } => {
            let part = 86_400.0 / daily.len().max(1) as f64;
            if by % part != 0.0 {
                let message =
                    format!("a shift of {by} s is no whole number of parts of a day, of {part} s");
                return Err(("shift", message));
            }
            let moved = (begins_at.seconds() - by).rem_euclid(WEEK);
            *begins_at = SimDuration::saturating(moved);
            Ok(())
        }
    }
}

/// Seconds one way from each region to each.
pub(super) fn one_way(scenario: &Scenario) -> Vec<Vec<SimDuration>> {
    let between = |one: &str, other: &str| {
        let mut pairs = scenario.region_latency.iter();
        let pair = pairs.find(|it| {
            let (a, b) = (it.between.0.as_str(), it.between.1.as_str());
            (a, b) == (one, other) || (b, a) == (one, other)
        });
        pair.map_or(SimDuration::ZERO, |it| it.one_way)
    };
    let names = || scenario.regions.iter().map(|it| it.name.as_str());
    let row = |from| names().map(|to| between(from, to)).collect();
    names().map(row).collect()
}

/// The regions side by side in one: what tables and pages are made for. Applications are named after their region,
/// too.
pub(super) fn side_by_side(scenario: &Scenario, regions: &[Apart]) -> Scenario {
    let mut all = scenario.clone();
    all.applications.clear();
    for (region, apart) in scenario.regions.iter().zip(regions) {
        all.fleet.extend(apart.scenario.fleet.iter().cloned());
        for application in &apart.scenario.applications {
            let mut application = application.clone();
            application.name = series(&region.name, &application.name);
            all.applications.push(application);
        }
    }
    all
}

/// The name of an application in a region, in tables and pages.
pub(crate) fn series(region: &str, application: &str) -> String {
    format!("{region}/{application}")
}
