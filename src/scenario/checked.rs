use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::regions::RegionPlace;
use super::{OpenTerms, Placement, Scenario, Term};
use crate::catalog::Catalog;
use crate::document::{self, Diagnostics, Document, Problem};
use crate::time::SimDuration;
use crate::warning::{Warning, Warnings};

/// A scenario that has been checked against its catalog: every name in it is known, every
/// template fits on a server, every start can be met.
#[derive(Clone, Debug)]
pub struct CheckedScenario {
    pub(super) scenario: Scenario,
    pub(super) catalog: Catalog,
    pub(super) directory: PathBuf,
    pub(super) placement: Placement,
    pub(super) hash: String,
    /// The hash of the traces alone; a policy does not change them.
    pub(super) traces: Option<u64>,
    pub(super) warnings: Warnings,
    /// None for a scenario made in code.
    pub(super) document: Option<Arc<Document>>,
    pub(super) terms: Arc<OpenTerms>,
    /// Of a scenario with regions.
    pub(super) regions: Option<Arc<Regions>>,
    /// Of a region.
    pub(super) place: Option<RegionPlace>,
}

/// What a scenario with regions is made of.
#[derive(Clone, Debug)]
pub(super) struct Regions {
    pub(super) each: Vec<CheckedRegion>,
    pub(super) side_by_side: CheckedScenario,
    pub(super) one_way: Vec<Vec<SimDuration>>,
}

/// A region of a scenario, as a scenario by itself.
#[derive(Clone, Debug)]
pub struct CheckedRegion {
    /// Its name.
    pub name: String,
    /// Its servers, and the applications as they are there, with the requests of its users.
    pub scenario: CheckedScenario,
}
impl CheckedScenario {
    /// Its text, with the values that were replaced; none for a scenario made in code.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.document.as_deref().map(Document::text)
    }

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

    /// What is there at time zero.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The hash of all that a run is made from but the version of fleetsim: the scenario's text
    /// with overrides, its catalog files, and the rows of its traces. 16 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is likely a mistake, though the scenario can be run. Policies add their own in
    /// [`PolicyRegistry::check`](crate::autoscale::PolicyRegistry::check).
    #[must_use]
    pub const fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// A warning of this kind about the value at `path`, placed as by [`Self::problem_at`].
    #[must_use]
    pub fn warning_at(
        &self,
        kind: &'static str,
        path: &str,
        message: impl Into<String>,
    ) -> Warning {
        Warning::of(kind, self.problem_at(path, message))
    }

    /// A problem with the value at `path`, such as `applications[0].autoscaler.max`, at its place
    /// in the file; of a path only the first steps need to be there. A scenario made in code has
    /// no places.
    #[must_use]
    pub fn problem_at(&self, path: &str, message: impl Into<String>) -> Problem {
        let problem = Problem::new(self.path(path), message);
        match &self.document {
            Some(document) => document.place(problem),
            None => problem,
        }
    }

    /// The path of a value in the text, which a region has in common with others.
    pub(super) fn path(&self, path: &str) -> String {
        let place = self.place.as_ref();
        place.map_or_else(|| path.to_owned(), |it| it.path(path))
    }

    /// The regions, each as a scenario by itself; none of a scenario without regions.
    #[must_use]
    pub fn regions(&self) -> &[CheckedRegion] {
        self.regions.as_ref().map_or(&[], |it| &it.each)
    }

    /// Seconds one way from each region to each.
    #[must_use]
    pub fn one_way(&self) -> &[Vec<SimDuration>] {
        self.regions.as_ref().map_or(&[], |it| &it.one_way)
    }

    /// What tables and pages are made for: the scenario itself; of one with regions, the applications of all of
    /// them, each named `REGION/APPLICATION`, in the order of the regions.
    #[must_use]
    pub fn series(&self) -> &Self {
        self.regions.as_ref().map_or(self, |it| &it.side_by_side)
    }

    /// Reads an application's policy term as a `T`, as strictly as the scenario itself; none where
    /// the application has no policy.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong, at its place in the file, or with its path.
    pub fn read_autoscaler<T: DeserializeOwned + JsonSchema>(
        &self,
        application: usize,
    ) -> Result<Option<T>, Diagnostics> {
        let path = self.path(&format!("applications[{application}].autoscaler"));
        if let Some(document) = &self.document {
            return document.read_at(&path).map_err(Diagnostics::new);
        }
        let of = self.scenario.applications.get(application);
        let raw = of.and_then(|of| of.autoscaler.as_ref());
        raw.map(|raw| document::read(&path, raw.0.get_ron()))
            .transpose()
    }

    /// Reads a term at a path, such as `applications[0].scheduler`, as a `T`, as strictly as the scenario
    /// itself. A term without parameters may leave the parentheses out.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong, at its place in the file, or with its path.
    pub fn read_term<T: DeserializeOwned + JsonSchema>(
        &self,
        path: &str,
        term: Term,
    ) -> Result<T, Diagnostics> {
        let path = &self.path(path);
        if let Some(document) = &self.document
            && let Some(read) = document.read_at(path).map_err(Diagnostics::new)?
        {
            return Ok(read);
        }
        document::read(path, term.text())
    }
}
