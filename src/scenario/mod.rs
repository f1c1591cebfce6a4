//! Scenarios: RON text in, validated data out. Knows nothing of the ECS.
//!
//! ```no_run
//! use fleetsim::scenario::CheckedScenario;
//!
//! let checked = CheckedScenario::load("scenarios/quickstart.ron".as_ref(), &[])?;
//! println!("{} servers at time zero", checked.placement().servers.len());
//! # Ok::<(), fleetsim::document::Diagnostics>(())
//! ```

mod autoscaling;
mod checked;
mod file;
mod hash;
pub mod placement;
mod reading;
mod regions;
mod spec;
mod validate;

pub use crate::document::{Diagnostics, Position, Problem};
pub(crate) use hash::Fnv;
pub(crate) use regions::series;

pub use autoscaling::{Actuator, Limits, PlacementRule, Signals, SkuChoice, Victim};
pub use checked::{CheckedRegion, CheckedScenario};
pub use placement::{PlacedInstance, Placement};
pub use spec::*;

/// The JSON Schema of a scenario, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Scenario).to_value()
}
