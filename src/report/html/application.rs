//! The charts of an application: what its users felt, what its instances did.

use plotly::common::{HoverInfo, Marker, MarkerSymbol, Mode};
use plotly::layout::{HoverMode, Margin};
use plotly::{Layout, Scatter};

use super::chart::{
    Chart, Clock, axis, beside, colour, from_zero, layout, limit, line, logarithmic, rounded, steps,
};
use super::collect::{ApplicationSeries, Arrivals, Point, RoleSeries};
use super::histogram::Histogram;
use super::marks::{Mark, MarkKind};
use super::text::wrapped;
use crate::report::words::grouped;
use crate::scenario::{Role, Slo};
use crate::time::SimDuration;

/// The percentiles over time, most usual first.
const PERCENTILES: [(&str, f64, &str); 3] = [
    ("p50", 0.5, colour::SKY),
    ("p90", 0.9, colour::BLUE),
    ("p99", 0.99, colour::ORANGE),
];

/// A metric of the arrivals, by its name, with its limit.
type Metric = (
    &'static str,
    fn(&Arrivals) -> &Histogram,
    Option<SimDuration>,
);

/// A figure by its name, in its colour.
type Shown<T> = (&'static str, &'static str, fn(&Point) -> T);

/// The metrics that are shown over time.
fn metrics(slo: &Slo) -> [Metric; 2] {
    [
        ("Time to first token", |of| &of.ttft, slo.ttft),
        ("Time between tokens", |of| &of.tbt, slo.tbt),
    ]
}

/// TTFT and TBT over time, against the objective.
pub(super) fn latencies(of: &ApplicationSeries, slo: &Slo, clock: Clock) -> Vec<Chart> {
    let charts = metrics(slo).map(|metric| latency(of, metric, clock));
    charts.into_iter().collect()
}

fn latency(of: &ApplicationSeries, (name, metric, most): Metric, clock: Clock) -> Chart {
    let width = of.arrivals.width();
    let quantiles = |share: f64| {
        let bins = of.arrivals.iter();
        bins.map(move |(start, bin)| (clock.at(start + width / 2.0), metric(bin).quantile(share)))
    };
    let values = PERCENTILES
        .iter()
        .flat_map(|(_, share, _)| quantiles(*share))
        .filter_map(|(_, value)| value)
        .chain(most.map(SimDuration::seconds));
    let note = format!(
        "Completed requests by when they arrived, {} s to a point.",
        rounded(width)
    );
    let layout = layout()
        .x_axis(clock.axis())
        .y_axis(logarithmic("seconds", values));
    let mut chart = Chart::new(name, note, layout).over_time();
    for (name, share, colour) in PERCENTILES {
        chart.add(line(name, colour, quantiles(share)).connect_gaps(false));
    }
    if let Some(most) = most {
        let most = most.seconds();
        chart.add(limit(&format!("SLO {most} s"), 0.0, clock.end(), most));
    }
    chart
}

/// How many requests took how long, over the whole run.
pub(super) fn distributions(of: &ApplicationSeries) -> Chart {
    let whole = [
        ("TTFT", of.whole(|of| &of.ttft), colour::BLUE),
        ("TBT", of.whole(|of| &of.tbt), colour::ORANGE),
        ("E2E", of.e2e.clone(), colour::GREEN),
    ];
    let values = whole
        .iter()
        .flat_map(|(_, histogram, _)| histogram.cumulative())
        .map(|(value, _)| value);
    let layout = layout()
        .x_axis(logarithmic("seconds", values))
        .y_axis(axis("% of requests").range(vec![0.0, 101.0]));
    let note = "The share of completed requests that took at most this many seconds.";
    let mut chart = Chart::new("How long requests took", note, layout);
    for (name, histogram, colour) in whole {
        if histogram.is_empty() {
            continue;
        }
        let points = histogram.cumulative();
        let points = points.map(|(value, share)| (rounded(value), Some(100.0 * share)));
        chart.add(line(name, colour, points).hover_template("%{y:.2f} % within %{x} s"));
    }
    chart
}

/// The instances of a role by status, with the demand over them and what was done to them.
pub(super) fn instances(
    of: &ApplicationSeries,
    role: Role,
    series: &RoleSeries,
    clock: Clock,
) -> Chart {
    let (demand, unit, amount): (_, _, fn(&Arrivals) -> u64) = match role {
        Role::Prompt => ("prompt tokens asked for", "prompt tokens/s", |of| {
            of.prompt_tokens
        }),
        Role::Token => ("output tokens asked for", "output tokens/s", |of| {
            of.output_tokens
        }),
        Role::Mixed => ("requests arriving", "requests/s", |of| of.requests),
    };
    let most = points(series, clock, |it| {
        f64::from(it.first.active + it.first.draining + it.first.scaling_up)
    });
    let whole = match most.map(|(_, count)| count).fold(0.0, f64::max) {
        ..=8.0 => from_zero("instances").dtick(1.0),
        _ => from_zero("instances"),
    };
    let layout = layout()
        .margin(Margin::new().left(56).right(56).top(34).bottom(44))
        .x_axis(clock.axis().anchor("y"))
        .y_axis(whole.domain(&[0.0, 0.88]))
        .y_axis2(beside(unit).domain(&[0.0, 0.88]));
    let layout = strip(layout);
    let note = format!(
        "By status, and {demand} ({} s to a point). Marks above: what was done, and why.",
        of.arrivals.width()
    );
    let mut chart = Chart::new(format!("{role:?} instances"), note, layout)
        .over_time()
        .height(340);
    let status: [Shown<u32>; 3] = [
        ("active", colour::SKY, |of| of.first.active),
        ("draining", colour::PURPLE, |of| of.first.draining),
        ("starting", colour::ORANGE, |of| of.first.scaling_up),
    ];
    for (name, colour, count) in status {
        let points = points(series, clock, |point| f64::from(count(point)));
        chart.add(steps(name, colour, "instances", points));
    }
    let width = of.arrivals.width();
    let rates = of.arrivals.iter();
    let rates = rates.map(|(start, bin)| {
        let rate = amount(bin) as f64 / clock.passed(start, width);
        (clock.at(start + width / 2.0), Some(rate))
    });
    chart.add(line(demand, colour::GREEN, rates).y_axis("y2"));
    for (kind, marks) in series.marks.iter() {
        chart.add(marked(kind, marks, clock));
    }
    chart
}

