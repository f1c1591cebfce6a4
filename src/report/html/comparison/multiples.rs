//! Each contender's instances against what the arrivals take, in small charts that are alike.

use crate::report::html::chart::{Axis, Chart, Format, Shape};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::{dollars, duration, number, percent};
use crate::report::html::page::Page;
use crate::study::{Basis, Comparison, RoleNeed, Standing};

/// The section; nothing where the arrivals are not known ahead.
pub(super) fn section(page: &mut Page, comparison: &Comparison, basis: Basis) {
    let shown: Vec<_> = comparison
        .contenders
        .iter()
        .filter(|it| it.figures.is_some() && it.active.len() == comparison.needs.len())
        .collect();
    let Some(need) = comparison.needs.first().filter(|_| !shown.is_empty()) else {
        return;
    };
    page.heading("Instances against demand");
    page.paragraph(
        "faint",
        &format!(
            "Active instances (filled, or a line for each role), and the dotted line: the instances that the \
             arrivals take, each used to the full within the SLO. Means of {}. Every chart has the same axes.",
            duration(need.window_s)
        ),
    );
    let end = shown.iter().filter_map(|it| it.figures.as_ref());
    let end = end.map(|it| it.end_s.seconds()).fold(0.0, f64::max);
    let needed = comparison.needs.iter().flat_map(|it| &it.instances);
    let active = shown.iter().flat_map(|it| it.active.iter().flatten());
    let most = needed.chain(active).copied().fold(1.0, f64::max);
    page.multiples(shown.iter().map(|of| {
        let axis = Axis::new(Format::Number)
            .zero_based()
            .range([0.0, (most * 1.06).ceil()]);
        let chart = Chart::over_time(of.label.as_str(), told(of, basis), end, axis);
        let mut chart = chart.height(150);
        draw(&mut chart, comparison, of, end);
        if comparison.needs.len() == 1 {
            chart.without_legend()
        } else {
            chart
        }
    }));
}

fn draw(chart: &mut Chart, comparison: &Comparison, of: &Standing, end: f64) {
    let several = comparison.needs.len() > 1;
    let applications = comparison.applications.len() > 1;
    for (position, (need, active)) in comparison.needs.iter().zip(&of.active).enumerate() {
        let name = match (several, applications) {
            (false, _) => "active".to_owned(),
            (true, false) => format!("{:?}", need.role),
            (true, true) => format!("{}, {:?}", need.application, need.role),
        };
        let points = held(active, need, end);
        if several {
            let colour = Colour::of_series(position);
            chart.add(name.as_str(), colour, Shape::steps(points));
            let needed = Shape::dotted_steps(held(&need.instances, need, end));
            chart.add(format!("{name} needed"), colour, needed);
        } else {
            chart.add(name, Colour::Active, Shape::stacked(points));
            let needed = Shape::dotted_steps(held(&need.instances, need, end));
            chart.add("needed", Colour::Demand, needed);
        }
    }
}

/// Values that hold over their windows.
fn held(values: &[f64], need: &RoleNeed, end: f64) -> Vec<(f64, Option<f64>)> {
    let at = |window: usize| (window as f64 * need.window_s).min(end);
    let points = values.iter().enumerate();
    let points = points.map(|(window, value)| (at(window), Some(*value)));
    let last = values.last().map(|value| (at(values.len()), Some(*value)));
    points.chain(last).collect()
}

fn told(of: &Standing, basis: Basis) -> String {
    let Some(figures) = &of.figures else {
        return String::new();
    };
    let cost = match basis {
        Basis::Dollars => figures.cost.map(dollars),
        Basis::GpuHours => None,
    };
    let cost = cost.unwrap_or_else(|| format!("{} GPU-hours", number(figures.gpu_hours)));
    match figures.attainment {
        Some(met) => format!("SLO met {}, {cost}", percent(met)),
        None => cost,
    }
}
