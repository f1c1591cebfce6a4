//! Measurements of real servers against simulations of them, row by row.
//!
//! [`validate`] simulates each measured row as one instance with the engine of vLLM and the step model
//! `Roofline`, and compares means. `fleetsim validate` is this room on the command line.

mod case;
mod errors;
mod frontend;
mod ranks;
mod replays;
mod serve;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::catalog::{Catalog, Layer};
use crate::measured::import::{self, Served};
use crate::measured::{Arrivals, Figures, MeasuredError, Replay, Row, StepRow, TableKind};

pub use errors::Errors;
pub use frontend::Frontend;
pub(crate) use replays::{Rerun, replayed, step_together};
pub use summary::{ErrorSpread, Figure, Grouping, markdown, skipped, tables, worst, write_csv};

/// A measured row and what its simulation shows, or why there is none.
#[derive(Clone, Debug)]
pub struct Validated {
    /// What was measured.
    pub row: Row,
    /// What was simulated.
    pub result: Result<Simulated, String>,
}

/// What a simulation of a row shows.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// Means and percentiles.
    pub figures: Figures,
    /// How far they are off.
    pub errors: Errors,
    /// The layer of coefficients that was used.
    pub layer: String,
    /// The kind of its model: `dense`, `experts`, `latent attention`.
    pub kind: &'static str,
}

impl Validated {
    /// Whether users of a closed loop waited more than half of the time that their answers took: the
    /// engine held requests back, and its limit is not in the row.
    #[must_use]
    pub fn is_queueing(&self) -> bool {
        let (ttft, tpot) = (self.row.ttft.mean, self.row.tpot.mean);
        let (Some(ttft), Some(tpot)) = (ttft, tpot) else {
            return false;
        };
        self.row.arrivals == Arrivals::Closed && ttft >= 0.5 * self.row.output_tokens * tpot
    }
}

/// Measurements that were read.
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    /// Means of servers.
    pub rows: Vec<Row>,
    /// Runs, request by request.
    pub replays: Vec<Replay>,
    /// Step times.
    pub steps: Vec<StepRow>,
    /// Files that hold something else.
    pub others: Vec<PathBuf>,
}

impl Measurements {
    /// Reads files, and all CSV files of directories in order of name.
    ///
    /// # Errors
    /// [`MeasuredError`] with the place of the first thing that is wrong.
    pub fn read(paths: &[PathBuf], served: &Served) -> Result<Self, MeasuredError> {
        let mut all = Self::default();
        for path in paths {
            if path.is_dir() {
                for file in tables_in(path)? {
                    all.add(&file, served)?;
                }
            } else {
                all.add(path, served)?;
            }
        }
        Ok(all)
    }

    fn add(&mut self, file: &Path, served: &Served) -> Result<(), MeasuredError> {
        if file.extension().is_some_and(|it| it == "json") {
            self.rows.extend(import::read(file, served)?);
            return Ok(());
        }
        match TableKind::of(file)? {
            TableKind::Rows => self.rows.extend(Row::read(file)?),
            TableKind::Replay => self.replays.push(Replay::read(file)?),
            TableKind::Steps => self.steps.extend(StepRow::read(file)?),
            TableKind::Other => self.others.push(file.to_owned()),
        }
        Ok(())
    }

    /// Pairs of prompt and output tokens of real chats: those of the dense replay where there are several.
    fn chats(&self) -> Vec<(u32, u32)> {
        let of = self
            .replays
            .iter()
            .find(|it| it.id == "requests_rtx-pro-6000_llama-3.1-8b")
            .or_else(|| self.replays.first());
        let requests = of.map(|it| it.requests.as_slice()).unwrap_or_default();
        requests
            .iter()
            .map(|it| (it.prompt_tokens, it.output_tokens))
            .collect()
    }
}

/// The CSV files of a directory, by name.
fn tables_in(directory: &Path) -> Result<Vec<PathBuf>, MeasuredError> {
    let unreadable = |error: std::io::Error| MeasuredError::Unreadable {
        file: directory.to_owned(),
        reason: error.to_string(),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|it| it == "csv") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// How rows are simulated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The layers of coefficients that may be used.
    pub layer: Layer,
    /// Threads.
    pub threads: usize,
}

/// Simulates every row, and every run, and compares.
///
/// The order is that of the measurements, with any number of threads.
#[must_use]
pub fn validate(
    measurements: &Measurements,
    catalog: &Catalog,
    options: Options,
) -> Vec<Validated> {
    let chats = measurements.chats();
    let rows = measurements.rows.len();
    let all = rows + measurements.replays.len();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(all));
    thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, all.max(1)) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        break;
                    }
                    let validated = match measurements.rows.get(number) {
                        Some(row) => of_row(row, catalog, options.layer, &chats),
                        None => replays::of_replay(
                            &measurements.replays[number - rows],
                            catalog,
                            options.layer,
                        ),
                    };
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((number, validated));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, validated)| validated).collect()
}

/// The kind of a model, by its architecture.
fn kind_of(catalog: &Catalog, model: &str) -> &'static str {
    let model = catalog.models.get(model);
    let architecture = model.and_then(|it| it.architecture.as_ref());
    architecture.map_or("other", |it| it.kind())
}

fn of_row(row: &Row, catalog: &Catalog, layer: Layer, chats: &[(u32, u32)]) -> Validated {
    let result = case::case(row, catalog, layer, chats).and_then(|case| {
        let felt = serve::serve(&case)?;
        let raw = serve::figures(&case, &felt);
        let figures = Frontend::of(row).applied(raw);
        Ok(Simulated {
            figures,
            errors: Errors::of(row, &figures),
            layer: case.step.layer().to_string(),
            kind: kind_of(catalog, &row.model),
        })
    });
    Validated {
        row: row.clone(),
        result,
    }
}
