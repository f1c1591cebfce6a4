//! comparison.html: one scenario under many policies.

use plotly::Scatter;
use plotly::common::{DashType, Line, LineShape, Marker, Mode, Position};
use plotly::layout::{Axis, HoverMode};

use super::chart::{Chart, axis, colour, from_zero, layout, logarithmic, rounded};
use super::definitions;
use super::page::{Cell, Page};
use super::text::escape;
use crate::compare::{Basis, Comparison, Figures, Standing};
use crate::report::table::{grouped, number};

/// Share of requests, in percent, below which the chart of misses does not tell contenders apart.
const LEAST_MISSED: f64 = 0.001;

/// The page of a comparison: the same bytes for the same comparison. `command` is what to type to make
/// it again.
#[must_use]
pub fn comparison_page(comparison: &Comparison, command: &str) -> String {
    let subtitle = format!(
        "{} under each policy · seed {} · fingerprint {} · fleetsim {}",
        comparison.applications.join(", "),
        comparison.seed,
        comparison.hash,
        comparison.fleetsim_version
    );
    let mut page = Page::new(&comparison.scenario, &subtitle);
    page.command(command);
    for (policy, error) in comparison.failed() {
        page.paragraph("warning", &format!("{policy} failed: {error}"));
    }
    if let Some(basis) = comparison.basis {
        page.heading("What each costs, and what users get for it");
        let points = points(comparison, basis);
        page.charts(vec![attained(comparison, basis, &points)]);
        page.charts(vec![missed(basis, &points)]);
        page.heading("All figures");
        table(&mut page, comparison, basis);
    }
    for skipped in &comparison.skipped {
        page.paragraph("faint", &format!("{}: {}", skipped.policy, skipped.reason));
    }
    definitions::section(&mut page);
    page.finish()
}

/// A contender that ran, where there is an objective.
struct Point<'a> {
    of: &'a Standing,
    cost: f64,
    /// Percent of the requests.
    attained: f64,
}

fn points(comparison: &Comparison, basis: Basis) -> Vec<Point<'_>> {
    let point = |of: &'_ Standing| {
        let figures = of.figures.as_ref()?;
        Some((basis.of(figures), 100.0 * figures.attainment?))
    };
    let standings = comparison.contenders.iter();
    let mut points: Vec<_> = standings
        .filter_map(|of| {
            let (cost, attained) = point(of)?;
            Some(Point { of, cost, attained })
        })
        .collect();
    points.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    points
}

fn unit(basis: Basis) -> &'static str {
    match basis {
        Basis::Dollars => "cost, dollars",
        Basis::GpuHours => "GPU-hours",
    }
}

