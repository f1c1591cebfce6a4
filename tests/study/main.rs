//! Studies of many runs: sweeps, replications, searches.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "../binary/mod.rs"]
mod binary;
mod desk;
mod intervals;
mod replications;
mod saturate;
mod search;
mod sweep;
