//! Benchmarks: what is run, how it is measured, and what it is compared with.
//!
//! `fleetsim bench` and the criterion benchmarks in `benches/` share what is here. A figure in
//! seconds says as much of the machine as of the program, so each comes with a ratio to a baseline
//! that is measured in the same process a moment later: events to the bare event queue
//! ([`bare_queue`]), ticks of a large fleet to those of a small one ([`measure_tick`]).
//!
//! ```
//! use fleetsim::bench::{FleetBench, measure};
//! use fleetsim::scenario::Scheduler;
//!
//! let bench = FleetBench { servers: 4, requests: 200, ..FleetBench::small(Scheduler::TokenJsq) };
//! let measured = measure(&bench)?;
//! assert_eq!(measured.completed, 200);
//! assert!(measured.events > 400, "each arrives, and its last token ends a run");
//! # Ok::<(), fleetsim::bench::BenchError>(())
//! ```

mod data_plane;
mod fleet;
mod idle;
mod machine;
mod measure;
mod queue;
mod step_models;
mod vllm;

pub use data_plane::DataPlane;
pub use fleet::{FleetBench, SCHEDULERS};
pub use idle::{TickTime, draining_fleet, idle_fleet, measure_tick};
pub use machine::{Machine, peak_memory, reset_peak_memory};
pub use measure::{
    BenchError, Measurement, measure, measure_scenario, measure_step_models, measure_vllm,
};
pub use queue::bare_queue;
pub use step_models::StepModelBench;
pub use vllm::{VllmBench, conversation_hour};
