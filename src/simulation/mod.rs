//! From a scenario to a world, tick by tick to its end, to what the run leaves behind.

mod faults;
mod news;
mod patience;
mod record;
mod run;
mod saved;
mod several;
mod tick_length;
mod usage;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::autoscale::{DecisionLog, PolicyRegistry};
use crate::fleet::{
    self, Agenda, ChangeExt, FaultEvent, FleetWorldExt, FleetsExt, InstallError, Ledger, Origin,
    Rest, RunWarnings, ScalingEvent, TickError, TickLimits, part, part_mut,
};
use crate::observe::{self, Rows, RunRecord};
use crate::scenario::{CheckedScenario, Diagnostics, Objective, Problem, Scenario};
use crate::snapshot::RestoreError;
use crate::time::SimTime;
use crate::warning::{Warning, Warnings};

pub use record::{summarise, summarise_fleet};
pub use run::News;
use tick_length::Pace;

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// The fleet cannot be built.
    #[error(transparent)]
    Fleet(#[from] InstallError),
    /// An application's policy is unknown, or its parameters are wrong.
    #[error(transparent)]
    Policies(#[from] Diagnostics),
    /// A snapshot is none, or not one of this scenario.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// A scenario being run: a world, stepped tick by tick until nothing is left to do.
///
/// ```
/// use fleetsim::scenario::CheckedScenario;
/// use fleetsim::simulation::Simulation;
///
/// let scenario = CheckedScenario::from_ron(
///     r#"(
///         name: "two servers",
///         fleet: [(sku: "dgx-h100", count: 2)],
///         applications: [(
///             name: "chat",
///             model: "llama2-70b",
///             instances: [(role: Mixed, start: AllServers)],
///             workload: Synthetic(
///                 arrivals: Poisson(rate: 2.0),
///                 prompt_tokens: Constant(1000),
///                 output_tokens: Constant(100),
///                 requests: 50,
///             ),
///         )],
///     )"#,
///     ".".as_ref(),
/// )?;
/// let mut simulation = Simulation::new(&scenario)?;
/// while simulation.tick()? {
///     for (_, request) in simulation.take_rows().requests {
///         assert!(request.ttft().is_some());
///     }
/// }
/// let summary = simulation.finish().record.summarise();
/// assert_eq!(summary.applications[0].requests.completed, 50);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Simulation {
    world: World,
    end: Option<SimTime>,
    has_policies: bool,
    /// When the last scripted action or fault was due, once it was.
    script_ended: Option<SimTime>,
    over: bool,
    stopped: Option<String>,
    pace: Pace,
    /// That of the scenario.
    seed: u64,
}

impl Simulation {
    /// Builds the world of a scenario, at time zero, with the built-in policies to choose from.
    ///
    /// # Errors
    /// [`SimulationError`] when a workload cannot be opened, or a policy is not known or wrong.
    pub fn new(checked: &CheckedScenario) -> Result<Self, SimulationError> {
        Self::with_policies(checked, &PolicyRegistry::built_in())
    }

    /// Builds the world of a scenario, at time zero, with these policies to choose from.
    ///
    /// # Errors
    /// [`SimulationError`] when a workload cannot be opened, or a policy is not known or wrong.
    pub fn with_policies(
        checked: &CheckedScenario,
        policies: &PolicyRegistry,
    ) -> Result<Self, SimulationError> {
        let warnings = policies.check(checked)?;
        let scenario = checked.scenario();
        let mut world = World::new();
        let objectives = scenario.applications.iter().map(|of| of.slo);
        let objectives: Vec<Objective> = objectives.collect();
        let regions = checked.regions().iter();
        let regions = regions.map(|it| (&*it.name, &it.scenario));
        let alone = (&*scenario.name, checked);
        let alone = Some(alone).filter(|_| checked.regions().is_empty());
        for (name, of) in alone.into_iter().chain(regions) {
            let fleet = fleet::install_named(&mut world, name, of, policies.serving())?;
            policies.install_in(&mut world, fleet, of)?;
            observe::install(&mut world, &objectives, scenario.sample_interval);
            if !checked.regions().is_empty() {
                observe::keep_felt(&mut world, fleet, &objectives);
            }
        }
        let fleets = world.fleets().to_vec();
        if let Some(&first) = fleets.first() {
            part_mut::<Origin>(&mut world, first).warnings = warnings;
        }
        if !checked.regions().is_empty() {
            fleet::connect(
                &mut world,
                &fleets,
                scenario.region_routing,
                checked.one_way(),
            );
        }
        let has_policies = has_policies(&world);
        let has_script = world.resource::<Agenda>().has_script();
        world.resource_mut::<TickLimits>().max_tick = scenario.max_tick;
        let mut simulation = Self {
            world,
            end: None,
            over: false,
            has_policies,
            script_ended: (!has_script).then_some(SimTime::ZERO),
            stopped: None,
            pace: Pace::default(),
            seed: scenario.seed,
        };
        simulation.set_end(scenario.end);
        Ok(simulation)
    }

    /// Lets the run end at another instant than its scenario says or, for `None`, when nothing is left to do.
    /// One that is over goes on if that is later. An instant that is over ends it at once.
    pub fn set_end(&mut self, end: Option<SimTime>) {
        self.end = end;
        self.over = false;
        let mut limits = self.world.resource_mut::<TickLimits>();
        limits.horizon = end.unwrap_or(SimTime::MAX);
        limits.rest = match end {
            Some(_) => Rest::Never,
            None if self.has_policies => Rest::Quiet,
            None => Rest::Stalled,
        };
    }

    /// The warnings so far: those of the scenario and its policies, then those of the run.
    #[must_use]
    pub fn warnings(&self) -> Warnings {
        let mut warnings = Warnings::default();
        for &fleet in self.world.fleets() {
            warnings.merge(&record::warnings(&self.world, fleet));
        }
        warnings
    }

    /// Whether nothing is left to do, or the run was stopped.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// The world, to look at.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The world, to act on between ticks.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// The instant reached. Of a run that is over: the scenario's `end` or, without one, the last instant
    /// at which anything happened. Where a policy was waited for in vain, the waiting counts.
    #[must_use]
    pub fn now(&self) -> SimTime {
        self.world.now()
    }

    /// Runs one tick, then clears the world's trackers of removed components. False when the run is over: at the scenario's `end` or, without one, when
    /// nothing is left to do, or nothing that waits can ever be served: at once, or after an hour in
    /// which a policy did nothing about it. A policy that never stops scaling is stopped an hour after the
    /// last request has ended, or after a day in which it scaled and none that waits was served.
    ///
    /// Some ten thousand requests end in a tick at most, so that taking rows after each holds few,
    /// however rarely anything is due.
    ///
    /// # Errors
    /// [`TickError`] when the clock cannot move on.
    pub fn tick(&mut self) -> Result<bool, TickError> {
        if self.over {
            return Ok(false);
        }
        self.step()?;
        let now = self.now();
        if self.script_ended.is_none() && !self.world.resource::<Agenda>().has_script() {
            self.script_ended = Some(now);
        }
        self.over = match self.end {
            Some(end) => now >= end && self.world.resource::<Agenda>().next_due() > end,
            None => self.world.is_quiet() || self.is_in_vain(),
        };
        if self.over {
            self.warn_of_deserted();
        }
        Ok(!self.over)
    }

    /// Warns of each server that stands empty since a crash.
    fn warn_of_deserted(&mut self) {
        for fleet in self.world.fleets().to_vec() {
            self.warn_of_deserted_in(fleet);
        }
    }

    fn warn_of_deserted_in(&mut self, fleet: Entity) {
        let accounts = part::<Ledger>(&self.world, fleet).servers().iter();
        let deserted = (0..)
            .zip(accounts)
            .filter_map(|(number, account): (u64, _)| {
                let since = account.deserted_since?;
                Some((number, since))
            });
        let deserted: Vec<_> = deserted.collect();
        let mut warnings = part_mut::<RunWarnings>(&mut self.world, fleet);
        for (number, since) in deserted {
            let message = format!(
                "server {number} stands empty since a crash took its last instance at {since} s, and is paid for"
            );
            let help = "remove it with ScaleDownServer, or use it with ScaleUpInstance";
            warnings.push(
                Warning::new("deserted_server", message)
                    .at_time(since)
                    .help(help),
            );
        }
    }

    /// Runs one tick at the pace that suits, up to where policies are waited for no more.
    fn step(&mut self) -> Result<(), TickError> {
        if !self.has_policies && has_policies(&self.world) {
            // A host has given an application its first policy.
            self.has_policies = true;
            let mut limits = self.world.resource_mut::<TickLimits>();
            if limits.rest == Rest::Stalled {
                limits.rest = Rest::Quiet;
            }
        }
        let (began, rows) = (self.now(), self.rows());
        let bound = self.patience_ends().min(self.pace.bound(began));
        let mut limits = self.world.resource_mut::<TickLimits>();
        let horizon = limits.horizon;
        limits.horizon = horizon.min(bound);
        let result = self.world.tick();
        self.world.clear_trackers();
        self.world.resource_mut::<TickLimits>().horizon = horizon;
        self.pace.learn(self.now() - began, self.rows() - rows);
        result
    }

    fn rows(&self) -> usize {
        let rows = self.world.fleets().iter();
        let rows = rows.filter_map(|&it| self.world.get::<Rows>(it));
        rows.map(|rows| rows.requests.len()).sum()
    }

    /// A copy that goes on by itself: with nothing done to either, both end alike to the last bit. Rows and
    /// lines that were not taken yet are in both.
    ///
    /// What a host of its own has put into the [world](Self::world) stays behind, unless it is entered in the
    /// [`Parts`](fleet::Parts).
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            // Only a host that has taken the fleet out of the world has nothing to copy.
            world: fleet::fork(&self.world).unwrap_or_default(),
            end: self.end,
            has_policies: self.has_policies,
            script_ended: self.script_ended,
            over: self.over,
            stopped: self.stopped.clone(),
            pace: self.pace,
            seed: self.seed,
        }
    }

    /// Goes on with the script of another scenario that is the same so far: its actions and faults after the present
    /// instant take the place of those that were to come. The summary is of that scenario.
    ///
    /// # Errors
    /// [`Diagnostics`] when a policy of the scenario is not known or wrong, or there are several fleets.
    pub fn follow_script_of(
        &mut self,
        checked: &CheckedScenario,
        policies: &PolicyRegistry,
    ) -> Result<(), Diagnostics> {
        let warnings = policies.check(checked)?;
        self.set_script(checked.scenario())?;
        let mut origin = self.world.fleet_mut::<Origin>();
        checked.hash().clone_into(&mut origin.hash);
        origin.warnings = warnings;
        Ok(())
    }

    /// Puts the actions and faults of a scenario after the present instant in the place of those that were to come.
    pub(crate) fn set_script(&mut self, scenario: &Scenario) -> Result<(), Diagnostics> {
        let set = self.world.set_script(&scenario.actions, &scenario.faults);
        set.map_err(|error| Diagnostics::new(vec![Problem::new("actions", error.to_string())]))?;
        observe::watch_recovery(&mut self.world);
        let instants = scenario.actions.iter().map(|it| it.at);
        let instants = instants.chain(scenario.faults.iter().map(|it| it.at));
        let last = instants.max().unwrap_or(SimTime::ZERO);
        self.script_ended = Some(last).filter(|&last| last <= self.now());
        Ok(())
    }

    /// Ends the run here; what was done so far counts, marked as partial for this reason.
    pub fn stop(&mut self, reason: impl Into<String>) {
        if !self.over {
            self.over = true;
            self.warn_of_deserted();
        }
        self.stopped = Some(reason.into());
    }

    /// Closes the books.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let end = self.now();
        if let Err(error) = self.world.run_system_cached_with(observe::sample_end, end) {
            tracing::error!("the last sample was not taken: {error}");
        }
        if self.stopped.is_none() {
            self.stopped = several::workload_error(&self.world);
        }
        let scaling = self.take_scaling();
        let faults = self.take_faults();
        let mut rows = self.take_rows();
        several::add_unfinished(&self.world, &mut rows, end);
        let mut record = several::of(&self.world, end, self.stopped);
        record.seed = self.seed;
        Finished {
            rows,
            scaling,
            faults,
            record,
            ledger: several::take_ledger(&mut self.world),
        }
    }
}

