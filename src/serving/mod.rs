//! The data plane: requests, batch engines, schedulers and transfers, event by event. Knows nothing
//! of the ECS.
//!
//! An [`Endpoint`] is one application's share of it. Its surface is narrow: add an engine, open and
//! close it to new work, ask whether it is idle, remove it; serve up to an instant; read what ended.

mod agenda;
mod ahead;
mod arrivals;
mod batch;
mod batching;
mod deadlock;
mod endpoint;
mod ends;
mod engine;
mod events;
mod index;
mod iteration;
mod kind;
mod membership;
mod pending;
mod performance;
mod pool;
mod queue;
mod reading;
mod record;
mod recorder;
mod recount;
mod request;
mod run;
pub mod scheduler;
mod step;
mod task;
mod transfer;
mod types;
mod withdrawal;

pub use crate::scenario::Role;
pub use endpoint::Endpoint;
pub use index::{Entry, Key, LeastIndex};
pub use performance::{
    ConstantTime, Curves, InvalidCurve, Performance, PerformanceError, PerformanceModel,
};
pub use record::{Outcome, Rejection, RequestRecord};
pub use recorder::BatchRun;
pub use step::{BatchShape, Linear, StepModel, Steps};
pub use types::{
    Counts, EndpointConfig, EngineBusy, EngineId, EngineLoad, EngineSpec, SubmitError,
};
