use crate::observe::Summary;
#[cfg(feature = "html")]
use crate::report::RunReport;
use crate::report::{Format, Outputs, ReportError, ResultsDirectory};
use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, News, Simulation};

/// What a run leaves in its directory, whichever subcommand ran it: tables, summary, report.
pub(super) struct Kept<'a> {
    results: &'a ResultsDirectory,
    outputs: Outputs<'a>,
    #[cfg(feature = "html")]
    report: RunReport,
}

impl<'a> Kept<'a> {
    /// Starts the tables. `command` is what to type to have the same run again.
    #[cfg_attr(
        not(feature = "html"),
        expect(unused_variables, reason = "only the report says it")
    )]
    pub(super) fn new(
        results: &'a ResultsDirectory,
        checked: &CheckedScenario,
        formats: &[Format],
        command: &str,
    ) -> Result<Self, ReportError> {
        Ok(Self {
            results,
            outputs: Outputs::new(results, checked, formats)?,
            #[cfg(feature = "html")]
            report: RunReport::new(checked, command),
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
        self.report.see(simulation, news);
        self.outputs.write(news)
    }

    /// Writes the rest.
    pub(super) fn finish(self, finished: &Finished) -> Result<Summary, ReportError> {
        self.outputs.finish(finished)?;
        let summary = finished.record.summarise();
        self.results.write_summary(&summary)?;
        #[cfg(feature = "html")]
        self.results
            .write_report(&self.report.page(finished, &summary))?;
        Ok(summary)
    }
}
