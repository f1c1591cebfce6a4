use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::{
    Component, Entity, In, IntoScheduleConfigs, Mut, Query, Res, ResMut, Resource, Schedules,
    SystemSet, With, Without, World,
};
use bevy_ecs::relationship::Relationship;
use serde::{Deserialize, Serialize};

use super::{ApplicationStatistics, Felt, InstanceSample, KvUsage, Sample};
use crate::fleet::{
    Agenda, Application, Clock, EngineHandle, Fleet, FleetSystems, FleetsExt, HostedOn, Instance,
    InstanceRole, InstanceStatus, Instances, OfFleet, Parts, Retention, Service, Templates, Tick,
    TickSet, something_may_break,
};
use crate::scenario::Objective;
use crate::serving::vllm::StepRow;
use crate::serving::{BatchRun, EngineLoad, RequestRecord, Role};
use crate::time::{SimDuration, SimTime};

/// What ended and what was sampled since the last time that somebody took it, in order.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rows {
    /// Requests that ended, with the position of their application, in the order of ending.
    pub requests: Vec<(usize, RequestRecord)>,
    /// Samples, in the order of (time, application, role).
    pub samples: Vec<Sample>,
    /// Runs of batches that ended, in the order of (end, instance); only where they are recorded.
    pub runs: Vec<BatchRun>,
    /// What each instance that had joined held at each sample, in the order of (time, application, role,
    /// instance); only where it is recorded.
    pub instances: Vec<InstanceSample>,
    /// Steps that ended, with the numbers of their instances; only where they are recorded.
    pub steps: Vec<(u64, StepRow)>,
}

/// The statistics of an application's requests.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
pub struct Recorded(pub ApplicationStatistics);

/// Samples an application every so often.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sampler {
    interval: SimDuration,
    /// Samples that were due so far.
    due: u32,
    last: Option<SimTime>,
    roles: Vec<SampledRole>,
    /// Over all samples.
    pub(crate) kv_usage: KvUsage,
    /// Whether each instance is sampled, too.
    pub(crate) instances: bool,
}

/// What the instances of a role had done by the last sample and by the one before.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct SampledRole {
    role: Role,
    last: EngineLoad,
}

/// Records every application's requests and samples: adds the systems to `Observe`, once, and the
/// components to the applications that have none. `objectives` has that of each by position.
pub fn install(world: &mut World, objectives: &[Objective], sample_interval: SimDuration) {
    let first = !world.contains_resource::<DueSamples>();
    world.init_resource::<DueSamples>();
    for fleet in world.fleets().to_vec() {
        if world.get::<Rows>(fleet).is_none() {
            world.entity_mut(fleet).insert(Rows::default());
        }
    }
    let now = world.resource::<Clock>().now();
    let mut applications = world
        .query_filtered::<(Entity, &Application, &Templates), (Without<Recorded>, Without<Sampler>)>();
    let found: Vec<_> = applications
        .iter(world)
        .map(|(entity, application, templates)| {
            let role = |role| SampledRole {
                role,
                last: EngineLoad::default(),
            };
            (
                entity,
                application.index(),
                templates.roles().map(role).collect(),
            )
        })
        .collect();
    for (entity, index, roles) in found {
        let objective = objectives.get(index).copied().unwrap_or_default();
        let sampler = Sampler {
            interval: sample_interval,
            due: (now.seconds() / sample_interval.seconds()) as u32,
            last: None,
            roles,
            kv_usage: KvUsage::default(),
            instances: false,
        };
        world
            .entity_mut(entity)
            .insert((Recorded(ApplicationStatistics::new(objective)), sampler));
        world
            .resource_mut::<Agenda>()
            .wake_for::<Sampling>(now, entity);
    }
    watch_recovery(world);
    if !first {
        return;
    }
    world
        .get_resource_or_init::<Parts>()
        .component::<Recorded>()
        .component::<Sampler>()
        .component::<Rows>()
        .purpose::<Sampling>()
        .purpose::<SamplingAgain>()
        .resource_with::<DueSamples>(|due, twins| {
            let applications = std::mem::take(&mut due.0).into_iter();
            let of_twin = |(index, entity)| Some((index, twins.of(entity)?));
            due.0 = applications.filter_map(of_twin).collect();
        })
        .systems::<Rows>(add_systems);
    add_systems(world);
}

