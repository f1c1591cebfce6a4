//! Programs that own the world: what they may do, and what becomes of it. Public interfaces only.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod changes;
mod faults;
mod fleets;
mod foreign;
mod fork;
mod host;
mod regions;
mod requests;
mod snapshot;
mod veto;
