//! The scaling API: what policies, scripts and hosts do to a fleet, and the questions they ask.

use std::ops::Range;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

use super::log::refuse;
use super::request::{Granted, ScaleUpFull, ScaleUpInstance, ScaledUp, ScalingRequest};
use super::{
    Clock, InstanceFilter, InstanceStatus, Ledger, OutcomeLog, Roster, ScalingAction, ScalingError,
    ScalingEvent, StatusSummary, Target, Ticket, drain, instances, power, queries, servers, status,
};

/// The scaling verbs and questions, on a world with a fleet.
///
/// Every verb acts at the present instant, writes what it did into the [`ScalingLog`](super::ScalingLog),
/// and is refused with an error that says what to do. A refused verb changes nothing, uses no number
/// and is written into the log as well. The same verbs exist on
/// [`Commands`](super::ScalingCommandsExt).
///
/// # Panics
/// On a world without a fleet.
pub trait ScalingExt {
    /// Creates a server and one instance on its first processors. The instance is `ScalingUp` until
    /// spin-up and the scale-up delay have both passed since the server was there, then `Active`.
    ///
    /// # Errors
    /// When the application, the template or the SKU does not exist or does not fit, the SKU is at its
    /// limit, or a fault keeps servers from being created.
    fn scale_up_full(&mut self, request: &ScaleUpFull) -> Result<ScaledUp, ScalingError>;

    /// Drains an instance, retires it when it is idle, and then removes its server if that is left
    /// empty, also where the instance crashes meanwhile. A server that carries another instance stays.
    ///
    /// # Errors
    /// When the instance is not `Active`.
    fn scale_down_full(&mut self, instance: Entity) -> Result<(), ScalingError>;

    /// Creates a server of the SKU, or of the first SKU of the fleet.
    ///
    /// # Errors
    /// When the SKU does not exist or is at its limit, or a fault keeps servers from being created.
    fn scale_up_server(&mut self, sku: Option<&str>) -> Result<Entity, ScalingError>;

    /// Removes an empty server, be it still provisioned.
    ///
    /// # Errors
    /// When the server carries an instance, in any status.
    fn scale_down_server(&mut self, server: Entity) -> Result<(), ScalingError>;

    /// Creates an instance on a server, which may still be provisioned.
    ///
    /// # Errors
    /// When the application, the template or the server does not exist, or the processors do not
    /// exist or are not free.
    fn scale_up_instance(&mut self, request: &ScaleUpInstance) -> Result<Entity, ScalingError>;

    /// Drains an instance and retires it when it is idle; its server stays.
    ///
    /// # Errors
    /// When the instance is not `Active`.
    fn scale_down_instance(&mut self, instance: Entity) -> Result<(), ScalingError>;

    /// The verb beneath [`scale_up_instance`](Self::scale_up_instance), which is this one without
    /// `pre_start`. With it, the instance is `Active` at once.
    ///
    /// # Errors
    /// As there; with `pre_start` also when the server is still provisioned.
    fn start_spin_up_instance(
        &mut self,
        request: &ScaleUpInstance,
        pre_start: bool,
    ) -> Result<Entity, ScalingError>;

    /// Gives up an instance that is `ScalingUp`, and its server if that is left empty.
    ///
    /// # Errors
    /// When the instance does not start up.
    fn cancel_scale_up(&mut self, instance: Entity) -> Result<(), ScalingError>;

    /// Any of the verbs, as a value.
    ///
    /// # Errors
    /// Those of the verb.
    fn scale(&mut self, request: &ScalingRequest) -> Result<Granted, ScalingError>;

    /// Takes what became of a verb that was asked for through [`Commands`](super::ScalingCommandsExt): none
    /// where it was not carried out yet, was taken before, or is too long ago.
    fn outcome(&mut self, ticket: Ticket) -> Option<Result<Granted, ScalingError>>;

    /// Whether requests may be given to the instance: it is `Active`.
    fn can_schedule(&self, instance: Entity) -> bool;

    /// The application's `Active` instances of a role, in the order of creation.
    fn active_instances(&self, application: Entity, role: Role) -> Vec<Entity>;

    /// The application's instances of a role in a status, in the order of creation.
    fn instances_in(&self, application: Entity, role: Role, status: InstanceStatus) -> Vec<Entity>;

    /// The servers that a [`scale_down_full`](Self::scale_down_full) under way takes along if its
    /// instance leaves them empty, by number.
    fn pending_server_removals(&mut self) -> Vec<Entity>;

    /// The power that a server draws now, in watts, as [`ServerUsage::energy_kwh`] adds it up: that of the
    /// server and of its idle processors, and what the batches of its instances take beyond. None for what
    /// is no server, and without power figures in the catalog.
    ///
    /// [`ServerUsage::energy_kwh`]: crate::observe::ServerUsage::energy_kwh
    fn server_power_w(&self, server: Entity) -> Option<f64>;

    /// How many instances and servers there are, in which status.
    fn status_summary(&self) -> StatusSummary;

    /// Instance-seconds within the window up to the present, of the instances that the filter takes.
    /// Every instance-second is counted once; those of the start state count as `Active` from zero.
    fn instance_time(&self, window: Range<SimTime>, filter: &InstanceFilter) -> SimDuration;

    /// The application of this name.
    ///
    /// # Errors
    /// [`ScalingError::UnknownApplication`], with the most similar name.
    fn application(&self, name: &str) -> Result<Entity, ScalingError>;

    /// The instance of this number, while it is there.
    fn instance(&self, number: u64) -> Option<Entity>;

    /// The server of this number, while it is there.
    fn server(&self, number: u64) -> Option<Entity>;
}

