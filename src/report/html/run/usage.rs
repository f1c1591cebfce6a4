//! How full and how busy the instances of a role are over time.

use super::collect::{Point, RoleSeries};
use super::groups::Group;
use super::mean::Mean;
use super::queue::{ended, points};
use super::use_by_group::{Use, UseByGroup};
use crate::report::html::chart::{Axis, Chart, Shape};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::duration;
use crate::scenario::Role;

type Share = (&'static str, Colour, fn(&Point) -> Mean);

/// Memory in use and time in which a batch ran; with blocks, also what the prefix cache finds.
pub(super) fn over_time(series: &RoleSeries, role: Role, has_blocks: bool, end: f64) -> Chart {
    let shares: [Share; 4] = [
        ("a batch runs", Colour::Busy, |of| of.busy),
        ("memory in use, with weights", Colour::Memory, |of| {
            of.memory
        }),
        ("KV cache in use", Colour::Kv, |of| of.kv),
        ("prompt tokens in the prefix cache", Colour::Hits, |of| {
            of.hits
        }),
    ];
    let shown = if has_blocks { 4 } else { 2 };
    let note = format!("Means of {}.", duration(series.samples.width()));
    let title = format!("How busy {role:?} instances are");
    let mut chart = Chart::over_time(title, note, end, Axis::percent());
    for (name, colour, share) in shares.into_iter().take(shown) {
        let points = points(series.samples.iter(), share).into_iter();
        let points = points.map(|(at, share)| (at, share.map(|it| 100.0 * it)));
        let shape = Shape::steps(ended(points.collect(), end));
        chart.add(name, colour, shape);
    }
    chart
}

/// The same of each group of instances.
pub(super) fn by_group(of: &UseByGroup, groups: &[Group], role: Role, end: f64) -> Chart {
    let bins = |group: &Group| of.groups.get(&(role, group.sku, group.processors));
    let width = groups.iter().filter_map(bins).map(|it| it.width());
    let note = format!(
        "Solid: time in which a batch runs; dotted: memory in use, with weights. Means of {}.",
        duration(width.fold(0.0, f64::max))
    );
    let title = format!("How busy {role:?} instances are");
    let mut chart = Chart::over_time(title, note, end, Axis::percent());
    for (position, group) in groups.iter().enumerate() {
        let Some(bins) = bins(group) else { continue };
        let shares = |share: fn(&Use) -> Mean| {
            let percent = |of: &Use| share(of).value().map(|it| 100.0 * it);
            let points = bins.iter();
            let points = points.map(|(at, of)| (at, of.as_ref().and_then(percent)));
            ended(points.collect(), end)
        };
        let colour = Colour::of_series(position);
        let busy = Shape::steps(shares(|of| of.busy));
        chart.add(format!("{}, a batch runs", group.name), colour, busy);
        let memory = Shape::dotted_steps(shares(|of| of.memory));
        chart.add(format!("{}, memory", group.name), colour, memory);
    }
    chart
}
