use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::ReportError;

/// A directory that this process alone writes results to, until the claim is dropped.
///
/// The claim is a lock on a file in the directory. The operating system lets go of it when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct Claim {
    file: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Claim {
    /// The file that is locked.
    pub const FILE: &'static str = ".lock";

    /// Claims a directory, which is made with its parents where it is not there.
    ///
    /// # Errors
    /// [`ReportError::InUse`] while another claim is held, [`ReportError::NotADirectory`], or
    /// [`ReportError::Io`].
    pub fn of(directory: &Path) -> Result<Self, ReportError> {
        if directory.exists() && !directory.is_dir() {
            return Err(ReportError::NotADirectory {
                path: directory.to_owned(),
            });
        }
        fs::create_dir_all(directory)
            .map_err(ReportError::io(directory, "create the directory"))?;
        let file = directory.join(Self::FILE);
        loop {
            let lock = File::create(&file).map_err(ReportError::io(&file, "create"))?;
            if let Err(TryLockError::WouldBlock) = lock.try_lock() {
                return Err(ReportError::InUse {
                    path: directory.to_owned(),
                });
            }
            // The holder before may have removed it in between; a file system without locks has
            // none to wait for.
            if file.exists() {
                return Ok(Self { file, _lock: lock });
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A file left behind locks nobody out.
        _ = fs::remove_file(&self.file);
    }
}
