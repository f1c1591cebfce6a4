//! The reference behaviour as a program of its own, run beside.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where the oracle is.
pub(crate) struct Oracle(PathBuf);

/// A case that the oracle works on.
pub(crate) struct Question(Child);

/// How that ended.
pub(crate) enum Answer {
    Done,
    /// It stopped with this error.
    Failed(String),
    /// It was stopped when patience ran out.
    Hung,
}

impl Oracle {
    /// The oracle among the reference cases. Says so where it or Python is absent.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says why")]
    pub(crate) fn find(shared: &Path) -> Option<Self> {
        let path = shared.join("reference/oracle.py");
        if !path.is_file() {
            println!("skipped: no oracle at {}", path.display());
            return None;
        }
        let python = Command::new("python3").arg("--version").output();
        if !python.is_ok_and(|output| output.status.success()) {
            println!("skipped: no python3 to run the oracle");
            return None;
        }
        Some(Self(path))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("python3");
        command.arg(&self.0).stdin(Stdio::null());
        command
    }

    /// Has it simulate the case in `folder` and write the figures of every request to `figures`.
    pub(crate) fn ask(&self, folder: &Path, figures: &Path) -> Question {
        let mut command = self.command();
        command.arg(folder).arg("--out").arg(figures);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Question(child)
    }

    /// Has it check the figures and the scaling log in `folder`.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), String> {
        let output = self.command().arg("--check").arg(folder).output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        let [said, error] = [output.stdout, output.stderr];
        let (said, error) = (
            String::from_utf8_lossy(&said),
            String::from_utf8_lossy(&error),
        );
        Err(format!("the oracle's check fails: {said}{error}"))
    }
}

impl Question {
    pub(crate) fn answer(mut self, patience: Duration) -> Answer {
        let deadline = Instant::now() + patience;
        while self.0.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                self.0.kill().unwrap();
                self.0.wait().unwrap();
                return Answer::Hung;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let output = self.0.wait_with_output().unwrap();
        if output.status.success() {
            Answer::Done
        } else {
            Answer::Failed(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}
