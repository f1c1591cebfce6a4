use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::words::{ALL, grouped, number, objective, percentage, percentile, percentiles};
use crate::fleet::ScalingAction;
use crate::observe::{
    ApplicationSummary, FleetSummary, InstanceSummary, Metrics, PercentileSummary, RegionSummary,
    RequestCounts, ServerSummary, SloSummary, Statistics, Summary, Throughput, VllmSummary,
};

/// Columns of the terminal that the table keeps within.
pub(super) const WIDTH: u16 = 100;

/// Columns of it that names may take; the figures beside them need the rest to stay aligned.
const NAME_WIDTH: u16 = 30;

/// The table that a run ends with, at most 100 columns wide.
///
/// It answers in order: did users get what they were promised, how full was the KV cache, what did it cost, what happened to
/// the fleet, where was the time spent, where did the requests end.
#[must_use]
pub fn summary_table(summary: &Summary) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL.with_solid_inner_borders())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header([summary.scenario.clone(), headline(summary)]);
    let mut add = |topic: &str, of: Option<&str>, lines: Vec<String>| {
        let topic = match of {
            Some(name) if summary.applications.len() > 1 => format!("{topic}\n{name}"),
            _ => topic.to_owned(),
        };
        table.add_row([topic, lines.join("\n")]);
    };
    for of in &summary.applications {
        let lines = users(&of.slo, &of.throughput, &of.metrics, &of.percentiles);
        add("users", Some(&of.name), lines);
    }
    if let Some(of) = &summary.total {
        let lines = users(&of.slo, &of.throughput, &of.metrics, &of.percentiles);
        add("users", Some(ALL), lines);
    }
    for of in &summary.regions {
        let topic = format!("users of region\n{}", of.name);
        add(&topic, None, region(of, &summary.regions));
    }
    for of in &summary.applications {
        if let Some(vllm) = &of.vllm {
            add("KV cache", Some(&of.name), kv_cache(vllm));
        }
    }
    add("cost", None, cost(&summary.fleet));
    add("fleet", None, fleet(summary));
    for application in &summary.applications {
        add("time", Some(&application.name), time(application));
    }
    for of in &summary.applications {
        add("requests", Some(&of.name), requests(&of.requests));
    }
    if let Some(of) = &summary.total {
        add("requests", Some(ALL), requests(&of.requests));
    }
    table.set_constraints([ColumnConstraint::UpperBoundary(Width::Fixed(NAME_WIDTH))]);
    table.trim_fmt()
}

fn headline(summary: &Summary) -> String {
    let mut line = format!(
        "{} s simulated, seed {}",
        number(summary.end_s.seconds()),
        summary.seed
    );
    if summary.partial {
        line += "\nstopped early, figures are of a part of the run";
        if let Some(reason) = &summary.partial_reason {
            line += &format!(": {reason}");
        }
    }
    line
}

fn users(
    slo: &SloSummary,
    throughput: &Throughput,
    metrics: &Metrics,
    rows: &[PercentileSummary],
) -> Vec<String> {
    let mut lines = promised(slo);
    if let Some(goodput) = slo.goodput_per_s {
        lines.push(format!("goodput {} requests/s", number(goodput)));
    }
    lines.push(format!(
        "throughput {} requests/s, {} prompt tokens/s, {} output tokens/s",
        number(throughput.requests_per_s),
        number(throughput.prompt_tokens_per_s),
        number(throughput.output_tokens_per_s)
    ));
    let names = rows.iter().map(|row| percentile(row.percentile));
    let known = [
        &metrics.ttft_s,
        &metrics.tbt_s,
        &metrics.e2e_s,
        &metrics.queue_s,
    ];
    let sure = known.iter().all(|it| it.mean_half_width.is_some());
    let means = ["mean", "±"].into_iter().take(if sure { 2 } else { 1 });
    lines.push(columns("seconds", means.map(str::to_owned).chain(names)));
    type Row<'a> = (
        &'static str,
        Option<&'a Statistics>,
        fn(&PercentileSummary) -> Option<f64>,
    );
    let table: [Row<'_>; 5] = [
        ("TTFT", Some(&metrics.ttft_s), |row| row.ttft_s),
        ("TBT", Some(&metrics.tbt_s), |row| row.tbt_s),
        ("ITL", metrics.itl_s.as_ref(), |row| row.itl_s),
        ("E2E", Some(&metrics.e2e_s), |row| row.e2e_s),
        ("queue", Some(&metrics.queue_s), |row| row.queue_s),
    ];
    for (name, statistics, metric) in table {
        let Some(statistics) = statistics else {
            continue;
        };
        let means = [statistics.mean, statistics.mean_half_width];
        let means = means.into_iter().take(if sure { 2 } else { 1 });
        let means = means.map(|it| it.map_or_else(|| "-".to_owned(), number));
        let figures = means.chain(percentiles(rows, metric));
        lines.push(columns(name, figures));
    }
    lines
}

