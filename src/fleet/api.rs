//! The scaling API: what policies, scripts and hosts do to a fleet, and the questions they ask.

use std::ops::Range;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

use super::log::{Line, refuse};
use super::request::{Granted, ScaleUpFull, ScaleUpInstance, ScaledUp, ScalingRequest};
use super::{
    Clock, FleetsExt, InstanceFilter, InstanceStatus, Ledger, OutcomeLog, Roster, ScalingAction,
    ScalingError, StatusSummary, Target, Ticket, drain, instances, power, queries, servers, status,
};

/// The scaling verbs and questions, on a world with a fleet.
///
/// Every verb acts at the present instant, writes what it did into the [`ScalingLog`](super::ScalingLog),
/// and is refused with an error that says what to do. A refused verb changes nothing, uses no number
/// and is written into the log as well. The same verbs exist on
/// [`Commands`](super::ScalingCommandsExt).
///
/// ```
#[doc = include_str!("example.txt")]
/// let new = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))?;
/// assert_eq!(world.status_summary().instances[0].2.scaling_up, 1);
/// world.run_until(SimTime::new(15.0)?)?;
/// assert!(world.can_schedule(new.instance));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// On a world without a fleet.
///
/// # Several fleets
/// A verb that names an application, a server or an instance acts on the fleet of that. One that names none
/// acts on the only fleet; of several, its variant with `_in` takes the one that is meant.
pub trait ScalingExt {
    /// Creates a server and one instance on its first processors. The instance is `ScalingUp` until
    /// spin-up and the scale-up delay have both passed since the server was there, then `Active`.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let new = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))?;
    /// world.run_until(SimTime::new(14.0)?)?;
    /// assert!(!world.can_schedule(new.instance));
    /// world.run_until(SimTime::new(15.0)?)?;
    /// assert!(world.can_schedule(new.instance));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the application, the template or the SKU does not exist or does not fit, the SKU is at its
    /// limit, or a fault keeps servers from being created.
    fn scale_up_full(&mut self, request: &ScaleUpFull) -> Result<ScaledUp, ScalingError>;

    /// Drains an instance, retires it when it is idle, and then removes its server if that is left
    /// empty, also where the instance crashes meanwhile. A server that carries another instance stays.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let first = world.instance(0).ok_or("it is there")?;
    /// world.scale_down_full(first)?;
    /// world.run_until(SimTime::new(10.0)?)?;
    /// assert_eq!((world.instance(0), world.server(0)), (None, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the instance is not `Active`.
    fn scale_down_full(&mut self, instance: Entity) -> Result<(), ScalingError>;

    /// Creates a server of the SKU, or of the first SKU of the fleet.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let server = world.scale_up_server(Some("dgx-h100"))?;
    /// assert_eq!(world.get(server), Some(&ServerStatus::ScalingUp));
    /// world.run_until(SimTime::new(5.0)?)?;
    /// assert_eq!(world.get(server), Some(&ServerStatus::Active));
    /// assert!(world.scale_up_server(Some("dgx-h200")).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the SKU does not exist or is at its limit, a fault keeps servers from being created, or the world has
    /// several fleets.
    fn scale_up_server(&mut self, sku: Option<&str>) -> Result<Entity, ScalingError>;

    /// The same in one of several fleets.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let fleet = world.fleet_of(chat).ok_or("it is of a fleet")?;
    /// let server = world.scale_up_server_in(fleet, None)?;
    /// assert_eq!(world.fleet_of(server), Some(fleet));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`scale_up_server`](Self::scale_up_server); [`ScalingError::NoFleet`] when `fleet` is none.
    fn scale_up_server_in(
        &mut self,
        fleet: Entity,
        sku: Option<&str>,
    ) -> Result<Entity, ScalingError>;

    /// Removes an empty server, be it still provisioned.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let [busy, empty] = [0, 1].map(|number| world.server(number));
    /// assert!(world.scale_down_server(busy.ok_or("it is there")?).is_err());
    /// world.scale_down_server(empty.ok_or("it is there")?)?;
    /// assert_eq!(world.server(1), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the server carries an instance, in any status.
    fn scale_down_server(&mut self, server: Entity) -> Result<(), ScalingError>;

    /// Creates an instance on a server, which may still be provisioned.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let empty = world.server(1).ok_or("it is there")?;
    /// let instance = world.scale_up_instance(&ScaleUpInstance::new(chat, Role::Mixed, empty))?;
    /// world.run_until(SimTime::new(10.0)?)?;
    /// assert!(world.can_schedule(instance));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the application, the template or the server does not exist, or the processors do not
    /// exist or are not free.
    fn scale_up_instance(&mut self, request: &ScaleUpInstance) -> Result<Entity, ScalingError>;

    /// Drains an instance and retires it when it is idle; its server stays.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let first = world.instance(0).ok_or("it is there")?;
    /// world.scale_down_instance(first)?;
    /// world.run_until(SimTime::new(10.0)?)?;
    /// assert!(world.instance(0).is_none() && world.server(0).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the instance is not `Active`.
    fn scale_down_instance(&mut self, instance: Entity) -> Result<(), ScalingError>;