impl ScalingExt for World {
    fn scale_up_full(&mut self, request: &ScaleUpFull) -> Result<ScaledUp, ScalingError> {
        let result = instances::create_full(self, request);
        written(self, result, |_| failed(Target::NoServer))
    }

    fn scale_down_full(&mut self, instance: Entity) -> Result<(), ScalingError> {
        let result = drain::begin(self, instance, true);
        written(self, result, |world| invalid(world, instance))
    }

    fn scale_up_server(&mut self, sku: Option<&str>) -> Result<Entity, ScalingError> {
        let result = servers::create_named(self, sku);
        written(self, result, |_| failed(Target::NoServer))
    }

    fn scale_down_server(&mut self, server: Entity) -> Result<(), ScalingError> {
        let now = self.resource::<Clock>().now();
        let result = servers::remove(self, server, now);
        written(self, result, |world| {
            let (target, status) = servers::target(world, server);
            (ScalingAction::ScaleDownServerInvalid, target, status)
        })
    }

    fn scale_up_instance(&mut self, request: &ScaleUpInstance) -> Result<Entity, ScalingError> {
        self.start_spin_up_instance(request, false)
    }

    fn scale_down_instance(&mut self, instance: Entity) -> Result<(), ScalingError> {
        let result = drain::begin(self, instance, false);
        written(self, result, |world| invalid(world, instance))
    }

    fn start_spin_up_instance(
        &mut self,
        request: &ScaleUpInstance,
        pre_start: bool,
    ) -> Result<Entity, ScalingError> {
        let result = instances::create_on(self, request, pre_start);
        written(self, result, |_| failed(Target::NoInstance))
    }

    fn cancel_scale_up(&mut self, instance: Entity) -> Result<(), ScalingError> {
        let result = drain::cancel(self, instance);
        written(self, result, |world| invalid(world, instance))
    }

    fn scale(&mut self, request: &ScalingRequest) -> Result<Granted, ScalingError> {
        match request {
            ScalingRequest::ScaleUpFull(request) => self.scale_up_full(request).map(Granted::Both),
            ScalingRequest::ScaleDownFull(instance) => {
                self.scale_down_full(*instance).map(|()| Granted::Nothing)
            }
            ScalingRequest::ScaleUpServer { sku } => {
                self.scale_up_server(sku.as_deref()).map(Granted::Server)
            }
            ScalingRequest::ScaleDownServer(server) => {
                self.scale_down_server(*server).map(|()| Granted::Nothing)
            }
            ScalingRequest::ScaleUpInstance(request) => {
                self.scale_up_instance(request).map(Granted::Instance)
            }
            ScalingRequest::StartSpinUpInstance {
                instance,
                pre_start,
            } => self
                .start_spin_up_instance(instance, *pre_start)
                .map(Granted::Instance),
            ScalingRequest::ScaleDownInstance(instance) => self
                .scale_down_instance(*instance)
                .map(|()| Granted::Nothing),
            ScalingRequest::CancelScaleUp(instance) => {
                self.cancel_scale_up(*instance).map(|()| Granted::Nothing)
            }
        }
    }

    fn outcome(&mut self, ticket: Ticket) -> Option<Result<Granted, ScalingError>> {
        let outcome = self.resource_mut::<OutcomeLog>().take(ticket);
        outcome.map(|outcome| outcome.result)
    }

    fn can_schedule(&self, instance: Entity) -> bool {
        self.get(instance) == Some(&InstanceStatus::Active)
    }

    fn active_instances(&self, application: Entity, role: Role) -> Vec<Entity> {
        self.instances_in(application, role, InstanceStatus::Active)
    }

    fn instances_in(&self, application: Entity, role: Role, status: InstanceStatus) -> Vec<Entity> {
        queries::instances_in(self, application, role, status)
    }

    fn pending_server_removals(&mut self) -> Vec<Entity> {
        drain::pending_server_removals(self)
    }

    fn server_power_w(&self, server: Entity) -> Option<f64> {
        power::server_power_w(self, server)
    }

    fn status_summary(&self) -> StatusSummary {
        StatusSummary::of(self)
    }

    fn instance_time(&self, window: Range<SimTime>, filter: &InstanceFilter) -> SimDuration {
        let now = self.resource::<Clock>().now();
        self.resource::<Ledger>()
            .instance_time(&(window.start..window.end.min(now)), filter)
    }

    fn application(&self, name: &str) -> Result<Entity, ScalingError> {
        queries::find_application(self, name)
    }

    fn instance(&self, number: u64) -> Option<Entity> {
        self.resource::<Roster>().instance(number)
    }

    fn server(&self, number: u64) -> Option<Entity> {
        self.resource::<Roster>().server(number)
    }
}

type Line = (ScalingAction, Target, &'static str);

/// Writes a refusal into the log, on the line that `line` makes of it.
fn written<T>(
    world: &mut World,
    result: Result<T, ScalingError>,
    line: impl FnOnce(&World) -> Line,
) -> Result<T, ScalingError> {
    if let Err(error) = &result {
        let time = world.resource::<Clock>().now();
        let (action, target, status) = line(world);
        let event = ScalingEvent {
            time,
            action,
            target,
            status,
        };
        refuse(&mut world.into(), event, error);
    }
    result
}

fn failed(target: Target) -> Line {
    (ScalingAction::ScaleUpFailed, target, "failed")
}

fn invalid(world: &World, instance: Entity) -> Line {
    let (target, status) = status::instance_target(world, instance);
    (ScalingAction::ScaleDownInvalid, target, status)
}
