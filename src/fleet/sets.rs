//! The schedule of a tick and its sets, by which hosts order systems of their own.

use bevy_ecs::schedule::{ScheduleLabel, SystemSet};
use serde::{Deserialize, Serialize};

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
