use std::num::NonZero;
use std::thread;

use clap::Args;

use super::input::{Format, Input, Output, json};
use super::search::{Following, failure};
use super::shell::{Failure, print};
use super::warn::Telling;
use crate::autoscale::PolicyRegistry;
use crate::report::saturation_table;
use crate::study::saturate::Saturate;
use crate::study::share;

/// Find the highest rate of requests that meets the objective
#[derive(Debug, Args)]
pub(super) struct SaturateCommand {
    #[command(flatten)]
    input: Input,
    /// Share of the requests that must meet every limit of their objective
    #[arg(long, value_name = "P%", default_value = "99%")]
    attainment: Share,
    /// How near the highest rate that meets it and the lowest that does not must come
    #[arg(long, value_name = "P%", default_value = "2%")]
    tolerance: Share,
    /// Seeds that each rate is run with
    #[arg(long, value_name = "N", default_value = "3")]
    replications: NonZero<usize>,
    /// Runs at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    #[command(flatten)]
    output: Output,
}

/// A share, in per cent or from 0 to 1.
#[derive(Clone, Copy, Debug)]
struct Share(f64);

impl std::str::FromStr for Share {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = share(text).filter(|share| *share > 0.0 && *share <= 1.0);
        share
            .map(Self)
            .ok_or("a share is above 0 and at most 100 %, such as 99%")
    }
}

impl SaturateCommand {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let output = self.output;
        let telling = Telling {
            quiet: output.quiet,
            strict: self.input.changes.strict,
        };
        let command = self.input.command("saturate");
        let checked = self.input.load(policies)?;
        telling.tell(&policies.check(&checked).map_err(Failure::input)?)?;
        let name = format!("{}-saturation", checked.scenario().name);
        let destination = output.directory(&name, false)?;
        let jobs = self.jobs.or_else(|| thread::available_parallelism().ok());
        let saturate = Saturate {
            attainment: self.attainment.0,
            tolerance: self.tolerance.0,
            replications: self.replications,
            jobs: jobs.unwrap_or(NonZero::<usize>::MIN),
        };
        let following = Following::new(!output.quiet, None)?;
        let saturation = saturate.run(&checked, policies, &following);
        following.finish();
        let saturation = saturation.map_err(failure)?;
        let written = destination.results().write_saturation(&saturation);
        written.map_err(Failure::running)?;
        #[cfg(feature = "html")]
        {
            let page = crate::report::saturation_page(&saturation, &command);
            let written = destination.results().write_saturation_page(&page);
            written.map_err(Failure::running)?;
        }
        destination.settle().map_err(Failure::running)?;
        if !output.quiet {
            print(&match output.format {
                Format::Table => saturation_table(&saturation) + "\n",
                Format::Json => json(&saturation)?,
            })?;
        }
        Ok(())
    }
}