/// Watches what comes of faults from now on, where they may come and nobody watches yet.
pub(crate) fn watch_recovery(world: &mut World) {
    let mut found = world.query_filtered::<(Entity, &Sampler), With<Recorded>>();
    let found = found.iter(world).map(|(entity, it)| (entity, it.interval));
    for (entity, interval) in found.collect::<Vec<_>>() {
        let fleet = world.fleet_of(entity);
        let breaks = fleet.is_some_and(|it| something_may_break(world, it));
        if let Some(mut recorded) = world.get_mut::<Recorded>(entity).filter(|_| breaks) {
            recorded.0.watch(interval);
        }
    }
}

fn add_systems(world: &mut World) {
    let record = (
        collect.in_set(ObserveSet::Collect),
        sample.in_set(ObserveSet::Sample),
    );
    let systems = (
        forget.in_set(TickSet::Serve),
        record.chain().in_set(TickSet::Observe),
    );
    let mut schedules = world.get_resource_or_init::<Schedules>();
    schedules.add_systems(Tick, systems.in_set(FleetSystems));
}

/// Drops the rows of the tick before, where they are kept no longer.
fn forget(retention: Res<'_, Retention>, mut fleets: Query<'_, '_, &mut Rows>) {
    if *retention == Retention::OneTick {
        for mut rows in &mut fleets {
            *rows = Rows::default();
        }
    }
}

/// Takes what ended in this tick from every endpoint, in the order of ending.
fn collect(
    mut applications: Query<'_, '_, (&Application, &OfFleet, &mut Service, &mut Recorded)>,
    mut fleets: Query<'_, '_, (Entity, &mut Rows)>,
    mut regions: Query<'_, '_, (&Fleet, &mut Felt)>,
) {
    let mut ended = Vec::new();
    for (fleet, mut rows) in &mut fleets {
        let before = rows.requests.len();
        let of_fleet = applications.iter_mut().filter(|it| it.1.fleet() == fleet);
        let recorded = of_fleet.map(|(it, _, service, statistics)| (it, service, statistics));
        collect_from(recorded, &mut rows);
        if let Ok((of, _)) = regions.get(fleet) {
            let records = rows.requests[before..].iter();
            ended.extend(records.map(|(index, it)| (of.number(), *index, it.clone())));
        }
    }
    // In one order, however time is cut into ticks.
    ended.sort_by_key(|(fleet, index, it)| (it.end.unwrap_or(it.arrival), *fleet, *index));
    tell_regions(&ended, &mut regions);
}

/// Adds what ended to what the users of regions felt.
fn tell_regions(
    ended: &[(u32, usize, RequestRecord)],
    regions: &mut Query<'_, '_, (&Fleet, &mut Felt)>,
) {
    for (_, application, record) in ended {
        let Some(journey) = record.journey() else {
            continue;
        };
        let mut regions = regions.iter_mut();
        let region = regions.find(|(fleet, _)| fleet.number() == journey.region);
        if let Some((_, mut felt)) = region
            && let Some(statistics) = felt.0.get_mut(*application)
        {
            statistics.record(record);
        }
    }
}

/// Lets each fleet keep what the users of its region felt.
pub(crate) fn keep_felt(world: &mut World, fleet: Entity, objectives: &[Objective]) {
    let statistics = objectives.iter().copied().map(ApplicationStatistics::new);
    let felt = Felt(statistics.collect());
    world.entity_mut(fleet).insert(felt);
    world.get_resource_or_init::<Parts>().component::<Felt>();
}

