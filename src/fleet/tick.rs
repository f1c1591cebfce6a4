//! One tick: the data plane serves up to the next instant at which the control plane has something to
//! do, then the control plane does it.

use bevy_ecs::prelude::World;

use crate::time::{SimDuration, SimTime};

use super::fleet_part::part;
use super::fleets::Fleets;
use super::gateways::Gateways;
use super::serve::has_no_plans;
use super::{Agenda, Clock, FleetsExt, Ledger, Rest, Roster, Service, Tick, TickLimits, requests};

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
