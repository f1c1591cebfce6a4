use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

#[cfg(feature = "parquet")]
use super::ParquetWriter;
use super::replications::{self, replications_json};
use super::summary::write_json;
use super::sweep::{write_saturation_csv, write_sweep_csv, write_sweep_json};
#[cfg(feature = "parquet")]
use super::sweep_parquet::write_sweep_parquet;
use super::{
    Claim, CsvWriter, Exposition, JsonLinesWriter, PerfettoTrace, ReportError, Table,
    TraceExcerpts, write_comparison_csv, write_summary,
};
use crate::observe::Summary;
use crate::scenario::CheckedScenario;
use crate::simulation::Finished;
use crate::study::saturate::Saturation;
use crate::study::search::Found;
use crate::study::sweep::SweepResult;
use crate::study::{Comparison, Replications};

const SUMMARY: &str = "summary.json";
const METRICS: &str = "metrics.prom";
const REPORT: &str = "report.html";
const TRACE: &str = "trace.json";
const COMPARISON_JSON: &str = "comparison.json";
const COMPARISON_CSV: &str = "comparison.csv";
const COMPARISON_HTML: &str = "comparison.html";
const JOURNAL: &str = "sweep.jsonl";
const SWEEP_CSV: &str = "sweep.csv";
const SWEEP_PARQUET: &str = "sweep.parquet";
const SWEEP_JSON: &str = "sweep.json";
const SWEEP_HTML: &str = "sweep.html";
const REPLICATIONS_CSV: &str = "replications.csv";
const REPLICATIONS_JSON: &str = "replications.json";
const SATURATION_CSV: &str = "saturation.csv";
const SATURATION_JSON: &str = "saturation.json";
const SEARCH_JSON: &str = "search.json";
const SATURATION_HTML: &str = "saturation.html";
const SEARCH_HTML: &str = "search.html";
/// What a file goes by until it is whole.
const UNFINISHED: &str = ".unfinished-file";

/// The directory that a run leaves its results in.
///
/// ```
/// use fleetsim::report::{Requests, ResultsDirectory};
/// # let parent = tempfile::tempdir()?;
/// # let path = parent.path().join("results/quickstart");
/// let results = ResultsDirectory::create(&path, false)?;
/// results.csv::<Requests>()?.finish()?;
///
/// let refused = ResultsDirectory::create(&path, false).unwrap_err();
/// assert!(refused.to_string().contains("--overwrite"));
/// ResultsDirectory::create(&path, true)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResultsDirectory {
    path: PathBuf,
}

impl ResultsDirectory {
    /// Every file that fleetsim writes into a results directory.
    pub const FILES: [&str; 34] = [
        SUMMARY,
        "requests.csv",
        "scaling.csv",
        "timeline.csv",
        "decisions.csv",
        "faults.csv",
        "steps.csv",
        "requests.jsonl",
        "requests.parquet",
        "scaling.parquet",
        "timeline.parquet",
        "decisions.parquet",
        "faults.parquet",
        "steps.parquet",
        METRICS,
        COMPARISON_JSON,
        COMPARISON_CSV,
        COMPARISON_HTML,
        REPORT,
        TRACE,
        "validation.csv",
        "validation.html",
        JOURNAL,
        SWEEP_CSV,
        SWEEP_PARQUET,
        SWEEP_JSON,
        SWEEP_HTML,
        REPLICATIONS_CSV,
        REPLICATIONS_JSON,
        SATURATION_CSV,
        SATURATION_JSON,
        SEARCH_JSON,
        SATURATION_HTML,
        SEARCH_HTML,
    ];

