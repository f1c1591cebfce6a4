use crate::observe::Summary;
#[cfg(feature = "html")]
use crate::report::RunReport;
use crate::report::{OutputOptions, Outputs, ReportError, ResultsDirectory};
use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, News, Simulation};

/// What a run leaves in its directory, whichever subcommand ran it: tables, summary, report.
pub(super) struct Kept<'a> {
    results: &'a ResultsDirectory,
    outputs: Outputs<'a>,
    #[cfg(feature = "html")]
    report: Option<RunReport>,
}

impl<'a> Kept<'a> {
    /// Starts all tables. `command` is what to type to have the same run again.
    pub(super) fn new(
        results: &'a ResultsDirectory,
        checked: &CheckedScenario,
        command: &str,
    ) -> Result<Self, ReportError> {
        Self::with(results, checked, command, &OutputOptions::default(), true)
    }

    /// The same as these options have it and, unless `report` says so, without report.html.
    #[cfg_attr(
        not(feature = "html"),
        expect(unused_variables, reason = "only the report says it")
    )]
    pub(super) fn with(
        results: &'a ResultsDirectory,
        checked: &CheckedScenario,
        command: &str,
        options: &OutputOptions,
        report: bool,
    ) -> Result<Self, ReportError> {
        Ok(Self {
            results,
            outputs: Outputs::with(results, checked, options)?,
            #[cfg(feature = "html")]
            report: report.then(|| RunReport::new(checked, command)),
        })
    }

    /// Starts `steps.csv`, too.
    pub(super) fn write_steps(&mut self) -> Result<(), ReportError> {
        self.outputs.write_steps()
    }

    /// Takes in what is new after a tick.
    #[cfg_attr(
        not(feature = "html"),
        expect(unused_variables, reason = "only the report looks at the simulation")
    )]
    pub(super) fn see(&mut self, simulation: &Simulation, news: &News) -> Result<(), ReportError> {
        #[cfg(feature = "html")]
        if let Some(report) = &mut self.report {
            report.see(simulation, news);
        }
        self.outputs.write(news)
    }

    /// Writes the rest.
    pub(super) fn finish(self, finished: &Finished) -> Result<Summary, ReportError> {
        self.outputs.finish(finished)?;
        let summary = finished.record.summarise();
        self.results.write_summary(&summary)?;
        #[cfg(feature = "html")]
        if let Some(report) = self.report {
            self.results
                .write_report(&report.page(finished, &summary))?;
        }
        Ok(summary)
    }
}
