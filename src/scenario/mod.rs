//! Scenarios: RON text in, validated data out. Knows nothing of the ECS.

mod spec;

use std::path::{Path, PathBuf};

use crate::catalog::Catalog;

pub use spec::*;

/// A scenario that has been checked against its catalog: every name in it is known, every
/// template fits on a server, every start can be met.
#[derive(Clone, Debug)]
pub struct CheckedScenario {
    scenario: Scenario,
    catalog: Catalog,
    directory: PathBuf,
    hash: String,
}

impl CheckedScenario {
    /// What was written.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The built-in catalog with the scenario's own files on top.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What paths in the scenario are relative to.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A fingerprint of the text it came from, catalog files included.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}