/// Takes what ended from the endpoints of a fleet.
fn collect_from<'a>(
    applications: impl Iterator<Item = (&'a Application, Mut<'a, Service>, Mut<'a, Recorded>)>,
    rows: &mut Rows,
) {
    let before = rows.requests.len();
    let runs_before = rows.runs.len();
    let mut contributors = 0;
    for (application, mut service, mut statistics) in applications {
        if service.0.records_steps() {
            rows.steps.extend(service.0.take_steps());
        }
        if service.0.has_runs() {
            rows.runs.extend(service.0.take_runs());
        }
        if !service.0.has_ended() {
            continue;
        }
        contributors += 1;
        for record in service.0.take_ended() {
            statistics.0.record(&record);
            rows.requests.push((application.index(), record));
        }
    }
    rows.runs[runs_before..].sort_by_key(|run| (run.end, run.instance));
    if contributors > 1 {
        let ended = |record: &RequestRecord| record.end.unwrap_or(record.arrival);
        rows.requests[before..].sort_by_key(|(index, record)| (ended(record), *index));
    }
}

type Sampled = (
    &'static OfFleet,
    &'static Application,
    &'static Service,
    Option<&'static Instances>,
    &'static mut Sampler,
);
type Member = (
    &'static Instance,
    &'static InstanceRole,
    &'static InstanceStatus,
    &'static HostedOn,
    Option<&'static EngineHandle>,
);

/// Within [`TickSet::Observe`], in order. A recorder of a host's that looks at
/// [`Endpoint::ended`](crate::serving::Endpoint::ended) comes before [`Self::Collect`].
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObserveSet {
    /// The records of requests that ended are taken from the endpoints into [`Rows`].
    Collect,
    /// Samples are taken.
    Sample,
}

/// The purpose for which the application is woken.
struct Sampling;

/// The purpose for which an application is woken whose sample waits for what endpoints do at its instant.
struct SamplingAgain;

/// Applications whose sample is due at this instant, by the number of the fleet and the position in its scenario.
#[derive(Resource, Clone, Debug, Default, Serialize, Deserialize)]
struct DueSamples(BTreeMap<(u32, usize), Entity>);