    /// The verb beneath [`scale_up_instance`](Self::scale_up_instance), which is this one without
    /// `pre_start`. With it, the instance is `Active` at once.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let empty = world.server(1).ok_or("it is there")?;
    /// let request = ScaleUpInstance::new(chat, Role::Mixed, empty);
    /// let instance = world.start_spin_up_instance(&request, true)?;
    /// assert!(world.can_schedule(instance));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    #[doc = include_str!("example.txt")]
    /// let new = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))?;
    /// world.cancel_scale_up(new.instance)?;
    /// assert_eq!(world.server(2), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the instance does not start up.
    fn cancel_scale_up(&mut self, instance: Entity) -> Result<(), ScalingError>;

    /// Any of the verbs, as a value.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let request = ScalingRequest::ScaleUpServer { sku: None };
    /// assert!(matches!(world.scale(&request)?, Granted::Server(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of the verb.
    fn scale(&mut self, request: &ScalingRequest) -> Result<Granted, ScalingError>;

    /// Takes what became of a verb that was asked for through [`Commands`](super::ScalingCommandsExt): none
    /// where it was not carried out yet, was taken before, or is too long ago.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let ticket = world.commands().scale_up_server(None);
    /// assert_eq!(world.outcome(ticket), None);
    /// world.flush();
    /// assert!(matches!(world.outcome(ticket), Some(Ok(Granted::Server(_)))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn outcome(&mut self, ticket: Ticket) -> Option<Result<Granted, ScalingError>>;

    /// Whether requests may be given to the instance: it is `Active`.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let first = world.instance(0).ok_or("it is there")?;
    /// assert!(world.can_schedule(first));
    /// assert!(!world.can_schedule(chat));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn can_schedule(&self, instance: Entity) -> bool;

    /// The application's `Active` instances of a role, in the order of creation.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert_eq!(world.active_instances(chat, Role::Mixed), [world.instance(0).ok_or("it is there")?]);
    /// assert!(world.active_instances(chat, Role::Prompt).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn active_instances(&self, application: Entity, role: Role) -> Vec<Entity>;

    /// The application's instances of a role in a status, in the order of creation.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let new = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))?;
    /// assert_eq!(world.instances_in(chat, Role::Mixed, InstanceStatus::ScalingUp), [new.instance]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn instances_in(&self, application: Entity, role: Role, status: InstanceStatus) -> Vec<Entity>;

    /// The servers that a [`scale_down_full`](Self::scale_down_full) under way takes along if its
    /// instance leaves them empty, by number.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.run_until(SimTime::new(1.1)?)?;
    /// let first = world.instance(0).ok_or("it is there")?;
    /// world.scale_down_full(first)?;
    /// assert_eq!(world.pending_server_removals(), [world.server(0).ok_or("it is there")?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn pending_server_removals(&mut self) -> Vec<Entity>;

    /// The power that a server draws now, in watts, as [`ServerUsage::energy_kwh`] adds it up: that of the
    /// server and of its idle processors, and what the batches of its instances take beyond. None for what
    /// is no server, and without power figures in the catalog.
    ///
    /// [`ServerUsage::energy_kwh`]: crate::observe::ServerUsage::energy_kwh
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let power = |world: &World, number| world.server(number).and_then(|it| world.server_power_w(it));
    /// world.run_until(SimTime::new(0.75)?)?;
    /// assert!(power(&world, 0) > power(&world, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn server_power_w(&self, server: Entity) -> Option<f64>;

    /// How many instances and servers there are, in which status; of several fleets, one after the other.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let summary = world.status_summary();
    /// assert_eq!(summary.instances[0].2.active, 1);
    /// assert_eq!(summary.servers[0].1.active, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn status_summary(&self) -> StatusSummary;

    /// The same of one of several fleets.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let fleet = world.only_fleet()?;
    /// assert_eq!(world.status_summary_in(fleet), world.status_summary());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn status_summary_in(&self, fleet: Entity) -> StatusSummary;

    /// Instance-seconds within the window up to the present, of the instances that the filter takes.
    /// Every instance-second is counted once; those of the start state count as `Active` from zero. Of several
    /// fleets the sum: their [`Ledger`]s tell them apart.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.run_until(SimTime::new(20.0)?)?;
    /// let window = SimTime::ZERO..SimTime::new(15.0)?;
    /// assert_eq!(world.instance_time(window, &InstanceFilter::default()).seconds(), 15.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn instance_time(&self, window: Range<SimTime>, filter: &InstanceFilter) -> SimDuration;

    /// The application of this name, in the fleet that has one.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert_eq!(world.application("chat")?, chat);
    /// assert!(world.application("chats").unwrap_err().to_string().contains("chat"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ScalingError::UnknownApplication`], with the most similar name; [`ScalingError::SeveralFleets`] where
    /// several fleets have one.
    fn application(&self, name: &str) -> Result<Entity, ScalingError>;

    /// The application of this name in one of several fleets.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert_eq!(world.application_in(world.only_fleet()?, "chat")?, chat);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ScalingError::UnknownApplication`], with the most similar name of the fleet.
    fn application_in(&self, fleet: Entity, name: &str) -> Result<Entity, ScalingError>;

