//! The instances of a role over time, with what was done to them.

use super::groups::{Instances, STATUSES};
use super::marks::{Mark, MarkKind, Marks};
use crate::report::html::chart::{Axis, Chart, Format, MarkShape, Shape, Value};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::{duration, instant};
use crate::report::words::grouped;
use crate::scenario::Role;
use crate::statistics::levels::Steps;

/// The instances of a role by status and, where there are several, by SKU, with marks of what was done.
pub(super) fn over_time(role: Role, of: &Instances, marks: &Marks, end: f64) -> Chart {
    let steps = of.levels.steps();
    let mut note = "By status. Marks above: what was done, and why.".to_owned();
    if of.groups.len() > 1 {
        note = "Active ones by SKU; marks above: what was done, and why.".to_owned();
    }
    if let Some(width) = steps.mean_of {
        note += &format!(" Means of {}.", duration(width));
    }
    let axis = Axis::new(Format::Number).zero_based().whole();
    let mut chart = Chart::over_time(format!("{role:?} instances"), note, end, axis);
    let active = |group: usize| group * STATUSES.len();
    for (position, group) in of.groups.iter().enumerate() {
        let (name, colour) = match of.groups.len() {
            1 => ("active".to_owned(), Colour::Active),
            _ => (group.name.clone(), Colour::of_series(position)),
        };
        let points = steps
            .of(active(position))
            .map(|(at, count)| (at, Some(count)));
        chart.add(name, colour, Shape::stacked(points));
    }
    for (status, name, colour) in [
        (1, "draining", Colour::Draining),
        (2, "starting", Colour::Starting),
    ] {
        let kinds: Vec<_> = (0..of.groups.len()).map(|it| active(it) + status).collect();
        if kinds.iter().any(|kind| steps.any(*kind)) {
            chart.add(name, colour, Shape::stacked(sum(&steps, &kinds)));
        }
    }
    for (kind, marks) in marks.iter() {
        add(&mut chart, kind, marks);
    }
    chart
}

fn sum<'a>(steps: &'a Steps, kinds: &'a [usize]) -> impl Iterator<Item = (f64, Value)> + 'a {
    let at = |instant: usize| kinds.iter().map(|kind| steps.y[*kind][instant]).sum();
    let instants = steps.x.iter().enumerate();
    instants.map(move |(position, x)| (*x, Some(at(position))))
}

fn add(chart: &mut Chart, kind: MarkKind, marks: &[Mark]) {
    let (shape, colour, row) = match kind {
        MarkKind::Up => (MarkShape::Up, Colour::Starting, -1),
        MarkKind::Down => (MarkShape::Down, Colour::Draining, 1),
        MarkKind::Cancelled => (MarkShape::Cross, Colour::GivenUp, -1),
        MarkKind::TimedOut => (MarkShape::Cross, Colour::Draining, 1),
        MarkKind::Lost => (MarkShape::Cross, Colour::Lost, 0),
    };
    let marks = Shape::Marks {
        x: marks.iter().map(|mark| mark.from.seconds()).collect(),
        texts: marks.iter().map(|mark| told(kind, mark)).collect(),
        shape,
        row,
    };
    chart.add(kind.name(), colour, marks);
}

fn told(kind: MarkKind, mark: &Mark) -> String {
    let when = match mark.from == mark.to {
        true => instant(mark.from.seconds()),
        false => format!(
            "{} to {}",
            instant(mark.from.seconds()),
            instant(mark.to.seconds())
        ),
    };
    let others = match mark.events {
        1 => String::new(),
        events => format!(" and {} more", grouped(events - 1)),
    };
    let target = mark.target.replace('_', " ");
    let what = format!("{when}: {}, {target}{others}", kind.name());
    format!("{what}\n{}", mark.reason)
}