/// What the users of a region felt, and where their requests went.
fn region(of: &RegionSummary, all: &[RegionSummary]) -> Vec<String> {
    let mut lines = promised(&of.users.slo);
    let rows = &of.users.percentiles;
    let names = rows.iter().map(|row| percentile(row.percentile));
    lines.push(columns(
        "seconds",
        ["mean".to_owned()].into_iter().chain(names),
    ));
    let mean = |of: &Statistics| of.mean.map_or_else(|| "-".to_owned(), number);
    let ttft = [mean(&of.users.metrics.ttft_s)].into_iter();
    lines.push(columns(
        "TTFT",
        ttft.chain(percentiles(rows, |row| row.ttft_s)),
    ));
    let e2e = [mean(&of.users.metrics.e2e_s)].into_iter();
    lines.push(columns(
        "E2E",
        e2e.chain(percentiles(rows, |row| row.e2e_s)),
    ));
    let sent: u64 = of.sent_to.values().sum();
    let to = all.iter().filter_map(|to| {
        let count = of.sent_to.get(&to.name).filter(|count| **count > 0)?;
        Some(format!("{} {}", to.name, grouped(*count)))
    });
    let to: Vec<String> = to.collect();
    let colon = if to.is_empty() { "" } else { ", served in " };
    lines.push(format!(
        "{} requests sent{colon}{}",
        grouped(sent),
        to.join(", ")
    ));
    let cost = of.fleet.cost;
    let cost = cost.map_or_else(String::new, |cost| format!(", {cost:.2} dollars"));
    lines.push(format!(
        "servers: {} GPU-hours{cost}",
        number(of.fleet.gpu_hours)
    ));
    lines
}

/// Whether users got what they were promised.
fn promised(slo: &SloSummary) -> Vec<String> {
    let of_all = slo.attainment.map(percentage);
    let Some(limits) = objective(slo) else {
        let line = match (of_all, slo.met) {
            (None, _) => "no objective given".to_owned(),
            (Some(met), None) => format!("SLO of each application: met by {met} of requests"),
            (Some(met), Some(all)) => {
                let all = verdict(all);
                format!("SLO of each application: met by {met} of requests, percentiles {all}")
            }
        };
        return vec![line];
    };
    let Some(of_all) = of_all else {
        return vec![format!("SLO {limits}: no request ended")];
    };
    let Some(met) = slo.met else {
        return vec![format!("SLO {limits}: met by {of_all} of requests")];
    };
    let within = slo.percentiles.iter().map(|of| {
        let share = of.within.map_or_else(|| "-".to_owned(), percentage);
        format!("{} {share}", of.metric.to_uppercase())
    });
    let within: Vec<_> = within.collect();
    vec![
        format!("SLO {limits}: {}", verdict(met)),
        format!(
            "requests within the limit: {}, all limits {of_all}",
            within.join(", ")
        ),
    ]
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// How the blocks of engines of vLLM were used.
fn kv_cache(of: &VllmSummary) -> Vec<String> {
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percentage);
    vec![
        format!(
            "in use: mean {}, peak {}",
            share(of.kv_usage_mean),
            share(of.kv_usage_peak)
        ),
        format!(
            "found in the prefix cache: {} of prompt tokens",
            percentage(of.prefix_hit_rate)
        ),
        format!("{} preemptions", grouped(of.preemptions)),
    ]
}

fn columns(name: &str, figures: impl IntoIterator<Item = String>) -> String {
    let mut line = format!("{name:<8}");
    for figure in figures {
        line += &format!("{figure:>12}");
    }
    line
}

