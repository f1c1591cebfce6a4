//! The instances of a role over time, with what was done to them.

use super::groups::{Instances, STATUSES};
use super::marks::Marks;
use crate::report::html::chart::{Axis, Chart, Format, Shape, Value};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::duration;
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
    marks.draw(&mut chart);
    chart
}

fn sum<'a>(steps: &'a Steps, kinds: &'a [usize]) -> impl Iterator<Item = (f64, Value)> + 'a {
    let at = |instant: usize| kinds.iter().map(|kind| steps.y[*kind][instant]).sum();
    let instants = steps.x.iter().enumerate();
    instants.map(move |(position, x)| (*x, Some(at(position))))
}
