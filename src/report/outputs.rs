use super::options::{Format, Omitted, OutputOptions};
use super::outputs_by_region::RegionalOutputs;
use super::sheet::{Sheet, finish, sheet};
use super::{
    Decisions, Exposition, Faults, JsonLinesWriter, ReportError, Requests, ResultsDirectory,
    Scaling, Steps, Timeline,
};
use crate::fleet::{FaultEvent, ScalingEvent};
use crate::observe::Rows;
use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, News};

/// The tables of a results directory, written as the run goes on: as CSV, and in what other formats are
/// asked for.
#[derive(Debug)]
pub struct Outputs<'a> {
    results: &'a ResultsDirectory,
    names: Vec<String>,
    requests: Option<Sheet<Requests>>,
    json_lines: Option<JsonLinesWriter<Requests>>,
    scaling: Option<Sheet<Scaling>>,
    timeline: Option<Sheet<Timeline>>,
    /// Only where an application has a policy.
    decisions: Option<Sheet<Decisions>>,
    /// Only where something may break.
    faults: Option<Sheet<Faults>>,
    metrics: Option<Exposition>,
    /// Only where steps are recorded.
    steps: Option<Sheet<Steps>>,
    formats: Vec<Format>,
    /// Instead of the tables above, of a scenario with regions.
    regional: Option<RegionalOutputs>,
}

impl<'a> Outputs<'a> {
    /// Starts `requests.csv`, `scaling.csv`, `timeline.csv`, where an application has a policy
    /// `decisions.csv`, where something may break `faults.csv`, and the files of other formats.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be created.
    pub fn new(
        results: &'a ResultsDirectory,
        checked: &CheckedScenario,
        formats: &[Format],
    ) -> Result<Self, ReportError> {
        let options = OutputOptions {
            formats: formats.to_vec(),
            ..OutputOptions::default()
        };
        Self::with(results, checked, &options)
    }

    /// The same as these options have it.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be created.
    pub fn with(
        results: &'a ResultsDirectory,
        checked: &CheckedScenario,
        options: &OutputOptions,
    ) -> Result<Self, ReportError> {
        let formats = &options.formats[..];
        let has = |table| !options.omitted.contains(&table);
        let scenario = checked.series().scenario();
        let applications = &scenario.applications;
        let decides = applications.iter().any(|of| of.autoscaler.is_some());
        let decides = decides && has(Omitted::Decisions);
        let breaks = scenario.tells_of_faults();
        let regional = RegionalOutputs::new(results, checked, options, decides)?;
        let alone = regional.is_none();
        let has = |table| alone && has(table);
        let decides = alone && decides;
        let requests = has(Omitted::Requests);
        let json_lines = requests && formats.contains(&Format::JsonLines);
        let metrics = formats.contains(&Format::Prometheus);
        Ok(Self {
            results,
            names: applications.iter().map(|of| of.name.clone()).collect(),
            requests: sheet(results, formats, requests)?,
            json_lines: json_lines.then(|| results.json_lines()).transpose()?,
            scaling: sheet(results, formats, has(Omitted::Scaling))?,
            timeline: sheet(results, formats, has(Omitted::Timeline))?,
            decisions: sheet(results, formats, decides)?,
            faults: sheet(results, formats, alone && breaks)?,
            metrics: metrics.then(|| Exposition::with(scenario, options.metrics)),
            steps: None,
            formats: formats.to_vec(),
            regional,
        })
    }

    /// Starts `steps.csv`, too.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the file cannot be created.
    pub fn write_steps(&mut self) -> Result<(), ReportError> {
        self.steps = Some(Sheet::new(self.results, &self.formats)?);
        Ok(())
    }

    /// Writes what is new.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be written.
    pub fn write(&mut self, news: &News) -> Result<(), ReportError> {
        self.add(&news.rows, &news.scaling)?;
        if let Some(regional) = &mut self.regional {
            regional.add(&news.rows, &news.scaling, &news.decisions, &news.faults)?;
        }
        if let Some(sheet) = &mut self.decisions {
            for decision in &news.decisions {
                sheet.write(decision)?;
            }
        }
        self.add_faults(&news.faults)
    }

    /// Writes what was left when the books were closed, and all that is still buffered.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be written.
    pub fn finish(mut self, finished: &Finished) -> Result<(), ReportError> {
        self.add(&finished.rows, &finished.scaling)?;
        self.add_faults(&finished.faults)?;
        if let Some(mut regional) = self.regional {
            regional.add(&finished.rows, &finished.scaling, &[], &finished.faults)?;
            regional.finish()?;
        }
        finish(self.requests)?;
        if let Some(writer) = self.json_lines {
            writer.finish()?;
        }
        finish(self.scaling)?;
        finish(self.timeline)?;
        finish(self.decisions)?;
        finish(self.faults)?;
        finish(self.steps)?;
        match &self.metrics {
            Some(metrics) => self.results.write_metrics(metrics),
            None => Ok(()),
        }
    }

    fn add_faults(&mut self, faults: &[FaultEvent]) -> Result<(), ReportError> {
        if let Some(sheet) = &mut self.faults {
            for fault in faults {
                sheet.write(fault)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, rows: &Rows, scaling: &[ScalingEvent]) -> Result<(), ReportError> {
        if let Some(sheet) = &mut self.requests {
            for (application, request) in &rows.requests {
                let name = &*self.names[*application];
                sheet.write((name, request))?;
                if let Some(writer) = &mut self.json_lines {
                    writer.write((name, request))?;
                }
            }
        }
        if let Some(sheet) = &mut self.steps {
            for (instance, step) in &rows.steps {
                sheet.write((*instance, step))?;
            }
        }
        if let Some(sheet) = &mut self.scaling {
            for event in scaling {
                sheet.write(event)?;
            }
        }
        if let Some(sheet) = &mut self.timeline {
            for sample in &rows.samples {
                sheet.write(sample)?;
            }
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.add(rows, &self.names);
        }
        Ok(())
    }
}
