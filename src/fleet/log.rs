use std::collections::BTreeMap;
use std::fmt;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::message::{Message, Messages};
use bevy_ecs::world::DeferredWorld;
use serde::{Deserialize, Serialize};

use crate::snapshot::name::{self, Name};
use crate::time::SimTime;

use super::{Clock, Fleet, ScalingError};

/// One line of the scaling log: something that the lifecycle did, or refused to do.
///
/// As a message it can be read by systems of the `Tick` schedule, in the tick in which it was written
/// and in the next; a host that looks less often reads the [`ScalingLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
pub struct ScalingEvent {
    /// When.
    pub time: SimTime,
    /// What.
    pub action: ScalingAction,
    /// To which.
    pub target: Target,
    /// The target's status from then on, in lower case with underscores; `failed` for what never
    /// came to be, `gone` for what is no longer there.
    #[serde(with = "crate::snapshot::name")]
    pub status: Name,
    /// The [number](super::Fleet::number) of the fleet.
    pub fleet: u32,
}

/// One line to be written: what was done to which, and the status of that from then on.
pub(super) type Line = (ScalingAction, Target, Name);

/// What the lifecycle did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ScalingAction {
    /// An instance began to start up.
    ScaleUpStart,
    /// A stage of a start-up began; the status is its name.
    StartUpStage,
    /// An attempt at a start-up was given up.
    StartUpFailed,
    /// Another attempt at a start-up began.
    StartUpAgain,
    /// An instance became active.
    ScaleUpComplete,
    /// An instance was given up before it was active.
    ScaleUpCancelled,
    /// A server or an instance could not be created.
    ScaleUpFailed,
    /// An instance has to make room for one of an application with a higher priority.
    Preempted,
    /// An instance began to drain.
    ScaleDownStart,
    /// An instance was removed.
    ScaleDownComplete,
    /// An instance was asked to drain but was not active.
    ScaleDownInvalid,
    /// A server was created.
    ScaleUpServer,
    /// A server was removed.
    ScaleDownServer,
    /// A server that was removed is stopped, with its disk.
    ServerStopped,
    /// A server that was created is one that was stopped.
    ServerResumed,
    /// A server was to be removed but could not be.
    ScaleDownServerInvalid,
    /// A drain ran out of time and its work was put back.
    DrainTimeout,
    /// An instance or a server was lost to a fault.
    Crash,
    /// A server that was repaired is there again, under a new number.
    ServerRepaired,
    /// A fault named an instance or a server that is not there.
    CrashInvalid,
}

impl ScalingAction {
    /// Every action, in the order of the enumeration.
    pub const ALL: [Self; 20] = [
        Self::ScaleUpStart,
        Self::StartUpStage,
        Self::StartUpFailed,
        Self::StartUpAgain,
        Self::ScaleUpComplete,
        Self::ScaleUpCancelled,
        Self::ScaleUpFailed,
        Self::Preempted,
        Self::ScaleDownStart,
        Self::ScaleDownComplete,
        Self::ScaleDownInvalid,
        Self::ScaleUpServer,
        Self::ScaleDownServer,
        Self::ServerStopped,
        Self::ServerResumed,
        Self::ScaleDownServerInvalid,
        Self::DrainTimeout,
        Self::Crash,
        Self::ServerRepaired,
        Self::CrashInvalid,
    ];

    /// The name in `scaling.csv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScaleUpStart => "scale_up_start",
            Self::StartUpStage => "start_up_stage",
            Self::StartUpFailed => "start_up_failed",
            Self::StartUpAgain => "start_up_again",
            Self::ScaleUpComplete => "scale_up_complete",
            Self::ScaleUpCancelled => "scale_up_cancelled",
            Self::ScaleUpFailed => "scale_up_failed",
            Self::Preempted => "preempted",
            Self::ScaleDownStart => "scale_down_start",
            Self::ScaleDownComplete => "scale_down_complete",
            Self::ScaleDownInvalid => "scale_down_invalid",
            Self::ScaleUpServer => "scale_up_server",
            Self::ScaleDownServer => "scale_down_server",
            Self::ServerStopped => "server_stopped",
            Self::ServerResumed => "server_resumed",
            Self::ScaleDownServerInvalid => "scale_down_server_invalid",
            Self::DrainTimeout => "drain_timeout",
            Self::Crash => "crash",
            Self::ServerRepaired => "server_repaired",
            Self::CrashInvalid => "crash_invalid",
        }
    }
}

