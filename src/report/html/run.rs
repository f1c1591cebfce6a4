//! report.html: one run.

use super::application::{distributions, instances, latencies, queue, use_of};
use super::chart::Clock;
use super::collect::{ApplicationSeries, Collected};
use super::page::{Page, Tile};
use super::{definitions, fleet};
use crate::observe::{
    ApplicationSummary, Metrics, RequestCounts, SloSummary, Statistics, Summary, TotalSummary,
    VllmSummary,
};
use crate::report::words::{ALL, grouped, limits, number, percentage};
use crate::scenario::{Application, CheckedScenario, Scenario, VllmConfig};
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
    scenario: Scenario,
    command: String,
    collected: Collected,
}

impl RunReport {
    /// Starts empty. `command` is what to type to run the scenario again.
    #[must_use]
    pub fn new(checked: &CheckedScenario, command: impl Into<String>) -> Self {
        Self {
            scenario: checked.scenario().clone(),
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
        let clock = Clock::new(summary.end_s);
        let mut page = self.head(summary);
        let both = summary
            .applications
            .iter()
            .zip(&self.scenario.applications)
            .zip(&self.collected.applications);
        let mut tiles = match (&summary.total, summary.applications.as_slice()) {
            (Some(all), _) => promised(&all.slo, &all.metrics, &all.requests),
            (None, [of]) => promised(&of.slo, &of.metrics, &of.requests),
            (None, _) => Vec::new(),
        };
        tiles.extend(fleet::tiles(&summary.fleet));
        page.tiles(&tiles);
        if let Some(all) = &summary.total {
            overview(&mut page, &summary.applications, all);
        }
        for ((of, spec), series) in both {
            page.heading(&format!("Application {}", of.name));
            page.paragraph("faint", &described(spec));
            if summary.applications.len() > 1 {
                page.tiles(&promised(&of.slo, &of.metrics, &of.requests));
            }
            charts(&mut page, spec, series, clock);
            statistics(&mut page, of);
        }
        fleet::section(&mut page, summary);
        definitions::of_a_run(&mut page);
        let pretty = ron::ser::PrettyConfig::default();
        if let Ok(text) = ron::ser::to_string_pretty(&self.scenario, pretty) {
            page.listing("The scenario as it was run, with its defaults", &text);
        }
        page.finish()
    }

    fn head(&self, summary: &Summary) -> Page {
        let subtitle = format!(
            "{} s simulated · seed {} · hash {} · fleetsim {}",
            number(summary.end_s.seconds()),
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
}

/// What users got.
fn promised(slo: &SloSummary, metrics: &Metrics, counts: &RequestCounts) -> Vec<Tile> {
    let p99 = |of: &Statistics| {
        of.p99
            .map_or_else(|| "–".to_owned(), |it| format!("{} s", number(it)))
    };
    let p50 = |of: &Statistics| {
        of.p50
            .map_or_else(String::new, |it| format!("median {} s", number(it)))
    };
    let note = match (limits(&slo.limits), slo.attainment) {
        (Some(limits), _) => limits,
        (None, Some(_)) => "by each application's objective".to_owned(),
        (None, None) => "no objective given".to_owned(),
    };
    vec![
        Tile {
            name: "SLO attainment",
            value: slo.attainment.map_or_else(|| "–".to_owned(), percentage),
            note,
        },
        Tile {
            name: "TTFT p99",
            value: p99(&metrics.ttft_s),
            note: p50(&metrics.ttft_s),
        },
        Tile {
            name: "TBT p99",
            value: p99(&metrics.tbt_s),
            note: p50(&metrics.tbt_s),
        },
        Tile {
            name: "Requests",
            value: grouped(counts.arrived),
            note: format!(
                "{} completed, {} in flight, {} waiting, {} rejected",
                grouped(counts.completed),
                grouped(counts.in_flight),
                grouped(counts.waiting),
                grouped(counts.rejected_total())
            ),
        },
    ]
}

/// The applications side by side.
fn overview(page: &mut Page, applications: &[ApplicationSummary], all: &TotalSummary) {
    let row = |name: &str, slo: &SloSummary, metrics: &Metrics, counts: &RequestCounts| {
        let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "–".to_owned());
        let (ttft, tbt) = (&metrics.ttft_s, &metrics.tbt_s);
        let seconds = [ttft.p50, ttft.p99, tbt.p50, tbt.p99];
        let [ttft_p50, ttft_p99, tbt_p50, tbt_p99] = seconds.map(|it| or_dash(it.map(number)));
        vec![
            name.to_owned(),
            or_dash(slo.attainment.map(percentage)),
            or_dash(slo.goodput_per_s.map(number)),
            ttft_p50,
            ttft_p99,
            tbt_p50,
            tbt_p99,
            grouped(counts.arrived),
            grouped(counts.completed),
            grouped(counts.rejected_total()),
        ]
    };
    let each = applications.iter();
    let each = each.map(|of| row(&of.name, &of.slo, &of.metrics, &of.requests));
    let all = row(ALL, &all.slo, &all.metrics, &all.requests);
    let rows: Vec<_> = each.chain([all]).collect();
    let header = [
        "application",
        "SLO met",
        "goodput /s",
        "TTFT p50, s",
        "p99, s",
        "TBT p50, s",
        "p99, s",
        "arrived",
        "completed",
        "rejected",
    ];
    page.table("Applications", &header, &rows);
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

fn charts(page: &mut Page, spec: &Application, series: &ApplicationSeries, clock: Clock) {
    page.charts(latencies(series, &spec.slo.limits(), clock));
    for (role, of) in &series.roles {
        page.charts(vec![instances(series, *role, of, clock)]);
        let mut templates = spec.instances.iter().filter(|it| it.role == *role);
        let has_blocks = templates.any(|it| VllmConfig::of(&it.engine).is_some());
        page.charts(vec![
            queue(of, *role, clock),
            use_of(of, *role, has_blocks, clock),
        ]);
    }
    page.charts(vec![distributions(series)]);
}

fn statistics(page: &mut Page, of: &ApplicationSummary) {
    let metrics = &of.metrics;
    let rows: Vec<Vec<String>> = [
        ("TTFT", Some(&metrics.ttft_s)),
        ("TBT", Some(&metrics.tbt_s)),
        ("ITL", metrics.itl_s.as_ref()),
        ("E2E", Some(&metrics.e2e_s)),
        ("queue", Some(&metrics.queue_s)),
        ("second token", Some(&metrics.second_token_s)),
    ]
    .into_iter()
    .filter_map(|(name, of)| Some((name, of?)))
    .map(|(name, of)| {
        let figures = [
            of.mean, of.std, of.min, of.p50, of.p90, of.p95, of.p99, of.p999, of.max,
        ];
        let figures = figures.map(|it| it.map_or_else(|| "–".to_owned(), number));
        [name.to_owned(), grouped(of.count)]
            .into_iter()
            .chain(figures)
            .collect()
    })
    .collect();
    let header = [
        "seconds", "count", "mean", "std", "min", "p50", "p90", "p95", "p99", "p99.9", "max",
    ];
    page.table("Completed requests", &header, &rows);
    if let Some(vllm) = &of.vllm {
        kv_cache(page, vllm);
    }
}

/// How the blocks of engines of vLLM were used.
fn kv_cache(page: &mut Page, of: &VllmSummary) {
    let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percentage);
    let header = [
        "in use, mean",
        "in use, peak",
        "prompt tokens found in the prefix cache",
        "preemptions",
        "longest time between tokens, s",
    ];
    let row = vec![
        share(of.kv_usage_mean),
        share(of.kv_usage_peak),
        percentage(of.prefix_hit_rate),
        grouped(of.preemptions),
        number(of.max_tbt_s),
    ];
    page.table("KV cache", &header, &[row]);
}
