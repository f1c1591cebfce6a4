//! Figures of requests, as tables.

use crate::observe::{
    ApplicationSummary, Metrics, RequestCounts, SloSummary, TotalSummary, VllmSummary,
};
use crate::report::html::numbers::{NONE, duration, number, percent};
use crate::report::html::table::{Cell, Column, Table};
use crate::report::words::{ALL, grouped};

/// The applications side by side, and all of them together.
pub(super) fn applications(each: &[ApplicationSummary], all: &TotalSummary) -> Table {
    let columns = [
        Column::text("application"),
        Column::figures("SLO met"),
        Column::figures("goodput, requests/s"),
        Column::figures("TTFT p50"),
        Column::figures("p95"),
        Column::figures("p99"),
        Column::figures("TBT p50"),
        Column::figures("p95"),
        Column::figures("p99"),
        Column::figures("arrived"),
        Column::figures("completed"),
        Column::figures("rejected"),
    ];
    let row = |name: &str, slo: &SloSummary, metrics: &Metrics, counts: &RequestCounts| {
        let (ttft, tbt) = (&metrics.ttft_s, &metrics.tbt_s);
        let times = [ttft.p50, ttft.p95, ttft.p99, tbt.p50, tbt.p95, tbt.p99];
        let mut row = vec![
            Cell::text(name),
            optional(slo.attainment, percent),
            optional(slo.goodput_per_s, number),
        ];
        row.extend(times.map(|it| optional(it, duration)));
        row.extend([counts.arrived, counts.completed, counts.rejected_total()].map(count));
        row
    };
    let mut table = Table::new("Applications", columns).sortable();
    for of in each {
        table.row(row(&of.name, &of.slo, &of.metrics, &of.requests));
    }
    table.row(row(ALL, &all.slo, &all.metrics, &all.requests));
    table
}

/// The latencies of completed requests.
pub(super) fn latencies(of: &ApplicationSummary) -> Table {
    let metrics = &of.metrics;
    let names = [
        "requests", "mean", "std", "min", "p50", "p90", "p95", "p99", "p99.9", "max",
    ];
    let columns = [Column::text("")]
        .into_iter()
        .chain(names.map(Column::figures));
    let mut table = Table::new("Latencies of completed requests", columns);
    for (name, of) in [
        ("TTFT", Some(&metrics.ttft_s)),
        ("TBT", Some(&metrics.tbt_s)),
        ("ITL", metrics.itl_s.as_ref()),
        ("E2E", Some(&metrics.e2e_s)),
        ("queue", Some(&metrics.queue_s)),
        ("second token", Some(&metrics.second_token_s)),
    ] {
        let Some(of) = of.filter(|of| of.count > 0) else {
            continue;
        };
        let figures = [
            of.mean, of.std, of.min, of.p50, of.p90, of.p95, of.p99, of.p999, of.max,
        ];
        let figures = figures.map(|it| optional(it, duration));
        table.row(
            [Cell::text(name), count(of.count)]
                .into_iter()
                .chain(figures),
        );
    }
    table
}

/// How the blocks of engines of vLLM were used.
pub(super) fn kv_cache(of: &VllmSummary) -> Table {
    let columns = [
        "in use, mean",
        "in use, at the peak",
        "prompt tokens found in the prefix cache",
        "preemptions",
        "longest time between tokens",
    ];
    let mut table = Table::new("KV cache", columns.map(Column::figures));
    table.row([
        optional(of.kv_usage_mean, percent),
        optional(of.kv_usage_peak, percent),
        optional(Some(of.prefix_hit_rate), percent),
        count(of.preemptions),
        optional(Some(of.max_tbt_s), duration),
    ]);
    table
}

fn optional(figure: Option<f64>, told: fn(f64) -> String) -> Cell {
    Cell::figure(figure.map_or_else(|| NONE.to_owned(), told), figure)
}

fn count(count: u64) -> Cell {
    Cell::figure(grouped(count), Some(count as f64))
}
