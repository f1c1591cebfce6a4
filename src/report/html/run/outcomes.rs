//! What users got over time: requests by when they arrived and by what became of them.

use super::bins::Bins;
use super::collect::{ApplicationSeries, Arrivals};
use super::over_time::held;
use crate::report::html::chart::{Axis, Chart, Format, Shape};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::duration;

type Outcome = (&'static str, Colour, fn(&Arrivals) -> u64);

/// Shares of the requests that met the objective, which is `promised`, and that did not, by when they arrived.
pub(super) fn of_an_application(
    of: &ApplicationSeries,
    promised: Option<String>,
    end: f64,
) -> Chart {
    let outcomes: [Outcome; 4] = [
        (
            if promised.is_some() {
                "met"
            } else {
                "completed"
            },
            Colour::Met,
            |of| of.met,
        ),
        ("missed", Colour::Missed, |of| of.missed),
        ("rejected", Colour::Rejected, |of| of.rejected),
        ("not over at the end", Colour::Unfinished, |of| {
            of.unfinished
        }),
    ];
    let title = match promised {
        Some(_) => "SLO met",
        None => "Requests completed",
    };
    let promise = promised.map_or_else(String::new, |it| format!("{it}. "));
    let note = format!("{promise}{}", by_arrival(&of.arrivals));
    let mut chart = Chart::over_time(title, note, end, Axis::percent());
    for (name, colour, count) in outcomes {
        let share = |bin: &Arrivals| {
            let all = bin.requests();
            (all > 0).then(|| 100.0 * count(bin) as f64 / all as f64)
        };
        // What never happened has no place in the legend.
        if of.arrivals.iter().any(|(_, bin)| count(bin) > 0) {
            chart.add(name, colour, Shape::stacked(held(&of.arrivals, end, share)));
        }
    }
    chart
}

/// The share that met the objective, of several applications.
pub(super) fn of_all(of: &[(&str, &ApplicationSeries, bool)], end: f64) -> Chart {
    let any = of.iter().any(|(_, _, promised)| *promised);
    let title = if any { "SLO met" } else { "Requests completed" };
    let note = "By application and by when the requests arrived; one that is not over at the end has missed it.";
    let mut chart = Chart::over_time(title, note, end, Axis::new(Format::Percent));
    let with_promise = of.iter().filter(|(_, _, promised)| *promised == any);
    for (position, (name, series, _)) in with_promise.enumerate() {
        let share = |bin: &Arrivals| {
            let all = bin.requests();
            (all > 0).then(|| 100.0 * bin.met as f64 / all as f64)
        };
        let points = held(&series.arrivals, end, share);
        chart.add(*name, Colour::of_series(position), Shape::steps(points));
    }
    chart
}

/// How the bins of arrivals are told of.
pub(super) fn by_arrival(arrivals: &Bins<Arrivals>) -> String {
    format!(
        "By when requests arrived, {} a point.",
        duration(arrivals.width())
    )
}
