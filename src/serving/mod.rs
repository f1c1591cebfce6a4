//! The data plane: requests, batch engines, schedulers and transfers, event by event. Knows nothing
//! of the ECS.
//!
//! An [`Endpoint`] is one application's share of it. Its surface is narrow: add an engine, open and
//! close it to new work, ask whether it is idle, remove it; serve up to an instant; read what ended.

mod endpoint;
pub mod engine;
mod gateway;
mod ids;
mod queue;
pub mod registry;
mod requests;
pub mod routing;
mod served;
mod step;

pub use crate::scenario::{EngineLimits, KvMemory, Role};
pub(crate) use endpoint::Made;
pub use endpoint::{
    BatchRun, Cancelled, Counts, Endpoint, EndpointConfig, EngineBusy, EngineSpec, Evacuated,
    Follower, InvalidRate, LostWork, NoSuchRequest, Outcome, Phase, PossibleEngine, Rejection,
    RequestRecord, SubmitError,
};
pub use engine::EngineLoad;
pub use engine::vllm;
pub(crate) use gateway::Gateway;
pub use gateway::Traffic;
pub use ids::EngineId;
pub use queue::{Entry, Id, Key, LeastIndex};
pub use registry::ServingRegistry;
pub use served::Served;
pub use step::{
    BatchShape, ConstantTime, Curves, InvalidCurve, Linear, NoRoofline, NoTable, Paced,
    Performance, PerformanceError, Priced, Roofline, StepModel, StepTimes, Steps, Table, Terms,
};
