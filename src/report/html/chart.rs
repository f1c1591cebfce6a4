//! What a chart shows, as the script of the page reads it.

use serde::Serialize;

use super::colour::Colour;

/// A chart on a page.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    pub(super) title: String,
    /// What one sees, in a sentence or two.
    #[serde(skip)]
    pub(super) note: String,
    /// Pixels.
    #[serde(skip)]
    pub(super) height: u32,
    /// Whether it is over the time of the run, to be zoomed with its like.
    over_time: bool,
    /// Whether points have their names beside them.
    names: bool,
    /// Whether it has a legend of its own.
    legend: bool,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
}

/// An axis.
#[derive(Debug, Serialize)]
pub(super) struct Axis {
    /// What is along it, with its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    format: Format,
    /// Where it begins and ends; by the values on it if that is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<[f64; 2]>,
    log: bool,
    /// Whether it begins at zero.
    zero: bool,
    /// Whether its ticks are whole numbers.
    whole: bool,
}

/// How the numbers on an axis read: `assets/html/numbers.js` has the format of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    Number,
    Percent,
    Dollars,
    /// A length of time, in seconds.
    Duration,
    /// An instant of the run, in seconds.
    Time,
}

/// Something that is drawn, under one name of the legend.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    name: String,
    colour: Colour,
    #[serde(flatten)]
    shape: Shape,
    /// Whether the legend has it.
    #[serde(skip_serializing_if = "is_true")]
    legend: bool,
    /// Whether it is left out at the pointer where it has no value.
    #[serde(skip_serializing_if = "is_false")]
    optional: bool,
}

/// A number on a chart; none interrupts a line.
pub(super) type Value = Option<f64>;

/// What a series is drawn as.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Shape {
    Line {
        x: Vec<f64>,
        y: Vec<Value>,
        /// Whether a value holds until the next.
        step: bool,
        dash: bool,
    },
    /// Stacked on those before it.
    Area {
        x: Vec<f64>,
        y: Vec<Value>,
        step: bool,
        stack: bool,
    },
    /// Stretches of the horizontal axis.
    Band { spans: Vec<[f64; 2]> },
    /// A line across the chart, at a height or at a place.
    Rule {
        #[serde(skip_serializing_if = "Option::is_none")]
        y: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        at: Option<f64>,
    },
    /// Marks above the chart.
    Marks {
        x: Vec<f64>,
        texts: Vec<String>,
        shape: MarkShape,
        /// −1 above, 1 below the middle of the strip.
        row: i8,
    },
    Points {
        x: Vec<f64>,
        y: Vec<f64>,
        names: Vec<String>,
        /// What is said at the pointer.
        texts: Vec<String>,
        /// Radius in pixels.
        size: u8,
        /// Whether steps join them.
        joined: bool,
        hollow: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MarkShape {
    Up,
    Down,
    Cross,
}

/// How far a point may be off, across and along.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whisker {
    pub(super) at: (f64, f64),
    pub(super) half_widths: (f64, f64),
}

impl Chart {
    /// A chart between two axes.
    pub(super) fn new(title: impl Into<String>, note: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            note: note.into(),
            height: 240,
            over_time: false,
            names: false,
            legend: true,
            x,
            y,
            series: Vec::new(),
        }
    }

    /// A chart over the time of a run that ends at this second.
    pub(super) fn over_time(
        title: impl Into<String>,
        note: impl Into<String>,
        end: f64,
        y: Axis,
    ) -> Self {
        let end = if end > 0.0 { rounded(end) } else { 1.0 };
        let mut chart = Self::new(title, note, Axis::new(Format::Time).range([0.0, end]), y);
        chart.over_time = true;
        chart
    }

    pub(super) fn height(mut self, pixels: u32) -> Self {
        self.height = pixels;
        self
    }

    /// Names stand beside the points.
    pub(super) fn with_names(mut self) -> Self {
        self.names = true;
        self
    }

    /// The legend is elsewhere.
    pub(super) fn without_legend(mut self) -> Self {
        self.legend = false;
        self
    }

    /// Draws a series; one that has no value at all is left out.
    pub(super) fn add(&mut self, name: impl Into<String>, colour: Colour, shape: Shape) {
        if shape.is_void() {
            return;
        }
        self.series.push(Series {
            name: name.into(),
            colour,
            shape,
            legend: true,
            optional: false,
        });
    }

    /// Of the series added last, the pointer tells a value only where there is one.
    pub(super) fn seldom(&mut self) {
        if let Some(series) = self.series.last_mut() {
            series.optional = true;
        }
    }

    /// Whether nothing is drawn: then the page leaves it out.
    pub(super) fn is_empty(&self) -> bool {
        !self.series.iter().any(|of| of.shape.is_data())
    }
}

