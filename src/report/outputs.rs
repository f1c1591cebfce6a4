#[cfg(feature = "parquet")]
use super::ParquetWriter;
use super::{
    CsvWriter, Decisions, Exposition, JsonLinesWriter, ReportError, Requests, ResultsDirectory,
    Scaling, Steps, Table, Timeline,
};
use crate::fleet::ScalingEvent;
use crate::observe::Rows;
use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, News};

/// The tables of a results directory, written as the run goes on: as CSV, and in what other formats are
/// asked for.
#[derive(Debug)]
pub struct Outputs<'a> {
    results: &'a ResultsDirectory,
    names: Vec<String>,
    requests: Sheet<Requests>,
    json_lines: Option<JsonLinesWriter<Requests>>,
    scaling: Sheet<Scaling>,
    timeline: Sheet<Timeline>,
    /// Only where an application has a policy.
    decisions: Option<Sheet<Decisions>>,
    metrics: Option<Exposition>,
    /// Only where steps are recorded.
    steps: Option<Sheet<Steps>>,
    formats: Vec<Format>,
}

/// A format beside CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `requests.jsonl`: JSON Lines.
    JsonLines,
    /// `metrics.prom`: what Prometheus would have scraped, see [`Exposition`].
    Prometheus,
    /// Every table as Parquet.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl<'a> Outputs<'a> {
    /// Starts `requests.csv`, `scaling.csv`, `timeline.csv` and, where an application has a policy,
    /// `decisions.csv`, and the files of other formats.
    ///
    /// # Errors
    /// [`ReportError::Io`] when a file cannot be created.
    pub fn new(
        results: &'a ResultsDirectory,
        checked: &CheckedScenario,
        formats: &[Format],
    ) -> Result<Self, ReportError> {
        let scenario = checked.scenario();
        let applications = &scenario.applications;
        let decides = applications.iter().any(|of| of.autoscaler.is_some());
        let json_lines = formats.contains(&Format::JsonLines);
        let metrics = formats.contains(&Format::Prometheus);
        Ok(Self {
            results,
            names: applications.iter().map(|of| of.name.clone()).collect(),
            requests: Sheet::new(results, formats)?,
            json_lines: json_lines.then(|| results.json_lines()).transpose()?,
            scaling: Sheet::new(results, formats)?,
            timeline: Sheet::new(results, formats)?,
            decisions: decides.then(|| Sheet::new(results, formats)).transpose()?,
            metrics: metrics.then(|| Exposition::new(scenario)),
            steps: None,
            formats: formats.to_vec(),
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
        if let Some(sheet) = &mut self.decisions {
            for decision in &news.decisions {
                sheet.write(decision)?;
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
        if let Some(writer) = self.json_lines {
            writer.finish()?;
        }
        self.scaling.finish()?;
        self.timeline.finish()?;
        if let Some(sheet) = self.decisions {
            sheet.finish()?;
        }
        if let Some(sheet) = self.steps {
            sheet.finish()?;
        }
        match &self.metrics {
            Some(metrics) => self.results.write_metrics(metrics),
            None => Ok(()),
        }
    }

    fn add(&mut self, rows: &Rows, scaling: &[ScalingEvent]) -> Result<(), ReportError> {
        for (application, request) in &rows.requests {
            let name = &*self.names[*application];
            self.requests.write((name, request))?;
            if let Some(writer) = &mut self.json_lines {
                writer.write((name, request))?;
            }
        }
        if let Some(sheet) = &mut self.steps {
            for (instance, step) in &rows.steps {
                sheet.write((*instance, step))?;
            }
        }
        for event in scaling {
            self.scaling.write(event)?;
        }
        for sample in &rows.samples {
            self.timeline.write(sample)?;
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.add(rows, &self.names);
        }
        Ok(())
    }
}

/// One table, in the formats that every table is written in.
#[derive(Debug)]
struct Sheet<T: Table> {
    csv: CsvWriter<T>,
    #[cfg(feature = "parquet")]
    parquet: Option<ParquetWriter<T>>,
}

impl<T: Table> Sheet<T>
where
    for<'a> T::Row<'a>: Copy,
{
    #[cfg_attr(
        not(feature = "parquet"),
        expect(unused_variables, reason = "there is only CSV then")
    )]
    fn new(results: &ResultsDirectory, formats: &[Format]) -> Result<Self, ReportError> {
        #[cfg(feature = "parquet")]
        let parquet = formats.contains(&Format::Parquet);
        Ok(Self {
            csv: results.csv()?,
            #[cfg(feature = "parquet")]
            parquet: parquet.then(|| results.parquet()).transpose()?,
        })
    }

    fn write(&mut self, row: T::Row<'_>) -> Result<(), ReportError> {
        #[cfg(feature = "parquet")]
        if let Some(parquet) = &mut self.parquet {
            parquet.write(row)?;
        }
        self.csv.write(row)
    }

    fn finish(self) -> Result<(), ReportError> {
        self.csv.finish()?;
        #[cfg(feature = "parquet")]
        if let Some(parquet) = self.parquet {
            parquet.finish()?;
        }
        Ok(())
    }
}