/// What a scaling event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The instance of this number.
    Instance(u64),
    /// The server of this number.
    Server(u64),
    /// A server that never came to be.
    NoServer,
    /// An instance that never came to be.
    NoInstance,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(number) => write!(f, "instance_{number}"),
            Self::Server(number) => write!(f, "server_{number}"),
            Self::NoServer => f.write_str("server"),
            Self::NoInstance => f.write_str("instance"),
        }
    }
}

/// Refusals since the start, by action and by [reason](ScalingError::reason).
#[derive(Component, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "Vec<(ScalingAction, String, u64)>",
    into = "Vec<(ScalingAction, String, u64)>"
)]
pub struct Refusals(BTreeMap<(ScalingAction, &'static str), u64>);

impl From<Vec<(ScalingAction, String, u64)>> for Refusals {
    fn from(counts: Vec<(ScalingAction, String, u64)>) -> Self {
        let counts = counts.into_iter();
        let named = counts.map(|(action, reason, count)| ((action, name::of(&reason)), count));
        Self(named.collect())
    }
}

impl From<Refusals> for Vec<(ScalingAction, String, u64)> {
    fn from(refusals: Refusals) -> Self {
        let counts = refusals.iter();
        counts
            .map(|(action, reason, count)| (action, reason.to_owned(), count))
            .collect()
    }
}

impl Refusals {
    /// Each action and reason with its count, in order; none of them is 0.
    pub fn iter(&self) -> impl Iterator<Item = (ScalingAction, &'static str, u64)> + '_ {
        let entries = self.0.iter();
        entries.map(|(&(action, reason), &count)| (action, reason, count))
    }

    /// The count of an action for a reason.
    #[must_use]
    pub fn of(&self, action: ScalingAction, reason: &'static str) -> u64 {
        self.0.get(&(action, reason)).copied().unwrap_or_default()
    }

    /// Adds those of another fleet.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (&key, &count) in &other.0 {
            *self.0.entry(key).or_default() += count;
        }
    }

    fn count(&mut self, action: ScalingAction, reason: &'static str) {
        *self.0.entry((action, reason)).or_default() += 1;
    }
}

/// What the lifecycle did, in order, until somebody drains it.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct ScalingLog {
    events: Vec<ScalingEvent>,
    /// Of each action since the start.
    counts: [u64; ScalingAction::ALL.len()],
}

impl ScalingLog {
    /// What has not been drained.
    #[must_use]
    pub fn events(&self) -> &[ScalingEvent] {
        &self.events
    }

    /// Takes what there is, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, ScalingEvent> {
        self.events.drain(..)
    }

    /// How often this happened since the start, drained or not.
    #[must_use]
    pub const fn count(&self, action: ScalingAction) -> u64 {
        self.counts[action as usize]
    }

    fn push(&mut self, event: ScalingEvent) {
        self.counts[event.action as usize] += 1;
        self.events.push(event);
    }
}

/// Writes one line of a fleet everywhere that lines go.
pub(super) fn record(
    world: &mut DeferredWorld<'_>,
    fleet: Entity,
    time: SimTime,
    (action, target, status): Line,
) {
    tracing::info!(target: "fleetsim::scaling", %time, action = action.name(), %target, status);
    let event = ScalingEvent {
        time,
        action,
        target,
        status,
        fleet: world.get::<Fleet>(fleet).map_or(0, Fleet::number),
    };
    if let Some(mut log) = world.get_mut::<ScalingLog>(fleet) {
        log.push(event);
    }
    world.resource_mut::<Messages<ScalingEvent>>().write(event);
}

/// Writes down a refusal, and counts its reason. One that is about no fleet is only traced.
pub(super) fn refuse(
    world: &mut DeferredWorld<'_>,
    fleet: Option<Entity>,
    line: Line,
    error: &ScalingError,
) {
    let time = world.resource::<Clock>().now();
    tracing::warn!(target: "fleetsim::scaling", %time, action = line.0.name(), "{error}");
    let Some(fleet) = fleet else {
        return;
    };
    if let Some(mut refusals) = world.get_mut::<Refusals>(fleet) {
        refusals.count(line.0, error.reason());
    }
    record(world, fleet, time, line);
}
