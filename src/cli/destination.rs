use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{Claim, ReportError, ResultsDirectory};

/// Where results are kept that replace others, until they are whole.
const UNFINISHED: &str = ".unfinished";

/// A results directory that this process alone writes to. Results that are there are replaced when the
/// new ones are whole, not before.
pub(super) struct Destination {
    path: PathBuf,
    results: ResultsDirectory,
    /// Where the results are written, if that is not where they go.
    staged: Option<PathBuf>,
    _claim: Claim,
}

impl Destination {
    /// Claims the directory; one that holds anything is refused without `overwrite`.
    pub(super) fn open(path: PathBuf, overwrite: bool) -> Result<Self, ReportError> {
        let claim = Claim::of(&path)?;
        let there = |name: &&str| path.join(name).exists();
        let staged =
            (overwrite && ResultsDirectory::FILES.iter().any(there)).then(|| path.join(UNFINISHED));
        let results = match &staged {
            None => ResultsDirectory::create(&path, overwrite)?,
            Some(staged) => {
                remove(staged)?;
                ResultsDirectory::create(staged, false)?
            }
        };
        Ok(Self {
            path,
            results,
            staged,
            _claim: claim,
        })
    }

    /// Where the results go.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where they are written.
    pub(super) const fn results(&self) -> &ResultsDirectory {
        &self.results
    }

    /// Puts the results in the place of those before them.
    pub(super) fn settle(&self) -> Result<(), ReportError> {
        let Some(staged) = self.staged.as_ref().filter(|it| it.exists()) else {
            return Ok(());
        };
        ResultsDirectory::create(&self.path, true)?;
        for name in ResultsDirectory::FILES {
            let (from, to) = (staged.join(name), self.path.join(name));
            if from.exists() {
                fs::rename(&from, &to).map_err(|error| ReportError::Io {
                    path: to,
                    action: "replace",
                    error,
                })?;
            }
        }
        remove(staged)
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Some(staged) = &self.staged {
            // The error that is told is the one that matters.
            _ = remove(staged);
        }
    }
}

fn remove(directory: &Path) -> Result<(), ReportError> {
    match fs::remove_dir_all(directory) {
        Err(error) if directory.exists() => Err(ReportError::Io {
            path: directory.to_owned(),
            action: "remove",
            error,
        }),
        _ => Ok(()),
    }
}
