//! Autoscaling, through its public API.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod actuator;
mod bound;
mod capacity;
mod clairvoyant;
mod errors;
mod forecast;
mod planners;
mod policies;
mod random;
mod signals;
mod support;
mod wakes;
