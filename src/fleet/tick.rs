//! One tick: the data plane serves up to the next instant at which the control plane has something to
//! do, then the control plane does it.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use bevy_ecs::entity::Entity;
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::{Query, Res, ResMut, World};
use bevy_ecs::schedule::{
    IntoScheduleConfigs, LogLevel, Schedule, ScheduleBuildSettings, ScheduleLabel, Schedules,
    SingleThreadedExecutor, SystemSet,
};
use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

use super::drain::IdleDrains;
use super::fleet_part::part;
use super::fleets::Fleets;
use super::gateways::Gateways;
use super::{
    Agenda, Clock, FleetSystems, FleetsExt, Ledger, Rest, Roster, ScalingEvent, Service, Stock,
    TickLimits, VerbOutcome, invariants, lifecycle, requests, retention, script, strikes,
};

/// The schedule whose every run is one tick.
///
/// Two systems that access the same data in no defined order are an error of the schedule, in its first
/// run: results may not depend on it. A host orders its systems by the sets of the phases and those within
/// them: [`Prepared`], [`LifecycleSet`](super::LifecycleSet), [`ScriptedActions`],
/// [`Sensed`](crate::autoscale::Sensed), [`Decided`](crate::autoscale::Decided),
/// [`Actuated`](crate::autoscale::Actuated) and [`ObserveSet`](crate::observe::ObserveSet).
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tick;

/// The phases of a tick, in order. Hosts may put systems of their own into any of them.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TickSet {
    /// The clock moves, and every endpoint serves up to and including the new instant.
    Serve,
    /// What goes wrong at this instant goes wrong.
    Faults,
    /// Servers get ready, instances join, become active, are looked at while they drain, retire: the steps
    /// of [`LifecycleSet`](super::LifecycleSet).
    Lifecycle,
    /// Signals are read.
    Sense,
    /// Policies say how many instances they want.
    Decide,
    /// Scripted actions and the actuator use the scaling verbs.
    Act,
    /// Recorders write down how things stand.
    Observe,
}

/// Within [`TickSet::Serve`], before the clock moves: what a host changed between two ticks is taken over, so
/// that the tick may end earlier for it.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prepared;

/// Within [`TickSet::Serve`], in order.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServeSet {
    /// The clock moves, and every endpoint serves.
    Endpoints,
    /// Signals take down what ended, before anybody can take it.
    Signals,
    /// [`RequestEnded`](super::RequestEnded) messages are written, where they are asked for.
    Messages,
}

/// Within [`TickSet::Act`]: the scenario's scripted actions. The actuator comes after them.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScriptedActions;

impl TickSet {
    pub(super) const COUNT: usize = 7;
}

/// Why the fleet cannot be stepped on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TickError {
    /// Something is due at the same instant again and again.
    #[error(
        "the clock stands at {at} s after {ticks} ticks: something is due again at once each time it is done; look for an interval of zero"
    )]
    Standing {
        /// The instant.
        at: SimTime,
        /// Ticks that did not leave it.
        ticks: u32,
    },
    /// Time does not go back.
    #[error("cannot run until {until} s: it is {now} s already")]
    InThePast {
        /// What was asked for.
        until: SimTime,
        /// The instant reached.
        now: SimTime,
    },
    /// The longest tick is shorter than the clock can tell at this instant.
    #[error(
        "a tick of {longest} s does not move the clock at {at} s: choose a longer `TickLimits::max_tick`"
    )]
    TooShort {
        /// [`TickLimits::max_tick`].
        longest: SimDuration,
        /// The instant.
        at: SimTime,
    },
    /// The world has no fleet.
    #[error("the world has no `Tick` schedule: call `fleet::install` first")]
    NotInstalled,
    /// The world has a fleet whose schedule is gone.
    #[error(
        "the `Tick` schedule is gone: it is running now, or one of its systems has panicked, and then the world cannot be stepped on"
    )]
    ScheduleLost,
}

/// Stepping a world with a fleet in it.
///
/// A host may as well run the [`Tick`] schedule in its own; these methods add the guard against an
/// instant that never ends.
///
/// ```
#[doc = include_str!("example.txt")]
/// while !world.is_quiet() {
///     world.tick()?;
/// }
/// assert!(world.now() > SimTime::new(50.0)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// All but [`tick`](Self::tick) panic on a world without a fleet.
pub trait FleetWorldExt {
    /// The instant reached.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.run_until(SimTime::new(3.0)?)?;
    /// assert_eq!(world.now(), SimTime::new(3.0)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn now(&self) -> SimTime;

