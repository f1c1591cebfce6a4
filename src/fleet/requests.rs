//! What a host does with requests, and how it learns what became of them.

use bevy_ecs::entity::Entity;
use bevy_ecs::message::{Message, Messages};
use bevy_ecs::prelude::{Query, Res, ResMut, Resource, Schedules, World};
use bevy_ecs::schedule::IntoScheduleConfigs;
use serde::{Deserialize, Serialize};

use crate::serving::{Follower, RequestRecord};

use super::fleet_part::part;
use super::parts::{Parts, Twins};
use super::{FleetSystems, FleetsExt, Roster, ServeSet, Service, Tick};

/// A request has ended: completed, turned away, or taken back. Only where it was
/// [asked for](super::FleetWorldExt::announce_requests).
///
/// As all messages it is there in the tick in which it is written and in the next. A host that looks less
/// often [follows](crate::serving::Endpoint::follow_ended) the endpoint instead.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct RequestEnded {
    /// Whose request.
    pub application: Entity,
    /// What became of it.
    pub record: RequestRecord,
}

/// Whose requests are announced, in this order, and how far they are.
#[derive(Resource, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Announced(Vec<(Entity, Follower)>);

impl Announced {
    /// Announces the requests of one more application.
    pub(super) fn add(&mut self, application: Entity, follower: Follower) {
        self.0.push((application, follower));
    }

    /// Announces no more of applications that are gone.
    pub(super) fn forget(&mut self, gone: impl Fn(Entity) -> bool) {
        self.0.retain(|&(application, _)| !gone(application));
    }

    /// Becomes those of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        for (application, _) in &mut self.0 {
            twins.follow(application);
        }
    }
}

/// Has a [`RequestEnded`] written for each request that ends from now on.
pub(super) fn announce(world: &mut World) {
    if world.contains_resource::<Announced>() {
        return;
    }
    world.insert_resource(Announced::default());
    let rosters = world.fleets().iter().map(|&it| part::<Roster>(world, it));
    let applications: Vec<Entity> = rosters.flat_map(Roster::applications).copied().collect();
    for application in applications {
        announce_also(world, application);
    }
    add_messages(world);
}

/// Announces the requests of one more application, where requests are announced.
pub(super) fn announce_also(world: &mut World, application: Entity) {
    if world.contains_resource::<Announced>()
        && let Some(mut service) = world.get_mut::<Service>(application)
    {
        let follower = service.0.follow_ended();
        let mut announced = world.resource_mut::<Announced>();
        announced.add(application, follower);
    }
}

/// Adds the messages and the system that writes them, once.
pub(super) fn add_messages(world: &mut World) {
    world.init_resource::<Messages<RequestEnded>>();
    let mut parts = world.get_resource_or_init::<Parts>();
    if !parts.has_systems::<RequestEnded>() {
        parts.systems::<RequestEnded>(add_system);
        add_system(world);
    }
}

fn add_system(world: &mut World) {
    let mut schedules = world.get_resource_or_init::<Schedules>();
    let write = write_messages.in_set(ServeSet::Messages);
    schedules.add_systems(Tick, write.in_set(FleetSystems));
}

fn write_messages(
    announced: Res<'_, Announced>,
    mut services: Query<'_, '_, &mut Service>,
    mut messages: ResMut<'_, Messages<RequestEnded>>,
) {
    if !messages.is_empty() {
        messages.update();
    }
    for &(application, follower) in &announced.0 {
        let Ok(mut service) = services.get_mut(application) else {
            continue;
        };
        for record in service.0.read_ended(follower) {
            let record = record.clone();
            messages.write(RequestEnded {
                application,
                record,
            });
        }
    }
}
