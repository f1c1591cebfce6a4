//! The control plane: servers, processors, instances and applications as entities of a
//! `bevy_ecs` world, and the systems that run their lives.

mod log;

pub use log::{ScalingAction, ScalingEvent, Target};