    /// Runs one tick: to the next instant at which something is due, within [`TickLimits`]. With
    /// nothing due and no limit, serves to the end.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.resource_mut::<TickLimits>().max_tick = Some(SimDuration::new(0.1)?);
    /// world.tick()?;
    /// assert_eq!(world.now(), SimTime::new(0.1)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TickError::Standing`] when [`TickLimits::max_standing`] ticks in a row have not moved the
    /// clock although something was due, [`TickError::TooShort`] where [`TickLimits::max_tick`] cannot move
    /// it, [`TickError::NotInstalled`] without a fleet, and [`TickError::ScheduleLost`] where the fleet has
    /// lost its schedule.
    fn tick(&mut self) -> Result<(), TickError>;

    /// Runs ticks until it is `until` and nothing more is due at that instant, in the control plane or in
    /// the data plane, also where [`TickLimits::rest`] would end a tick before. Also the way to catch up
    /// with what was asked for between ticks: `until` may be the present.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.run_until(SimTime::new(3.0)?)?;
    /// assert!(world.run_until(SimTime::new(2.0)?).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`tick`](Self::tick), and [`TickError::InThePast`].
    fn run_until(&mut self, until: SimTime) -> Result<(), TickError>;

    /// Has a [`RequestEnded`](super::RequestEnded) message written for each request that ends from now on,
    /// in the tick in which it ends.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.announce_requests();
    /// let mut reader = bevy_ecs::message::MessageCursor::default();
    /// let mut ended = 0;
    /// while !world.is_quiet() {
    ///     world.tick()?;
    ///     ended += reader.read(world.resource::<Messages<RequestEnded>>()).count();
    /// }
    /// assert_eq!(ended, 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn announce_requests(&mut self);

    /// Whether nothing is left to do: every workload has ended and every request with it, no scripted
    /// action or fault is left, and nothing starts up or drains. Samples and decisions do not count.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert!(!world.is_quiet());
    /// world.run_until(SimTime::new(100.0)?)?;
    /// assert!(world.is_quiet());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn is_quiet(&self) -> bool;

    /// Whether nothing will happen any more unless somebody who asked to be woken acts, such as a
    /// policy: requests may be waiting, but nothing is on its way to serve them.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let first = world.instance(0).ok_or("it is there")?;
    /// world.despawn(first);
    /// world.run_until(SimTime::new(60.0)?)?;
    /// assert!(world.is_stalled() && !world.is_quiet());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn is_stalled(&self) -> bool;

    /// Whether every workload has ended and every request with it.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.run_until(SimTime::new(100.0)?)?;
    /// assert!(world.is_served());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn is_served(&self) -> bool;

    /// The instant of the next thing in the data plane, if anything is due there.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert_eq!(world.next_served(), Some(SimTime::new(0.5)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn next_served(&self) -> Option<SimTime>;

    /// The instant of the last thing that happened in the data plane.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.run_until(SimTime::new(100.0)?)?;
    /// assert!(world.last_served() < SimTime::new(60.0)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn last_served(&self) -> SimTime;

    /// The instant of the last thing that happened, in the data plane or to a server or an instance. A
    /// verb that was refused or failed does not count.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.run_until(SimTime::new(100.0)?)?;
    /// world.scale_up_server(None)?;
    /// world.run_until(SimTime::new(200.0)?)?;
    /// assert_eq!(world.last_activity(), SimTime::new(105.0)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn last_activity(&self) -> SimTime;
}

impl FleetWorldExt for World {
    fn now(&self) -> SimTime {
        self.resource::<Clock>().now()
    }

    fn tick(&mut self) -> Result<(), TickError> {
        let limits = self.get_resource::<TickLimits>();
        let clock = self.get_resource::<Clock>();
        if let (Some(limits), Some(clock)) = (limits, clock)
            && let (Some(longest), at) = (limits.max_tick, clock.now())
            && at + longest <= at
        {
            return Err(TickError::TooShort { longest, at });
        }
        if self.try_run_schedule(Tick).is_err() {
            return Err(if self.contains_resource::<Fleets>() {
                TickError::ScheduleLost
            } else {
                TickError::NotInstalled
            });
        }
        let clock = self.resource::<Clock>();
        let (at, ticks) = (clock.now(), clock.standing());
        if ticks > self.resource::<TickLimits>().max_standing {
            let error = TickError::Standing { at, ticks };
            tracing::error!(target: "fleetsim::tick", "{error}");
            return Err(error);
        }
        Ok(())
    }

