//! Contenders by what they cost and what users get.

use super::focus::{Worse, focus};
use crate::report::html::chart::{Axis, Chart, Format, Shape, rounded};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::{dollars, duration, number, percent};
use crate::scenario::Limit;
use crate::study::{Basis, Comparison, Figures, Percentiles, Standing};
use crate::time::SimDuration;

/// A contender at its place on a chart.
struct Point<'a> {
    of: &'a Standing,
    cost: f64,
    value: f64,
    /// What is said of its value.
    told: String,
}

/// A metric by its name, with its limit.
type Metric = (
    &'static str,
    fn(&Figures) -> &Percentiles,
    Option<SimDuration>,
);

/// Cost against the share of requests that met the objective; none without one.
pub(super) fn attained(comparison: &Comparison, basis: Basis) -> Option<Chart> {
    let points = points(comparison, basis, |figures| figures.attainment, percent);
    let points: Vec<_> = points
        .into_iter()
        .map(|it| Point {
            value: 100.0 * it.value,
            ..it
        })
        .collect();
    if points.is_empty() {
        return None;
    }
    let values: Vec<_> = points.iter().map(|it| it.value).collect();
    let [from, to] = focus(&values, Worse::Lower, 0.02);
    let mut view = View {
        x: costs(&points),
        y: [
            from.max(-2.0),
            to.min(100.0 + 0.05 * (100.0 - from.max(0.0))),
        ],
    };
    let mut note = "To the upper left is better. The line is the frontier: on it, no other contender is as good in \
                    both and better in one."
        .to_owned();
    let bound = comparison.lower_bound;
    let bound = bound.and_then(|bound| basis.of_bound(&bound));
    if let Some(bound) = bound {
        let cost = match basis {
            Basis::Dollars => dollars(bound),
            Basis::GpuHours => format!("{} GPU-hours", number(bound)),
        };
        note += &format!(" No run that completes every request goes below {cost}.");
    }
    // In view where it does not squeeze the contenders.
    let bound = bound.filter(|it| *it > view.x[0] - 0.5 * (view.x[1] - view.x[0]));
    if let Some(bound) = bound {
        let room = 0.04 * (view.x[1] - bound);
        view.x[0] = view.x[0].min(bound - room).max(0.0);
    }
    let axis = Axis::new(Format::Percent).title("requests that met the SLO");
    let mut chart = chart(
        "Cost against SLO attainment",
        &note,
        basis,
        axis.range(view.y.map(rounded)),
        &view,
    );
    if let Some(percent) = demanded(comparison) {
        let name = format!("SLO {} %", number(percent));
        chart.add(name, Colour::Limit, Shape::limit(percent));
    }
    if let Some(bound) = bound {
        chart.add("lower bound on cost", Colour::Bound, Shape::upright(bound));
    }
    draw(&mut chart, &points, &view);
    Some(chart.height(420))
}

/// The share of requests, in percent, that the objective demands, where it is one of percentiles.
fn demanded(comparison: &Comparison) -> Option<f64> {
    let limits = comparison.slo?.by_metric().into_iter().flatten();
    limits.filter_map(Limit::percentile).reduce(f64::max)
}

/// Cost against latencies, with the limits of the objective.
pub(super) fn latencies(comparison: &Comparison, basis: Basis) -> Vec<Chart> {
    let slo = comparison.slo.unwrap_or_default().limits();
    let metrics: [Metric; 2] = [
        ("TTFT", |of| &of.ttft_s, slo.ttft),
        ("TBT", |of| &of.tbt_s, slo.tbt),
    ];
    let charts = metrics.map(|(name, of, limit)| {
        let points = points(comparison, basis, |figures| of(figures).p95, duration);
        let points: Vec<_> = points.into_iter().filter(|it| it.value > 0.0).collect();
        let note = "95 % of the completed requests took no longer. To the lower left is better.";
        let axis = Axis::new(Format::Duration).logarithmic();
        let view = View {
            x: costs(&points),
            y: [0.0, f64::INFINITY],
        };
        let title = format!("Cost against {name} p95");
        let mut chart = chart(&title, note, basis, axis, &view);
        if let Some(limit) = limit {
            let seconds = limit.seconds();
            let name = format!("SLO {}", duration(seconds));
            chart.add(name, Colour::Limit, Shape::limit(seconds));
        }
        draw(&mut chart, &points, &view);
        chart.height(320)
    });
    charts.into_iter().collect()
}

