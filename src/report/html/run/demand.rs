//! What users ask for, and what the instances can serve.

use super::bins::Bins;
use super::collect::Arrivals;
use super::groups::{Instances, STATUSES};
use super::outcomes::by_arrival;
use super::over_time::passed;
use crate::autoscale::{Amount, CapacityModel, Mix};
use crate::report::html::chart::{Axis, Chart, Format, Shape};
use crate::report::html::colour::Colour;
use crate::scenario::{CheckedScenario, Role};

/// Requests a second that arrive, and that the active instances of a role could serve within the SLO.
pub(super) fn against_capacity(
    checked: &CheckedScenario,
    application: usize,
    role: Role,
    arrivals: &Bins<Arrivals>,
    instances: &Instances,
    end: f64,
) -> Chart {
    let note = format!(
        "Requests that arrive, and what the active instances could serve within the SLO: means, at full use, \
         by the capacity model. {}",
        by_arrival(arrivals)
    );
    let title = match role {
        Role::Mixed => "Demand and capacity".to_owned(),
        role => format!("Demand and capacity: {}", part(role)),
    };
    let axis = Axis::new(Format::Number)
        .title("requests a second")
        .zero_based();
    let mut chart = Chart::over_time(title, note, end, axis);
    let model = CapacityModel::new(checked, application);
    let mixes = mixes(arrivals);
    let bins = u32::try_from(mixes.len()).unwrap_or(u32::MAX);
    let means = instances.levels.means(arrivals.width(), bins);
    let starts = || arrivals.iter().map(|(start, _)| start);
    for (position, group) in instances.groups.iter().enumerate() {
        let (sku, processors) = (group.sku, group.processors);
        let Some(capacity) = model.of_size(checked, application, role, sku, processors) else {
            continue;
        };
        let active = &means[position * STATUSES.len()];
        let served = active.iter().zip(&mixes).map(|(active, mix)| {
            let each = mix.map(|mix| capacity(mix).requests_per_s);
            each.map(|each| active * each)
        });
        let served: Vec<_> = served.collect();
        let last = served.last().copied();
        let points = starts().zip(served).chain(last.map(|it| (end, it)));
        let (name, colour) = match instances.groups.len() {
            1 => ("capacity".to_owned(), Colour::Active),
            _ => (
                format!("capacity on {}", group.name),
                Colour::of_series(position),
            ),
        };
        chart.add(name, colour, Shape::stacked(points));
    }
    let rate = |(start, bin): (f64, &Arrivals)| {
        let seconds = passed(start, arrivals.width(), end);
        (start, Some(bin.requests() as f64 / seconds))
    };
    let mut demand: Vec<_> = arrivals.iter().map(rate).collect();
    demand.extend(demand.last().map(|(_, rate)| (end, *rate)));
    chart.add("demand", Colour::Demand, Shape::steps(demand));
    chart
}

/// The part of a request that instances of a role serve.
pub(super) const fn part(role: Role) -> &'static str {
    match role {
        Role::Prompt => "prompts",
        Role::Token => "tokens",
        Role::Mixed => "prompts and tokens",
    }
}

/// The mean lengths of the requests about each bin: of a twelfth of the run, so that chance evens out and a
/// change shows. Where none arrive, those of the whole run; none where there is no request at all.
fn mixes(arrivals: &Bins<Arrivals>) -> Vec<Option<Mix>> {
    let amounts: Vec<Amount> = arrivals.iter().map(|(_, bin)| bin.amount).collect();
    let mut sums = vec![Amount::default()];
    for amount in &amounts {
        let mut sum = sums[sums.len() - 1];
        sum += *amount;
        sums.push(sum);
    }
    let about = amounts.len() / 24 + 1;
    let all = sums[amounts.len()].mix();
    let mix = |bin: usize| {
        let (from, to) = (
            bin.saturating_sub(about),
            (bin + about + 1).min(amounts.len()),
        );
        sums[to].since(&sums[from]).mix().or(all)
    };
    (0..amounts.len()).map(mix).collect()
}
