//! What the fleet costs over time.

use crate::fleet::Ledger;
use crate::observe::RunRecord;
use crate::report::html::chart::{Axis, Chart, Format, Shape};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::{dollars, duration};
use crate::statistics::levels::Levels;

/// Dollars an hour by SKU, or GPUs where a SKU in use has no price.
pub(super) fn over_time(record: &RunRecord, ledger: &Ledger) -> Chart {
    let mut levels = Levels::new(record.servers.len(), record.end);
    for account in ledger.servers() {
        if let Some(span) = account.span(None, record.end) {
            levels.add(account.sku, span);
        }
    }
    let steps = levels.steps();
    let used: Vec<_> = (0..record.servers.len())
        .filter(|sku| steps.any(*sku))
        .collect();
    let price = |sku: usize| record.servers[sku].sku.price_per_hour;
    let priced = used.iter().all(|sku| price(*sku).is_some());
    let mut note = if priced {
        let total = used.iter().filter_map(|sku| record.servers[*sku].cost());
        format!(
            "Dollars an hour, every server from the call for it until it is gone: {} in all.",
            dollars(total.sum())
        )
    } else {
        "GPUs of the servers that are there or on their way; a SKU in use has no price.".to_owned()
    };
    if let Some(width) = steps.mean_of {
        note += &format!(" Means of {}.", duration(width));
    }
    let (title, format) = match priced {
        true => ("Cost", Format::Dollars),
        false => ("GPUs paid for", Format::Number),
    };
    let axis = Axis::new(format)
        .title(if priced { "dollars an hour" } else { "GPUs" })
        .zero_based();
    let mut chart = Chart::over_time(title, note, record.end.seconds(), axis);
    for (position, &sku) in used.iter().enumerate() {
        let usage = &record.servers[sku];
        let each = match price(sku).filter(|_| priced) {
            Some(price) => price,
            None => usage.sku.processors.into(),
        };
        let points = steps
            .of(sku)
            .map(|(at, servers)| (at, Some(servers * each)));
        let colour = Colour::of_series(position);
        chart.add(usage.sku.name.as_str(), colour, Shape::stacked(points));
    }
    chart
}
