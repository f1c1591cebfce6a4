//! comparison.html: one scenario under many policies.

use plotly::Scatter;
use plotly::common::{DashType, Line, LineShape, Marker, Mode, Position};
use plotly::layout::{Axis, HoverMode};

use super::chart::{Chart, axis, colour, layout, logarithmic, rounded};
use super::definitions;
use super::labels::{Frame, Labels};
use super::page::{Cell, Page};
use super::text::escape;
use crate::report::words::{grouped, number};
use crate::study::{Basis, Comparison, Figures, Standing};

/// Share of requests, in percent, below which the chart of misses does not tell contenders apart.
const LEAST_MISSED: f64 = 0.001;

/// Percent of the requests: where every contender is above, a scale from zero does not tell them apart.
const HIGH: f64 = 50.0;

/// Where a label goes that should not be on the line from point to point.
const ABOVE_FIRST: [Position; 8] = [
    Position::TopLeft,
    Position::BottomRight,
    Position::TopCenter,
    Position::MiddleLeft,
    Position::BottomCenter,
    Position::BottomLeft,
    Position::TopRight,
    Position::MiddleRight,
];
/// Where another label goes.
const BELOW_FIRST: [Position; 8] = [
    Position::BottomRight,
    Position::MiddleRight,
    Position::TopRight,
    Position::BottomCenter,
    Position::TopCenter,
    Position::BottomLeft,
    Position::MiddleLeft,
    Position::TopLeft,
];

/// The page of a comparison: the same bytes for the same comparison. `command` is what to type to make
/// it again.
#[must_use]
pub fn comparison_page(comparison: &Comparison, command: &str) -> String {
    let subtitle = format!(
        "{} under each policy · seed {} · hash {} · fleetsim {}",
        comparison.applications.join(", "),
        comparison.seed,
        comparison.hash,
        comparison.fleetsim_version
    );
    let mut page = Page::new(&comparison.scenario, &subtitle);
    page.command(command);
    if comparison.partial {
        let missing = comparison.missing.join(", ");
        page.paragraph("warning", &format!("Partial: missing {missing}."));
    }
    for (policy, error) in comparison.failed() {
        page.paragraph("warning", &format!("{policy} failed: {error}"));
    }
    if let Some(basis) = comparison.basis {
        let points = points(comparison, basis);
        if !points.is_empty() {
            page.heading("What each costs, and what users get for it");
            page.charts(vec![attained(comparison, basis, &points)]);
            page.charts(vec![missed(basis, &points)]);
        }
        page.heading("All figures");
        table(&mut page, comparison, basis);
    }
    for skipped in &comparison.skipped {
        page.paragraph("faint", &format!("{}: {}", skipped.policy, skipped.reason));
    }
    definitions::of_a_comparison(&mut page);
    page.finish()
}

/// The cost and attainment of contenders, where there is an objective.
struct Point<'a> {
    /// The contenders at this point.
    of: Vec<&'a Standing>,
    cost: f64,
    /// Percent of the requests.
    attained: f64,
}

impl Point<'_> {
    /// Percent of the requests, not so few that it has no place on a logarithmic scale.
    fn missed(&self) -> f64 {
        (100.0 - self.attained).max(LEAST_MISSED)
    }

    fn on_frontier(&self) -> bool {
        self.of.iter().any(|it| it.frontier == Some(true))
    }

    fn label(&self) -> String {
        match self.of.as_slice() {
            [] => String::new(),
            [one] => escape(one.name()),
            [first, others @ ..] => format!("{} +{}", escape(first.name()), others.len()),
        }
    }

    /// What it says of itself.
    fn told(&self) -> String {
        let policies: Vec<_> = self.of.iter().map(|it| escape(&it.policy)).collect();
        format!(
            "<b>{}</b><br>met {:.2} %, cost {}",
            policies.join("<br>"),
            self.attained,
            number(self.cost)
        )
    }
}

/// By cost.
fn points(comparison: &Comparison, basis: Basis) -> Vec<Point<'_>> {
    let mut points: Vec<Point<'_>> = Vec::new();
    for of in &comparison.contenders {
        let figures = of.figures.as_ref();
        let Some((figures, attainment)) = figures.and_then(|it| Some((it, it.attainment?))) else {
            continue;
        };
        let (cost, attained) = (rounded(basis.of(figures)), rounded(100.0 * attainment));
        let same = |it: &&mut Point<'_>| (it.cost, it.attained) == (cost, attained);
        match points.iter_mut().find(same) {
            Some(point) => point.of.push(of),
            None => points.push(Point {
                of: vec![of],
                cost,
                attained,
            }),
        }
    }
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
    let mut note =
        "To the upper left is better. The line is the frontier: on it, no other contender \
                    is as good in both and better in one. The dotted line is what no run that \
                    completes every request can go below. +2 beside a name: two others came to the \
                    same. A point without a name says it when it is pointed at."
            .to_owned();
    let bound = comparison
        .lower_bound
        .and_then(|bound| basis.of_bound(&bound));
    let (least, most) = extent(points.iter().map(|it| it.attained));
    let from = if least > HIGH {
        note += " The upright axis does not begin at 0.";
        least - 0.12 * (most - least).max(0.1)
    } else {
        0.0
    };
    let to = most + 0.08 * (most - from);
    let costs = points.iter().map(|it| it.cost).chain(bound);
    let frame = Frame {
        x: of_costs(costs),
        y: [from, to].map(rounded),
    };
    let percent = axis("requests that met the SLO, %");
    let mut chart = scatter("Cost against SLO attainment", &note, basis, percent, frame);
    draw(&mut chart, points, frame, |it| [it.attained; 2]);
    if let Some(bound) = bound {
        let line = Scatter::new(vec![rounded(bound); 2], frame.y.to_vec())
            .name("lower bound on cost")
            .mode(Mode::Lines)
            .line(Line::new().color(colour::GREY).dash(DashType::Dot));
        chart.add(line);
    }
    chart
}

