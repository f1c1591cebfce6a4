//! Autoscaling, through its public API.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod actuator;
mod errors;
mod policies;
mod random;
mod signals;
mod support;
