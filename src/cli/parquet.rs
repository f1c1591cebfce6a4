//! Parquet of studies, in builds with the feature `parquet`.

use clap::{Args, ValueEnum};

use super::shell::Failure;
use crate::report::ResultsDirectory;
use crate::study::sweep::SweepResult;

/// What is written beside CSV.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct AlsoTable {
    /// A format to write the table in beside CSV
    #[arg(long, value_enum, value_name = "FORMAT")]
    also: Option<TableFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    /// sweep.parquet, in a build with the feature `parquet`
    Parquet,
}

impl AlsoTable {
    /// Refuses what this build cannot write, before anything runs.
    #[cfg_attr(
        feature = "parquet",
        expect(clippy::unnecessary_wraps, reason = "other builds refuse")
    )]
    pub(super) fn check(self) -> Result<(), Failure> {
        match self.also {
            #[cfg(not(feature = "parquet"))]
            Some(TableFormat::Parquet) => Err(no_parquet()),
            _ => Ok(()),
        }
    }

    /// Writes the table of a sweep.
    #[cfg_attr(
        not(feature = "parquet"),
        expect(unused_variables, reason = "such a build has refused")
    )]
    pub(super) fn write(
        self,
        results: &ResultsDirectory,
        result: &SweepResult,
    ) -> Result<(), Failure> {
        match self.also {
            #[cfg(feature = "parquet")]
            Some(TableFormat::Parquet) => results
                .write_sweep_parquet(result)
                .map_err(Failure::running),
            _ => Ok(()),
        }
    }
}

/// What to do for Parquet.
#[cfg(not(feature = "parquet"))]
pub(super) fn no_parquet() -> Failure {
    let message = "this build writes no Parquet; install one that does, in the folder of the sources, with \
                   `cargo install --path . --features parquet`";
    Failure::Input(message.to_owned())
}
