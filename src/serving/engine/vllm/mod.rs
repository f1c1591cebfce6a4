//! The engine of vLLM: chunked prefill, paged KV blocks, prefix cache, preemption by recomputation.
//!
//! [`Vllm`] makes the steps that the scheduler of vLLM 0.33.0 makes, one by one or, where
//! nothing but decoding happens, many in one event. Both ways are one program: requests that decode one
//! token a step are kept as sums, and become single ones again where a step is not that simple.
//! [`Vllm::stepwise`] never makes sums of them, which tests compare with.

mod blocks;
mod config;
mod content;
mod engine;
mod gaps;
mod lockstep;
mod process;
mod request;
mod run;
mod schedule;
mod step;
mod waiting;

pub use blocks::{BlockId, Blocks};
pub use config::{InvalidConfig, Misfit, SchedulingPolicy, VllmConfig};
pub use content::Prefix;
pub use engine::{Ended, Load, Totals, Vllm};
pub use request::{Progress, Ticket, Work};
pub use step::StepRow;
