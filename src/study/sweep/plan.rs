//! The runs of a sweep, in order.

use std::path::Path;

use super::axis::Point;
use super::file::SweepFile;
use crate::autoscale::PolicyRegistry;
use crate::document::{Document, Source};
use crate::scenario::{CheckedScenario, Diagnostics, Fnv, Problem};

/// The runs of a sweep, in the order of its axes.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    base: CheckedScenario,
    axes: Vec<Vec<Point>>,
    columns: Vec<String>,
    hash: String,
}

impl Plan {
    /// Reads a sweep file and its scenario, and checks each value of each axis in it.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong, each at its place.
    pub fn load(path: &Path, registry: &PolicyRegistry) -> Result<Self, Diagnostics> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problem::new("", format!("cannot read {file}: {error}")))?;
        let document = Document::parse(Source::new(file, text)).map_err(Diagnostics::new)?;
        let (sweep, problems) = document.read::<SweepFile>();
        let Some(sweep) = sweep.filter(|_| problems.is_empty()) else {
            return Err(Diagnostics::new(problems));
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let scenario = directory.join(&sweep.scenario);
        let base = registry.load(&scenario, &sweep.set)?;
        registry.check(&base)?;
        let stem = path.file_stem().map(|it| it.to_string_lossy().into_owned());
        let name = sweep.name.clone().or(stem).unwrap_or_default();
        Self::new(name, base, &sweep, registry, &document)
    }

    fn new(
        name: String,
        base: CheckedScenario,
        sweep: &SweepFile,
        registry: &PolicyRegistry,
        document: &Document,
    ) -> Result<Self, Diagnostics> {
        let mut problems = Vec::new();
        let (mut axes, mut columns) = (Vec::new(), Vec::<String>::new());
        for (position, axis) in sweep.axes.iter().enumerate() {
            let at = format!("axes[{position}]");
            let mut wrong = |at: &str, what: String| {
                problems.push(document.place(Problem::new(at, what)));
            };
            for column in axis.columns() {
                if columns.contains(&column) {
                    wrong(&at, format!("another axis varies `{column}`, too"));
                }
                columns.push(column);
            }
            let points = axis.points(base.scenario().seed, sweep.seed, position);
            let points = match points {
                Ok(points) => points,
                Err((beneath, what)) => {
                    let at = match beneath.is_empty() {
                        true => at,
                        false => format!("{at}.{beneath}"),
                    };
                    wrong(&at, what);
                    continue;
                }
            };
            for point in &points {
                let checked = base.with_settings(&point.set);
                let checked = checked.and_then(|it| registry.check(&it).map(|_| ()));
                problems.extend(
                    checked
                        .err()
                        .into_iter()
                        .flat_map(Diagnostics::into_problems),
                );
            }
            axes.push(points);
        }
        if sweep.axes.is_empty() {
            let problem = Problem::new("axes", "there is no axis, so there is nothing to vary");
            problems.push(document.place(problem));
        }
        if !problems.is_empty() {
            return Err(Diagnostics::new(problems));
        }
        let mut hash = Fnv::new();
        hash.text(base.hash());
        hash.text(env!("CARGO_PKG_VERSION"));
        for points in &axes {
            points
                .iter()
                .flat_map(|it| &it.set)
                .for_each(|it| hash.text(it));
            hash.text("");
        }
        Ok(Self {
            name,
            base,
            axes,
            columns,
            hash: hash.digits(),
        })
    }

    /// What the sweep goes by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The scenario that is varied.
    #[must_use]
    pub const fn base(&self) -> &CheckedScenario {
        &self.base
    }

    /// A hash of all that the runs are made from, the version of fleetsim included.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The columns that the axes have in the table.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many runs there are.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.axes.iter().map(Vec::len).product()
    }

    /// The values of the axes in a run, one for each column.
    #[must_use]
    pub fn cells(&self, run: usize) -> Vec<String> {
        self.points(run).flat_map(|it| it.cells.clone()).collect()
    }

    /// What a run replaces in the base scenario, each `PATH=VALUE`.
    #[must_use]
    pub fn settings(&self, run: usize) -> Vec<String> {
        self.points(run).flat_map(|it| it.set.clone()).collect()
    }

    /// The scenario of a run.
    ///
    /// # Errors
    /// [`Diagnostics`] where values of several axes do not go together.
    pub fn scenario(
        &self,
        run: usize,
        registry: &PolicyRegistry,
    ) -> Result<CheckedScenario, Diagnostics> {
        let checked = self.base.with_settings(&self.settings(run))?;
        registry.check(&checked)?;
        Ok(checked)
    }

    /// The points of a run, one of each axis; the last axis varies fastest.
    fn points(&self, run: usize) -> impl Iterator<Item = &Point> {
        let mut each = self.runs();
        let mut rest = run;
        self.axes.iter().map(move |points| {
            each /= points.len();
            let at = rest / each;
            rest %= each;
            &points[at]
        })
    }
}
