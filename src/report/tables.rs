use super::{
    DecisionsWriter, ReportError, RequestsWriter, ResultsDirectory, ScalingWriter, TimelineWriter,
};
use crate::fleet::ScalingEvent;
use crate::observe::Rows;
use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, News};

/// The tables of a results directory, written as the run goes on.
#[derive(Debug)]
pub struct Tables {
    names: Vec<String>,
    requests: RequestsWriter,
    scaling: ScalingWriter,
    timeline: TimelineWriter,
    /// Only where an application has a policy.
    decisions: Option<DecisionsWriter>,
}

impl Tables {
    /// Starts `requests.csv`, `scaling.csv`, `timeline.csv` and, where an application has a policy,
    /// `decisions.csv`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be created.
    pub fn new(results: &ResultsDirectory, checked: &CheckedScenario) -> Result<Self, ReportError> {
        let applications = &checked.scenario().applications;
        let decides = applications.iter().any(|of| of.autoscaler.is_some());
        Ok(Self {
            names: applications.iter().map(|of| of.name.clone()).collect(),
            requests: results.requests()?,
            scaling: results.scaling()?,
            timeline: results.timeline()?,
            decisions: decides.then(|| results.decisions()).transpose()?,
        })
    }

    /// Writes what is new.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be written.
    pub fn write(&mut self, news: &News) -> Result<(), ReportError> {
        self.add(&news.rows, &news.scaling)?;
        if let Some(writer) = &mut self.decisions {
            for decision in &news.decisions {
                writer.write(decision)?;
            }
        }
        Ok(())
    }

    /// Writes what was left when the books were closed, and all that is still buffered.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be written.
    pub fn finish(mut self, finished: &Finished) -> Result<(), ReportError> {
        self.add(&finished.rows, &finished.scaling)?;
        self.requests.finish()?;
        self.scaling.finish()?;
        self.timeline.finish()?;
        self.decisions.map(DecisionsWriter::finish).transpose()?;
        Ok(())
    }

    fn add(&mut self, rows: &Rows, scaling: &[ScalingEvent]) -> Result<(), ReportError> {
        for (application, request) in &rows.requests {
            self.requests.write(&self.names[*application], request)?;
        }
        for event in scaling {
            self.scaling.write(event)?;
        }
        for sample in &rows.samples {
            self.timeline.write(sample)?;
        }
        Ok(())
    }
}
