use std::collections::VecDeque;

use bevy_ecs::entity::Entity;
use bevy_ecs::message::{Message, Messages};
use bevy_ecs::resource::Resource;
use bevy_ecs::system::Commands;
use bevy_ecs::world::World;

use super::ScalingError;
use super::api::ScalingExt;
use super::request::{Granted, ScaleUpFull, ScaleUpInstance, ScalingRequest};

/// Stands for a scaling verb that was asked for through [`Commands`]. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(Entity);

/// What became of a verb that was asked for through [`Commands`].
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct VerbOutcome {
    /// Which.
    pub ticket: Ticket,
    /// What it created, or why it was refused.
    pub result: Result<Granted, ScalingError>,
}

/// What became of verbs that were asked for through [`Commands`], until somebody takes it: the latest
/// [`Self::MOST`]. For a host that looks less often than every second tick, when the messages are gone.
///
/// Read it by [`ScalingExt::outcome`].
#[derive(Resource, Clone, Debug, Default)]
pub struct OutcomeLog {
    outcomes: VecDeque<VerbOutcome>,
}

impl OutcomeLog {
    /// Outcomes that are kept at most; the oldest go first.
    pub const MOST: usize = 65_536;

    /// Takes what there is, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = VerbOutcome> + '_ {
        self.outcomes.drain(..)
    }

    pub(super) fn take(&mut self, ticket: Ticket) -> Option<VerbOutcome> {
        let at = self.outcomes.iter().position(|it| it.ticket == ticket)?;
        self.outcomes.remove(at)
    }

    pub(super) fn clear(&mut self) {
        self.outcomes.clear();
    }

    fn push(&mut self, outcome: VerbOutcome) {
        if self.outcomes.len() == Self::MOST {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back(outcome);
    }
}

/// The scaling verbs of [`ScalingExt`] on [`Commands`]: carried out when the commands are applied,
/// with a [`VerbOutcome`] message for each ticket, and the same in the [`OutcomeLog`].
///
/// ```
/// use bevy_ecs::prelude::*;
/// use fleetsim::fleet::{Application, ScaleUpFull, ScalingCommandsExt};
/// use fleetsim::serving::Role;
///
/// fn one_more(mut commands: Commands, applications: Query<Entity, With<Application>>) {
///     for application in &applications {
///         commands.scale_up_full(ScaleUpFull::new(application, Role::Mixed));
///     }
/// }
/// ```
pub trait ScalingCommandsExt {
    /// Any of the verbs, as a value.
    fn scale(&mut self, request: ScalingRequest) -> Ticket;

    /// See [`ScalingExt::scale_up_full`].
    fn scale_up_full(&mut self, request: ScaleUpFull) -> Ticket {
        self.scale(ScalingRequest::ScaleUpFull(request))
    }

    /// See [`ScalingExt::scale_down_full`].
    fn scale_down_full(&mut self, instance: Entity) -> Ticket {
        self.scale(ScalingRequest::ScaleDownFull(instance))
    }

    /// See [`ScalingExt::scale_up_server`].
    fn scale_up_server(&mut self, sku: Option<String>) -> Ticket {
        self.scale(ScalingRequest::ScaleUpServer { sku })
    }

    /// See [`ScalingExt::scale_up_server_in`].
    fn scale_up_server_in(&mut self, fleet: Entity, sku: Option<String>) -> Ticket {
        self.scale(ScalingRequest::ScaleUpServerIn { fleet, sku })
    }

    /// See [`ScalingExt::scale_down_server`].
    fn scale_down_server(&mut self, server: Entity) -> Ticket {
        self.scale(ScalingRequest::ScaleDownServer(server))
    }

    /// See [`ScalingExt::scale_up_instance`].
    fn scale_up_instance(&mut self, request: ScaleUpInstance) -> Ticket {
        self.scale(ScalingRequest::ScaleUpInstance(request))
    }

    /// See [`ScalingExt::scale_down_instance`].
    fn scale_down_instance(&mut self, instance: Entity) -> Ticket {
        self.scale(ScalingRequest::ScaleDownInstance(instance))
    }

    /// See [`ScalingExt::start_spin_up_instance`].
    fn start_spin_up_instance(&mut self, instance: ScaleUpInstance, pre_start: bool) -> Ticket {
        self.scale(ScalingRequest::StartSpinUpInstance {
            instance,
            pre_start,
        })
    }

    /// See [`ScalingExt::cancel_scale_up`].
    fn cancel_scale_up(&mut self, instance: Entity) -> Ticket {
        self.scale(ScalingRequest::CancelScaleUp(instance))
    }
}

impl ScalingCommandsExt for Commands<'_, '_> {
    fn scale(&mut self, request: ScalingRequest) -> Ticket {
        // An entity that lives until the verb is carried out makes a ticket that no other equals.
        let ticket = self.spawn_empty().id();
        self.queue(move |world: &mut World| {
            world.despawn(ticket);
            let outcome = VerbOutcome {
                ticket: Ticket(ticket),
                result: world.scale(&request),
            };
            world.resource_mut::<OutcomeLog>().push(outcome.clone());
            world.resource_mut::<Messages<VerbOutcome>>().write(outcome);
        });
        Ticket(ticket)
    }
}