fn cost(fleet: &FleetSummary) -> Vec<String> {
    let mut lines = vec![format!(
        "{} GPU-hours, {} server-hours",
        number(fleet.gpu_hours),
        number(fleet.server_hours)
    )];
    if let Some(cost) = fleet.cost {
        let rates = [
            (fleet.rates.cost_per_day, "a day"),
            (fleet.rates.cost_per_month, "a month of 30 days"),
            (fleet.rates.cost_per_million_tokens, "a million tokens"),
        ];
        let rates = rates.map(|(rate, of)| Some(format!("{} {of}", number(rate?))));
        let rates: Vec<_> = rates.into_iter().flatten().collect();
        let colon = if rates.is_empty() { "" } else { ": " };
        lines.push(format!("{cost:.2} dollars{colon}{}", rates.join(", ")));
    }
    lines.extend(fleet.servers.iter().flat_map(purchases));
    if let Some(energy) = fleet.energy_kwh {
        lines.push(format!("{} kWh", number(energy)));
    }
    if let Some(energy) = fleet.step_energy_kwh {
        let of = fleet.servers.iter();
        let of = of.filter(|it| it.step_energy_kwh.is_some() && it.server_hours > 0.0);
        let skus: Vec<&str> = of.map(|it| it.sku.as_str()).collect();
        lines.push(format!(
            "{} kWh in steps; idle power of {} has no source",
            number(energy),
            skus.join(", ")
        ));
    }
    lines
}

/// What was paid for of a SKU, by purchase option.
fn purchases(of: &ServerSummary) -> impl Iterator<Item = String> + '_ {
    let paid = of.purchases.iter().filter(|it| it.billed_hours > 0.0);
    paid.map(|it| {
        let name = match it.option.as_str() {
            "any" => of.sku.clone(),
            option => format!("{}, {}", of.sku, option.replace('_', " ")),
        };
        let dollars = |of: Option<f64>| of.map_or(String::new(), |it| format!(", {it:.2} dollars"));
        let mut line = format!(
            "{name}: {} server-hours paid{}",
            number(it.billed_hours),
            dollars(it.cost)
        );
        if it.unused_hours > 0.0 {
            line += &format!(
                "; unused {}{}",
                number(it.unused_hours),
                dollars(it.unused_cost)
            );
        }
        line
    })
}

fn fleet(summary: &Summary) -> Vec<String> {
    let fleet = &summary.fleet;
    let mut lines: Vec<_> = fleet
        .servers
        .iter()
        .map(|servers| {
            extent(
                &format!("{} servers", servers.sku),
                servers.mean,
                servers.peak,
            )
        })
        .collect();
    for application in &summary.applications {
        let of = match summary.applications.len() {
            1 => String::new(),
            _ => format!("{}: ", application.name),
        };
        lines.extend(application.instances.iter().map(|instances| {
            extent(
                &format!("{of}{}", kind(instances)),
                instances.mean,
                instances.peak,
            )
        }));
    }
    lines.extend(summary.applications.iter().flat_map(start_up));
    lines.extend(summary.applications.iter().flat_map(attempts));
    let events: Vec<_> = ScalingAction::ALL
        .into_iter()
        .filter_map(|action| Some((action, *fleet.scaling_events.get(action.name())?)))
        .filter(|&(_, count)| count > 0)
        .map(|(action, count)| format!("{} {}", action.name(), grouped(count)))
        .collect();
    lines.push(match events.as_slice() {
        [] => "no scaling".to_owned(),
        events => events.join(", "),
    });
    for (action, reasons) in &fleet.refusals {
        let reasons = reasons
            .iter()
            .map(|(reason, count)| format!("{reason} {}", grouped(*count)));
        let reasons: Vec<_> = reasons.collect();
        lines.push(format!("{action} by reason: {}", reasons.join(", ")));
    }
    if let Some(faults) = &fleet.faults {
        for (name, of) in &faults.by_fault {
            lines.push(format!(
                "{name} {}: {} servers, {} instances, {} requests retried, {} failed, {} tokens lost",
                grouped(of.count),
                grouped(of.servers),
                grouped(of.instances),
                grouped(of.requests_retried),
                grouped(of.requests_failed),
                grouped(of.lost_tokens)
            ));
        }
        if let Some(availability) = faults.availability {
            lines.push(format!("servers available: {}", percentage(availability)));
        }
    }
    if let Some(power) = fleet.power_cap.filter(|it| it.slowed_s > 0.0) {
        lines.push(format!(
            "slower for want of power: {} s, by {} at most",
            number(power.slowed_s),
            number(power.highest_factor)
        ));
    }
    if let Some(deserted) = &fleet.deserted {
        lines.push(format!(
            "empty after crashes: {} server-hours, {} servers at the end",
            number(deserted.server_hours),
            grouped(deserted.at_end)
        ));
    }
    lines
}

