//! Start-ups in stages: from the server being there until the instance joins.

use std::sync::Arc;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::world::{DeferredWorld, World};
use serde::{Deserialize, Serialize};

use crate::catalog::GIB;
use crate::random::Delay;
use crate::scenario::{Stage, StageKind, WeightSource};
use crate::serving::Performance;
use crate::time::{SimDuration, SimTime};

use super::attempt::StartUpAttempt;
use super::cache::{self, Item, Starter};
use super::fate::Stop;
use super::fleet_part::{part, part_mut};
use super::loads::{Link, Loads, Source};
use super::log::record;
use super::stage_times::{StageTimes, Stay};
use super::{
    Agenda, Application, Clock, FleetsExt, FromTemplate, HostedOn, Instance, OfApplication,
    OfFleet, Roster, ScalingAction, ScalingRules, Server, ServerCache, ServerSku, StartUp, Target,
    Templates, guard,
};

/// The stage that an instance's start-up is in. Only applications with `stages` have it.
///
/// To end the stages by hand, replace the [`StartUp`].
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    storage = "SparseSet",
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>,
    on_despawn = abandoned
)]
pub struct StartUpStage {
    kind: StageKind,
    since: SimTime,
    ends: SimTime,
    cached: bool,
}

impl StartUpStage {
    /// What kind of stage.
    #[must_use]
    pub const fn kind(&self) -> StageKind {
        self.kind
    }

    /// Since when.
    #[must_use]
    pub const fn since(&self) -> SimTime {
        self.since
    }

    /// When it ends; [`SimTime::MAX`] while it loads, for as long as that takes.
    #[must_use]
    pub const fn ends(&self) -> SimTime {
        self.ends
    }

    /// Whether it is as short as it is because something is on the server already.
    #[must_use]
    pub const fn is_cached(&self) -> bool {
        self.cached
    }
}

/// What is to come of a start-up.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
#[component(storage = "SparseSet")]
pub(super) struct ToCome {
    stages: Arc<[Stage]>,
    /// The position of the next.
    next: usize,
    /// The instance is not active before.
    earliest: SimTime,
    /// Where it comes to nothing.
    stop: Option<Stop>,
}

/// How a stage begins.
enum Beginning {
    /// There is nothing to do.
    Passed,
    /// It is not for this start-up.
    Skipped,
    /// It ends at an instant that is known.
    Until(SimTime, bool),
    /// It ends when this many bytes have come.
    Loading(Link, u64, Option<Item>),
}

/// Begins a start-up in stages, if its application has some: once its server is `ready` and the instance has spun
/// up, the first stage begins. One that comes to nothing stops there. Returns the timer of the start-up.
pub(super) fn begin(
    world: &mut World,
    instance: Entity,
    application: Entity,
    ready: SimTime,
    stop: Option<Stop>,
) -> Option<StartUp> {
    let mut rules = world.get_mut::<ScalingRules>(application)?;
    let joins = ready + rules.draw_spin_up();
    let earliest = ready + rules.scale_up_delay;
    let stages = rules.stages();
    if stages.is_empty() {
        return Some(StartUp {
            joins,
            activates: joins.max(earliest),
        });
    }
    if world.get::<StageTimes>(application).is_none() {
        world.entity_mut(application).insert(StageTimes::default());
    }
    let now = world.resource::<Clock>().now();
    let to_come = ToCome {
        stages,
        next: 0,
        earliest,
        stop,
    };
    let stage = StartUpStage {
        kind: StageKind::Allocate,
        since: now,
        ends: joins,
        cached: false,
    };
    guard::work(world, |world| {
        if let Ok(mut entity) = world.get_entity_mut(instance) {
            entity.insert((to_come, stage));
        }
    });
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.lifecycle.set::<StartUpStage>(joins, instance);
    Some(StartUp {
        joins: SimTime::MAX,
        activates: SimTime::MAX,
    })
}

/// The stage of an instance has taken its time.
pub(super) fn end(world: &mut World, instance: Entity, at: SimTime) {
    let Some(&stage) = world.get::<StartUpStage>(instance) else {
        return;
    };
    if let Some(stop) = stops_in(world, instance, stage.kind) {
        come_to_nothing(world, instance, stop, stage, at);
        return;
    }
    let left = left_behind(world, instance);
    if let (Some(item), Some(&HostedOn(server))) = (left, world.get(instance))
        && let Some(mut cache) = cache::on(world, server)
    {
        cache.add(item);
    }
    let stay = Stay::ended(at - stage.since, stage.cached);
    note(world, instance, stage.kind, stay);
    go_on(world, instance, at);
}

