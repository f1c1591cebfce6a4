//! Engines that serve prompts whole and tokens one a step: `Splitwise`, `Orca` and `Fcfs` differ in who is
//! in the next batch.

mod batch;
mod engine;
mod fcfs;
mod kind;
mod orca;
mod pending;
mod pool;
mod prefetch;
mod rule;
mod run;
mod serve;
mod shaped;
mod splitwise;
mod task;

pub(crate) use engine::BatchingEngine;
pub(crate) use kind::Kind;
pub(crate) use rule::Selection;
