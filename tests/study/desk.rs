//! A directory with files to study, and the binary that studies them.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use tempfile::TempDir;

use crate::binary::fleetsim;

/// A small service, a run of which takes milliseconds.
pub(crate) const BASE: &str = r#"(
    name: "small",
    seed: 7,
    fleet: [(sku: "dgx-h100", count: 4)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        scheduler: TokenJsq,
        instances: [(role: Mixed, start: Servers(1))],
        slo: (ttft: 0.5, tbt: 0.08),
        workload: Synthetic(
            arrivals: Poisson(rate: 4),
            prompt_tokens: LogNormal(median: 700, sigma: 0.7, max: 4000),
            output_tokens: Geometric(mean: 60),
            requests: 60,
        ),
    )],
)"#;

pub(crate) struct Desk(TempDir);

impl Desk {
    /// With these files in it.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            fs::write(desk.path(name), text).unwrap();
        }
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = fleetsim(arguments);
        command.current_dir(self.0.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs to success; what was printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs to this status; what was said.
    pub(crate) fn refused(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
        told
    }

    /// A JSON file.
    pub(crate) fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }
}

/// The column of this name of a CSV file.
pub(crate) fn column(csv: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let place = headers.iter().position(|it| it == name);
    let place = place.unwrap_or_else(|| panic!("no column {name} in {headers:?}"));
    let rows = reader.records().map(|row| row.unwrap()[place].to_owned());
    rows.collect()
}
