//! Instances that a policy wants more.

use std::collections::VecDeque;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::placement::{best_sku, choice, places, room};
use super::{Decision, pool};
use crate::fleet::{ScaleUpFull, ScaleUpInstance, ScalingExt};

/// Starts instances on free processors, and only then on new servers; of this SKU, if one is given.
pub(super) fn start(
    world: &mut World,
    application: Entity,
    row: &mut Decision,
    count: u32,
    sku: Option<usize>,
) {
    if pool::ask(world, application, (row.role, sku), count) {
        row.started = row.started.saturating_add(count);
        return;
    }
    let (choice, role) = (choice(world, application, sku), row.role);
    let all = row.started.saturating_add(count);
    let mut places = VecDeque::from(places(
        world,
        application,
        role,
        &choice,
        count as usize,
        |_| true,
    ));
    while row.started < all {
        let started = if let Some(server) = places.pop_front() {
            let request = ScaleUpInstance::new(application, role, server);
            world.scale_up_instance(&request).map(|_| ())
        } else {
            let chosen = best_sku(world, application, role, &choice);
            if let Some(but) = chosen.but.filter(|it| !row.reason.contains(it)) {
                row.reason = format!("{}; {but}", row.reason);
            }
            let request = ScaleUpFull {
                sku: chosen.sku,
                ..ScaleUpFull::new(application, role)
            };
            world.scale_up_full(&request).map(|new| {
                let left = room(world, application, role, new.server);
                places.extend(std::iter::repeat_n(new.server, left));
            })
        };
        if let Err(error) = started {
            row.refused += all - row.started;
            row.reason = format!("{}; {error}", row.reason);
            return;
        }
        row.started += 1;
    }
}
