//! Autoscaling: what can be observed, the policies that decide on it, and the actuator that carries
//! their decisions out.
//!
//! In a tick, [`Signals`] are read in `Sense`, each policy whose time has come says in `Decide` how
//! many instances it wants ([`DesiredInstances`]), and in `Act`, after scripted actions, the
//! [`Actuator`] turns that into scaling verbs and writes a [`Decision`] into the [`DecisionLog`]. No
//! instance is looked at in ticks where nothing is due.
//!
//! The actuator
//! - keeps a role within its limits, and waits out its cool-downs;
//! - restores what is missing from a role's minimum, regardless of the policy;
//! - gives up start-ups, the newest first, before it drains what is active;
//! - drains the least loaded first, unless told otherwise;
//! - starts instances on free processors of servers that are there, then of those being provisioned,
//!   and only then on new servers, of the first SKU that has room, unless told otherwise;
//! - writes down what it did not do, and why.
//!
//! [`Policy`] is the door for policies, the built-in ones in [`policies`] and a user's own. See
//! `examples/custom_policy.rs`.

mod act;
mod actuator;
mod additions;
mod any_policy;
pub mod capacity;
mod decide;
mod decider;
pub mod forecast;
mod foresight;
mod grid;
mod kind;
pub mod limiter;
mod log;
mod placement;
pub mod policies;
mod policy;
mod pool;
mod registry;
mod removals;
mod sense;
mod sets;
mod signals;
mod snapshot;
mod systems;

pub use actuator::Actuator;
pub use capacity::{Amount, Capacity, CapacityModel, CostBound, Demand, EngineModel, Mix, StartUp};
pub use decider::Decider;
pub use kind::PolicyKind;
pub use log::{Decision, DecisionLog};
pub use policy::{Desire, DesiredInstances, InvalidParameter, Measure, Policy};
pub use pool::{BudgetClaim, PendingInstance, PendingInstances, Pool, Priority, divide};
pub(crate) use registry::HOST;
pub use registry::PolicyRegistry;
pub use sets::{Actuated, Decided, Sensed};
pub use signals::{Latency, Signals};
pub use snapshot::{
    Completion, InstanceCounts, InstanceSnapshot, Load, RoleSnapshot, SkuSnapshot, Snapshot,
    Variant,
};
