use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checked::{CheckedRegion, CheckedScenario, Regions};
use super::hash::{self, Fnv};
use super::regions::{self, Apart, RegionPlace};
use super::{OpenTerms, Performance, Placement, RawPolicy, Scenario, file, json_schema, validate};
use crate::catalog::Catalog;
use crate::document::{self, Diagnostics, Document, Problem, Source};
use crate::measured::StepRow;
use crate::warning::{Warning, Warnings};

impl CheckedScenario {
    /// Reads and checks a scenario file.
    ///
    /// Each override is `PATH=VALUE`, as in `applications[0].scaling.scale_up_delay=20`: RON text
    /// that takes the place of a value, or is added where the file leaves the field out.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong, each at its place in the scenario file, in
    /// a catalog file or in an override.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, Diagnostics> {
        Self::load_with(path, overrides, &OpenTerms::default())
    }

    /// The same for a scenario that may name these terms beside the built-in ones.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        path: &Path,
        overrides: &[String],
        terms: &OpenTerms,
    ) -> Result<Self, Diagnostics> {
        let name = path.display().to_string();
        let text = file::read(path)
            .map_err(|error| Problem::new("", format!("cannot read {name}: {error}")))?;
        if let Some(problem) = file::other_language(&name, path, &text) {
            return Err(problem.into());
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self::read(Source::new(name, text), directory, overrides, terms)
    }

    /// Checks a scenario's text; paths in it are relative to `directory`.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong; the text goes by the name `<scenario>`.
    pub fn from_ron(text: &str, directory: &Path) -> Result<Self, Diagnostics> {
        Self::from_ron_with(text, directory, &OpenTerms::default())
    }

    /// The same for a scenario that may name these terms beside the built-in ones.
    ///
    /// # Errors
    /// As [`from_ron`](Self::from_ron).
    pub fn from_ron_with(
        text: &str,
        directory: &Path,
        terms: &OpenTerms,
    ) -> Result<Self, Diagnostics> {
        Self::read(Source::new("<scenario>", text), directory, &[], terms)
    }

    /// Checks a scenario made in code; paths in it are relative to `directory`. Its own list of
    /// catalog files is read on top of `catalog`.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong, with the paths of the values.
    pub fn new(
        scenario: Scenario,
        catalog: Catalog,
        directory: impl Into<PathBuf>,
    ) -> Result<Self, Diagnostics> {
        Self::new_with(scenario, catalog, directory, &OpenTerms::default())
    }

    /// The same for a scenario that may name these terms beside the built-in ones.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_with(
        scenario: Scenario,
        catalog: Catalog,
        directory: impl Into<PathBuf>,
        terms: &OpenTerms,
    ) -> Result<Self, Diagnostics> {
        catalog.validate()?;
        let (text, mut problems) = document::check_as(&scenario, &schema_with(terms));
        let unfinished = Unfinished::begin(scenario, catalog, directory.into(), &text, terms);
        unfinished.finish(None, &mut problems, None)
    }

    fn read(
        source: Source,
        directory: &Path,
        overrides: &[String],
        terms: &OpenTerms,
    ) -> Result<Self, Diagnostics> {
        let mut document = Document::parse(source).map_err(Diagnostics::new)?;
        let mut problems = Vec::new();
        for assignment in overrides {
            if let Err(found) = document.set(assignment) {
                problems.extend(found);
            }
        }
        Self::of(document, directory, problems, None, terms)
    }

    fn of(
        document: Document,
        directory: &Path,
        mut problems: Vec<Problem>,
        earlier: Option<&Self>,
        terms: &OpenTerms,
    ) -> Result<Self, Diagnostics> {
        let (scenario, found) = document.read_as::<Scenario>(&schema_with(terms));
        problems.extend(found);
        let Some(scenario) = scenario else {
            return Err(Diagnostics::new(problems));
        };
        let directory = directory.to_owned();
        let catalog = Catalog::built_in();
        let unfinished = Unfinished::begin(scenario, catalog, directory, document.text(), terms);
        unfinished.finish(Some(document), &mut problems, earlier)
    }

    /// The same scenario with another policy for these applications: a RON term such as
    /// `HeteroScale(max: 50)`, or `None`.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong; what is wrong with the term itself is at its
    /// place in it, and the term goes by the name `policy`.
    pub fn with_policy(&self, applications: &[usize], term: &str) -> Result<Self, Diagnostics> {
        const NAME: &str = "policy";
        if let Some(document) = &self.document {
            let mut document = Document::clone(document);
            for path in self.policy_paths(applications) {
                let put = document.put(NAME, &path, term);
                put.map_err(Diagnostics::new)?;
            }
            let changed = Self::of(
                document,
                &self.directory,
                Vec::new(),
                Some(self),
                &self.terms,
            )?;
            let region = self.place.as_ref().map(RegionPlace::region);
            let region = region.and_then(|region| changed.regions().get(region));
            return Ok(region.map_or_else(|| changed.clone(), |it| it.scenario.clone()));
        }
        let policy: Option<RawPolicy> = document::read(NAME, term)?;
        if self.regions.is_some() {
            let what =
                "a scenario with regions that was made in code has no text to replace values in";
            return Err(Problem::new("", what).into());
        }
        let mut changed = self.clone();
        for (index, of) in changed.scenario.applications.iter_mut().enumerate() {
            if applications.contains(&index) {
                of.autoscaler.clone_from(&policy);
            }
        }
        let mut hash = Fnv::new();
        hash.text(&self.hash);
        hash.text(term);
        changed.hash = hash.digits();
        let (placement, _, warnings) =
            validate(&changed.scenario, &changed.catalog, &changed.directory)
                .map_err(Diagnostics::new)?;
        changed.placement = placement;
        changed.warnings = Warnings::default();
        changed.warnings.extend(warnings);
        Ok(changed)
    }

    /// The same scenario with other values, each `PATH=VALUE` as in [`load`](Self::load).
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong, and where the scenario was made in code: it has no
    /// text to replace values in.
    pub fn with_settings(&self, settings: &[String]) -> Result<Self, Diagnostics> {
        let Some(document) = &self.document else {
            let what = "the scenario was made in code: there is no text to replace values in";
            return Err(Problem::new("", what).into());
        };
        let mut document = Document::clone(document);
        let mut problems = Vec::new();
        for assignment in settings {
            problems.extend(document.set(assignment).err().into_iter().flatten());
        }
        Self::of(document, &self.directory, problems, Some(self), &self.terms)
    }

    /// The same with its regions, which were taken apart.
    fn with_regions(mut self, apart: Vec<Apart>) -> Self {
        let side_by_side = Self {
            scenario: regions::side_by_side(&self.scenario, &apart),
            ..self.clone()
        };
        let one_way = regions::one_way(&self.scenario);
        let names = self.scenario.regions.iter().map(|it| it.name.clone());
        let each = names.zip(apart).map(|(name, apart)| CheckedRegion {
            name,
            scenario: Self {
                scenario: apart.scenario,
                placement: apart.placement,
                place: Some(apart.place),
                // They are those of the whole.
                warnings: Warnings::default(),
                ..self.clone()
            },
        });
        let each = each.collect();
        self.regions = Some(Arc::new(Regions {
            each,
            side_by_side,
            one_way,
        }));
        self
    }

    /// Where the policies of applications stand, in each region, too.
    fn policy_paths(&self, applications: &[usize]) -> Vec<String> {
        let mut paths = Vec::new();
        for &index in applications {
            paths.push(self.path(&format!("applications[{index}].autoscaler")));
            let Some(application) = self.scenario.applications.get(index) else {
                continue;
            };
            for (region, of) in self.scenario.regions.iter().enumerate() {
                for (at, own) in of.applications.iter().enumerate() {
                    if own.name == application.name && own.autoscaler.is_some() {
                        let path = format!("regions[{region}].applications[{at}].autoscaler");
                        paths.push(path);
                    }
                }
            }
        }
        paths
    }
}

