//! What a host does with requests, and how it learns what became of them.

use bevy_ecs::entity::Entity;
use bevy_ecs::message::{Message, Messages};
use bevy_ecs::prelude::{Query, Res, ResMut, Resource, Schedules, World};
use bevy_ecs::schedule::IntoScheduleConfigs;
use serde::{Deserialize, Serialize};

use crate::serving::{
    Cancelled, Follower, InvalidRate, NoSuchRequest, Phase, RequestRecord, SubmitError,
};
use crate::workload::{Arrival, ArrivalStream};

use super::fleet_part::part;
use super::parts::{Parts, Twins};
use super::{EngineHandle, FleetSystems, FleetsExt, Roster, ServeSet, Service, Tick};

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

impl Service {
    /// Hands over a request of the host's own making; in any order.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let mut service = world.get_mut::<Service>(chat).ok_or("it serves")?;
    /// service.submit(fleetsim::workload::Arrival {
    ///     id: 1_000,
    ///     time: SimTime::new(3.0)?,
    ///     prompt_tokens: 200,
    ///     output_tokens: 10,
    ///     details: None,
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Endpoint::submit`](crate::serving::Endpoint::submit): it comes too late, has no tokens, or its
    /// number is in use.
    pub fn submit(&mut self, arrival: Arrival) -> Result<(), SubmitError> {
        self.0.submit(arrival)
    }

    /// Takes a request back, wherever it is.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.run_until(SimTime::new(0.6)?)?;
    /// let mut service = world.get_mut::<Service>(chat).ok_or("it serves")?;
    /// service.cancel(0)?;
    /// assert!(service.cancel(0).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NoSuchRequest`] where it has ended, or never was.
    pub fn cancel(&mut self, id: u64) -> Result<Cancelled, NoSuchRequest> {
        self.0.cancel(id)
    }

    /// Lets the requests of the scenario's workload come this many times as fast from now on as they do by
    /// themselves.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.get_mut::<Service>(chat).ok_or("it serves")?.set_rate(4.0)?;
    /// assert_eq!(world.next_served(), Some(SimTime::new(0.125)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidRate`] unless it is a number above 0.
    pub fn set_rate(&mut self, rate: f64) -> Result<(), InvalidRate> {
        self.0.set_rate(rate)
    }

    /// Replaces what is to come of the workload; the time zero of these requests is now.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.get_mut::<Service>(chat).ok_or("it serves")?.set_arrivals(Box::new(std::iter::empty()));
    /// assert!(world.is_served());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_arrivals(&mut self, arrivals: ArrivalStream) {
        self.0.set_arrivals(arrivals);
    }

    /// What an instance does now, by its [`EngineHandle`].
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// use fleetsim::serving::Phase;
    /// world.run_until(SimTime::new(0.51)?)?;
    /// let handle = world.instance(0).and_then(|it| world.get::<EngineHandle>(it));
    /// let service = world.get::<Service>(chat).ok_or("it serves")?;
    /// assert_eq!(service.phase(handle.ok_or("it has joined")?), Phase::Prompt);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn phase(&self, instance: &EngineHandle) -> Phase {
        self.0.phase(instance.engine())
    }
}
