//! Servers as the Kubernetes cluster-autoscaler adds and removes them.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use super::add::add_server;
use super::moves::{Room, evacuate, movable, size};
use super::place::place_all;
use crate::fleet::{Clock, Ledger, Roster, ScalingExt, Server, ServerStatus, Twins, is_empty};
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

/// For how long SKUs are left alone.
#[derive(Clone, Copy)]
struct BackoffRule {
    initial: SimDuration,
    most: SimDuration,
    reset: SimDuration,
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
    fn fail(&mut self, rule: BackoffRule, sku: usize, now: SimTime) {
        let before = self.backoffs.get(&sku);
        let before = before.filter(|it| now < it.failed + rule.reset);
        let length = match before {
            // Several failures at once are one.
            Some(it) if it.failed == now => it.length,
            Some(it) => (it.length * 2.0).min(rule.most),
            None => rule.initial,
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

    /// Finds the servers that are little used and whose instances fit elsewhere, all of them at once.
    fn find_unneeded(
        &mut self,
        world: &mut World,
        fleet: Entity,
        utilization_threshold: f64,
        now: SimTime,
    ) {
        let mut room = Room::of(world, fleet);
        let used = |(server, _, free): (Entity, usize, u32)| {
            let (_, all) = size(world, server)?;
            let used = all.saturating_sub(free);
            let little = f64::from(used) < utilization_threshold * f64::from(all);
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
                let since = self.unneeded.get(&server).copied();
                unneeded.insert(server, since.unwrap_or(now));
                room = tried;
            }
        }
        self.unneeded = unneeded;
    }

    /// The servers that were not needed for this time, by number.
    fn unneeded_for(&self, world: &World, time: SimDuration, now: SimTime) -> Vec<Entity> {
        let unneeded = self.unneeded.iter();
        let long = unneeded.filter(|(_, since)| now >= **since + time);
        let mut long: Vec<Entity> = long.map(|(server, _)| *server).collect();
        long.sort_by_key(|it| world.get::<Server>(*it).map(Server::number));
        long
    }

    /// Removes servers of those that can be spared: the empty ones together, or one of the others.
    fn remove(
        &mut self,
        world: &mut World,
        servers: Vec<Entity>,
        spare: impl Fn(&World, Entity) -> bool,
        most_empty: u32,
        termination: SimDuration,
    ) {
        let (empty, used): (Vec<Entity>, Vec<Entity>) =
            servers.into_iter().partition(|it| is_empty(world, *it));
        let mut removed = 0;
        for server in empty {
            if removed < most_empty
                && spare(world, server)
                && world.scale_down_server(server).is_ok()
            {
                removed += 1;
            }
        }
        let leaving = self.leaving.and_then(|it| world.get::<Server>(it));
        if removed > 0 || leaving.is_some() {
            return;
        }
        if let Some(server) = used.into_iter().find(|it| spare(world, *it)) {
            self.leaving = Some(server);
            evacuate(world, server, Some(termination));
        }
    }
}

/// One look at a fleet.
pub(super) fn look(world: &mut World, fleet: Entity, settings: &scenario::Pool) {
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
        return;
    };
    let backoff = BackoffRule {
        initial: initial_backoff,
        most: max_backoff,
        reset: backoff_reset,
    };
    let now = world.resource::<Clock>().now();
    let state = world.entity_mut(fleet).take::<ClusterAutoscaler>();
    let mut state = state.unwrap_or_default();
    for sku in give_up_late_servers(world, fleet, max_provision_time, now) {
        state.fail(backoff, sku, now);
    }
    place_all(world, fleet, settings, |world, it| {
        let mut failed = Vec::new();
        let barred = |sku| state.is_barred(sku, now);
        let has = add_server(world, it, barred, |sku| failed.push(sku));
        for sku in failed {
            state.fail(backoff, sku, now);
        }
        if has {
            state.added = Some(now);
        }
        has
    });
    state.find_unneeded(world, fleet, utilization_threshold, now);
    let rests = state.added.is_some_and(|at| now < at + delay_after_add);
    if !rests {
        let long = state.unneeded_for(world, unneeded_time, now);
        let spare = |world: &World, server: Entity| {
            let servers = size(world, server).zip(world.get::<Ledger>(fleet));
            let servers = servers.map_or(0, |((sku, _), ledger)| ledger.servers_of(sku).active);
            servers > min_servers
        };
        state.remove(world, long, spare, max_empty_removals, termination);
    }
    world.entity_mut(fleet).insert(state);
    place_all(world, fleet, settings, |_, _| false);
}

/// Servers that are still not there after the time that they may take are given up; their instances wait again.
/// Returns their SKUs.
fn give_up_late_servers(
    world: &mut World,
    fleet: Entity,
    max_provision_time: SimDuration,
    now: SimTime,
) -> Vec<usize> {
    let (Some(roster), Some(ledger)) = (world.get::<Roster>(fleet), world.get::<Ledger>(fleet))
    else {
        return Vec::new();
    };
    let late = |server: &Entity| {
        let number = world.get::<Server>(*server).map(Server::number);
        let account = number.and_then(|it| ledger.servers().get(usize::try_from(it).ok()?));
        let provisioned = world.get(*server) == Some(&ServerStatus::ScalingUp);
        provisioned && account.is_some_and(|it| now >= it.created + max_provision_time)
    };
    let late: Vec<Entity> = roster.servers().filter(late).collect();
    let skus = late.iter().filter_map(|it| size(world, *it));
    let skus = skus.map(|(sku, _)| sku).collect();
    for server in late {
        evacuate(world, server, Some(SimDuration::ZERO));
    }
    skus
}