    fn run_until(&mut self, until: SimTime) -> Result<(), TickError> {
        let now = self.now();
        if until < now {
            return Err(TickError::InThePast { until, now });
        }
        let mut limits = self.resource_mut::<TickLimits>();
        let horizon = std::mem::replace(&mut limits.horizon, until);
        let rest = std::mem::replace(&mut limits.rest, Rest::Never);
        let mut result = Ok(());
        while result.is_ok()
            && (self.now() < until
                || self.resource::<Agenda>().next_due() <= until
                || self.next_served().is_some_and(|next| next <= until))
        {
            result = self.tick();
        }
        let mut limits = self.resource_mut::<TickLimits>();
        (limits.horizon, limits.rest) = (horizon, rest);
        result
    }

    fn announce_requests(&mut self) {
        requests::announce(self);
    }

    fn is_quiet(&self) -> bool {
        nothing_pending(self) && self.is_served()
    }

    fn is_stalled(&self) -> bool {
        nothing_pending(self) && self.next_served().is_none()
    }

    fn is_served(&self) -> bool {
        let gateways = self.get_resource::<Gateways>();
        gateways.is_none_or(Gateways::are_done) && services(self).all(|service| service.0.is_done())
    }

    fn next_served(&self) -> Option<SimTime> {
        let gateways = self.get_resource::<Gateways>();
        let sent = gateways.and_then(Gateways::next_event);
        services(self)
            .filter_map(|service| service.0.next_event())
            .chain(sent)
            .min()
    }

    fn last_served(&self) -> SimTime {
        services(self)
            .map(|service| service.0.last_event())
            .fold(SimTime::ZERO, SimTime::max)
    }

    fn last_activity(&self) -> SimTime {
        let ledgers = self.fleets().iter().map(|&it| part::<Ledger>(self, it));
        let last = self.last_served();
        ledgers.map(Ledger::last_entry).fold(last, SimTime::max)
    }
}

fn services(world: &World) -> impl Iterator<Item = &Service> {
    let rosters = world.fleets().iter().map(|&it| part::<Roster>(world, it));
    let applications = rosters.flat_map(Roster::applications);
    applications.filter_map(|&application| world.get(application))
}

fn nothing_pending(world: &World) -> bool {
    let now = world.resource::<Clock>().now();
    let fleets = world.fleets().iter();
    let books = fleets.map(|&it| (part(world, it), part(world, it)));
    has_no_plans(world.resource(), books, now)
}

/// Whether neither a script nor the lifecycle has anything to do.
fn has_no_plans<'a>(
    agenda: &Agenda,
    mut fleets: impl Iterator<Item = (&'a Ledger, &'a Stock)>,
    now: SimTime,
) -> bool {
    let rests = |(ledger, stock): (&Ledger, &Stock)| {
        let counts = ledger.counts();
        counts.scaling_up == 0
            && counts.draining == 0
            && !stock.repairs()
            && (0..stock.kinds().len()).all(|sku| ledger.servers_of(sku).scaling_up == 0)
    };
    !agenda.has_script() && !agenda.is_due(now) && fleets.all(rests)
}

/// Puts the phases and the fleet's own systems into the [`Tick`] schedule, which may already hold the
/// host's.
pub(super) fn add_schedule(world: &mut World) {
    let mut schedules = world.get_resource_or_init::<Schedules>();
    if !schedules.contains(Tick) {
        schedules.insert(Schedule::new(Tick));
    }
    let schedule = schedules.entry(Tick);
    schedule.set_executor(SingleThreadedExecutor::new());
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        ..ScheduleBuildSettings::new()
    });
    schedule.configure_sets(
        (
            TickSet::Serve,
            TickSet::Faults,
            TickSet::Lifecycle,
            TickSet::Sense,
            TickSet::Decide,
            TickSet::Act,
            TickSet::Observe,
        )
            .chain(),
    );
    schedule.configure_sets(
        (
            Prepared,
            ServeSet::Endpoints,
            ServeSet::Signals,
            ServeSet::Messages,
        )
            .chain()
            .in_set(TickSet::Serve),
    );
    let systems = (
        (retention::forget, serve)
            .chain()
            .in_set(ServeSet::Endpoints),
        (script::fail, strikes::strike)
            .chain()
            .in_set(TickSet::Faults),
        script::act.in_set(TickSet::Act).in_set(ScriptedActions),
    );
    schedule.add_systems(systems.in_set(FleetSystems));
    lifecycle::add_systems(schedule);
    if cfg!(debug_assertions) {
        let check = invariants::assert_cheap.after(TickSet::Observe);
        schedule.add_systems(check.in_set(FleetSystems));
    }
}