impl Axis {
    pub(super) const fn new(format: Format) -> Self {
        Self {
            title: None,
            format,
            range: None,
            log: false,
            zero: false,
            whole: false,
        }
    }

    pub(super) fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    pub(super) fn range(mut self, range: [f64; 2]) -> Self {
        self.range = Some(range);
        self
    }

    pub(super) const fn zero_based(mut self) -> Self {
        self.zero = true;
        self
    }

    pub(super) const fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    pub(super) const fn logarithmic(mut self) -> Self {
        self.log = true;
        self
    }

    /// Percent from nothing to all.
    pub(super) fn percent() -> Self {
        Self::new(Format::Percent).range([0.0, 100.0])
    }
}

impl Shape {
    /// A line from point to point.
    pub(super) fn line(points: impl IntoIterator<Item = (f64, Value)>) -> Self {
        let (x, y) = unzipped(points);
        let (step, dash) = (false, false);
        Self::Line { x, y, step, dash }
    }

    /// A line whose values hold until the next.
    pub(super) fn steps(points: impl IntoIterator<Item = (f64, Value)>) -> Self {
        let (x, y) = unzipped(points);
        let (step, dash) = (true, false);
        Self::Line { x, y, step, dash }
    }

    /// A dotted line.
    pub(super) fn dotted(points: impl IntoIterator<Item = (f64, Value)>) -> Self {
        let (x, y) = unzipped(points);
        let (step, dash) = (false, true);
        Self::Line { x, y, step, dash }
    }

    /// A dotted line whose values hold until the next.
    pub(super) fn dotted_steps(points: impl IntoIterator<Item = (f64, Value)>) -> Self {
        let (x, y) = unzipped(points);
        let (step, dash) = (true, true);
        Self::Line { x, y, step, dash }
    }

    /// An area whose values hold until the next, on top of those before it.
    pub(super) fn stacked(points: impl IntoIterator<Item = (f64, Value)>) -> Self {
        let (x, y) = unzipped(points);
        let (step, stack) = (true, true);
        Self::Area { x, y, step, stack }
    }

    /// An area from point to point, on top of those before it.
    pub(super) fn slopes(points: impl IntoIterator<Item = (f64, Value)>) -> Self {
        let (x, y) = unzipped(points);
        let (step, stack) = (false, true);
        Self::Area { x, y, step, stack }
    }

    /// A cross at each point, as wide and as high as its intervals.
    pub(super) fn whiskers(all: impl IntoIterator<Item = Whisker>) -> Self {
        let crosses = all.into_iter().flat_map(|it| {
            let ((x, y), (across, along)) = (it.at, it.half_widths);
            [
                (x - across, Some(y)),
                (x + across, Some(y)),
                (x, None),
                (x, Some(y - along)),
                (x, Some(y + along)),
                (x, None),
            ]
        });
        Self::line(crosses)
    }

    /// A line across the chart.
    pub(super) fn limit(y: f64) -> Self {
        let (y, at) = (Some(rounded(y)), None);
        Self::Rule { y, at }
    }

    /// An upright line.
    pub(super) fn upright(at: f64) -> Self {
        let (y, at) = (None, Some(rounded(at)));
        Self::Rule { y, at }
    }

    /// Whether there is nothing to draw.
    fn is_void(&self) -> bool {
        match self {
            Self::Line { y, .. } | Self::Area { y, .. } => y.iter().all(Option::is_none),
            Self::Points { x, .. } | Self::Marks { x, .. } => x.is_empty(),
            Self::Band { spans } => spans.is_empty(),
            Self::Rule { .. } => false,
        }
    }

    /// Whether it says something by itself, without others.
    const fn is_data(&self) -> bool {
        matches!(
            self,
            Self::Line { .. } | Self::Area { .. } | Self::Points { .. }
        )
    }
}

fn unzipped(points: impl IntoIterator<Item = (f64, Value)>) -> (Vec<f64>, Vec<Value>) {
    let points = points.into_iter();
    points.map(|(x, y)| (rounded(x), y.map(rounded))).unzip()
}

/// Six digits: more than a chart shows, and short in the file.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}
