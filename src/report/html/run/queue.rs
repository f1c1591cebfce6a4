//! Where requests are over time.

use super::collect::{ApplicationSeries, Point};
use super::mean::Mean;
use crate::report::html::chart::{Axis, Chart, Format, Shape, Value};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::{counted, duration};

/// Requests in batches, waiting on instances and waiting at the application, means over time.
pub(super) fn over_time(of: &ApplicationSeries, end: f64) -> Chart {
    let width = of.roles.values().map(|role| role.samples.width());
    let width = width.fold(0.0, f64::max);
    let note = match most_waiting(of) {
        0 => format!(
            "Nothing ever waited at the application. Means of {}.",
            duration(width)
        ),
        most => format!(
            "At most {} waited at the application at once. Means of {}.",
            counted(most, "request", "requests"),
            duration(width)
        ),
    };
    let axis = Axis::new(Format::Number).zero_based();
    let mut chart = Chart::over_time("Where requests are", note, end, axis);
    let sum = |figure: fn(&Point) -> Mean| {
        let roles: Vec<_> = of
            .roles
            .values()
            .map(|role| points(role.samples.iter(), figure))
            .collect();
        added(&roles)
    };
    for (name, colour, points) in [
        ("running", Colour::Running, sum(|of| of.running)),
        ("waiting on instances", Colour::Queued, sum(|of| of.queued)),
    ] {
        chart.add(name, colour, Shape::slopes(ended(points, end)));
    }
    // What waits at the application is the same in the samples of every role.
    if most_waiting(of) > 0
        && let Some(role) = of.roles.values().next()
    {
        let points = points(role.samples.iter(), |of| of.waiting);
        let name = "waiting at the application";
        chart.add(name, Colour::Waiting, Shape::slopes(ended(points, end)));
    }
    chart
}

fn most_waiting(of: &ApplicationSeries) -> u64 {
    let points = of.roles.values().flat_map(|role| role.samples.iter());
    let waiting = points.filter_map(|(_, point)| Some(point.as_ref()?.most_waiting));
    waiting.max().unwrap_or_default()
}

/// A figure of each bin that has samples.
pub(super) fn points<'a>(
    bins: impl Iterator<Item = (f64, &'a Option<Point>)>,
    figure: fn(&Point) -> Mean,
) -> Vec<(f64, Value)> {
    bins.filter_map(|(start, point)| Some((start, figure(point.as_ref()?).value())))
        .collect()
}

/// The same up to the end of the run: the last value holds.
pub(super) fn ended(mut points: Vec<(f64, Value)>, end: f64) -> Vec<(f64, Value)> {
    if let Some(&(last, value)) = points.last()
        && last < end
    {
        points.push((end, value));
    }
    points
}

/// The sums of points at the same instants.
fn added(all: &[Vec<(f64, Value)>]) -> Vec<(f64, Value)> {
    let [first, others @ ..] = all else {
        return Vec::new();
    };
    let mut sums = first.clone();
    for other in others {
        for ((_, sum), (_, value)) in sums.iter_mut().zip(other) {
            *sum = sum.zip(*value).map(|(sum, value)| sum + value);
        }
    }
    sums
}