fn attained(comparison: &Comparison, basis: Basis, points: &[Point<'_>]) -> Chart {
    let note = "To the upper left is better. The line is the frontier: on it, no other contender is \
                as good in both and better in one. The dotted line is what no run that completes \
                every request can go below.";
    let percent = from_zero("requests that met the SLO, %");
    let mut chart = scatter("Cost against SLO attainment", note, basis, percent);
    draw(&mut chart, points, |it| it.attained);
    let bound = comparison.lower_bound.and_then(|bound| match basis {
        Basis::Dollars => bound.cost,
        Basis::GpuHours => Some(bound.gpu_hours),
    });
    if let Some(bound) = bound {
        let line = Scatter::new(vec![rounded(bound); 2], vec![0.0, 100.0])
            .name("lower bound on cost")
            .mode(Mode::Lines)
            .line(Line::new().color(colour::GREY).dash(DashType::Dot));
        chart.add(line);
    }
    chart
}

/// The same where attainments are close to 100 %.
fn missed(basis: Basis, points: &[Point<'_>]) -> Chart {
    let share = |it: &Point<'_>| (100.0 - it.attained).max(LEAST_MISSED);
    let axis = logarithmic("requests that missed the SLO, %", points.iter().map(share));
    let note =
        "The same contenders on a scale that tells 99 % from 99.9 %. To the lower left is better.";
    let mut chart = scatter("Cost against SLO misses", note, basis, axis);
    draw(&mut chart, points, share);
    chart
}

fn scatter(title: &str, note: &str, basis: Basis, y: Axis) -> Chart {
    let layout = layout()
        .hover_mode(HoverMode::Closest)
        .x_axis(axis(unit(basis)))
        .y_axis(y);
    Chart::new(title, note, layout).height(460)
}

fn draw(chart: &mut Chart, points: &[Point<'_>], height: impl Fn(&Point<'_>) -> f64) {
    let on = |it: &&Point<'_>| it.of.frontier == Some(true);
    let frontier: Vec<_> = points.iter().filter(on).collect();
    let others: Vec<_> = points.iter().filter(|it| !on(it)).collect();
    for (name, colour, size, mode, place, points) in [
        (
            "on the frontier",
            colour::VERMILLION,
            11,
            Mode::LinesMarkersText,
            Position::TopLeft,
            frontier,
        ),
        (
            "others",
            colour::BLUE,
            9,
            Mode::MarkersText,
            Position::BottomRight,
            others,
        ),
    ] {
        let labels = points.iter().map(|it| escape(it.of.name())).collect();
        let told = points.iter().map(|it| told(it)).collect();
        let x = points.iter().map(|it| rounded(it.cost)).collect();
        let y = points.iter().map(|it| rounded(height(it))).collect();
        let line = Line::new().color(colour).width(1.4).shape(LineShape::Hv);
        let trace = Scatter::new(x, y)
            .name(name)
            .mode(mode)
            .marker(Marker::new().color(colour).size(size))
            .line(line)
            .text_array(labels)
            .text_position(place)
            .clip_on_axis(false)
            .hover_text_array(told)
            .hover_template("%{hovertext}<extra></extra>");
        chart.add(trace);
    }
}

/// What a point says of itself.
fn told(point: &Point<'_>) -> String {
    format!(
        "<b>{}</b><br>met {:.2} %, cost {}",
        escape(&point.of.policy),
        point.attained,
        number(point.cost)
    )
}

/// A column of figures: its name, the figure, and whether less is better.
type Column = (&'static str, fn(&Figures) -> Option<f64>, bool);

const COLUMNS: [Column; 14] = [
    ("met %", |it| it.attainment.map(|it| 100.0 * it), false),
    ("goodput /s", |it| it.goodput_per_s, false),
    ("TTFT p50", |it| it.ttft_s.p50, true),
    ("p90", |it| it.ttft_s.p90, true),
    ("p99", |it| it.ttft_s.p99, true),
    ("TBT p50", |it| it.tbt_s.p50, true),
    ("p90", |it| it.tbt_s.p90, true),
    ("p99", |it| it.tbt_s.p99, true),
    ("GPU-hours", |it| Some(it.gpu_hours), true),
    ("dollars", |it| it.cost, true),
    ("kWh", |it| it.energy_kwh, true),
    (
        "short %",
        |it| it.under_provisioned.map(|it| 100.0 * it),
        true,
    ),
    ("actions", |it| Some(it.scaling_actions as f64), true),
    ("turns /h", |it| Some(it.flapping.per_hour), true),
];

fn table(page: &mut Page, comparison: &Comparison, basis: Basis) {
    let ran = || {
        comparison
            .contenders
            .iter()
            .filter_map(|it| it.figures.as_ref())
    };
    let best = COLUMNS.map(|(_, figure, less)| {
        let figures = ran().filter_map(figure);
        figures.reduce(|a, b| if less { a.min(b) } else { a.max(b) })
    });
    let mut header = vec!["policy"];
    header.extend(COLUMNS.map(|column| column.0));
    header.extend(["regret", "misses"]);
    let rows: Vec<_> = comparison
        .contenders
        .iter()
        .filter_map(|standing| Some((standing, standing.figures.as_ref()?)))
        .map(|(standing, figures)| {
            let mut row = vec![Cell::from(standing.policy.clone())];
            for ((_, figure, _), best) in COLUMNS.iter().zip(best) {
                let value = figure(figures);
                row.push(Cell {
                    text: value.map_or_else(|| "–".to_owned(), number),
                    best: value.is_some() && value == best,
                });
            }
            row.extend(regret(standing, basis).map(Cell::from));
            row
        })
        .collect();
    page.table(
        "Each contender; the best of a column stands out",
        &header,
        &rows,
    );
}

/// What a contender cost beyond the plan of `Clairvoyant`, and missed.
fn regret(standing: &Standing, basis: Basis) -> [String; 2] {
    let none = || "–".to_owned();
    let Some(regret) = &standing.regret else {
        return [none(), none()];
    };
    let cost = match basis {
        Basis::Dollars => regret.cost,
        Basis::GpuHours => Some(regret.gpu_hours),
    };
    let sign = |negative: bool| if negative { "−" } else { "+" };
    let cost = cost.map_or_else(none, |it| format!("{}{}", sign(it < 0.0), number(it.abs())));
    let misses = regret.slo_misses.map_or_else(none, |it| {
        format!("{}{}", sign(it < 0), grouped(it.unsigned_abs()))
    });
    [cost, misses]
}