/// The same where attainments are close to 100 %.
fn missed(basis: Basis, points: &[Point<'_>]) -> Chart {
    let share = |it: &Point<'_>| [it.missed(), libm::log10(it.missed())];
    let frame = Frame {
        x: of_costs(points.iter().map(|it| it.cost)),
        y: padded(extent(points.iter().map(|it| share(it)[1]))),
    };
    let axis = logarithmic(
        "requests that missed the SLO, %",
        points.iter().map(Point::missed),
    );
    let note =
        "The same contenders on a scale that tells 99 % from 99.9 %. To the lower left is better.";
    let mut chart = scatter("Cost against SLO misses", note, basis, axis, frame);
    draw(&mut chart, points, frame, share);
    chart
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| {
        (least.min(it), most.max(it))
    })
}

/// Costs from and to, with room for points at the edges.
fn of_costs(costs: impl Iterator<Item = f64>) -> [f64; 2] {
    let [from, to] = padded(extent(costs));
    [from.max(0.0), to]
}

/// From and to, with room for points at the edges.
fn padded((least, most): (f64, f64)) -> [f64; 2] {
    let room = 0.06 * (most - least);
    let room = if room > 0.0 { room } else { 0.5 };
    [rounded(least - room), rounded(most + room)]
}

fn scatter(title: &str, note: &str, basis: Basis, y: Axis, frame: Frame) -> Chart {
    let layout = layout()
        .hover_mode(HoverMode::Closest)
        .x_axis(axis(unit(basis)).range(frame.x.to_vec()))
        .y_axis(y.range(frame.y.to_vec()));
    Chart::new(title, note, layout).height(460)
}

/// Draws the points at their `height`: what is drawn, and where that is in the frame.
fn draw(
    chart: &mut Chart,
    points: &[Point<'_>],
    frame: Frame,
    height: impl Fn(&Point<'_>) -> [f64; 2],
) {
    let at = |it: &Point<'_>| (it.cost, height(it)[1]);
    let mut labels = Labels::new(frame, points.iter().map(at));
    let (frontier, others): (Vec<_>, Vec<_>) = points.iter().partition(|it| it.on_frontier());
    for (name, colour, size, mode, places, points) in [
        (
            "on the frontier",
            colour::VERMILLION,
            11,
            Mode::LinesMarkersText,
            &ABOVE_FIRST,
            frontier,
        ),
        (
            "others",
            colour::BLUE,
            9,
            Mode::MarkersText,
            &BELOW_FIRST,
            others,
        ),
    ] {
        let mut texts = Vec::new();
        let mut positions = Vec::new();
        for point in &points {
            let label = point.label();
            let place = labels.place(at(point), &label, places);
            texts.push(place.as_ref().map_or_else(String::new, |_| label));
            positions.push(place.unwrap_or(Position::TopCenter));
        }
        let x = points.iter().map(|it| it.cost).collect();
        let y = points.iter().map(|it| rounded(height(it)[0])).collect();
        let line = Line::new().color(colour).width(1.4).shape(LineShape::Hv);
        let trace = Scatter::new(x, y)
            .name(name)
            .mode(mode)
            .marker(Marker::new().color(colour).size(size))
            .line(line)
            .text_array(texts)
            .text_position_array(positions)
            .clip_on_axis(false)
            .hover_text_array(points.iter().map(|it| it.told()).collect())
            .hover_template("%{hovertext}<extra></extra>");
        chart.add(trace);
    }
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
    // Where all are alike, none is the best.
    let best = COLUMNS.map(|(_, figure, less)| {
        let (least, most) = extent(ran().filter_map(figure));
        (least < most).then_some(if less { least } else { most })
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
                    text: value.map_or_else(|| "–".to_owned(), whole_or_rounded),
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

fn whole_or_rounded(figure: f64) -> String {
    if figure.fract() == 0.0 && (0.0..1e15).contains(&figure) {
        return grouped(figure as u64);
    }
    number(figure)
}

/// What a contender cost beyond the plan of `Clairvoyant`, and missed.
fn regret(standing: &Standing, basis: Basis) -> [String; 2] {
    let none = || "–".to_owned();
    let Some(regret) = &standing.regret else {
        return [none(), none()];
    };
    let cost = basis.of_regret(regret);
    let sign = |negative: bool| if negative { "−" } else { "+" };
    let cost = cost.map_or_else(none, |it| format!("{}{}", sign(it < 0.0), number(it.abs())));
    let misses = regret.slo_misses.map_or_else(none, |it| {
        format!("{}{}", sign(it < 0), grouped(it.unsigned_abs()))
    });
    [cost, misses]
}