/// Whether an attempt stops in the stage that it is in.
fn stops_in(world: &World, instance: Entity, kind: StageKind) -> Option<Stop> {
    let of_server = [StageKind::Allocate, StageKind::Provision, StageKind::Boot];
    let to_come = world.get::<ToCome>(instance)?;
    let stop = to_come.stop.filter(|_| !of_server.contains(&kind))?;
    (to_come.next > stop.place).then_some(stop)
}

/// An attempt fails, or hangs in the stage that it is in.
fn come_to_nothing(
    world: &mut World,
    instance: Entity,
    stop: Stop,
    stage: StartUpStage,
    at: SimTime,
) {
    if !stop.hangs {
        StartUpAttempt::fail(world, instance, at);
        return;
    }
    let stage = StartUpStage {
        ends: SimTime::MAX,
        ..stage
    };
    guard::work(world, |world| {
        if let Ok(mut entity) = world.get_entity_mut(instance) {
            entity.insert(stage);
        }
    });
}

/// The first load of the link that an instance waits at has ended.
pub(super) fn end_loads(world: &mut World, instance: Entity, at: SimTime) {
    let (Some(&Instance { number }), Some(fleet)) = (world.get(instance), world.fleet_of(instance))
    else {
        return;
    };
    let mut loads = part_mut::<Loads>(world, fleet);
    let Some(link) = loads.link_of(number) else {
        return;
    };
    let ended = loads.end_due(link, at);
    arm(&mut world.into(), fleet, link);
    for number in ended {
        if let Some(instance) = part::<Roster>(world, fleet).instance(number) {
            end(world, instance, at);
        }
    }
}

/// Begins the next stage that takes time, or ends the start-up.
fn go_on(world: &mut World, instance: Entity, at: SimTime) {
    loop {
        let Some(mut to_come) = world.get_mut::<ToCome>(instance) else {
            return;
        };
        let Some(stage) = to_come.stages.get(to_come.next).cloned() else {
            complete(world, instance, at);
            return;
        };
        to_come.next += 1;
        let Some(kind) = stage.kind() else {
            continue;
        };
        let (ends, cached) = match beginning(world, instance, &stage, at) {
            None | Some(Beginning::Skipped) => continue,
            Some(Beginning::Passed) => {
                note(world, instance, kind, Stay::PASSED);
                continue;
            }
            Some(Beginning::Until(ends, cached)) => {
                let mut agenda = world.resource_mut::<Agenda>();
                agenda.lifecycle.set::<StartUpStage>(ends, instance);
                (ends, cached)
            }
            Some(Beginning::Loading(link, bytes, item)) => {
                wait_for(world, instance, link, bytes, item, at);
                (SimTime::MAX, false)
            }
        };
        let stage = StartUpStage {
            kind,
            since: at,
            ends,
            cached,
        };
        guard::work(world, |world| {
            if let Ok(mut entity) = world.get_entity_mut(instance) {
                entity.insert(stage);
            }
        });
        log(world, instance, kind, at);
        return;
    }
}

/// How a stage begins at an instant.
fn beginning(world: &mut World, instance: Entity, stage: &Stage, at: SimTime) -> Option<Beginning> {
    let starter = starter(world, instance)?;
    let &OfApplication(application) = world.get(instance)?;
    let &HostedOn(server) = world.get(instance)?;
    let &Server { number } = world.get(server)?;
    let item = cache::item(stage, &starter);
    let there = world.get::<ServerCache>(server);
    let cached = item.as_ref().zip(there).is_some_and(|(it, on)| on.has(it));
    let bytes_of_model = world.get::<Templates>(application)?.weights_bytes();
    let performance = performance(world, instance, application, server);
    let mut draw = |delay: &Delay| {
        let mut rules = world.get_mut::<ScalingRules>(application)?;
        Some(at + rules.draw_stage(delay))
    };
    let again = |cached: &Option<Delay>, otherwise: Delay| cached.unwrap_or(otherwise);
    Some(match stage {
        Stage::Preset(_) => Beginning::Skipped,
        Stage::WarmUp(delay) => Beginning::Until(draw(delay)?, false),
        Stage::WarmUpRequests {
            requests,
            prompt_tokens,
            output_tokens,
        } => {
            let one = performance?.request_alone(*prompt_tokens, *output_tokens);
            let all = SimDuration::saturating(one * f64::from(*requests));
            Beginning::Until(at + all, false)
        }
        Stage::StartEngine {
            time,
            cached: later,
        }
        | Stage::CaptureGraphs {
            time,
            cached: later,
        } => {
            let delay = if cached { again(later, *time) } else { *time };
            Beginning::Until(draw(&delay)?, cached)
        }
        Stage::Compile {
            time,
            cached: later,
        } => match (cached, again(later, Delay::ZERO)) {
            (true, Delay::ZERO) => Beginning::Passed,
            (true, delay) => Beginning::Until(draw(&delay)?, true),
            (false, _) => Beginning::Until(draw(time)?, false),
        },
        _ if cached => Beginning::Passed,
        Stage::Provision(delay) | Stage::Boot(delay) => {
            let item = item?;
            let under_way = world
                .get::<ServerCache>(server)
                .and_then(|it| it.until(&item));
            match under_way {
                Some(until) if until <= at => Beginning::Passed,
                Some(until) => Beginning::Until(until, true),
                None => {
                    let mut rules = world.get_mut::<ScalingRules>(application)?;
                    let until = at + rules.draw_stage(delay);
                    cache::on(world, server)?.begin(item, until);
                    Beginning::Until(until, false)
                }
            }
        }
        Stage::PullImage {
            bytes,
            bandwidth_gib_per_s,
            each_gib_per_s,
            ..
        } => {
            let link = link(Source::Registry, *bandwidth_gib_per_s, *each_gib_per_s);
            Beginning::Loading(link, *bytes, item)
        }
        Stage::LoadWeights {
            source,
            bandwidth_gib_per_s,
            each_gib_per_s,
        } => {
            let source = match source {
                WeightSource::Remote => Source::Store,
                WeightSource::Disk => Source::Disk(number),
                WeightSource::Peer => match peer(world, server, number, item.as_ref()?) {
                    Some(peer) => Source::Peer(peer),
                    None => return Some(Beginning::Skipped),
                },
            };
            let link = link(source, *bandwidth_gib_per_s, *each_gib_per_s);
            Beginning::Loading(link, bytes_of_model, item)
        }
    })
}

