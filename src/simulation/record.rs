//! What a world says of the run so far.

use bevy_ecs::world::World;

use super::usage;
use crate::fleet::{
    Application, FleetWorldExt, Origin, Refusals, Roster, RunWarnings, ScalingLog, Service,
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
    world.get_resource::<Roster>()?;
    Some(of(world, world.now(), workload_error(world)).summarise())
}

/// Everything that a summary is made from.
pub(super) fn of(world: &World, end: SimTime, stopped: Option<String>) -> RunRecord {
    let origin = world.get_resource::<Origin>().cloned().unwrap_or_default();
    let mut applications = Vec::new();
    for &entity in world.resource::<Roster>().applications() {
        let (Some(application), Some(service), Some(Recorded(statistics))) = (
            world.get::<Application>(entity),
            world.get::<Service>(entity),
            world.get::<Recorded>(entity),
        ) else {
            continue;
        };
        let mut statistics = statistics.clone();
        let left = service.0.outstanding();
        left.iter().for_each(|record| statistics.record(record));
        statistics.record_evictions(service.0.counts().evicted);
        statistics.record_token_gaps(service.0.token_gaps());
        let kv_usage = world.get::<Sampler>(entity).map(|it| it.kv_usage);
        statistics.record_kv_usage(&kv_usage.unwrap_or_default());
        let step_times = origin.step_times.get(application.index());
        applications.push(ApplicationRecord {
            name: application.name().clone(),
            statistics,
            instances: usage::instances(world, entity, end),
            step_times: step_times.cloned().unwrap_or_default(),
            start_up: usage::start_up(world, entity),
        });
    }
    let log = world.get_resource::<ScalingLog>();
    let refusals = world.get_resource::<Refusals>();
    let scaling = log
        .zip(refusals)
        .map(|(log, refusals)| ScalingCounts::of(log, refusals));
    RunRecord {
        warnings: warnings(world),
        scenario: origin.scenario,
        hash: origin.hash,
        seed: origin.seed,
        percentiles: origin.percentiles,
        end,
        stopped,
        applications,
        servers: usage::servers(world, end),
        deserted: usage::deserted(world, end),
        scaling: scaling.unwrap_or_default(),
    }
}

/// Those of the scenario and its policies, then those of the run.
pub(super) fn warnings(world: &World) -> Warnings {
    let origin = world.get_resource::<Origin>();
    let mut warnings = origin.map(|it| it.warnings.clone()).unwrap_or_default();
    if let Some(came_up) = world.get_resource::<RunWarnings>() {
        warnings.merge(came_up.all());
    }
    warnings
}

pub(super) fn services(world: &World) -> impl Iterator<Item = &Service> {
    let applications = world.resource::<Roster>().applications().iter();
    applications.filter_map(|&it| world.get(it))
}

/// Why a workload ended early, if one did.
pub(super) fn workload_error(world: &World) -> Option<String> {
    let errors = services(world).filter_map(|it| it.0.workload_error());
    errors.map(ToString::to_string).next()
}

/// The requests that have not ended, each with the position of its application, by arrival.
pub(super) fn outstanding(world: &World) -> Vec<(usize, RequestRecord)> {
    let mut outstanding = Vec::new();
    for &entity in world.resource::<Roster>().applications() {
        let of = world.get::<Application>(entity);
        if let (Some(of), Some(service)) = (of, world.get::<Service>(entity)) {
            let left = service.0.outstanding().into_iter();
            outstanding.extend(left.map(|record| (of.index(), record)));
        }
    }
    outstanding.sort_by_key(|(index, record)| (record.arrival, *index));
    outstanding
}
