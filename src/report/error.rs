use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why results could not be written. The message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The results directory holds files already.
    #[error(
        "{}: the directory is not empty; pass --overwrite to replace the results in it, or \
         another directory with --out", path.display()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// Another process writes results there.
    #[error(
        "{}: a run is writing here; wait until it has ended, or pass another directory with --out",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// There is something else where the results directory should be.
    #[error("{}: this is not a directory; pass another one with --out", path.display())]
    NotADirectory {
        /// What is there.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: cannot {action}: {error}; {}", path.display(), advice(error))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as a verb with its object.
        action: &'static str,
        /// What the operating system says.
        error: io::Error,
    },
}

impl ReportError {
    /// For `map_err`: the failure of `action` on `path`.
    pub(super) fn io(path: &Path, action: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io {
            path: path.to_owned(),
            action,
            error,
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space, or choose a directory on another disk with --out"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "choose a directory that you may write to with --out"
        }
        _ => "check the path, or choose another directory with --out",
    }
}