/// The step times of an instance, at its own pace.
fn performance(
    world: &World,
    instance: Entity,
    application: Entity,
    server: Entity,
) -> Option<Performance> {
    let &FromTemplate(template) = world.get(instance)?;
    let sku = world.get::<ServerSku>(server)?.position();
    let template = world.get::<Templates>(application)?.find(template)?;
    Some(template.on(sku).ok()?.performance.clone())
}

fn link(source: Source, all_gib_per_s: f64, each_gib_per_s: Option<f64>) -> Link {
    let each = each_gib_per_s.map_or(f64::INFINITY, |each| each * GIB);
    Link::new(source, all_gib_per_s * GIB, each)
}

/// Another server that has something: the one from which the fewest load, the first of these.
fn peer(world: &World, server: Entity, own: u64, item: &Item) -> Option<u64> {
    let fleet = world.fleet_of(server)?;
    let loads = world.get::<Loads>(fleet)?;
    let servers = world.get::<Roster>(fleet)?.servers();
    let having = servers.filter_map(|it| {
        let &Server { number } = world.get(it)?;
        (number != own && world.get::<ServerCache>(it)?.has(item)).then_some(number)
    });
    having.min_by_key(|&number| (loads.loading_from(number), number))
}

fn wait_for(
    world: &mut World,
    instance: Entity,
    link: Link,
    bytes: u64,
    item: Option<Item>,
    at: SimTime,
) {
    let server = world.get::<HostedOn>(instance).map(HostedOn::server);
    let server = server.and_then(|server| world.get::<Server>(server));
    let (Some(&Server { number: server }), Some(&Instance { number }), Some(fleet)) =
        (server, world.get(instance), world.fleet_of(instance))
    else {
        return;
    };
    let onto = item.map(|item| (server, item));
    let mut loads = part_mut::<Loads>(world, fleet);
    let link = loads.join(link, bytes, onto, number, at);
    arm(&mut world.into(), fleet, link);
}

/// Sets the timer of a link's first end.
fn arm(world: &mut DeferredWorld<'_>, fleet: Entity, link: Link) {
    let Some(mut loads) = world.get_mut::<Loads>(fleet) else {
        return;
    };
    let (before, next) = loads.arm(link);
    let find = |world: &World, number| world.get::<Roster>(fleet)?.instance(number);
    let before = before.and_then(|number| find(world, number));
    if let Some(instance) = before {
        world
            .resource_mut::<Agenda>()
            .lifecycle
            .clear::<Loads>(instance);
    }
    let next = next.and_then(|(ends, number)| Some((ends, find(world, number)?)));
    if let Some((ends, instance)) = next {
        let mut agenda = world.resource_mut::<Agenda>();
        agenda.lifecycle.set::<Loads>(ends, instance);
    }
}

