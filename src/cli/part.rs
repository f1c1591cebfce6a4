//! A part of a run: up to an instant, with its state saved, or from a state that was saved.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use clap::Args;

use super::input::{Changes, quoted};
use super::shell::Failure;
use crate::autoscale::PolicyRegistry;
use crate::fleet::{ChangeExt, FleetWorldExt, FleetsExt, Origin, ScalingExt, TickLimits};
use crate::scenario::{CheckedScenario, Scenario};
use crate::simulation::Simulation;
use crate::snapshot::read_header;
use crate::time::SimTime;

/// Which part of a run.
#[derive(Debug, Args)]
pub(super) struct Part {
    /// Stop at this simulated second, and save the state there: requests.csv, scaling.csv and timeline.csv have
    /// what happened so far, summary.json is marked partial
    #[arg(long, value_name = "T", requires = "save", conflicts_with = "replications", value_parser = seconds)]
    until: Option<SimTime>,
    /// Where the state at --until goes, for --from
    #[arg(long, value_name = "FILE", requires = "until")]
    save: Option<PathBuf>,
    /// Go on from a state that was saved: tables and charts have what comes after it, summary.json is of the
    /// whole run; --set may change `end`, `max_tick`, limits and delays of the fleet, the scaling and the policy of
    /// applications, and the actions and faults that are still to come
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "replications"])]
    from: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<SimTime, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    SimTime::new(seconds).map_err(|error| error.to_string())
}

/// What `--set` may change in a run that goes on, with any number in the brackets.
const CHANGEABLE: [&str; 14] = [
    "end",
    "max_tick",
    "fleet[].limit",
    "fleet[].provision_delay",
    "applications[].scaling",
    "applications[].autoscaler",
    "applications[].actuator",
    "applications[].signals",
    "actions",
    "faults",
    "regions[].fleet[].limit",
    "regions[].fleet[].provision_delay",
    "regions[].applications[].scaling",
    "regions[].applications[].autoscaler",
];

/// A run that has begun, or goes on.
pub(super) struct Begun {
    pub(super) checked: CheckedScenario,
    pub(super) simulation: Simulation,
    /// The scenario file.
    pub(super) file: PathBuf,
    /// What is other than in it.
    pub(super) overrides: Vec<String>,
}

impl Part {
    /// What to type to have the same again, in a shell.
    pub(super) fn command(&self, scenario: Option<&Path>, changes: &Changes) -> String {
        let mut command = "fleetsim run".to_owned();
        if let Some(scenario) = scenario {
            command += &format!(" {}", quoted(&scenario.display().to_string()));
        }
        command += &changes.words();
        for (option, file) in [("--from", &self.from), ("--save", &self.save)] {
            if let Some(file) = file {
                command += &format!(" {option} {}", quoted(&file.display().to_string()));
            }
        }
        if let Some(until) = self.until {
            command += &format!(" --until {until}");
        }
        command
    }

    /// Begins the run of a scenario, or lets one go on.
    pub(super) fn begin(
        &self,
        scenario: Option<PathBuf>,
        changes: &Changes,
        policies: &PolicyRegistry,
    ) -> Result<Begun, Failure> {
        if let Some(from) = &self.from {
            return go_on(from, scenario, changes, policies);
        }
        let missing = || Failure::Input("name a scenario file".to_owned());
        let file = scenario.ok_or_else(missing)?;
        let overrides = changes.all();
        let checked = policies.load(&file, &overrides).map_err(Failure::input)?;
        let simulation = Simulation::with_policies(&checked, policies);
        Ok(Begun {
            simulation: simulation.map_err(Failure::input)?,
            checked,
            file,
            overrides,
        })
    }

    /// Up to where it runs.
    pub(super) fn until(&self, simulation: &Simulation) -> Result<SimTime, Failure> {
        let (until, now) = (self.until.unwrap_or(SimTime::MAX), simulation.now());
        if until < now {
            let message = format!("--until {until} is over: the saved state is at {now} s");
            return Err(Failure::Input(message));
        }
        Ok(until)
    }

    /// Saves the state, if that was asked for, and stops the run there. Says so in words.
    pub(super) fn save(
        &self,
        simulation: &mut Simulation,
        file: PathBuf,
        overrides: Vec<String>,
    ) -> Result<Option<String>, Failure> {
        let (Some(to), Some(until)) = (&self.save, self.until) else {
            return Ok(None);
        };
        let named = to.display();
        let failed = |error: &dyn std::fmt::Display| Failure::Running(format!("{named}: {error}"));
        if simulation.is_over() {
            let now = simulation.now();
            let message = format!(
                "the run was over at {now} s, before --until {until}: there is nothing to save"
            );
            return Err(Failure::Running(message));
        }
        let scenario = std::path::absolute(file).map_err(|it| failed(&it))?;
        // Beside it first: an old state is not lost to a full disk.
        let mut beside = to.clone().into_os_string();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        let written = File::create(&beside).map_err(|it| failed(&it))?;
        let scenario = Some(scenario.display().to_string());
        simulation
            .save_of(scenario, overrides, BufWriter::new(written))
            .map_err(|it| failed(&it))?;
        std::fs::rename(&beside, to).map_err(|it| failed(&it))?;
        let go_on = format!(
            "`fleetsim run --from {}` goes on",
            quoted(&named.to_string())
        );
        simulation.stop(format!("saved at {until} s; {go_on}"));
        Ok(Some(format!(
            "saved at {until} s in {named}: {go_on}; the tables have what happened so far"
        )))
    }
}

