//! What the subcommands that run scenarios have in common.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::destination::Destination;
use super::shell::Failure;
use crate::autoscale::PolicyRegistry;
use crate::scenario::CheckedScenario;

/// Which scenario.
#[derive(Debug, Args)]
pub(super) struct Input {
    /// The scenario file
    #[arg(value_name = "SCENARIO.ron")]
    scenario: PathBuf,
    #[command(flatten)]
    pub(super) changes: Changes,
}

/// What is other than in the scenario file, and how warnings are taken.
#[derive(Debug, Args)]
pub(super) struct Changes {
    /// Replace a value, as in `applications[0].scaling.scale_up_delay=20`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) overrides: Vec<String>,
    /// Seed of every random stream, instead of the scenario's
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Take warnings for errors, with exit status 2
    #[arg(long)]
    pub(super) strict: bool,
}

impl Input {
    /// What to type to have the same scenario again, in a shell.
    pub(super) fn command(&self, subcommand: &str) -> String {
        let scenario = self.scenario.display().to_string();
        format!(
            "fleetsim {subcommand} {}{}",
            quoted(&scenario),
            self.changes.words()
        )
    }

    pub(super) fn load(self, registry: &PolicyRegistry) -> Result<CheckedScenario, Failure> {
        registry
            .load(&self.scenario, &self.changes.all())
            .map_err(Failure::input)
    }
}

impl Changes {
    /// The words of a shell command that say the same.
    pub(super) fn words(&self) -> String {
        let overrides = self.overrides.iter();
        let mut words: String = overrides
            .map(|assignment| format!(" --set {}", quoted(assignment)))
            .collect();
        if let Some(seed) = self.seed {
            words += &format!(" --seed {seed}");
        }
        words
    }

    /// The overrides, with that of the seed.
    pub(super) fn all(&self) -> Vec<String> {
        let seed = self.seed.map(|seed| format!("seed={seed}"));
        self.overrides.iter().cloned().chain(seed).collect()
    }
}

/// A word of a shell command, in quotes where it needs them.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Where results go, and what is printed.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// Where results go [default: results/<scenario name>, with `-comparison` behind it for `compare`]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the results that are there
    #[arg(long)]
    overwrite: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: Format,
    /// Print nothing but errors
    #[arg(long, short)]
    pub(super) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table to read
    Table,
    /// The JSON that is in the results directory, too
    Json,
}

impl Output {
    /// Makes the directory; `name` is what it is called in `results` unless the user says otherwise. With
    /// `again`, results that are there are replaced whether the user says so or not.
    pub(super) fn directory(&self, name: &str, again: bool) -> Result<Destination, Failure> {
        let out = self.out.clone();
        let out = out.unwrap_or_else(|| PathBuf::from("results").join(name));
        Destination::open(out, again || self.overwrite).map_err(Failure::input)
    }

    /// Whether results that are there are replaced.
    pub(super) const fn overwrites(&self) -> bool {
        self.overwrite
    }
}

/// A result as `--format json` prints it.
pub(super) fn json(result: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(result)
        .map(|json| json + "\n")
        .map_err(|error| Failure::Running(format!("cannot write the result as JSON: {error}")))
}
