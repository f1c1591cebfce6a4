//! The fleet as plugins of an `App` of Bevy's; behind the feature `bevy_app`.
//!
//! [`FleetPlugins`] is a group of three, each of which can be set, replaced or disabled as in any group:
//!
//! | plugin | what it adds | without it |
//! |---|---|---|
//! | [`FleetPlugin`] | the fleet of a scenario, and a system that steps it | nothing |
//! | [`AutoscalePlugin`] | signals, policies and the actuator | the host scales, and scripted actions |
//! | [`ObservePlugin`] | [`Rows`](crate::observe::Rows) of requests and samples, and statistics | the host looks itself |
//!
//! ```
//! use bevy_app::prelude::*;
//! use bevy_ecs::prelude::*;
//! use fleetsim::plugin::FleetPlugins;
//! use fleetsim::prelude::*;
//!
//! # let scenario = CheckedScenario::from_ron(r#"(
//! #     name: "one server",
//! #     fleet: [(sku: "dgx-h100", count: 1)],
//! #     applications: [(
//! #         name: "chat", model: "llama2-70b",
//! #         instances: [(role: Mixed, start: AllServers)],
//! #         workload: Synthetic(
//! #             arrivals: Constant(rate: 1.0), prompt_tokens: Constant(100),
//! #             output_tokens: Constant(10), requests: 20,
//! #         ),
//! #     )],
//! # )"#, ".".as_ref())?;
//! let mut app = App::new();
//! app.add_plugins(FleetPlugins::new(&scenario));
//! for _second in 0..30 {
//!     app.update();
//! }
//! let world = app.world();
//! let chat = world.application("chat")?;
//! assert_eq!(world.now(), SimTime::new(30.0)?);
//! assert_eq!(world.get::<Service>(chat).map(|it| it.0.counts().completed), Some(20));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A host's own systems go into the [`Tick`](crate::fleet::Tick) schedule, where they see every instant at
//! which something is due, or into the schedules of the `App`, where they see the fleet once a step;
//! [`FleetStep`] is what to be before or after. What the three need is in the world from the moment that
//! they are added.

use std::time::Instant;

use bevy_app::{App, AppExit, Plugin, PluginGroup, PluginGroupBuilder, Update};
use bevy_ecs::prelude::{IntoScheduleConfigs, Resource, SystemSet, World};
use bevy_ecs::schedule::{InternedScheduleLabel, ScheduleLabel};

use crate::autoscale::PolicyRegistry;
use crate::fleet::{self, FleetWorldExt, FleetsExt};
use crate::observe;
use crate::scenario::{CheckedScenario, Objective};
use crate::time::{SimDuration, SimTime};

/// The set of the system that steps the fleet, in the schedule that [`FleetPlugin`] names.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FleetStep;

/// The plugins of a scenario: [`FleetPlugin`], [`AutoscalePlugin`] and [`ObservePlugin`].
#[derive(Clone, Debug)]
pub struct FleetPlugins {
    scenario: CheckedScenario,
    registry: PolicyRegistry,
}

impl FleetPlugins {
    /// Those of a scenario that names nothing but what is built in.
    #[must_use]
    pub fn new(scenario: &CheckedScenario) -> Self {
        Self::with(scenario, PolicyRegistry::built_in())
    }

    /// Those of a scenario that may name what this registry knows.
    #[must_use]
    pub fn with(scenario: &CheckedScenario, registry: PolicyRegistry) -> Self {
        Self {
            scenario: scenario.clone(),
            registry,
        }
    }
}

impl PluginGroup for FleetPlugins {
    fn build(self) -> PluginGroupBuilder {
        let fleet = FleetPlugin::new(&self.scenario).registry(self.registry.clone());
        let policies = AutoscalePlugin::new(&self.scenario).registry(self.registry);
        PluginGroupBuilder::start::<Self>()
            .add(fleet)
            .add(policies)
            .add(ObservePlugin::new(&self.scenario))
    }
}

/// How far the fleet goes in a run of its schedule.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// As far as this, always.
    Step(SimDuration),
    /// As far as the time that has passed on the wall, this many times.
    Ratio(f64),
}

/// Puts the fleet of a scenario into the world of an `App`, and steps it.
///
/// Where the fleet cannot be built or cannot be stepped on, the reason goes to the log and the `App` is told
/// to exit with an error.
#[derive(Clone, Debug)]
pub struct FleetPlugin {
    scenario: CheckedScenario,
    registry: PolicyRegistry,
    schedule: InternedScheduleLabel,
    pace: Pace,
}

impl FleetPlugin {
    /// Steps the fleet by a second of its time in each `Update`.
    #[must_use]
    pub fn new(scenario: &CheckedScenario) -> Self {
        Self {
            scenario: scenario.clone(),
            registry: PolicyRegistry::built_in(),
            schedule: Update.intern(),
            pace: Pace::Step(SimDuration::saturating(1.0)),
        }
    }

    /// For a scenario that names engines, routers or step models of this registry.
    #[must_use]
    pub fn registry(self, registry: PolicyRegistry) -> Self {
        Self { registry, ..self }
    }