/// Samples the applications that are due, in the last tick of their instant: a row is the state at the end
/// of it.
fn sample(
    clock: Res<'_, Clock>,
    mut agenda: ResMut<'_, Agenda>,
    mut applications: Query<'_, '_, Sampled>,
    instances: Query<'_, '_, Member>,
    (mut fleets, mut due): (Query<'_, '_, (&Fleet, &mut Rows)>, ResMut<'_, DueSamples>),
) {
    for entity in agenda.awake_for::<Sampling>().collect::<Vec<_>>() {
        let Ok((of, application, .., mut sampler)) = applications.get_mut(entity) else {
            continue;
        };
        let Ok((fleet, _)) = fleets.get(of.fleet()) else {
            continue;
        };
        due.0.insert((fleet.number(), application.index()), entity);
        sampler.due += 1;
        let next = SimTime::ZERO + sampler.interval * f64::from(sampler.due);
        agenda.wake_for::<Sampling>(next, entity);
    }
    if due.0.is_empty() {
        return;
    }
    let now = clock.now();
    let served = applications
        .iter()
        .filter_map(|(_, _, service, ..)| service.0.next_event());
    let more_is_served = served.min().is_some_and(|next| next <= now);
    if more_is_served && let Some((_, &entity)) = due.0.first_key_value() {
        // The endpoints alone would not have another tick at this instant.
        agenda.wake_for::<SamplingAgain>(now, entity);
    }
    if agenda.next_due() <= now {
        return;
    }
    for (_, entity) in std::mem::take(&mut due.0) {
        if let Ok((of, application, service, members, mut sampler)) = applications.get_mut(entity)
            && let Ok((_, mut rows)) = fleets.get_mut(of.fleet())
        {
            sampler.take(now, application, service, members, &instances, &mut rows);
        }
    }
}

/// Samples every application at the end of a run, unless that was done.
pub(crate) fn sample_end(
    In(end): In<SimTime>,
    mut applications: Query<'_, '_, Sampled>,
    instances: Query<'_, '_, Member>,
    mut fleets: Query<'_, '_, &mut Rows>,
) {
    let mut sampled: Vec<_> = applications.iter_mut().collect();
    sampled.sort_by_key(|(_, application, ..)| application.index());
    for (of, application, service, members, mut sampler) in sampled {
        if sampler.last < Some(end)
            && let Ok(mut rows) = fleets.get_mut(of.fleet())
        {
            sampler.take(end, application, service, members, &instances, &mut rows);
        }
    }
}

impl Sampler {
    fn take(
        &mut self,
        at: SimTime,
        application: &Application,
        service: &Service,
        members: Option<&Instances>,
        instances: &Query<'_, '_, Member>,
        rows: &mut Rows,
    ) {
        let passed = self
            .last
            .map_or(SimDuration::ZERO, |last| at - last)
            .seconds();
        let rate = |tokens: u64| {
            if passed > 0.0 {
                tokens as f64 / passed
            } else {
                0.0
            }
        };
        for sampled in &mut self.roles {
            let (role, before) = (sampled.role, sampled.last);
            let mut row = Sample {
                time: at,
                application: application.name().clone(),
                role,
                scaling_up: 0,
                active: 0,
                draining: 0,
                servers: 0,
                waiting: service.0.counts().waiting,
                queued: 0,
                running: 0,
                prompt_tokens_per_s: 0.0,
                output_tokens_per_s: 0.0,
                utilisation: 0.0,
                memory_used_bytes: 0,
                memory_bytes: None,
                kv_used_bytes: 0,
                kv_bytes: None,
                prefix_queries: 0,
                prefix_hits: 0,
                prefix_hit_rate: None,
                preemptions: 0,
            };
            let mut now = service.0.departed(role);
            let mut servers = BTreeSet::new();
            let mut weights = 0;
            for (instance, of_role, status, server, engine) in members
                .into_iter()
                .flat_map(Instances::iter)
                .flat_map(|i| instances.get(i))
            {
                if of_role.role() != role {
                    continue;
                }
                match status {
                    InstanceStatus::ScalingUp => row.scaling_up += 1,
                    InstanceStatus::Active => row.active += 1,
                    InstanceStatus::Draining => row.draining += 1,
                    InstanceStatus::ScalingDown => {}
                }
                servers.insert(server.get());
                if let Some(engine) = engine {
                    let load = service.0.load(engine.engine(), at);
                    let own_weights = service.0.weights_bytes();
                    now += load;
                    weights += own_weights;
                    if self.instances {
                        rows.instances.push(InstanceSample {
                            time: at,
                            instance: instance.number(),
                            application: application.index(),
                            role,
                            queued: load.queued,
                            running: load.running,
                            kv_used_bytes: load.memory_used.saturating_sub(own_weights),
                            kv_bytes: (load.memory < u64::MAX)
                                .then(|| load.memory.saturating_sub(own_weights)),
                            prompt_tokens: load.prompt_tokens,
                            output_tokens: load.output_tokens,
                            prefix_queries: load.queried_tokens,
                            prefix_hits: load.hit_tokens,
                            preemptions: load.preemptions,
                        });
                    }
                }
            }
            row.servers = u32::try_from(servers.len()).unwrap_or(u32::MAX);
            row.queued = now.queued;
            row.running = now.running;
            row.memory_used_bytes = now.memory_used;
            row.memory_bytes = (now.memory < u64::MAX).then_some(now.memory);
            row.kv_used_bytes = now.memory_used.saturating_sub(weights);
            row.kv_bytes = row.memory_bytes.map(|it| it.saturating_sub(weights));
            row.prefix_queries = now.queried_tokens;
            row.prefix_hits = now.hit_tokens;
            row.preemptions = now.preemptions;
            let queries = now.queried_tokens - before.queried_tokens;
            let hits = now.hit_tokens - before.hit_tokens;
            row.prefix_hit_rate = (queries > 0).then(|| hits as f64 / queries as f64);
            row.prompt_tokens_per_s = rate(now.prompt_tokens - before.prompt_tokens);
            row.output_tokens_per_s = rate(now.output_tokens - before.output_tokens);
            let busy = |load: &EngineLoad| load.prompt_busy_s + load.token_busy_s;
            let up = now.up_s - before.up_s;
            row.utilisation = if up > 0.0 {
                ((busy(&now) - busy(&before)) / up).clamp(0.0, 1.0)
            } else {
                0.0
            };
            sampled.last = now;
            self.kv_usage.record(&row);
            rows.samples.push(row);
        }
        self.last = Some(at);
    }
}
