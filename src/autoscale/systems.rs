//! What policies and pools need in a world: state that is saved, and systems.

use std::any::TypeId;
use std::collections::BTreeSet;

use bevy_ecs::entity::Entity;
use bevy_ecs::prelude::{IntoScheduleConfigs, Resource, Schedules};
use bevy_ecs::world::World;

use super::decider::Deciding;
use super::kind::PolicyKind;
use super::sense::{Scraper, Scraping, listen, scrape};
use super::sets::{Actuated, Decided, Sensed, Wishes};
use super::{Actuator, Decider, DecisionLog, Pool, Signals, act, limiter, pool};
use crate::fleet::{Codec, FleetSystems, Parts, ScriptedActions, ServeSet, Tick, TickSet};

/// The systems that the schedule has.
#[derive(Resource, Clone, Debug, Default)]
struct AddedSystems {
    /// Those of all policies.
    shared: bool,
    /// Those of a pool.
    pool: bool,
    /// Each policy's own, by its type.
    policies: BTreeSet<TypeId>,
}

/// Enters what policies need in a world, each once.
pub(super) fn add_parts(world: &mut World, fleet: Entity, used: &mut Vec<PolicyKind>) {
    if world.get::<DecisionLog>(fleet).is_none() {
        world.entity_mut(fleet).insert(DecisionLog::default());
    }
    let mut added = world.get_resource_or_init::<AddedSystems>();
    let first = !std::mem::replace(&mut added.shared, true);
    used.retain(|policy| added.policies.insert((policy.type_id)()));
    let mut parts = world.get_resource_or_init::<Parts>();
    if first {
        parts
            .component_by::<Signals>(Codec {
                save: |_, _, signals, to| signals.save(to),
                restore: Signals::restore,
            })
            .component::<Scraper>()
            .component_by::<Decider>(Codec {
                save: |_, _, decider, to| decider.save(to),
                restore: Decider::restore,
            })
            .component::<Actuator>()
            .component::<DecisionLog>()
            .derived_resource::<AddedSystems>()
            .purpose::<Scraping>()
            .purpose::<Deciding>()
            .systems::<DecisionLog>(add_systems);
    }
    used.iter().for_each(|policy| (policy.enter)(&mut parts));
    if first {
        add_systems(world);
    }
    used.iter().for_each(|policy| (policy.add_system)(world));
}

/// Puts the sets of decisions into their phase.
fn configure(schedules: &mut Schedules) {
    schedules.configure_sets(
        Tick,
        (Decided.in_set(TickSet::Decide), Wishes.in_set(Decided)),
    );
}

/// Adds the systems that all policies share.
fn add_systems(world: &mut World) {
    let mut schedules = world.get_resource_or_init::<Schedules>();
    configure(&mut schedules);
    let act = act::act.in_set(Actuated).in_set(TickSet::Act);
    let systems = (
        DecisionLog::forget.in_set(TickSet::Serve),
        listen.in_set(ServeSet::Signals),
        scrape.in_set(Sensed).in_set(TickSet::Sense),
        limiter::limit.after(Wishes).in_set(Decided),
        act.after(ScriptedActions),
    );
    schedules.add_systems(Tick, systems.in_set(FleetSystems));
}

/// Enters what a pool needs in a world, once.
pub(super) fn add_pool(world: &mut World) {
    let mut added = world.get_resource_or_init::<AddedSystems>();
    if std::mem::replace(&mut added.pool, true) {
        return;
    }
    let mut parts = world.get_resource_or_init::<Parts>();
    pool::enter(&mut parts);
    parts.systems::<Pool>(add_pool_systems);
    add_pool_systems(world);
}

/// Adds the systems of a pool.
fn add_pool_systems(world: &mut World) {
    let mut schedules = world.get_resource_or_init::<Schedules>();
    configure(&mut schedules);
    let share_out = pool::share_out.after(Wishes).after(limiter::limit);
    let share = pool::share.in_set(TickSet::Act);
    let share = share.after(act::act).after(ScriptedActions);
    let systems = (share_out.in_set(Decided), share.in_set(Actuated));
    schedules.add_systems(Tick, systems.in_set(FleetSystems));
}