/// What is in view.
struct View {
    x: [f64; 2],
    y: [f64; 2],
}

impl View {
    /// The nearest place in view, and whether that is the place itself.
    fn place(&self, cost: f64, value: f64) -> (f64, f64, bool) {
        let clamp = |value: f64, [from, to]: [f64; 2]| value.clamp(from, to);
        let (x, y) = (clamp(cost, self.x), clamp(value, self.y));
        (x, y, x == cost && y == value)
    }
}

fn points<'a>(
    comparison: &'a Comparison,
    basis: Basis,
    value: impl Fn(&Figures) -> Option<f64>,
    told: fn(f64) -> String,
) -> Vec<Point<'a>> {
    let point = |of: &'a Standing| {
        let figures = of.figures.as_ref()?;
        let value = value(figures)?;
        Some(Point {
            of,
            cost: basis.of(figures),
            value,
            told: told(value),
        })
    };
    let mut points: Vec<_> = comparison.contenders.iter().filter_map(point).collect();
    points.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    points
}

fn costs(points: &[Point<'_>]) -> [f64; 2] {
    let costs: Vec<_> = points.iter().map(|it| it.cost).collect();
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min) * 0.002;
    let [from, to] = focus(&costs, Worse::Higher, least.max(1e-6));
    [from.max(0.0), to]
}

fn chart(title: &str, note: &str, basis: Basis, y: Axis, view: &View) -> Chart {
    let (unit, format) = match basis {
        Basis::Dollars => ("cost", Format::Dollars),
        Basis::GpuHours => ("GPU-hours", Format::Number),
    };
    let x = Axis::new(format).title(unit).range(view.x.map(rounded));
    Chart::new(title, note, x, y).with_names()
}

/// Draws the contenders: those on the frontier, the others, and at the edge those that are not in view.
fn draw(chart: &mut Chart, points: &[Point<'_>], view: &View) {
    let mut frontier = Marks::default();
    let mut others = Marks::default();
    let mut beyond = Marks::default();
    for point in points {
        let (x, y, inside) = view.place(point.cost, point.value);
        let marks = match (inside, point.of.frontier) {
            (false, _) => &mut beyond,
            (true, Some(true)) => &mut frontier,
            (true, _) => &mut others,
        };
        marks.add(x, y, point, inside);
    }
    let limited = view.y[1].is_finite();
    chart.add(
        "on the frontier",
        Colour::Frontier,
        frontier.shape(6, limited, false),
    );
    chart.add("others", Colour::Other, others.shape(5, false, false));
    chart.add(
        "beyond the edge",
        Colour::Other,
        beyond.shape(5, false, true),
    );
}

/// Points of one kind.
#[derive(Default)]
struct Marks {
    x: Vec<f64>,
    y: Vec<f64>,
    names: Vec<String>,
    texts: Vec<String>,
}

impl Marks {
    /// Adds a contender; one at the same place as another shares its mark.
    fn add(&mut self, x: f64, y: f64, point: &Point<'_>, inside: bool) {
        let (x, y) = (rounded(x), rounded(y));
        let cost = match point.of.figures.as_ref().and_then(|it| it.cost) {
            Some(cost) => dollars(cost),
            None => format!("{} GPU-hours", number(point.cost)),
        };
        let text = format!("{}\n{}, {cost}", point.of.label, point.told);
        let same = |at: &usize| self.x[*at] == x && self.y[*at] == y;
        if let Some(at) = (0..self.x.len()).find(same).filter(|_| inside) {
            self.names[at] += &format!(", {}", point.of.label);
            self.texts[at] += &format!("\n{text}");
            return;
        }
        self.x.push(x);
        self.y.push(y);
        self.names.push(match inside {
            true => point.of.label.clone(),
            false => format!("{} ({}, {cost})", point.of.label, point.told),
        });
        self.texts.push(text);
    }

    fn shape(self, size: u8, joined: bool, hollow: bool) -> Shape {
        let Self { x, y, names, texts } = self;
        Shape::Points {
            x,
            y,
            names,
            texts,
            size,
            joined,
            hollow,
        }
    }
}