/// How long instances took to start up, with the mean of each stage.
fn start_up(application: &ApplicationSummary) -> Option<String> {
    let (all, stages) = application.start_up.split_last()?;
    let stages = stages.iter();
    let stages: Vec<_> = stages
        .filter_map(|it| Some(format!("{} {}", it.stage, number(it.mean_s?))))
        .collect();
    let seconds = |of: Option<f64>| of.map_or_else(|| "-".to_owned(), number);
    Some(format!(
        "{}: {} start-ups, mean {} s, P95 {} s: {}",
        application.name,
        grouped(all.count),
        seconds(all.mean_s),
        seconds(all.p95_s),
        stages.join(", ")
    ))
}

/// How attempts at start-ups went, where they may fail.
fn attempts(application: &ApplicationSummary) -> Option<String> {
    let of = application.start_up_attempts?;
    Some(format!(
        "{}: {} attempts at start-ups: {} failed, {} timed out, {} instances given up",
        application.name,
        grouped(of.begun),
        grouped(of.failed),
        grouped(of.timed_out),
        grouped(of.given_up)
    ))
}

/// What the mean request waited for, and what its instances did.
fn time(application: &ApplicationSummary) -> Vec<String> {
    let metrics = &application.metrics;
    let each = |of: &Statistics| of.mean.unwrap_or(0.0) * of.count as f64;
    let completed = metrics.e2e_s.count.max(1) as f64;
    let [queue, ttft, handover, e2e] = [
        &metrics.queue_s,
        &metrics.ttft_s,
        &metrics.second_token_s,
        &metrics.e2e_s,
    ]
    .map(|of| each(of) / completed);
    let request = parts(
        "a request",
        e2e,
        &[
            ("queued", queue),
            ("prompt", ttft - queue),
            ("to its second token", handover),
            ("tokens", e2e - ttft - handover),
        ],
    );
    let instances = application.instances.iter().map(|it| {
        let up = it.scaling_up_s + it.active_s + it.draining_s;
        let busy = it.prompt_busy_s + it.token_busy_s;
        parts(
            &format!("{:?} instances on {}", it.role, it.sku),
            up,
            &[
                ("prompts", it.prompt_busy_s),
                ("tokens alone", it.token_busy_s),
                ("idle", it.active_s + it.draining_s - busy),
                ("starting", it.scaling_up_s),
            ],
        )
    });
    request.into_iter().chain(instances.flatten()).collect()
}

/// The shares of a whole; none where there is nothing to share.
fn parts(of: &str, whole: f64, parts: &[(&str, f64)]) -> Option<String> {
    let share = |(name, part): &(&str, f64)| {
        let percent = (100.0 * part / whole).max(0.0);
        format!("{percent:.1} % {name}")
    };
    let shares: Vec<_> = parts.iter().map(share).collect();
    (whole > 0.0).then(|| format!("{of}: {}", shares.join(", ")))
}

fn kind(instances: &InstanceSummary) -> String {
    format!(
        "{:?} instances, {} GPUs each, on {}",
        instances.role, instances.processors, instances.sku
    )
}

fn extent(what: &str, mean: f64, peak: u64) -> String {
    format!("{what}: mean {}, peak {}", number(mean), grouped(peak))
}

fn requests(counts: &RequestCounts) -> Vec<String> {
    let mut ends = format!(
        "{} arrived: {} completed, {} in flight, {} waiting, {} rejected",
        grouped(counts.arrived),
        grouped(counts.completed),
        grouped(counts.in_flight),
        grouped(counts.waiting),
        grouped(counts.rejected_total())
    );
    if !counts.rejected.is_empty() {
        let reasons: Vec<_> = counts
            .rejected
            .iter()
            .map(|(reason, &count)| format!("{reason} {}", grouped(count)))
            .collect();
        ends += &format!(" ({})", reasons.join(", "));
    }
    if counts.failed > 0 {
        ends += &format!(", {} failed", grouped(counts.failed));
    }
    let mut again = format!(
        "{} restarted, {} evicted",
        grouped(counts.restarted),
        grouped(counts.evicted)
    );
    if counts.moved > 0 {
        again += &format!(", {} moved", grouped(counts.moved));
    }
    vec![ends, again]
}