/// Every stage is over: the instance joins.
fn complete(world: &mut World, instance: Entity, at: SimTime) {
    let Some(to_come) = world.get::<ToCome>(instance) else {
        return;
    };
    let earliest = to_come.earliest;
    if let (Some(stop), Some(&stage)) = (to_come.stop, world.get::<StartUpStage>(instance)) {
        let stage = StartUpStage { since: at, ..stage };
        come_to_nothing(world, instance, stop, stage, at);
        return;
    }
    guard::work(world, |world| {
        world
            .entity_mut(instance)
            .remove::<(ToCome, StartUpStage, StartUpAttempt)>();
    });
    // A host may have set other instants.
    let waits = world.get::<StartUp>(instance);
    if waits.is_some_and(|it| it.joins == SimTime::MAX) {
        world.entity_mut(instance).insert(StartUp {
            joins: at,
            activates: at.max(earliest),
        });
    }
}

/// Ends the stages of an instance that is up before they are over.
pub(super) fn cut_short(world: &mut World, instance: Entity) {
    if world.get::<StartUpStage>(instance).is_some() {
        give_up(&mut world.into(), instance);
        guard::work(world, |world| {
            world
                .entity_mut(instance)
                .remove::<(ToCome, StartUpStage)>();
        });
    }
}

/// The hook on the despawning of an instance in a stage.
fn abandoned(mut world: DeferredWorld<'_>, context: HookContext) {
    let fleet = world.get::<OfFleet>(context.entity).map(OfFleet::fleet);
    if fleet.is_some_and(|it| world.get::<Roster>(it).is_some()) {
        give_up(&mut world, context.entity);
    }
}

fn give_up(world: &mut DeferredWorld<'_>, instance: Entity) {
    let (Some(&stage), Some(&Instance { number }), Some(&OfFleet(fleet))) = (
        world.get::<StartUpStage>(instance),
        world.get(instance),
        world.get(instance),
    ) else {
        return;
    };
    let now = world.resource::<Clock>().now();
    if let Some(&OfApplication(application)) = world.get(instance)
        && let Some(mut times) = world.get_mut::<StageTimes>(application)
    {
        times.note(stage.kind, Stay::ABANDONED);
    }
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.lifecycle.clear::<StartUpStage>(instance);
    agenda.lifecycle.clear::<Loads>(instance);
    let loads = world.get_mut::<Loads>(fleet);
    if let Some(link) = loads.and_then(|mut it| it.leave(number, now)) {
        arm(world, fleet, link);
    }
}

/// The hook on the despawning of a server with a cache: those that load from it go on elsewhere.
pub(super) fn source_lost(mut world: DeferredWorld<'_>, context: HookContext) {
    let (Some(&Server { number }), Some(&OfFleet(fleet))) =
        (world.get(context.entity), world.get(context.entity))
    else {
        return;
    };
    let now = world.resource::<Clock>().now();
    let Some(mut loads) = world.get_mut::<Loads>(fleet) else {
        return;
    };
    let cut = loads.cut_off(number, now).into_iter();
    let Some(roster) = world.get::<Roster>(fleet) else {
        return;
    };
    let cut: Vec<Entity> = cut.filter_map(|it| roster.instance(it)).collect();
    world.commands().queue(move |world: &mut World| {
        for instance in cut {
            let mut agenda = world.resource_mut::<Agenda>();
            agenda.lifecycle.clear::<Loads>(instance);
            if let Some(mut to_come) = world.get_mut::<ToCome>(instance) {
                to_come.next = to_come.next.saturating_sub(1);
                go_on(world, instance, now);
            }
        }
    });
}

/// What the stage that an instance is in leaves on its server.
fn left_behind(world: &World, instance: Entity) -> Option<Item> {
    let to_come = world.get::<ToCome>(instance)?;
    let stage = to_come.stages.get(to_come.next.checked_sub(1)?)?;
    cache::item(stage, &starter(world, instance)?)
}

fn starter(world: &World, instance: Entity) -> Option<Starter> {
    let &OfApplication(application) = world.get(instance)?;
    Some(Starter {
        application: world.get::<Application>(application)?.index(),
        template: world.get::<FromTemplate>(instance)?.0,
        model: Arc::clone(world.get::<Templates>(application)?.model()),
    })
}

fn note(world: &mut World, instance: Entity, kind: StageKind, stay: Stay) {
    let Some(&OfApplication(application)) = world.get(instance) else {
        return;
    };
    if let Some(mut times) = world.get_mut::<StageTimes>(application) {
        times.note(kind, stay);
    }
}

fn log(world: &mut World, instance: Entity, kind: StageKind, time: SimTime) {
    if let (Some(&Instance { number }), Some(fleet)) =
        (world.get(instance), world.fleet_of(instance))
    {
        let target = Target::Instance(number);
        let line = (ScalingAction::StartUpStage, target, kind.name());
        record(&mut world.into(), fleet, time, line);
    }
}