    /// Makes the directory, with its parents. One that is there must be empty; with `overwrite`,
    /// [`Self::FILES`] are removed from it and everything else in it stays.
    ///
    /// # Errors
    /// [`ReportError::NotEmpty`], [`ReportError::NotADirectory`], or [`ReportError::Io`] when the
    /// operating system refuses.
    pub fn create(path: impl Into<PathBuf>, overwrite: bool) -> Result<Self, ReportError> {
        let path = path.into();
        if path.exists() && !path.is_dir() {
            return Err(ReportError::NotADirectory { path });
        }
        fs::create_dir_all(&path).map_err(ReportError::io(&path, "create the directory"))?;
        if overwrite {
            for name in Self::FILES {
                remove_if_there(&path.join(name))?;
            }
        } else {
            let mut entries =
                fs::read_dir(&path).map_err(ReportError::io(&path, "read the directory"))?;
            let claim = |name: &OsStr| name == Claim::FILE;
            if entries.any(|entry| entry.map_or(true, |it| !claim(&it.file_name()))) {
                return Err(ReportError::NotEmpty { path });
            }
        }
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a table as comma-separated values.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created.
    pub fn csv<T: Table>(&self) -> Result<CsvWriter<T>, ReportError> {
        let (file, path) = self.create_file(&format!("{}.csv", T::NAME))?;
        CsvWriter::new(file, path)
    }

    /// Starts a table as JSON Lines.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created.
    pub fn json_lines<T: Table>(&self) -> Result<JsonLinesWriter<T>, ReportError> {
        let (file, path) = self.create_file(&format!("{}.jsonl", T::NAME))?;
        Ok(JsonLinesWriter::new(file, path))
    }

    /// Starts a table as Parquet.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created.
    #[cfg(feature = "parquet")]
    pub fn parquet<T: Table>(&self) -> Result<ParquetWriter<T>, ReportError> {
        let (file, path) = self.create_file(&format!("{}.parquet", T::NAME))?;
        ParquetWriter::new(file, path)
    }

    /// Writes `metrics.prom`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    pub fn write_metrics(&self, metrics: &Exposition) -> Result<(), ReportError> {
        let (file, path) = self.create_file(METRICS)?;
        metrics.write(file, &path)
    }