/// What a run leaves when it is over.
#[derive(Debug)]
pub struct Finished {
    /// The rows that were not taken yet: requests that ended, then those that have not, by arrival;
    /// and runs of iterations that ended, then those under way.
    pub rows: Rows,
    /// The lines of the scaling log that were not taken yet.
    pub scaling: Vec<ScalingEvent>,
    /// The faults that were not taken yet.
    pub faults: Vec<FaultEvent>,
    /// Everything that the summary is made from.
    pub record: RunRecord,
    /// The accounts of every server and every instance.
    pub ledger: Ledger,
}

/// Whether any fleet has a policy.
fn has_policies(world: &World) -> bool {
    let mut fleets = world.fleets().iter();
    fleets.any(|&it| world.get::<DecisionLog>(it).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_held_however_rarely_samples_are_taken() {
        let scenario = CheckedScenario::from_ron(
            r#"(
                name: "one sample",
                sample_interval: 1e6,
                fleet: [(sku: "dgx-h100", count: 10)],
                applications: [(
                    name: "chat",
                    model: "llama2-70b",
                    instances: [(role: Mixed, start: AllServers)],
                    workload: Synthetic(
                        arrivals: Constant(rate: 1000.0),
                        prompt_tokens: Constant(100),
                        output_tokens: Constant(1),
                        requests: 200000,
                    ),
                )],
            )"#,
            ".".as_ref(),
        )
        .unwrap();
        let mut simulation = Simulation::new(&scenario).unwrap();
        let (mut all, mut most) = (0, 0);
        while simulation.tick().unwrap() {
            let rows = simulation.take_rows().requests.len();
            (all, most) = (all + rows, most.max(rows));
        }
        let finished = simulation.finish();
        assert_eq!(all + finished.rows.requests.len(), 200_000);
        assert!(most <= 40_000, "{most} rows");
        let counts = finished.record.applications[0].statistics.counts().clone();
        assert_eq!(counts.completed, 200_000);
    }

    #[test]
    fn no_sample_taken_on_the_way_is_later_than_the_end() {
        let scenario = CheckedScenario::from_ron(
            r#"(
                name: "one request",
                fleet: [(sku: "dgx-h100", count: 1)],
                applications: [(
                    name: "chat",
                    model: "llama2-70b",
                    instances: [(role: Mixed, start: AllServers)],
                    workload: Synthetic(
                        arrivals: Constant(rate: 1.0),
                        prompt_tokens: Constant(100),
                        output_tokens: Constant(10),
                        requests: 1,
                    ),
                )],
            )"#,
            ".".as_ref(),
        )
        .unwrap();
        let mut simulation = Simulation::new(&scenario).unwrap();
        let mut samples = Vec::new();
        loop {
            let more = simulation.tick().unwrap();
            samples.append(&mut simulation.take_rows().samples);
            if !more {
                break;
            }
        }
        let end = simulation.now();
        assert!(
            end < SimTime::new(10.0).unwrap(),
            "the run went on to a sample"
        );
        samples.append(&mut simulation.finish().rows.samples);
        assert!(samples.is_sorted_by_key(|sample| sample.time));
        assert_eq!(samples.last().map(|sample| sample.time), Some(end));
    }
}
