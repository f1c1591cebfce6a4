//! Servers as the Kubernetes cluster-autoscaler adds and removes them.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use super::add::add_server;
use super::moves::{Room, evacuate, movable, size};
use super::place::place_all;
use crate::fleet::{Clock, Hosts, Ledger, Roster, ScalingExt, Server, ServerStatus, Twins};
use crate::scenario::{self, ServerScaling};
use crate::time::{SimDuration, SimTime};

/// What the cluster-autoscaler of a fleet remembers. On the entity of a fleet whose pool has one.
///
/// It follows the FAQ of kubernetes/autoscaler, commit 55c37cd5: servers are added for instances that wait, at the
/// next look; a SKU of which none can be had is left alone for a while; a server goes when it was little used, and
/// its instances had a place elsewhere, for ten minutes without an addition. Empty ones go together, others one
/// at a time. Evictions always succeed here, so that the delay after a failure to remove has no counterpart.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ClusterAutoscaler {
    /// Servers that are not needed, since when.
    unneeded: BTreeMap<Entity, SimTime>,
    /// When a server was last added.
    added: Option<SimTime>,
    /// By the position of the SKU.
    backoffs: BTreeMap<usize, Backoff>,
    /// The server whose instances drain.
    leaving: Option<Entity>,
}

/// A SKU of which a server could not be had.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Backoff {
    failed: SimTime,
    length: SimDuration,
}

/// The parameters of [`ServerScaling::ClusterAutoscaler`].
struct Rules {
    utilization_threshold: f64,
    unneeded_time: SimDuration,
    delay_after_add: SimDuration,
    max_provision_time: SimDuration,
    initial_backoff: SimDuration,
    max_backoff: SimDuration,
    backoff_reset: SimDuration,
    max_empty_removals: u32,
    termination: SimDuration,
    min_servers: u32,
}

impl ClusterAutoscaler {
    /// Becomes that of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        let unneeded = std::mem::take(&mut self.unneeded).into_iter();
        let unneeded = unneeded.filter_map(|(server, since)| Some((twins.of(server)?, since)));
        self.unneeded = unneeded.collect();
        self.leaving = self.leaving.and_then(|it| twins.of(it));
    }

    /// A server of a SKU could not be had.
    fn fail(&mut self, rules: &Rules, sku: usize, now: SimTime) {
        let before = self.backoffs.get(&sku);
        let before = before.filter(|it| now < it.failed + rules.backoff_reset);
        let length = match before {
            // Several failures at once are one.
            Some(it) if it.failed == now => it.length,
            Some(it) => (it.length * 2.0).min(rules.max_backoff),
            None => rules.initial_backoff,
        };
        self.backoffs.insert(
            sku,
            Backoff {
                failed: now,
                length,
            },
        );
    }

    fn is_barred(&self, sku: usize, now: SimTime) -> bool {
        let backoff = self.backoffs.get(&sku);
        backoff.is_some_and(|it| now < it.failed + it.length)
    }
}

/// One look at a fleet.
pub(super) fn look(world: &mut World, fleet: Entity, settings: &scenario::Pool) {
    let Some(rules) = rules(settings) else {
        return;
    };
    let now = world.resource::<Clock>().now();
    let state = world.entity_mut(fleet).take::<ClusterAutoscaler>();
    let mut state = state.unwrap_or_default();
    give_up_late_servers(world, fleet, &rules, &mut state, now);
    place_all(world, fleet, settings, |world, it| {
        let (barred, mut failed) = (state.clone(), Vec::new());
        let barred = |sku| barred.is_barred(sku, now);
        let has = add_server(world, it, barred, |sku| failed.push(sku));
        failed
            .into_iter()
            .for_each(|sku| state.fail(&rules, sku, now));
        if has {
            state.added = Some(now);
        }
        has
    });
    find_unneeded(world, fleet, &rules, &mut state, now);
    let rests = state
        .added
        .is_some_and(|at| now < at + rules.delay_after_add);
    if !rests {
        remove_unneeded(world, fleet, &rules, &mut state, now);
    }
    world.entity_mut(fleet).insert(state);
    place_all(world, fleet, settings, |_, _| false);
}