/// Lets a run go on from a file, with changes.
fn go_on(
    from: &Path,
    scenario: Option<PathBuf>,
    changes: &Changes,
    policies: &PolicyRegistry,
) -> Result<Begun, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", from.display()));
    let open = || {
        File::open(from)
            .map(BufReader::new)
            .map_err(|it| failed(&it))
    };
    let header = read_header(open()?).map_err(|it| failed(&it))?;
    header.check_program().map_err(|it| failed(&it))?;
    let file = scenario.or_else(|| header.file.map(PathBuf::from));
    let file = file.ok_or_else(|| failed(&"it does not say of which scenario file: name that"))?;
    let mut overrides = header.overrides;
    let original = policies.load(&file, &overrides).map_err(Failure::input)?;
    let simulation = Simulation::restore_with_policies(&original, policies, open()?);
    let mut simulation = simulation.map_err(|it| failed(&it))?;
    for assignment in &changes.overrides {
        check_changeable(assignment)?;
    }
    overrides.extend(changes.overrides.iter().cloned());
    let checked = policies.load(&file, &overrides).map_err(Failure::input)?;
    if !changes.overrides.is_empty() {
        change(&mut simulation, &original, &checked, policies)?;
    }
    Ok(Begun {
        checked,
        simulation,
        file,
        overrides,
    })
}

/// Refuses what is settled once a run has begun.
fn check_changeable(assignment: &str) -> Result<(), Failure> {
    let path = assignment.split('=').next().unwrap_or_default().trim();
    let mut inside = false;
    let plain: String = path
        .chars()
        .filter(|&it| {
            inside = (inside || it == '[') && it != ']';
            !inside || it == '['
        })
        .collect();
    let is_in = |place: &&str| {
        let rest = plain.strip_prefix(*place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '(']))
    };
    if CHANGEABLE.iter().any(is_in) {
        return Ok(());
    }
    let message = format!(
        "`{path}` cannot change in a run that goes on: it is settled from the beginning; these can: {}",
        CHANGEABLE.join(", ")
    );
    Err(Failure::Input(message))
}

/// Changes a run from one scenario to another that differs in what may change. A policy that is changed, or
/// whose signals or actuator are, begins without memory.
fn change(
    simulation: &mut Simulation,
    from: &CheckedScenario,
    to: &CheckedScenario,
    policies: &PolicyRegistry,
) -> Result<(), Failure> {
    let warnings = policies.check(to).map_err(Failure::input)?;
    let (old, new): (&Scenario, &Scenario) = (from.scenario(), to.scenario());
    let now = simulation.now();
    if new.end != old.end {
        if let Some(end) = new.end.filter(|&end| end < now) {
            let message = format!("`end` cannot be {end}: the saved state is at {now} s");
            return Err(Failure::Input(message));
        }
        simulation.set_end(new.end);
    }
    if differs(&new.actions, &old.actions) || differs(&new.faults, &old.faults) {
        let done = |of: &Scenario| {
            let actions = of.actions.iter().filter(|it| it.at <= now);
            let faults = of.faults.iter().filter(|it| it.at <= now);
            format!(
                "{:?}",
                (actions.collect::<Vec<_>>(), faults.collect::<Vec<_>>())
            )
        };
        if done(old) != done(new) {
            let message = format!(
                "the saved state is at {now} s: actions and faults up to there are done and cannot change, and \
                 no other can come before"
            );
            return Err(Failure::Input(message));
        }
        simulation.set_script(new).map_err(Failure::input)?;
    }
    let world = simulation.world_mut();
    world.resource_mut::<TickLimits>().max_tick = new.max_tick;
    let regions = from.regions().iter().zip(to.regions());
    let mut changed: Vec<_> = regions
        .map(|(from, to)| (&from.scenario, &to.scenario))
        .collect();
    if changed.is_empty() {
        changed.push((from, to));
    }
    for (fleet, (from, to)) in world.fleets().to_vec().into_iter().zip(changed) {
        apply_in(world, fleet, from, to, policies)?;
    }
    if let Some(&first) = world.fleets().first()
        && let Some(mut origin) = world.get_mut::<Origin>(first)
    {
        origin.warnings = warnings;
    }
    debug_assert!(world.now() == now, "changes take no time");
    Ok(())
}

/// Whether two parts of scenarios are not alike.
fn differs(one: &dyn std::fmt::Debug, other: &dyn std::fmt::Debug) -> bool {
    format!("{one:?}") != format!("{other:?}")
}

/// Takes over what is different in one fleet.
fn apply_in(
    world: &mut World,
    fleet: Entity,
    from: &CheckedScenario,
    to: &CheckedScenario,
    policies: &PolicyRegistry,
) -> Result<(), Failure> {
    let (old, new) = (from.scenario(), to.scenario());
    for (old, new) in old.fleet.iter().zip(&new.fleet) {
        if new.limit != old.limit {
            let set = world.set_limit_in(fleet, &new.sku, new.limit);
            set.map_err(Failure::input)?;
        }
        if new.provision_delay != old.provision_delay {
            let set = world.set_provision_delay_in(fleet, &new.sku, new.provision_delay);
            set.map_err(Failure::input)?;
        }
    }
    for (old, new) in old.applications.iter().zip(&new.applications) {
        let entity = world.application_in(fleet, &new.name);
        let entity = entity.map_err(Failure::input)?;
        if differs(&new.scaling, &old.scaling) {
            let set = world.set_scaling(entity, &new.scaling);
            set.map_err(Failure::input)?;
        }
        if differs(&new.autoscaler, &old.autoscaler)
            || differs(&new.actuator, &old.actuator)
            || differs(&new.signals, &old.signals)
        {
            let set = policies.give_anew(world, entity, to);
            set.map_err(Failure::input)?;
        }
    }
    if let Some(mut origin) = world.get_mut::<Origin>(fleet) {
        to.hash().clone_into(&mut origin.hash);
    }
    Ok(())
}