/// What is there at time zero, the regions, and what is likely a mistake; or everything that is wrong.
type Valid = (Placement, Vec<Apart>, Vec<Warning>);

fn validate(
    scenario: &Scenario,
    catalog: &Catalog,
    directory: &Path,
) -> Result<Valid, Vec<Problem>> {
    if scenario.regions.is_empty() {
        let problems = regions::check_without(scenario);
        if !problems.is_empty() {
            return Err(problems);
        }
        let (placement, warnings) = validate::validate(scenario, catalog, directory)?;
        return Ok((placement, Vec::new(), warnings));
    }
    let (apart, warnings) = regions::take_apart(scenario, catalog, directory)?;
    Ok((Placement::default(), apart, warnings))
}

fn schema_with(terms: &OpenTerms) -> serde_json::Value {
    let mut schema = json_schema();
    terms.extend(&mut schema);
    schema
}

/// A scenario that has not been checked against its catalog.
struct Unfinished {
    scenario: Scenario,
    catalog: Catalog,
    directory: PathBuf,
    hash: Fnv,
    terms: Arc<OpenTerms>,
}

impl Unfinished {
    fn begin(
        scenario: Scenario,
        catalog: Catalog,
        directory: PathBuf,
        text: &str,
        terms: &OpenTerms,
    ) -> Self {
        let mut hash = Fnv::new();
        hash.text(text);
        Self {
            scenario,
            catalog,
            directory,
            hash,
            terms: Arc::new(terms.clone()),
        }
    }

