//! Steps that take longer while servers would draw more power than they may.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::{Clock, Ledger, Roster, Stock, slow};

/// On a fleet whose steps take longer while its servers would draw more power than they may.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerSlowdown {
    watts: f64,
    factor: f64,
    highest: f64,
    /// When the factor last changed.
    since: SimTime,
    slowed_s: f64,
}

impl PowerSlowdown {
    /// One of this many watts, with nothing to draw them yet.
    pub(super) const fn new(watts: f64, now: SimTime) -> Self {
        Self {
            watts,
            factor: 1.0,
            highest: 1.0,
            since: now,
            slowed_s: 0.0,
        }
    }

    /// By what steps are multiplied now, 1 or more.
    #[must_use]
    pub const fn factor(&self) -> f64 {
        self.factor
    }

    /// The highest that it has been.
    #[must_use]
    pub const fn highest(&self) -> f64 {
        self.highest
    }

    /// Seconds up to an instant in which it was above 1.
    #[must_use]
    pub fn slowed_s(&self, until: SimTime) -> f64 {
        match self.factor > 1.0 {
            true => self.slowed_s + (until - self.since.min(until)).seconds(),
            false => self.slowed_s,
        }
    }
}

/// Servers have come or gone: the power is shared anew.
pub(super) fn share(world: &mut World, fleet: Entity) {
    let (Some(&before), Some(stock), Some(ledger), Some(clock)) = (
        world.get::<PowerSlowdown>(fleet),
        world.get::<Stock>(fleet),
        world.get::<Ledger>(fleet),
        world.get_resource::<Clock>(),
    ) else {
        return;
    };
    let watts = stock.most_power(|position| ledger.servers_of(position).active);
    let factor = (watts / before.watts).max(1.0);
    if factor == before.factor {
        return;
    }
    let now = clock.now();
    let after = PowerSlowdown {
        factor,
        highest: before.highest.max(factor),
        since: now,
        slowed_s: before.slowed_s(now),
        ..before
    };
    world.entity_mut(fleet).insert(after);
    let roster = world.get::<Roster>(fleet);
    let instances: Vec<Entity> = roster.into_iter().flat_map(Roster::instances).collect();
    for instance in instances {
        slow::set_pace(world, instance);
    }
}
