//! Programs that own the world: what they may do, and what becomes of it. Public interfaces only.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod changes;
mod faults;
mod foreign;
mod fork;
mod host;
mod requests;
mod snapshot;
mod veto;
