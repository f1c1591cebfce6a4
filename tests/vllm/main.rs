//! The engine of vLLM against vLLM's own steps, against itself step by step, and its block pool
//! against a plain one.

#[path = "../shared/mod.rs"]
mod shared;

mod blocks;
mod case;
mod cases;
mod evacuation;
mod scenario;
mod split;
mod twins;
