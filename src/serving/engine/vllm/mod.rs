//! The engine of vLLM: chunked prefill, paged KV blocks, prefix cache, preemption by recomputation.
//!
//! [`Vllm`] makes the steps that the scheduler of vLLM 0.33.0 makes, one by one or, where
//! nothing but decoding happens, many in one event. Both ways are one program: requests that decode one
//! token a step are kept as sums, and become single ones again where a step is not that simple.
//! [`Vllm::stepwise`] never makes sums of them, which tests compare with.

mod blocks;
mod circle;
mod content;
mod engine;
mod gaps;
mod intake;
mod lockstep;
mod news;
mod process;
mod questions;
mod recount;
mod request;
mod run;
mod schedule;
mod serve;
mod state;
mod step;
mod waiting;

pub use crate::scenario::{InvalidConfig, Misfit, SchedulingPolicy, VllmConfig};
pub use blocks::{BlockId, Blocks};
pub use content::Prefix;
pub use engine::{Totals, Vllm};
pub use news::{Ended, News, TokenGaps};
pub use questions::Load;
pub use request::{Part, Progress, Ticket, Work};
pub use step::StepRow;

pub(crate) use serve::VllmEngine;
