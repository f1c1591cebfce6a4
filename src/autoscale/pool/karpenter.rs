//! Servers as Karpenter adds and consolidates them.

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use super::add::add_server;
use super::moves::{Move, Room, evacuate, movable};
use super::place::place_all;
use super::preempt::takes_new;
use super::{PendingInstances, priority_of};
use crate::autoscale::grid::next_on_grid;
use crate::autoscale::placement::{choice, needed, saving};
use crate::fleet::{
    self, Clock, Cordoned, Instance, Ledger, Roster, ScalingExt, Server, ServerStatus, Stock, Twins,
};
use crate::scenario::{self, Consolidation, Disruption, ServerScaling};
use crate::time::{SimDuration, SimTime};

/// What the Karpenter of a fleet remembers. On the entity of a fleet whose pool has one.
///
/// It follows the page "Disruption" of Karpenter's documentation (aws/karpenter-provider-aws, commit 007cee44): a batch
/// of instances that wait gets servers; empty servers go together; then one server goes whose instances fit elsewhere,
/// or is replaced by a cheaper one, which is there before the old one drains. Drift, expiration, budgets by schedule,
/// consolidation of several servers into one and the 15 s after which a plan is looked at again are not there.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Karpenter {
    /// The first and the last instance of the batch that waits.
    batch: Option<(SimTime, SimTime)>,
    /// When servers are looked at next.
    poll: SimTime,
    /// A server, and the cheaper one that takes its place.
    replacing: Option<(Entity, Entity)>,
    /// The instances that each server had, and since when.
    settled: BTreeMap<Entity, (Vec<u64>, SimTime)>,
}

impl Karpenter {
    /// One that looks at servers first at an instant.
    pub(super) fn from(poll: SimTime) -> Self {
        Self {
            poll,
            ..Self::default()
        }
    }

    /// Becomes that of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        let settled = std::mem::take(&mut self.settled).into_iter();
        let settled = settled.filter_map(|(server, it)| Some((twins.of(server)?, it)));
        self.settled = settled.collect();
        let replacing = self.replacing.take();
        self.replacing = replacing.and_then(|(old, new)| Some((twins.of(old)?, twins.of(new)?)));
    }

    /// The servers that may be consolidated: those with the fewest instances first, then those whose applications have
    /// the lowest priority.
    fn candidates(
        &mut self,
        world: &World,
        fleet: Entity,
        consolidate_after: SimDuration,
        now: SimTime,
    ) -> Vec<Candidate> {
        let roster = world.get::<Roster>(fleet).into_iter();
        let (mut settled, mut found) = (BTreeMap::new(), Vec::new());
        for server in roster.flat_map(Roster::servers) {
            if !takes_new(world, server) {
                continue;
            }
            let hosted = fleet::hosted(world, server);
            let numbers = hosted.iter().filter_map(|it| world.get::<Instance>(*it));
            let numbers: Vec<u64> = numbers.map(Instance::number).collect();
            let since = match self.settled.get(&server) {
                Some((before, since)) if *before == numbers => *since,
                _ => now,
            };
            settled.insert(server, (numbers, since));
            let Some(moves) = movable(world, server).filter(|_| now >= since + consolidate_after)
            else {
                continue;
            };
            let priorities = moves.iter().map(|it| i64::from(priority_of(world, it.0)));
            let priorities: i64 = priorities.sum();
            let number = world.get::<Server>(server).map_or(0, Server::number);
            let order = (hosted.len(), priorities, number);
            found.push((
                order,
                Candidate {
                    server,
                    instances: hosted.len(),
                    moves,
                },
            ));
        }
        self.settled = settled;
        found.sort_by_key(|it| it.0);
        found.into_iter().map(|it| it.1).collect()
    }
}

/// One look at a fleet. Returns when to look next.
pub(super) fn look(world: &mut World, fleet: Entity, settings: &scenario::Pool) -> SimTime {
    let ServerScaling::Karpenter {
        batch_idle,
        batch_max,
        consolidation,
        consolidate_after,
        poll_interval,
        budget,
    } = settings.servers
    else {
        return SimTime::MAX;
    };
    let now = world.resource::<Clock>().now();
    let state = world.entity_mut(fleet).take::<Karpenter>();
    let mut state = state.unwrap_or_default();
    let polls = now >= state.poll;
    let pending = world.get::<PendingInstances>(fleet);
    let news = pending.is_some_and(PendingInstances::has_news);
    place_all(world, fleet, settings, |_, _| false);
    let pending = world.get::<PendingInstances>(fleet);
    let waits = pending.is_some_and(|it| !it.is_empty());
    if waits && news {
        let first = state.batch.map_or(now, |it| it.0);
        state.batch = Some((first, now));
    }
    let ends = |(first, last): (SimTime, SimTime)| (last + batch_idle).min(first + batch_max);
    if !waits {
        state.batch = None;
    }
    let serves = state.batch.map_or(polls, |it| now >= ends(it));
    if waits && serves {
        state.batch = None;
        place_all(world, fleet, settings, |world, it| {
            add_server(world, it, |_| false, |_| {})
        });
    }
    // What waits has to have a place first.
    let pending = world.get::<PendingInstances>(fleet);
    if polls && pending.is_some_and(PendingInstances::is_empty) {
        if let Some((old, new)) = state.replacing {
            finish(world, &mut state, old, new);
        } else {
            let candidates = state.candidates(world, fleet, consolidate_after, now);
            let allowed = allowed(world, fleet, budget);
            state.replacing = consolidate(world, fleet, candidates, allowed, consolidation);
        }
        place_all(world, fleet, settings, |_, _| false);
    }
    if polls {
        let next = next_on_grid(poll_interval, SimDuration::ZERO, now);
        state.poll = next.unwrap_or(SimTime::MAX);
    }
    let next = state
        .batch
        .map_or(state.poll, |it| state.poll.min(ends(it)));
    world.entity_mut(fleet).insert(state);
    next
}