fn rules(settings: &scenario::Pool) -> Option<Rules> {
    let ServerScaling::ClusterAutoscaler {
        scan_interval: _,
        utilization_threshold,
        unneeded_time,
        delay_after_add,
        max_provision_time,
        initial_backoff,
        max_backoff,
        backoff_reset,
        max_empty_removals,
        termination,
        min_servers,
    } = settings.servers
    else {
        return None;
    };
    Some(Rules {
        utilization_threshold,
        unneeded_time,
        delay_after_add,
        max_provision_time,
        initial_backoff,
        max_backoff,
        backoff_reset,
        max_empty_removals,
        termination,
        min_servers,
    })
}

/// Servers that are still not there after the time that they may take are given up; their instances wait again.
fn give_up_late_servers(
    world: &mut World,
    fleet: Entity,
    rules: &Rules,
    state: &mut ClusterAutoscaler,
    now: SimTime,
) {
    let (Some(roster), Some(ledger)) = (world.get::<Roster>(fleet), world.get::<Ledger>(fleet))
    else {
        return;
    };
    let late = |server: &Entity| {
        let number = world.get::<Server>(*server).map(Server::number);
        let account = number.and_then(|it| ledger.servers().get(usize::try_from(it).ok()?));
        let provisioned = world.get(*server) == Some(&ServerStatus::ScalingUp);
        provisioned && account.is_some_and(|it| now >= it.created + rules.max_provision_time)
    };
    let late: Vec<Entity> = roster.servers().filter(late).collect();
    for server in late {
        if let Some((sku, _)) = size(world, server) {
            state.fail(rules, sku, now);
        }
        evacuate(world, server, Some(SimDuration::ZERO));
    }
}

/// Finds the servers that are little used and whose instances fit elsewhere, all of them at once.
fn find_unneeded(
    world: &mut World,
    fleet: Entity,
    rules: &Rules,
    state: &mut ClusterAutoscaler,
    now: SimTime,
) {
    let mut room = Room::of(world, fleet);
    let used = |(server, _, free): (Entity, usize, u32)| {
        let (_, all) = size(world, server)?;
        let used = all.saturating_sub(free);
        let little = f64::from(used) < rules.utilization_threshold * f64::from(all);
        (little || used == 0).then_some((used, server))
    };
    let mut candidates: Vec<(u32, Entity)> = room.servers().filter_map(used).collect();
    // In the order of use; of equals the first by number.
    candidates.sort_by_key(|it| it.0);
    let (mut needed, mut unneeded) = (BTreeSet::new(), BTreeMap::new());
    for (_, server) in candidates {
        let Some(moves) = movable(world, server).filter(|_| !needed.contains(&server)) else {
            continue;
        };
        let mut tried = room.clone();
        tried.leave_out(server);
        let (destinations, left) = tried.take(world, &moves);
        if left.is_empty() {
            needed.extend(destinations);
            let since = state.unneeded.get(&server).copied();
            unneeded.insert(server, since.unwrap_or(now));
            room = tried;
        }
    }
    state.unneeded = unneeded;
}

/// Removes servers that were not needed for long enough: the empty ones together, or one of the others.
fn remove_unneeded(
    world: &mut World,
    fleet: Entity,
    rules: &Rules,
    state: &mut ClusterAutoscaler,
    now: SimTime,
) {
    let number = |server: &Entity| world.get::<Server>(*server).map(Server::number);
    let long = state
        .unneeded
        .iter()
        .filter(|it| now >= *it.1 + rules.unneeded_time);
    let mut long: Vec<Entity> = long.map(|it| *it.0).collect();
    long.sort_by_key(number);
    let spare = |world: &World, server: Entity| {
        let servers = size(world, server).zip(world.get::<Ledger>(fleet));
        let servers = servers.map_or(0, |((sku, _), ledger)| ledger.servers_of(sku).active);
        servers > rules.min_servers
    };
    let (empty, used): (Vec<Entity>, Vec<Entity>) = long
        .into_iter()
        .partition(|it| world.get::<Hosts>(*it).is_none_or(Hosts::is_empty));
    let mut removed = 0;
    for server in empty {
        if removed < rules.max_empty_removals
            && spare(world, server)
            && world.scale_down_server(server).is_ok()
        {
            removed += 1;
        }
    }
    let leaves = state
        .leaving
        .is_some_and(|it| world.get::<Server>(it).is_some());
    if removed > 0 || leaves {
        return;
    }
    if let Some(server) = used.into_iter().find(|it| spare(world, *it)) {
        state.leaving = Some(server);
        evacuate(world, server, Some(rules.termination));
    }
}
