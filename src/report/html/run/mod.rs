//! report.html: one run.

mod bins;
mod collect;
mod cost;
mod decisions;
mod demand;
mod fleet;
mod groups;
mod happenings;
mod histogram;
mod instances;
mod latency;
mod marks;
mod mean;
mod outcomes;
mod over_time;
mod queue;
mod tables;
mod usage;
mod use_by_group;

use collect::{ApplicationSeries, Collected};
use groups::Instances;

use super::definitions;
use super::numbers::{NONE, duration, percent};
use super::page::{Page, Tile};
use crate::observe::{ApplicationSummary, Metrics, RequestCounts, SloSummary, Statistics, Summary};
use crate::report::words::{grouped, objective};
use crate::scenario::{Application, CheckedScenario, Objective, VllmConfig};
use crate::simulation::{Finished, News, Simulation};

/// Gathers what `report.html` shows of a run while it goes on, in constant memory.
///
/// ```
/// use fleetsim::report::RunReport;
/// use fleetsim::scenario::CheckedScenario;
/// use fleetsim::simulation::Simulation;
///
/// let scenario = CheckedScenario::load("scenarios/quickstart.ron".as_ref(), &["end=60".into()])?;
/// let mut simulation = Simulation::new(&scenario)?;
/// let mut report = RunReport::new(&scenario, "fleetsim run scenarios/quickstart.ron --set end=60");
/// simulation.run(|simulation, news| {
///     report.see(simulation, &news);
///     Ok::<_, std::convert::Infallible>(())
/// })??;
/// let finished = simulation.finish();
/// let page = report.page(&finished, &finished.record.summarise());
/// assert!(page.starts_with("<!DOCTYPE html>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunReport {
    checked: CheckedScenario,
    command: String,
    collected: Collected,
}

impl RunReport {
    /// Starts empty. `command` is what to type to run the scenario again.
    #[must_use]
    pub fn new(checked: &CheckedScenario, command: impl Into<String>) -> Self {
        Self {
            checked: checked.clone(),
            command: command.into(),
            collected: Collected::new(checked),
        }
    }

    /// Takes in what is new after a tick.
    pub fn see(&mut self, simulation: &Simulation, news: &News) {
        self.collected.see(simulation, news);
    }

    /// The page: the same bytes for the same run. What was left when the books were closed is in
    /// `finished`, and its summary in `summary`.
    #[must_use]
    pub fn page(mut self, finished: &Finished, summary: &Summary) -> String {
        self.collected.finish(finished);
        let mut page = self.head(summary);
        self.overview(&mut page, finished, summary);
        let several = summary.applications.len() > 1;
        for (position, of) in summary.applications.iter().enumerate() {
            let specs = &self.checked.series().scenario().applications;
            let all = &self.collected.applications;
            let (Some(spec), Some(series)) = (specs.get(position), all.get(position)) else {
                continue;
            };
            page.heading(&format!("Application {}", of.name));
            page.paragraph("faint", &described(spec));
            if several {
                page.tiles(&promised(&of.slo, &of.metrics, &of.requests));
            }
            self.charts(&mut page, position, of, series, finished);
            page.table(&tables::latencies(of));
            if let Some(vllm) = &of.vllm {
                page.table(&tables::kv_cache(vllm));
            }
        }
        fleet::section(&mut page, summary);
        page.table(&decisions::table(
            &self.collected.happenings,
            summary.applications.len(),
        ));
        definitions::of_a_run(&mut page);
        let pretty = ron::ser::PrettyConfig::default();
        if let Ok(text) = ron::ser::to_string_pretty(self.checked.scenario(), pretty) {
            page.listing("The scenario as it was run, with its defaults", &text);
        }
        page.finish()
    }

    fn head(&self, summary: &Summary) -> Page {
        let subtitle = format!(
            "{} simulated · seed {} · hash {} · fleetsim {}",
            duration(summary.end_s.seconds()),
            summary.seed,
            summary.hash,
            summary.fleetsim_version
        );
        let mut page = Page::new(&summary.scenario, &subtitle);
        page.command(&self.command);
        if summary.partial {
            let reason = summary.partial_reason.as_deref().unwrap_or("stopped");
            let warning = format!("Stopped early, so this is of a part of the run: {reason}");
            page.paragraph("warning", &warning);
        }
        page
    }

