//! Latencies over time, and over the whole run.

use super::collect::{ApplicationSeries, Arrivals, Known};
use super::outcomes::by_arrival;
use super::over_time::in_the_middle;
use crate::report::html::chart::{Axis, Chart, Format, Shape, rounded};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::duration;
use crate::scenario::Slo;
use crate::time::SimDuration;

/// The percentiles over time, most usual first.
const PERCENTILES: [(&str, f64, Colour); 3] = [
    ("p50", 0.5, Colour::P50),
    ("p95", 0.95, Colour::P95),
    ("p99", 0.99, Colour::P99),
];

/// The share of requests of which a metric is not known from which on a chart says so.
const UNKNOWN: f64 = 0.01;

/// A metric over time.
struct Metric {
    title: &'static str,
    of: fn(&Arrivals) -> &Known,
    limit: Option<SimDuration>,
    /// Whether requests that wait have had at least the time since their arrival.
    at_least: bool,
}

/// TTFT and TBT over time, against the objective.
pub(super) fn over_time(of: &ApplicationSeries, slo: &Slo, end: f64) -> [Chart; 2] {
    let ttft = Metric {
        title: "Time to first token",
        of: |of| &of.ttft,
        limit: slo.ttft,
        at_least: true,
    };
    let tbt = Metric {
        title: "Time between tokens",
        of: |of| &of.tbt,
        limit: slo.tbt,
        at_least: false,
    };
    [ttft, tbt].map(|metric| chart(of, &metric, end))
}

fn chart(of: &ApplicationSeries, metric: &Metric, end: f64) -> Chart {
    let mut note = by_arrival(&of.arrivals);
    let unfinished = unfinished(of, metric, end);
    if !unfinished.is_empty() {
        note += match metric.at_least {
            true => {
                " Where the first token of more than 1 % is still to come, percentiles that depend on \
                     them are left out; the dotted line is how long those have waited at the least."
            }
            false => {
                " Where more than 1 % are not over, percentiles that depend on them are left out."
            }
        };
    }
    let axis = Axis::new(Format::Duration).logarithmic();
    let mut chart = Chart::over_time(metric.title, note, end, axis);
    let band = Shape::Band { spans: unfinished };
    chart.add("not over at the end", Colour::Unfinished, band);
    for (name, share, colour) in PERCENTILES {
        let quantile = |bin: &Arrivals| (metric.of)(bin).quantile(share);
        let points = in_the_middle(&of.arrivals, end, quantile);
        chart.add(name, colour, Shape::line(points));
    }
    let waited = waited(of, metric, end);
    if metric.at_least && waited.iter().any(|(_, value)| value.is_some()) {
        chart.add("waits for at least", Colour::AtLeast, Shape::dotted(waited));
        chart.seldom();
    }
    if let Some(limit) = metric.limit {
        let seconds = limit.seconds();
        let name = format!("SLO {}", duration(seconds));
        chart.add(name, Colour::Limit, Shape::limit(seconds));
    }
    chart
}

/// Stretches in which requests arrive of which the metric is not known at the end.
fn unfinished(of: &ApplicationSeries, metric: &Metric, end: f64) -> Vec<[f64; 2]> {
    let mut spans: Vec<[f64; 2]> = Vec::new();
    for (start, bin) in of.arrivals.iter() {
        if (metric.of)(bin).share_unknown() <= UNKNOWN {
            continue;
        }
        let stop = rounded((start + of.arrivals.width()).min(end));
        match spans.last_mut() {
            Some(last) if last[1] >= rounded(start) => last[1] = stop,
            _ => spans.push([rounded(start), stop]),
        }
    }
    spans
}

/// How long the requests that still wait for the metric have waited at the least.
fn waited(of: &ApplicationSeries, metric: &Metric, end: f64) -> Vec<(f64, Option<f64>)> {
    let known = in_the_middle(&of.arrivals, end, |bin| {
        Some((metric.of)(bin).share_unknown())
    });
    let waits = known.into_iter().map(|(at, unknown)| {
        let waits = unknown.is_some_and(|share| share > UNKNOWN) && end > at;
        (at, waits.then_some(end - at))
    });
    waits.collect()
}

/// How many requests took how long, over the whole run.
pub(super) fn distributions(of: &ApplicationSeries) -> Chart {
    let whole = [
        ("TTFT", of.whole(|of| &of.ttft), Colour::Ttft),
        ("TBT", of.whole(|of| &of.tbt), Colour::Tbt),
        ("E2E", of.e2e.clone(), Colour::E2e),
    ];
    let note =
        "The share of requests that took at most this long; without those that are not over.";
    let mut chart = Chart::new(
        "How long requests took",
        note,
        Axis::new(Format::Duration).logarithmic(),
        Axis::percent(),
    );
    for (name, histogram, colour) in whole {
        let points = histogram.cumulative();
        // A logarithmic axis has no zero.
        let points = points.filter(|(seconds, _)| *seconds > 0.0);
        let points = points.map(|(seconds, share)| (seconds, Some(100.0 * share)));
        let shape = Shape::line(points);
        if histogram.count() > 0 {
            chart.add(name, colour, shape);
        }
    }
    chart
}