/// Removes empty servers, or one whose instances fit elsewhere, or begins to replace one by a cheaper one: returns these.
fn consolidate(
    world: &mut World,
    fleet: Entity,
    candidates: Vec<Candidate>,
    mut allowed: usize,
    consolidation: Consolidation,
) -> Option<(Entity, Entity)> {
    let (empty, used): (Vec<Candidate>, Vec<Candidate>) =
        candidates.into_iter().partition(|it| it.instances == 0);
    let mut removed = false;
    for it in empty {
        if allowed > 0 && world.scale_down_server(it.server).is_ok() {
            (allowed, removed) = (allowed - 1, true);
        }
    }
    if removed || allowed == 0 || consolidation == Consolidation::WhenEmpty {
        return None;
    }
    let room = Room::of(world, fleet);
    for it in used {
        let mut tried = room.clone();
        tried.leave_out(it.server);
        let (_, left) = tried.take(world, &it.moves);
        if left.is_empty() {
            evacuate(world, it.server, None);
            return None;
        }
        if let Some(new) = cheaper(world, fleet, it.server, &left) {
            world.entity_mut(it.server).insert(Cordoned);
            return Some((it.server, new));
        }
    }
    None
}

/// The old server drains once the new one is there; it stays if that never comes to be.
fn finish(world: &mut World, state: &mut Karpenter, old: Entity, new: Entity) {
    match world.get::<ServerStatus>(new) {
        Some(ServerStatus::ScalingUp) => return,
        Some(ServerStatus::Active) => evacuate(world, old, None),
        Some(ServerStatus::ScalingDown) | None => {
            if let Ok(mut old) = world.get_entity_mut(old) {
                old.remove::<Cordoned>();
            }
        }
    }
    state.replacing = None;
}

/// A server that may be consolidated.
struct Candidate {
    server: Entity,
    instances: usize,
    moves: Vec<Move>,
}

/// How many servers may go now beside those that go already and those that are not there yet.
fn allowed(world: &World, fleet: Entity, budget: Disruption) -> usize {
    let Some(roster) = world.get::<Roster>(fleet) else {
        return 0;
    };
    let most = allowance(budget, roster.live_servers());
    let goes = |server: &Entity| !takes_new(world, *server);
    most.saturating_sub(roster.servers().filter(goes).count())
}

/// How many of these servers may be on their way out at once.
fn allowance(budget: Disruption, servers: usize) -> usize {
    match budget {
        // The share is a decimal number: what it is above it in binary does not count.
        Disruption::Share(share) => (share * servers as f64 - 1e-9).ceil().max(0.0) as usize,
        Disruption::Servers(count) => count as usize,
    }
}

/// Orders the cheapest server that is cheaper than this one and carries these instances.
fn cheaper(world: &mut World, fleet: Entity, server: Entity, left: &[Move]) -> Option<Entity> {
    let stock = world.get::<Stock>(fleet)?;
    let ledger = world.get::<Ledger>(fleet)?;
    let now = world.resource::<Clock>().now();
    let own = saving(world, server)?;
    let suits = |sku: usize| {
        let price = stock
            .asking_price(sku, ledger, now)
            .filter(|it| *it < own)?;
        let each = left.iter().map(|&(application, role)| {
            let choice = choice(world, application, None);
            needed(world, application, role, sku, &choice).map(|it| it.1)
        });
        let processors: u32 = each.sum::<Option<u32>>()?;
        let fits = processors <= stock.kinds()[sku].sku().processors;
        (fits && stock.has(sku, ledger, now)).then_some((price, sku))
    };
    let skus = (0..stock.kinds().len()).filter_map(suits);
    let (_, best) = skus.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let name = stock.kinds()[best].sku().name.clone();
    world.scale_up_server_in(fleet, Some(&name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the page "Disruption", "NodePool Disruption Budgets".
    #[test]
    fn a_share_is_rounded_up() {
        assert_eq!(allowance(Disruption::Share(0.2), 19), 4);
        assert_eq!(allowance(Disruption::Share(0.1), 30), 3);
        assert_eq!(allowance(Disruption::Share(0.1), 1), 1);
        assert_eq!(allowance(Disruption::Servers(5), 100), 5);
    }
}