    /// What users got and what it cost, first in figures, then over time.
    fn overview(&self, page: &mut Page, finished: &Finished, summary: &Summary) {
        let mut tiles = match (&summary.total, summary.applications.as_slice()) {
            (Some(all), _) => promised(&all.slo, &all.metrics, &all.requests),
            (None, [of]) => promised(&of.slo, &of.metrics, &of.requests),
            (None, _) => Vec::new(),
        };
        tiles.extend(fleet::tiles(&summary.fleet));
        page.tiles(&tiles);
        let specs = &self.checked.series().scenario().applications;
        let end = summary.end_s.seconds();
        let all = self.collected.applications.as_slice();
        let mut outcomes = match (summary.applications.as_slice(), all) {
            ([of], [series]) => outcomes::of_an_application(series, objective(&of.slo), end),
            (_, all) => {
                let each = specs.iter().zip(all);
                let each =
                    each.map(|(spec, of)| (&*spec.name, of, spec.slo != Objective::default()));
                outcomes::of_all(&each.collect::<Vec<_>>(), end)
            }
        };
        self.collected.faults.draw(&mut outcomes);
        page.charts([
            outcomes,
            cost::over_time(&finished.record, &finished.ledger),
        ]);
        if let Some(all) = &summary.total {
            page.table(&tables::applications(&summary.applications, all));
        }
    }

    fn charts(
        &self,
        page: &mut Page,
        position: usize,
        of: &ApplicationSummary,
        series: &ApplicationSeries,
        finished: &Finished,
    ) {
        let spec = &self.checked.series().scenario().applications[position];
        let record = &finished.record;
        let end = record.end.seconds();
        let checked = self.checked.series();
        let several = self.collected.applications.len() > 1;
        if several {
            let promised = objective(&of.slo);
            let mut outcomes = outcomes::of_an_application(series, promised, end);
            self.collected.faults.draw(&mut outcomes);
            page.charts([outcomes, queue::over_time(series, end)]);
        }
        let mut charts = Vec::new();
        let roles = series.roles.iter().map(|(role, of)| {
            let lives = Instances::new(&finished.ledger, record, position, *role);
            (*role, of, lives)
        });
        let roles: Vec<_> = roles.collect();
        for (role, of, lives) in &roles {
            charts.push(demand::against_capacity(
                checked,
                position,
                *role,
                &series.arrivals,
                lives,
                end,
            ));
            charts.push(instances::over_time(*role, lives, &of.marks, end));
        }
        charts.extend(latency::over_time(series, &spec.slo.limits(), end));
        if !several {
            charts.push(queue::over_time(series, end));
        }
        for (role, of, lives) in &roles {
            let mut templates = spec.instances.iter().filter(|it| it.role == *role);
            let has_blocks = templates.any(|it| VllmConfig::of(&it.engine).is_some());
            charts.push(match lives.groups.as_slice() {
                [] | [_] => usage::over_time(of, *role, has_blocks, end),
                groups => usage::by_group(&series.by_group, groups, *role, end),
            });
        }
        charts.push(latency::distributions(series));
        page.charts(charts);
    }
}

/// What users got.
fn promised(slo: &SloSummary, metrics: &Metrics, counts: &RequestCounts) -> Vec<Tile> {
    let told = |figure: Option<f64>| figure.map_or_else(|| NONE.to_owned(), duration);
    let latency = |name: &str, of: &Statistics| {
        let note = match of.p50 {
            Some(_) => format!("p50 {}, p95 {}", told(of.p50), told(of.p95)),
            None => "no request was completed".to_owned(),
        };
        Tile::new(name, told(of.p99), note)
    };
    let note = match (objective(slo), slo.attainment) {
        (Some(limits), _) => limits,
        (None, Some(_)) => "by each application's objective".to_owned(),
        (None, None) => "no objective given".to_owned(),
    };
    let parts = [
        (counts.completed, "completed"),
        (counts.in_flight, "in flight"),
        (counts.waiting, "waiting"),
        (counts.rejected_total(), "rejected"),
    ];
    let failed = (counts.failed > 0).then_some((counts.failed, "failed"));
    let parts = parts.into_iter().chain(failed);
    let parts: Vec<_> = parts
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
    vec![
        Tile::new(
            "SLO met",
            slo.attainment.map_or_else(|| NONE.to_owned(), percent),
            note,
        ),
        latency("TTFT p99", &metrics.ttft_s),
        latency("TBT p99", &metrics.tbt_s),
        Tile::new("Requests", grouped(counts.arrived), parts.join(", ")),
    ]
}

/// What an application is, in a line.
fn described(of: &Application) -> String {
    let roles: Vec<_> = of
        .instances
        .iter()
        .map(|it| format!("{:?} instances on {} GPUs", it.role, it.processors()))
        .collect();
    let policy = of
        .autoscaler
        .as_ref()
        .map_or("none", |policy| policy.name());
    let scheduler = format!("{:?}", of.scheduler);
    let scheduler = scheduler.split([' ', '{', '(']).next().unwrap_or_default();
    format!(
        "{} · {} · scheduler {scheduler} · autoscaler {policy}",
        of.model,
        roles.join(", ")
    )
}
