//! The data plane of an application, as a component.

use std::ops::Deref;
use std::vec::Drain;

use bevy_ecs::component::Component;

use crate::serving::engine::StepRow;
use crate::serving::{
    BatchRun, Cancelled, Endpoint, Follower, InvalidRate, NoSuchRequest, Phase, RequestRecord,
    SubmitError,
};
use crate::workload::{Arrival, ArrivalStream};

use super::{EngineHandle, removal};

/// The data plane of an application: an [`Endpoint`] to read, and what a host may do with it. Its engines are the
/// lifecycle's.
///
/// Its records of requests that ended are kept until they are taken, or as
/// [`Retention`](super::Retention) says. Removing or replacing it takes the application's instances away.
#[derive(Component, Clone, Debug)]
#[component(on_discard = removal::service_removed)]
pub struct Service(pub(crate) Endpoint);

impl Deref for Service {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.0
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

    /// Takes the records of what ended since the last call, in the order of ending. There is one taker; any number of
    /// readers [follow](Self::follow_ended) beside it.
    pub fn take_ended(&mut self) -> Drain<'_, RequestRecord> {
        self.0.take_ended()
    }

    /// Follows the records of what ends from now on, taken or not, as [`Endpoint::follow_ended`] says.
    pub fn follow_ended(&mut self) -> Follower {
        self.0.follow_ended()
    }

    /// What ended since a follower read last, in the order of ending.
    pub fn read_ended(&mut self, follower: Follower) -> impl Iterator<Item = &RequestRecord> + '_ {
        self.0.read_ended(follower)
    }

    /// Ends a following: nothing is kept for it any more.
    pub fn unfollow_ended(&mut self, follower: Follower) {
        self.0.unfollow_ended(follower);
    }

    /// Records every step from now on of the engines that can tell, of these instances or of all.
    pub fn record_steps(&mut self, instances: Option<Vec<u64>>) {
        self.0.record_steps(instances);
    }

    /// Takes the steps that ended since the last call, with the numbers of their instances.
    pub fn take_steps(&mut self) -> Vec<(u64, StepRow)> {
        self.0.take_steps()
    }

    /// Records every run of steps that starts from now on, or no more of them. Off unless asked for.
    pub fn record_runs(&mut self, record: bool) {
        self.0.record_runs(record);
    }

    /// Takes the runs that ended since the last call, in the order of ending.
    pub fn take_runs(&mut self) -> impl Iterator<Item = BatchRun> + '_ {
        self.0.take_runs()
    }
}
