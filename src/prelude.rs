//! What a host that embeds a fleet needs day to day, for `use fleetsim::prelude::*`.
//!
//! It holds the traits that put the fleet's verbs and questions on `World` and `Commands`, the
//! components and messages to watch it by, and the plain types that those speak in. Installing a
//! fleet is [`fleet::install`](crate::fleet::install), once, by its full name.

pub use crate::fleet::{
    Agenda, Application, Clock, Fleet, FleetWorldExt, FleetsExt, HostedOn, Instance, InstanceRole,
    InstanceStatus, OfApplication, RequestEnded, ScaleUpFull, ScaleUpInstance, ScaledUp,
    ScalingAction, ScalingCommandsExt, ScalingError, ScalingEvent, ScalingExt, ScalingLog, Server,
    ServerStatus, Service, Target, Tick, TickLimits, TickSet, Ticket, VerbOutcome,
};
pub use crate::scenario::CheckedScenario;
pub use crate::serving::{Outcome, RequestRecord, Role};
pub use crate::simulation::Simulation;
pub use crate::time::{SimDuration, SimTime};
pub use crate::workload::Arrival;