    /// The instance of this number, while it is there. Of several fleets, each has numbers of its own: ask its
    /// [`Roster`].
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert!(world.instance(0).is_some() && world.instance(1).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn instance(&self, number: u64) -> Option<Entity>;

    /// The server of this number, while it is there; of several fleets, ask the [`Roster`] of one.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert!(world.server(1).is_some() && world.server(2).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn server(&self, number: u64) -> Option<Entity>;
}

impl ScalingExt for World {
    fn scale_up_full(&mut self, request: &ScaleUpFull) -> Result<ScaledUp, ScalingError> {
        let fleet = self.fleet_of(request.application);
        let result = instances::create_full(self, request);
        written(self, fleet, result, |_| failed(Target::NoServer))
    }

    fn scale_down_full(&mut self, instance: Entity) -> Result<(), ScalingError> {
        let fleet = self.fleet_of(instance);
        let result = drain::begin(self, instance, true);
        written(self, fleet, result, |world| invalid(world, instance))
    }

    fn scale_up_server(&mut self, sku: Option<&str>) -> Result<Entity, ScalingError> {
        let fleet = self.only_fleet();
        let result = fleet.and_then(|fleet| servers::create_named(self, fleet, sku));
        written(self, None, result, |_| failed(Target::NoServer))
    }

    fn scale_up_server_in(
        &mut self,
        fleet: Entity,
        sku: Option<&str>,
    ) -> Result<Entity, ScalingError> {
        let result = servers::create_named(self, fleet, sku);
        let fleet = self.get::<Ledger>(fleet).map(|_| fleet);
        written(self, fleet, result, |_| failed(Target::NoServer))
    }

    fn scale_down_server(&mut self, server: Entity) -> Result<(), ScalingError> {
        let now = self.resource::<Clock>().now();
        let fleet = self.fleet_of(server);
        let result = servers::remove(self, server, now);
        written(self, fleet, result, |world| {
            let (target, status) = servers::target(world, server);
            (ScalingAction::ScaleDownServerInvalid, target, status)
        })
    }

    fn scale_up_instance(&mut self, request: &ScaleUpInstance) -> Result<Entity, ScalingError> {
        self.start_spin_up_instance(request, false)
    }

    fn scale_down_instance(&mut self, instance: Entity) -> Result<(), ScalingError> {
        let fleet = self.fleet_of(instance);
        let result = drain::begin(self, instance, false);
        written(self, fleet, result, |world| invalid(world, instance))
    }

    fn start_spin_up_instance(
        &mut self,
        request: &ScaleUpInstance,
        pre_start: bool,
    ) -> Result<Entity, ScalingError> {
        let fleet = self.fleet_of(request.application);
        let result = instances::create_on(self, request, pre_start);
        written(self, fleet, result, |_| failed(Target::NoInstance))
    }

    fn cancel_scale_up(&mut self, instance: Entity) -> Result<(), ScalingError> {
        let fleet = self.fleet_of(instance);
        let result = drain::cancel(self, instance);
        written(self, fleet, result, |world| invalid(world, instance))
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
            ScalingRequest::ScaleUpServerIn { fleet, sku } => self
                .scale_up_server_in(*fleet, sku.as_deref())
                .map(Granted::Server),
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
        let mut summary = StatusSummary::default();
        for &fleet in self.fleets() {
            summary.add(self, fleet);
        }
        summary
    }

    fn status_summary_in(&self, fleet: Entity) -> StatusSummary {
        let mut summary = StatusSummary::default();
        summary.add(self, fleet);
        summary
    }

    fn instance_time(&self, window: Range<SimTime>, filter: &InstanceFilter) -> SimDuration {
        let now = self.resource::<Clock>().now();
        let window = window.start..window.end.min(now);
        let ledgers = self
            .fleets()
            .iter()
            .filter_map(|&it| self.get::<Ledger>(it));
        ledgers
            .map(|ledger| ledger.instance_time(&window, filter))
            .fold(SimDuration::ZERO, |sum, time| sum + time)
    }

    fn application(&self, name: &str) -> Result<Entity, ScalingError> {
        queries::find_application(self, name)
    }

    fn application_in(&self, fleet: Entity, name: &str) -> Result<Entity, ScalingError> {
        queries::find_application_in(self, fleet, name)
    }

    fn instance(&self, number: u64) -> Option<Entity> {
        self.get_fleet::<Roster>()?.instance(number)
    }

    fn server(&self, number: u64) -> Option<Entity> {
        self.get_fleet::<Roster>()?.server(number)
    }
}

/// Writes a refusal into the log of a fleet, of the only one for none, on the line that `line` makes of it.
fn written<T>(
    world: &mut World,
    fleet: Option<Entity>,
    result: Result<T, ScalingError>,
    line: impl FnOnce(&World) -> Line,
) -> Result<T, ScalingError> {
    if let Err(error) = &result {
        let fleet = fleet.or_else(|| world.only_fleet().ok());
        let line = line(world);
        refuse(&mut world.into(), fleet, line, error);
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
