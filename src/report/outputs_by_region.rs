//! The tables of a run of a scenario with regions: each row with its region.

use std::sync::Arc;

use super::options::{Format, Omitted, OutputOptions};
use super::sheet::{Sheet, finish, sheet};
use super::{
    ByRegion, Decisions, Faults, JsonLinesWriter, ReportError, Requests, ResultsDirectory, Scaling,
    Timeline,
};
use crate::autoscale::Decision;
use crate::fleet::{FaultEvent, ScalingEvent};
use crate::observe::{Rows, Sample};
use crate::scenario::{CheckedScenario, Scenario};

/// The files of a run that have a row a request, an event, a sample or a decision.
#[derive(Debug)]
pub(super) struct RegionalOutputs {
    regions: Vec<String>,
    series: Vec<Series>,
    requests: Option<Sheet<ByRegion<Requests>>>,
    json_lines: Option<JsonLinesWriter<ByRegion<Requests>>>,
    scaling: Option<Sheet<ByRegion<Scaling>>>,
    timeline: Option<Sheet<ByRegion<Timeline>>>,
    decisions: Option<Sheet<ByRegion<Decisions>>>,
    /// Only where something may break.
    faults: Option<Sheet<ByRegion<Faults>>>,
}

/// An application in a region.
#[derive(Debug)]
struct Series {
    /// What it is called among those of all regions.
    name: String,
    region: usize,
    application: Arc<str>,
}

impl RegionalOutputs {
    /// Starts the files of a scenario with regions; none of one without.
    pub(super) fn new(
        results: &ResultsDirectory,
        checked: &CheckedScenario,
        options: &OutputOptions,
        decides: bool,
    ) -> Result<Option<Self>, ReportError> {
        if checked.regions().is_empty() {
            return Ok(None);
        }
        let formats = &options.formats[..];
        let has = |table| !options.omitted.contains(&table);
        let requests = has(Omitted::Requests);
        let json_lines = requests && formats.contains(&Format::JsonLines);
        let regions = || checked.regions().iter().map(|it| it.scenario.scenario());
        let breaks = regions().any(Scenario::tells_of_faults);
        let applications = &checked.scenario().applications;
        let names = checked.series().scenario().applications.iter();
        let series = names.enumerate().map(|(position, it)| Series {
            name: it.name.clone(),
            region: position / applications.len(),
            application: (*applications[position % applications.len()].name).into(),
        });
        Ok(Some(Self {
            regions: checked.regions().iter().map(|it| it.name.clone()).collect(),
            series: series.collect(),
            requests: sheet(results, formats, requests)?,
            json_lines: json_lines.then(|| results.json_lines()).transpose()?,
            scaling: sheet(results, formats, has(Omitted::Scaling))?,
            timeline: sheet(results, formats, has(Omitted::Timeline))?,
            decisions: sheet(results, formats, decides)?,
            faults: sheet(results, formats, breaks)?,
        }))
    }

    pub(super) fn add(
        &mut self,
        rows: &Rows,
        scaling: &[ScalingEvent],
        decisions: &[Decision],
        faults: &[FaultEvent],
    ) -> Result<(), ReportError> {
        for (position, request) in &rows.requests {
            let of = &self.series[*position];
            let served_in = &*self.regions[of.region];
            let region = request.journey().map_or(of.region, |it| it.region as usize);
            let row = (
                [&*self.regions[region], served_in],
                (&*of.application, request),
            );
            if let Some(sheet) = &mut self.requests {
                sheet.write(row)?;
            }
            if let Some(writer) = &mut self.json_lines {
                writer.write(row)?;
            }
        }
        if let Some(sheet) = &mut self.scaling {
            for event in scaling {
                sheet.write((&*self.regions[event.fleet as usize], event))?;
            }
        }
        let find = |name: &str| self.series.iter().find(|it| it.name == name);
        if let Some(sheet) = &mut self.timeline {
            for sample in &rows.samples {
                if let Some(of) = find(&sample.application) {
                    let sample = Sample {
                        application: of.application.clone(),
                        ..sample.clone()
                    };
                    sheet.write((&*self.regions[of.region], &sample))?;
                }
            }
        }
        if let Some(sheet) = &mut self.decisions {
            for decision in decisions {
                if let Some(of) = find(&decision.application) {
                    let decision = Decision {
                        application: of.application.clone(),
                        ..decision.clone()
                    };
                    sheet.write((&*self.regions[of.region], &decision))?;
                }
            }
        }
        if let Some(sheet) = &mut self.faults {
            for fault in faults {
                sheet.write((&*self.regions[fault.fleet as usize], fault))?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), ReportError> {
        finish(self.requests)?;
        if let Some(writer) = self.json_lines {
            writer.finish()?;
        }
        finish(self.scaling)?;
        finish(self.timeline)?;
        finish(self.faults)?;
        finish(self.decisions)
    }
}