/// Serves instant by instant until one has passed at which a request ended, `until` at the latest. Returns the
/// instant reached.
fn serve_until_one_ends(
    endpoints: &mut Endpoints<'_, '_>,
    gateways: &mut Option<ResMut<'_, Gateways>>,
    until: SimTime,
) -> SimTime {
    let ended = |endpoints: &Endpoints<'_, '_>| {
        let counts = endpoints.iter().map(|(_, it, _)| it.0.counts());
        counts.map(|it| it.completed + it.rejected).sum::<u64>()
    };
    loop {
        let sent = gateways.as_ref().and_then(|it| it.next_event());
        let next = endpoints.iter().filter_map(|(_, it, _)| it.0.next_event());
        let next = next.chain(sent).min().unwrap_or(until).min(until);
        let before = ended(endpoints);
        serve_side_by_side(endpoints, gateways, next, NonZero::<usize>::MIN);
        if ended(endpoints) > before || next >= until {
            return next;
        }
    }
}

/// Every application's data plane.
type Endpoints<'w, 's> = Query<'w, 's, (Entity, &'static mut Service, &'static IdleDrains)>;

/// Serves every application up to `until`: but for gateways, they share nothing within a tick, so that several threads lead
/// to the same results as one.
fn serve_side_by_side(
    endpoints: &mut Endpoints<'_, '_>,
    gateways: &mut Option<ResMut<'_, Gateways>>,
    until: SimTime,
    threads: NonZero<usize>,
) {
    if let Some(gateways) = gateways {
        // Those of an application wait for each other. They have nothing left to do below.
        let services = endpoints.iter_mut().map(|(entity, it, _)| (entity, it));
        gateways.serve_until(services, until);
    }
    if threads.get() == 1 {
        for (_, mut service, _) in endpoints {
            service.0.serve_until(until);
        }
        return;
    }
    let services = endpoints.iter_mut().map(|(_, service, _)| service);
    let (busy, idle): (Vec<_>, Vec<_>) =
        services.partition(|it| it.0.next_event().is_some_and(|next| next <= until));
    for mut service in idle {
        service.0.serve_until(until);
    }
    let others = threads.get().min(busy.len()).saturating_sub(1);
    let left = Mutex::new(busy.into_iter());
    let take = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let serve = || {
        while let Some(mut service) = take() {
            service.0.serve_until(until);
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(serve);
        }
        serve();
    });
}

/// Moves the clock to the end of the tick and serves up to it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a system takes its parameters by value"
)]
fn serve(
    mut clock: ResMut<'_, Clock>,
    mut agenda: ResMut<'_, Agenda>,
    limits: Res<'_, TickLimits>,
    fleets: Query<'_, '_, (&Ledger, &Stock)>,
    (mut endpoints, mut gateways): (Endpoints<'_, '_>, Option<ResMut<'_, Gateways>>),
    mut events: ResMut<'_, Messages<ScalingEvent>>,
    mut outcomes: ResMut<'_, Messages<VerbOutcome>>,
) {
    if !events.is_empty() {
        events.update();
    }
    if !outcomes.is_empty() {
        outcomes.update();
    }
    let now = clock.now();
    let next = endpoints
        .iter()
        .filter_map(|(_, service, _)| service.0.next_event());
    let sent = gateways.as_ref().and_then(|it| it.next_event());
    let next_event = next.chain(sent).min().unwrap_or(SimTime::MAX);
    let drained = endpoints
        .iter()
        .filter(|(.., drains)| !drains.is_empty())
        .filter_map(|(_, service, _)| service.0.next_event())
        .min();
    let bound = agenda
        .next_due()
        .min(
            limits
                .max_tick
                .map_or(SimTime::MAX, |longest| now + longest),
        )
        .min(drained.unwrap_or(SimTime::MAX));
    let until = bound.min(limits.horizon).max(now);
    let until = if limits.stop_at_ends {
        serve_until_one_ends(&mut endpoints, &mut gateways, until)
    } else {
        serve_side_by_side(&mut endpoints, &mut gateways, until, limits.threads);
        until
    };
    let mut services = endpoints.iter().map(|(_, service, _)| service);
    let all_sent = gateways.as_ref().is_none_or(|it| it.are_done());
    let rests = match limits.rest {
        Rest::Never => false,
        Rest::Quiet => all_sent && services.all(|service| service.0.is_done()),
        Rest::Stalled => all_sent && services.all(|it| it.0.next_event().is_none()),
    };
    let end = if until == SimTime::MAX || rests && has_no_plans(&agenda, fleets.iter(), now) {
        let last = endpoints.iter().map(|(_, it, _)| it.0.last_event());
        last.fold(now, SimTime::max)
    } else {
        until
    };
    if end < until {
        for (_, mut service, _) in &mut endpoints {
            service.0.return_to(end);
        }
    }
    clock.advance(end, bound.min(next_event) <= now);
    agenda.begin(end);
}
