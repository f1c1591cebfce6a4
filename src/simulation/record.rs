//! What a world says of the run so far.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::{faults, usage};
use crate::fleet::{
    Application, AttemptCounts, FleetWorldExt, FleetsExt, Origin, Refusals, Roster, RunWarnings,
    ScalingLog, Service, part,
};
use crate::observe::{ApplicationRecord, Recorded, RunRecord, Sampler, ScalingCounts, Summary};
use crate::serving::RequestRecord;
use crate::time::SimTime;
use crate::warning::Warnings;

/// The figures of a fleet so far, of which requests are [recorded](crate::observe::install): what
/// [`Simulation::finish`](super::Simulation::finish) leads to if the run ends here. The run goes on, and nothing
/// is taken. None for a world without a fleet.
///
/// Only requests that were recorded or have not ended count: a host that takes records before they are
/// [collected](crate::observe::ObserveSet::Collect) has the others.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use fleetsim::prelude::*;
/// # use fleetsim::{fleet, observe};
/// # let scenario = CheckedScenario::from_ron(r#"(
/// #     name: "one server", fleet: [(sku: "dgx-h100", count: 1)],
/// #     applications: [(
/// #         name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
/// #         workload: Synthetic(
/// #             arrivals: Constant(rate: 1.0), prompt_tokens: Constant(100),
/// #             output_tokens: Constant(10), requests: 20,
/// #         ),
/// #     )],
/// # )"#, ".".as_ref())?;
/// let mut world = World::new();
/// fleet::install(&mut world, &scenario)?;
/// observe::install(&mut world, &[], SimDuration::new(10.0)?);
/// world.run_until(SimTime::new(10.0)?)?;
/// let summary = fleetsim::summarise(&world).ok_or("there is a fleet")?;
/// assert_eq!(summary.applications[0].requests.arrived, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn summarise(world: &World) -> Option<Summary> {
    summarise_fleet(world, world.only_fleet().ok()?)
}

/// The same of one of several fleets.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use fleetsim::fleet::{self, FleetsExt};
/// # use fleetsim::prelude::*;
/// # use fleetsim::scenario::Objective;
/// # use fleetsim::serving::ServingRegistry;
/// # let scenario = CheckedScenario::from_ron(r#"(
/// #     name: "one server", fleet: [(sku: "dgx-h100", count: 1)],
/// #     applications: [(
/// #         name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
/// #         workload: Host,
/// #     )],
/// # )"#, ".".as_ref())?;
/// # let mut world = World::new();
/// let registry = ServingRegistry::default();
/// let east = fleet::install_named(&mut world, "east", &scenario, &registry)?;
/// let west = fleet::install_named(&mut world, "west", &scenario, &registry)?;
/// fleetsim::observe::install(&mut world, &[Objective::default()], SimDuration::new(10.0)?);
/// world.run_until(SimTime::new(3600.0)?)?;
/// for fleet in [east, west] {
///     let summary = fleetsim::summarise_fleet(&world, fleet).ok_or("it is there")?;
///     assert_eq!(summary.fleet.gpu_hours, 8.0);
/// }
/// assert!(fleetsim::summarise(&world).is_none(), "it was not said which");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn summarise_fleet(world: &World, fleet: Entity) -> Option<Summary> {
    world.get::<Roster>(fleet)?;
    let stopped = workload_error(world, fleet);
    Some(of(world, fleet, world.now(), stopped).summarise())
}

/// Everything that a summary is made from.
pub(super) fn of(world: &World, fleet: Entity, end: SimTime, stopped: Option<String>) -> RunRecord {
    let origin = world.get::<Origin>(fleet).cloned().unwrap_or_default();
    let mut applications = Vec::new();
    for &entity in part::<Roster>(world, fleet).applications() {
        let (Some(application), Some(service), Some(Recorded(statistics))) = (
            world.get::<Application>(entity),
            world.get::<Service>(entity),
            world.get::<Recorded>(entity),
        ) else {
            continue;
        };
        let mut statistics = statistics.clone();
        let mut left = service.0.outstanding();
        left.extend(service.0.on_their_way());
        left.iter().for_each(|record| statistics.record(record));
        statistics.record_evictions(service.0.counts().evicted);
        statistics.record_lost_tokens(service.0.counts().lost_tokens);
        statistics.record_moves(service.0.counts().moved);
        statistics.record_token_gaps(service.0.token_gaps());
        let kv_usage = world.get::<Sampler>(entity).map(|it| it.kv_usage);
        statistics.record_kv_usage(&kv_usage.unwrap_or_default());
        let step_times = origin.step_times.get(application.index());
        let resilience = faults::resilience(world, fleet, entity, &statistics, end);
        applications.push(ApplicationRecord {
            name: application.name().clone(),
            statistics,
            instances: usage::instances(world, entity, end),
            step_times: step_times.cloned().unwrap_or_default(),
            start_up: usage::start_up(world, entity),
            start_up_attempts: world.get::<AttemptCounts>(entity).copied(),
            resilience,
        });
    }
    let log = world.get::<ScalingLog>(fleet);
    let refusals = world.get::<Refusals>(fleet);
    let scaling = log
        .zip(refusals)
        .map(|(log, refusals)| ScalingCounts::of(log, refusals));
    RunRecord {
        warnings: warnings(world, fleet),
        scenario: origin.scenario,
        hash: origin.hash,
        seed: origin.seed,
        percentiles: origin.percentiles,
        end,
        stopped,
        applications,
        regions: Vec::new(),
        servers: usage::servers(world, fleet, end),
        deserted: usage::deserted(world, fleet, end),
        faults: faults::of(world, &[fleet], end),
        power_cap: usage::power_cap(world, fleet, end),
        scaling: scaling.unwrap_or_default(),
    }
}

/// Those of the scenario and its policies, then those of the run.
pub(super) fn warnings(world: &World, fleet: Entity) -> Warnings {
    let origin = world.get::<Origin>(fleet);
    let mut warnings = origin.map(|it| it.warnings.clone()).unwrap_or_default();
    if let Some(came_up) = world.get::<RunWarnings>(fleet) {
        warnings.merge(came_up.all());
    }
    warnings
}

pub(super) fn services(world: &World, fleet: Entity) -> impl Iterator<Item = &Service> {
    let applications = part::<Roster>(world, fleet).applications().iter();
    applications.filter_map(|&it| world.get(it))
}

/// Why a workload ended early, if one did.
pub(super) fn workload_error(world: &World, fleet: Entity) -> Option<String> {
    let errors = services(world, fleet).filter_map(|it| it.0.workload_error());
    errors.map(ToString::to_string).next()
}

/// The requests that have not ended, each with the position of its application, by arrival.
pub(super) fn outstanding(world: &World, fleet: Entity) -> Vec<(usize, RequestRecord)> {
    let mut outstanding = Vec::new();
    for &entity in part::<Roster>(world, fleet).applications() {
        let of = world.get::<Application>(entity);
        if let (Some(of), Some(service)) = (of, world.get::<Service>(entity)) {
            let left = service.0.outstanding().into_iter();
            let left = left.chain(service.0.on_their_way());
            outstanding.extend(left.map(|record| (of.index(), record)));
        }
    }
    outstanding.sort_by_key(|(index, record)| (record.arrival, *index));
    outstanding
}
