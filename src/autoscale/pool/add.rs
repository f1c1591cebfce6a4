//! New servers for instances that wait.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::PendingInstance;
use crate::autoscale::placement::{choice, sku_order};
use crate::fleet::{FleetsExt, ScaleUpInstance, ScalingExt, Stock};

/// Adds a server for an instance, of the best SKU that is not barred, and starts the instance on it. `failed` learns
/// of each SKU of which none could be had. Says whether there is one.
pub(super) fn add_server(
    world: &mut World,
    it: &PendingInstance,
    barred: impl Fn(usize) -> bool,
    mut failed: impl FnMut(usize),
) -> bool {
    let Some(fleet) = world.fleet_of(it.application) else {
        return false;
    };
    let choice = choice(world, it.application, it.sku);
    let order = sku_order(world, it.application, it.role, &choice);
    for sku in order.into_iter().map(|it| it.position) {
        if barred(sku) {
            continue;
        }
        let kinds = world.get::<Stock>(fleet).map(Stock::kinds);
        let name = kinds.and_then(|kinds| Some(kinds.get(sku)?.sku().name.clone()));
        match world.scale_up_server_in(fleet, name.as_deref()) {
            Ok(server) => return start_on(world, it, server),
            Err(_) => failed(sku),
        }
    }
    false
}

/// Starts an instance that waits on a server. Says whether it could.
pub(super) fn start_on(world: &mut World, it: &PendingInstance, server: Entity) -> bool {
    let request = ScaleUpInstance::new(it.application, it.role, server);
    world.scale_up_instance(&request).is_ok()
}