    /// Writes `trace.json`. Returns how its batches and requests are spread over the run if there was no
    /// room for all of them.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    pub fn write_trace(
        &self,
        trace: PerfettoTrace,
        finished: &Finished,
    ) -> Result<Option<TraceExcerpts>, ReportError> {
        let (file, path) = self.create_file(TRACE)?;
        let (_, excerpts) = trace.write(file, &path, finished)?;
        Ok(excerpts)
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    pub fn write_summary(&self, summary: &Summary) -> Result<(), ReportError> {
        let (file, path) = self.create_file(SUMMARY)?;
        write_summary(file, &path, summary)
    }

    /// Writes `report.html`, a page such as [`RunReport::page`](super::RunReport::page) gives.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    #[cfg(feature = "html")]
    pub fn write_report(&self, page: &str) -> Result<(), ReportError> {
        self.write_text(REPORT, page)
    }

    /// Writes `comparison.html`, a page such as [`comparison_page`](super::comparison_page) gives.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    #[cfg(feature = "html")]
    pub fn write_comparison_page(&self, page: &str) -> Result<(), ReportError> {
        self.write_text(COMPARISON_HTML, page)
    }

    /// Writes `sweep.html`, a page such as [`sweep_page`](super::sweep_page) gives.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    #[cfg(feature = "html")]
    pub fn write_sweep_page(&self, page: &str) -> Result<(), ReportError> {
        self.write_text(SWEEP_HTML, page)
    }

    /// Writes `saturation.html`, a page such as [`saturation_page`](super::saturation_page) gives.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    #[cfg(feature = "html")]
    pub fn write_saturation_page(&self, page: &str) -> Result<(), ReportError> {
        self.write_text(SATURATION_HTML, page)
    }

    /// Writes `search.html`, a page such as [`search_page`](super::search_page) gives.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    #[cfg(feature = "html")]
    pub fn write_search_page(&self, page: &str) -> Result<(), ReportError> {
        self.write_text(SEARCH_HTML, page)
    }

    /// Writes `comparison.json` and `comparison.csv`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be created or written.
    pub fn write_comparison(&self, comparison: &Comparison) -> Result<(), ReportError> {
        let (file, path) = self.create_file(COMPARISON_JSON)?;
        write_json(file, &path, comparison)?;
        let (file, path) = self.create_file(COMPARISON_CSV)?;
        write_comparison_csv(file, path, comparison)?;
        Ok(())
    }

    /// A results directory as it stands: nothing in it is removed.
    ///
    /// # Errors
    /// [`ReportError::NotADirectory`] where there is none.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let path = path.into();
        match path.is_dir() {
            true => Ok(Self { path }),
            false => Err(ReportError::NotADirectory { path }),
        }
    }

    /// The text of a sweep's journal, `sweep.jsonl`, if there is one.
    ///
    /// # Errors
    /// [`ReportError::Io`] when it cannot be read.
    pub fn read_journal(&self) -> Result<Option<String>, ReportError> {
        let path = self.path.join(JOURNAL);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ReportError::io(&path, "read")(error)),
        }
    }

    /// Puts these lines in the place of a sweep's journal, and opens it for more.
    ///
    /// # Errors
    /// [`ReportError::Io`] when it cannot be written.
    pub fn start_journal(&self, lines: &str) -> Result<Journal, ReportError> {
        let path = self.path.join(JOURNAL);
        self.replace(JOURNAL, |mut out, path| {
            out.write_all(lines.as_bytes())
                .map_err(ReportError::io(path, "write"))
        })?;
        let file = File::options().append(true).open(&path);
        let file = file.map_err(ReportError::io(&path, "open"))?;
        Ok(Journal { file, path })
    }

    /// Writes `sweep.csv` and `sweep.json`, each in the place of one that is there once it is whole.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be created or written.
    pub fn write_sweep(&self, result: &SweepResult) -> Result<(), ReportError> {
        self.replace(SWEEP_CSV, |out, path| {
            write_sweep_csv(out, path, result).map(|_| ())
        })?;
        self.replace(SWEEP_JSON, |out, path| write_sweep_json(out, path, result))
    }

    /// Writes `sweep.parquet`, in the place of one that is there once it is whole.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    #[cfg(feature = "parquet")]
    pub fn write_sweep_parquet(&self, result: &SweepResult) -> Result<(), ReportError> {
        self.replace(SWEEP_PARQUET, |out, path| {
            write_sweep_parquet(out, path, result).map(|_| ())
        })
    }

    /// Writes `replications.csv`, a row a seed, and `replications.json`, each figure with its interval.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be created or written.
    pub fn write_replications(
        &self,
        checked: &CheckedScenario,
        replications: &Replications,
    ) -> Result<(), ReportError> {
        let (file, path) = self.create_file(REPLICATIONS_CSV)?;
        write_sweep_csv(file, path, &replications::rows(checked, replications))?;
        let (file, path) = self.create_file(REPLICATIONS_JSON)?;
        write_json(file, &path, &replications_json(checked, replications))
    }

    /// Writes `saturation.csv`, a row a rate, and `saturation.json`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be created or written.
    pub fn write_saturation(&self, saturation: &Saturation) -> Result<(), ReportError> {
        let (file, path) = self.create_file(SATURATION_CSV)?;
        write_saturation_csv(file, path, saturation)?;
        let (file, path) = self.create_file(SATURATION_JSON)?;
        write_json(file, &path, saturation)
    }

    /// Writes `search.json`: the answer and every setting that was tried.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created or written.
    pub fn write_search(&self, found: &Found) -> Result<(), ReportError> {
        let (file, path) = self.create_file(SEARCH_JSON)?;
        write_json(file, &path, found)
    }

    /// Writes a file whole or not at all: one that is there stays until the new one is whole.
    fn replace(
        &self,
        name: &str,
        write: impl FnOnce(File, &Path) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        let (file, unfinished) = self.create_file(UNFINISHED)?;
        write(file, &unfinished)?;
        let path = self.path.join(name);
        fs::rename(unfinished, &path).map_err(ReportError::io(&path, "replace"))
    }

    #[cfg(feature = "html")]
    fn write_text(&self, name: &str, text: &str) -> Result<(), ReportError> {
        let path = self.path.join(name);
        fs::write(&path, text).map_err(ReportError::io(&path, "write"))
    }

    fn create_file(&self, name: &str) -> Result<(File, PathBuf), ReportError> {
        let path = self.path.join(name);
        let file = File::create(&path).map_err(ReportError::io(&path, "create"))?;
        Ok((file, path))
    }
}

/// A sweep's journal, to which each run adds a line as it ends.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Adds a line in one piece, so that a process that is killed leaves whole lines and at most a part
    /// of the last.
    ///
    /// # Errors
    /// [`ReportError::Io`] when it cannot be written.
    pub fn add(&mut self, line: &str) -> Result<(), ReportError> {
        let written = self.file.write_all(line.as_bytes());
        written.map_err(ReportError::io(&self.path, "write"))
    }
}

fn remove_if_there(path: &Path) -> Result<(), ReportError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ReportError::io(path, "remove")(error))
        }
        _ => Ok(()),
    }
}