    /// Reads the catalog files and, where nothing is wrong with them, checks the rest.
    fn finish(
        mut self,
        document: Option<Document>,
        problems: &mut Vec<Problem>,
        earlier: Option<&CheckedScenario>,
    ) -> Result<CheckedScenario, Diagnostics> {
        let place = |problems: &mut Vec<Problem>, found| match &document {
            Some(document) => document.add(problems, found),
            None => problems.extend(found),
        };
        let before = problems.len();
        for (index, file) in self.scenario.catalog.iter().enumerate() {
            let file = self.directory.join(file);
            match file::read(&file) {
                Ok(text) => {
                    self.hash.text(&text);
                    let added = self.catalog.add_ron(&file.display().to_string(), &text);
                    problems.extend(added.err().into_iter().flat_map(Diagnostics::into_problems));
                }
                Err(error) => {
                    let message = format!("cannot read {}: {error}", file.display());
                    let problem = Problem::new(format!("catalog[{index}]"), message)
                        .help("paths are relative to the scenario file");
                    place(problems, vec![problem]);
                }
            }
        }
        for (index, application) in self.scenario.applications.iter().enumerate() {
            let Performance::Table { path, .. } = &application.performance else {
                continue;
            };
            let file = self.directory.join(path);
            match StepRow::read(&file) {
                Ok(rows) => {
                    self.hash
                        .text(&std::fs::read_to_string(&file).unwrap_or_default());
                    let tables = &mut self.catalog.step_tables;
                    tables.insert(path.clone(), Arc::new(rows));
                }
                Err(error) => {
                    let path = format!("applications[{index}].performance.path");
                    let problem = Problem::new(path, error.to_string());
                    place(problems, vec![problem]);
                }
            }
        }
        let (mut placement, mut warnings) = (Placement::default(), Warnings::default());
        let mut apart = Vec::new();
        if problems.len() == before {
            match validate(&self.scenario, &self.catalog, &self.directory) {
                Ok((found, regions, warned)) => {
                    (placement, apart) = (found, regions);
                    let placed = warned.into_iter().map(|mut warning| {
                        if let Some(document) = &document {
                            warning.problem = document.place(warning.problem);
                        }
                        warning
                    });
                    warnings.extend(placed);
                }
                Err(found) => place(problems, found),
            }
        }
        if !problems.is_empty() {
            return Err(Diagnostics::new(std::mem::take(problems)));
        }
        // Traces are read to the end for their hash, which takes long: the same ones once.
        let same = |it: &&CheckedScenario| hash::same_traces(&it.scenario, &self.scenario);
        let traces = match earlier.filter(same) {
            Some(earlier) => earlier.traces,
            None => hash::traces(&self.scenario, &self.directory),
        };
        if let Some(traces) = traces {
            self.hash.text(&traces.to_string());
        }
        let whole = CheckedScenario {
            scenario: self.scenario,
            catalog: self.catalog,
            directory: self.directory,
            placement,
            hash: self.hash.digits(),
            traces,
            warnings,
            document: document.map(Arc::new),
            terms: self.terms,
            regions: None,
            place: None,
        };
        Ok(match apart.is_empty() {
            true => whole,
            false => whole.with_regions(apart),
        })
    }
}
