//! One chart: its title, its words, and what plotly draws. Colours of text and grid are the page's.

use plotly::common::{Anchor, AxisSide, DashType, Line, LineShape, Mode, Orientation, Title};
use plotly::layout::{Axis, AxisType, HoverMode, Legend, Margin, TicksDirection};
use plotly::{Layout, Plot, Scatter, Trace};

use crate::time::SimTime;

/// Colours that colour-blind people tell apart, after Okabe and Ito.
pub(super) mod colour {
    pub(in super::super) const ORANGE: &str = "#E69F00";
    pub(in super::super) const SKY: &str = "#56B4E9";
    pub(in super::super) const GREEN: &str = "#009E73";
    pub(in super::super) const BLUE: &str = "#0072B2";
    pub(in super::super) const VERMILLION: &str = "#D55E00";
    pub(in super::super) const PURPLE: &str = "#CC79A7";
    pub(in super::super) const GREY: &str = "#8A8F98";
}

/// A chart on a page.
pub(super) struct Chart {
    pub(super) title: String,
    /// What one sees, in a sentence.
    pub(super) note: String,
    /// Pixels.
    pub(super) height: u32,
    /// Whether it is over the time of the run, to be zoomed with its like.
    pub(super) over_time: bool,
    pub(super) plot: Plot,
}

impl Chart {
    /// A chart of these traces; one without a trace says so.
    pub(super) fn new(title: impl Into<String>, note: impl Into<String>, layout: Layout) -> Self {
        let mut plot = Plot::new();
        plot.set_layout(layout);
        Self {
            title: title.into(),
            note: note.into(),
            height: 260,
            over_time: false,
            plot,
        }
    }

    pub(super) fn over_time(mut self) -> Self {
        self.over_time = true;
        self
    }

    pub(super) fn height(mut self, pixels: u32) -> Self {
        self.height = pixels;
        self
    }

    pub(super) fn add(&mut self, trace: Box<dyn Trace>) {
        self.plot.add_trace(trace);
    }
}

/// The unit of the time axis of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clock {
    seconds: f64,
    pub(super) name: &'static str,
    end: f64,
}

impl Clock {
    /// Whichever keeps the numbers short.
    pub(super) fn new(end: SimTime) -> Self {
        let end = end.seconds();
        let (seconds, name) = match end {
            ..=600.0 => (1.0, "seconds"),
            ..=14_400.0 => (60.0, "minutes"),
            ..=345_600.0 => (3600.0, "hours"),
            _ => (86_400.0, "days"),
        };
        Self { seconds, name, end }
    }

    /// Where these seconds are on the axis.
    pub(super) fn at(self, seconds: f64) -> f64 {
        rounded(seconds / self.seconds)
    }

    /// Where the run ends on the axis.
    pub(super) fn end(self) -> f64 {
        self.at(self.end)
    }

    /// Seconds of a bin that the run got to.
    pub(super) fn passed(self, start: f64, width: f64) -> f64 {
        let passed = (self.end - start).min(width);
        if passed > 0.0 { passed } else { width }
    }

    /// The axis.
    pub(super) fn axis(self) -> Axis {
        let end = if self.end > 0.0 { self.end() } else { 1.0 };
        axis(&format!("simulated {}", self.name)).range(vec![0.0, end])
    }
}

/// Six digits: more than a chart shows, and short in the file.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// An axis with a title beside it.
pub(super) fn axis(title: &str) -> Axis {
    Axis::new()
        .title(Title::with_text(title))
        .auto_margin(true)
        .zero_line(false)
}

/// An axis from zero.
pub(super) fn from_zero(title: &str) -> Axis {
    axis(title).range_mode(plotly::layout::RangeMode::ToZero)
}

/// An axis on the right of another one, without a grid of its own.
pub(super) fn beside(title: &str) -> Axis {
    from_zero(title)
        .overlaying("y")
        .side(AxisSide::Right)
        .ticks(TicksDirection::Outside)
        .tick_length(10)
        .show_grid(false)
}

/// A logarithmic axis of seconds that holds these values, with a tick at 1, 2 and 5.
pub(super) fn logarithmic(title: &str, values: impl Iterator<Item = f64>) -> Axis {
    let (least, most) = values
        .filter(|value| *value > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
    let axis = axis(title).type_(AxisType::Log);
    if most == 0.0 {
        return axis.range(vec![-2.0, 1.0]);
    }
    let (least, most) = (libm::log10(least) - 0.05, libm::log10(most) + 0.1);
    let steps: &[f64] = if most - least > 3.5 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let decades = least.floor() as i32..=most.ceil() as i32;
    let ticks: Vec<f64> = decades
        .flat_map(|decade| {
            steps
                .iter()
                .map(move |step| rounded(step * libm::exp10(decade.into())))
        })
        .collect();
    let labels = ticks.iter().map(f64::to_string).collect();
    axis.range(vec![rounded(least), rounded(most)])
        .tick_values(ticks)
        .tick_text(labels)
        .ticks(TicksDirection::Outside)
}

/// What the layouts have in common: a legend above, values of one instant together.
pub(super) fn layout() -> Layout {
    Layout::new()
        .margin(Margin::new().left(56).right(16).top(34).bottom(44))
        .hover_mode(HoverMode::XUnified)
        .legend(
            Legend::new()
                .orientation(Orientation::Horizontal)
                .x(0.0)
                .x_anchor(Anchor::Left)
                .y(1.02)
                .y_anchor(Anchor::Bottom),
        )
}

/// A line through points; a point without a value interrupts it.
pub(super) fn line(
    name: &str,
    colour: &'static str,
    points: impl Iterator<Item = (f64, Option<f64>)>,
) -> Box<Scatter<f64, Option<f64>>> {
    let (x, y) = points.map(|(x, y)| (x, y.map(rounded))).unzip();
    Scatter::new(x, y)
        .name(name)
        .mode(Mode::Lines)
        .line(Line::new().color(colour).width(1.8))
}

/// Steps from sample to sample, filled, on top of those with the same `stack`.
pub(super) fn steps(
    name: &str,
    colour: &'static str,
    stack: &str,
    points: impl Iterator<Item = (f64, f64)>,
) -> Box<Scatter<f64, f64>> {
    let (x, y) = points.map(|(x, y)| (x, rounded(y))).unzip();
    Scatter::new(x, y)
        .name(name)
        .mode(Mode::Lines)
        .stack_group(stack)
        .line(Line::new().color(colour).width(0.0).shape(LineShape::Hv))
}

/// A dashed line across the chart, at a limit.
pub(super) fn limit(name: &str, from: f64, to: f64, at: f64) -> Box<Scatter<f64, f64>> {
    Scatter::new(vec![from, to], vec![at, at])
        .name(name)
        .mode(Mode::Lines)
        .line(
            Line::new()
                .color(colour::VERMILLION)
                .width(1.6)
                .dash(DashType::Dash),
        )
}
