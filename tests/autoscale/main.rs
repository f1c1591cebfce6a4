//! Autoscaling, through its public API.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod actuator;
mod age;
mod bound;
mod capacity;
mod clairvoyant;
mod conformance;
mod effect;
mod errors;
mod follow;
mod forecast;
mod from_zero;
mod idle;
mod meets;
mod planners;
mod policies;
mod pool;
mod random;
#[path = "../shared/mod.rs"]
mod shared;
mod signals;
mod support;
mod variants;
mod wakes;