/// The strip above the instances that the marks are in.
fn strip(layout: Layout) -> Layout {
    let axis = plotly::layout::Axis::new()
        .domain(&[0.9, 1.0])
        .range(vec![-1.0, 1.0])
        .show_tick_labels(false)
        .show_grid(false)
        .zero_line(false)
        .fixed_range(true);
    layout.y_axis3(axis).hover_mode(HoverMode::Closest)
}

fn marked(kind: MarkKind, marks: &[Mark], clock: Clock) -> Box<Scatter<f64, f64>> {
    let (name, symbol, colour, height) = match kind {
        MarkKind::Up => (
            "start-up begun",
            MarkerSymbol::TriangleUp,
            colour::ORANGE,
            0.5,
        ),
        MarkKind::Down => (
            "drain begun",
            MarkerSymbol::TriangleDown,
            colour::PURPLE,
            -0.5,
        ),
        MarkKind::Cancelled => ("start-up given up", MarkerSymbol::X, colour::GREY, 0.5),
        MarkKind::TimedOut => ("drain timed out", MarkerSymbol::Cross, colour::BLUE, -0.5),
        MarkKind::Lost => ("lost", MarkerSymbol::Star, colour::VERMILLION, 0.0),
    };
    let text = marks.iter().map(|mark| label(name, mark)).collect();
    let x: Vec<f64> = marks
        .iter()
        .map(|mark| clock.at(mark.from.seconds()))
        .collect();
    let y = vec![height; x.len()];
    Scatter::new(x, y)
        .name(name)
        .mode(Mode::Markers)
        .y_axis("y3")
        .marker(Marker::new().symbol(symbol).color(colour).size(10))
        .hover_info(HoverInfo::Text)
        .hover_text_array(text)
}

fn label(name: &str, mark: &Mark) -> String {
    let when = if mark.from == mark.to {
        format!("{} s", mark.from)
    } else {
        format!("{} to {} s", mark.from, mark.to)
    };
    let others = match mark.events {
        1 => String::new(),
        events => format!(" and {} more", grouped(events - 1)),
    };
    let what = format!("{when}: {name}, {}{others}", mark.target);
    format!("{}<br>{}", wrapped(&what), wrapped(&mark.reason))
}

/// Requests on the instances of a role, and waiting for them.
pub(super) fn queue(series: &RoleSeries, role: Role, clock: Clock) -> Chart {
    let layout = layout().x_axis(clock.axis()).y_axis(from_zero("requests"));
    let note = "In batches, queued on instances, and waiting at the application for an instance.";
    let mut chart = Chart::new(format!("{role:?} queue"), note, layout).over_time();
    let counts: [Shown<u64>; 3] = [
        ("running", colour::SKY, |of| of.running),
        ("queued", colour::ORANGE, |of| of.queued),
        ("waiting", colour::VERMILLION, |of| of.waiting),
    ];
    for (name, colour, count) in counts {
        let points = points(series, clock, |point| count(point) as f64);
        chart.add(steps(name, colour, "requests", points));
    }
    chart
}

/// How full the instances of a role are; with blocks, also what the prefix cache finds.
pub(super) fn use_of(series: &RoleSeries, role: Role, has_blocks: bool, clock: Clock) -> Chart {
    let layout = layout()
        .x_axis(clock.axis())
        .y_axis(axis("%").range(vec![0.0, 101.0]));
    let note = match has_blocks {
        true => {
            "Memory in use, weights included; time in which a batch ran; the KV cache in use; tokens found in the prefix cache."
        }
        false => "Memory in use, weights included, and time in which a batch ran.",
    };
    let mut chart =
        Chart::new(format!("{role:?} memory and utilisation"), note, layout).over_time();
    let shares: [Shown<Option<f64>>; 4] = [
        ("memory", colour::PURPLE, |of| Some(of.memory)),
        ("utilisation", colour::GREEN, |of| Some(of.utilisation())),
        ("KV cache", colour::BLUE, |of| Some(of.kv)),
        ("prefix hits", colour::ORANGE, Point::prefix_hit_rate),
    ];
    let shown = if has_blocks { 4 } else { 2 };
    for (name, colour, share) in shares.into_iter().take(shown) {
        let points = points(series, clock, |point| share(point).map(|it| 100.0 * it));
        chart.add(line(name, colour, points));
    }
    chart
}

/// A figure of the samples, up to the end of the run.
fn points<'a, T: 'a>(
    series: &'a RoleSeries,
    clock: Clock,
    figure: impl Fn(&Point) -> T + 'a,
) -> impl Iterator<Item = (f64, T)> + 'a {
    let samples = series
        .samples
        .iter()
        .filter_map(|(_, point)| point.as_ref());
    let last = samples.clone().last();
    let at_end = last.map(|point| (clock.end(), figure(point)));
    samples
        .map(move |point| (clock.at(point.first.time.seconds()), figure(point)))
        .chain(at_end)
}
