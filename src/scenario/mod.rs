//! Scenarios: RON text in, validated data out. Knows nothing of the ECS.

mod spec;

pub use spec::*;