    /// Steps in another schedule of the `App`'s, such as `FixedUpdate`.
    #[must_use]
    pub fn in_schedule(self, schedule: impl ScheduleLabel) -> Self {
        let schedule = schedule.intern();
        Self { schedule, ..self }
    }

    /// Steps by this much of the fleet's time. Results do not depend on it.
    #[must_use]
    pub fn step(self, step: SimDuration) -> Self {
        let pace = Pace::Step(step);
        Self { pace, ..self }
    }

    /// Steps by the time that has passed on the wall since the last step, this many times: 1 is as fast as
    /// life, 60 a minute a second. Nothing is stepped by what is no number above 0. What happens at which
    /// instant does not depend on it; what a host does between steps does.
    #[must_use]
    pub fn ratio(self, ratio: f64) -> Self {
        let pace = Pace::Ratio(ratio);
        Self { pace, ..self }
    }
}

impl Plugin for FleetPlugin {
    fn build(&self, app: &mut App) {
        let world = app.world_mut();
        let installed = fleet::install_with(world, &self.scenario, self.registry.serving());
        if let Err(error) = installed {
            fail(world, &error);
            return;
        }
        world.insert_resource(Stepping {
            pace: self.pace,
            begun: world.now(),
            steps: 0,
            last: None,
        });
        app.add_systems(self.schedule, step.in_set(FleetStep));
    }
}

/// The state of the system that steps the fleet.
#[derive(Resource, Debug)]
struct Stepping {
    pace: Pace,
    begun: SimTime,
    /// Steps of equal length since it began: instants are multiples, never sums.
    steps: u64,
    /// When the last step was taken on the wall.
    last: Option<Instant>,
}

impl Stepping {
    /// Where the next step goes.
    fn next(&mut self, now: SimTime) -> SimTime {
        match self.pace {
            Pace::Step(length) => {
                self.steps += 1;
                (self.begun + length * self.steps as f64).max(now)
            }
            Pace::Ratio(ratio) => {
                let wall = Instant::now();
                let passed = self.last.replace(wall).map_or(0.0, |last| {
                    wall.saturating_duration_since(last).as_secs_f64()
                });
                now + SimDuration::new(passed * ratio).unwrap_or(SimDuration::ZERO)
            }
        }
    }
}

fn step(world: &mut World) {
    if world.fleets().is_empty() {
        return;
    }
    let now = world.now();
    let Some(until) = world
        .get_resource_mut::<Stepping>()
        .map(|mut stepping| stepping.next(now))
    else {
        return;
    };
    if let Err(error) = world.run_until(until) {
        world.remove_resource::<Stepping>();
        fail(world, &error);
    }
}

/// Gives the applications of the fleet their policies, and the `Tick` schedule the systems for them. After
/// [`FleetPlugin`].
#[derive(Clone, Debug)]
pub struct AutoscalePlugin {
    scenario: CheckedScenario,
    registry: PolicyRegistry,
}

impl AutoscalePlugin {
    /// Those that the scenario names of the policies that are built in.
    #[must_use]
    pub fn new(scenario: &CheckedScenario) -> Self {
        Self {
            scenario: scenario.clone(),
            registry: PolicyRegistry::built_in(),
        }
    }

    /// Those that the scenario names of the policies of this registry.
    #[must_use]
    pub fn registry(self, registry: PolicyRegistry) -> Self {
        Self { registry, ..self }
    }
}

impl Plugin for AutoscalePlugin {
    fn build(&self, app: &mut App) {
        let world = app.world_mut();
        if !has_fleet(world) {
            return;
        }
        if let Err(error) = self.registry.install(world, &self.scenario) {
            fail(world, &error);
        }
    }
}

/// Records requests and samples. After [`FleetPlugin`].
///
/// [`Rows`](observe::Rows) grow until they are taken, or as [`Retention`](fleet::Retention) says.
#[derive(Clone, Debug)]
pub struct ObservePlugin {
    objectives: Vec<Objective>,
    sample_interval: SimDuration,
}

impl ObservePlugin {
    /// By the objectives and the interval of a scenario.
    #[must_use]
    pub fn new(scenario: &CheckedScenario) -> Self {
        let applications = scenario.scenario().applications.iter();
        Self {
            objectives: applications.map(|of| of.slo).collect(),
            sample_interval: scenario.scenario().sample_interval,
        }
    }
}

impl Plugin for ObservePlugin {
    fn build(&self, app: &mut App) {
        let world = app.world_mut();
        if has_fleet(world) {
            observe::install(world, &self.objectives, self.sample_interval);
        }
    }
}

/// Whether there is a fleet; if there is none, it is said.
fn has_fleet(world: &mut World) -> bool {
    let there = !world.fleets().is_empty();
    if !there {
        fail(world, &"there is no fleet: add `FleetPlugin` first");
    }
    there
}

/// Has the `App` exit for a reason.
fn fail(world: &mut World, reason: &impl std::fmt::Display) {
    tracing::error!(target: "fleetsim::plugin", "{reason}");
    world.write_message(AppExit::error());
}
