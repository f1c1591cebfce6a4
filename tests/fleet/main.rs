//! The control plane, through its public API.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod accounting;
mod breaking;
mod commands;
mod departures;
mod drains;
mod failing;
mod faults;
mod late;
mod lifecycle;
mod market;
mod meddling;
mod pools;
mod power;
mod random_scripts;
mod refusals;
mod renewal;
mod retention;
mod shapes;
mod stages;
mod stepping;
mod support;
mod timers;
mod undo;
