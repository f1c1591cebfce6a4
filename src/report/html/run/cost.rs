//! What the fleet costs over time.

use crate::fleet::Ledger;
use crate::observe::{Bill, RunRecord, ServerUsage};
use crate::report::html::chart::{Axis, Chart, Format, Shape};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::{dollars, duration};
use crate::scenario::PurchaseOption;
use crate::statistics::levels::Levels;

/// Servers of one SKU that were bought in one way.
struct Series<'a> {
    sku: usize,
    of: &'a ServerUsage,
    /// None of a SKU without purchase options.
    bill: Option<&'a Bill>,
}

impl<'a> Series<'a> {
    fn all(record: &'a RunRecord) -> Vec<Self> {
        let of_sku = |(sku, of): (usize, &'a ServerUsage)| {
            let bills = of.bills.iter();
            let bills = bills.filter(|it| it.option.is_some()).map(Some);
            let mut bills: Vec<Option<&Bill>> = bills.collect();
            if bills.is_empty() {
                bills.push(None);
            }
            bills.into_iter().map(move |bill| Self { sku, of, bill })
        };
        record.servers.iter().enumerate().flat_map(of_sku).collect()
    }

    fn price(&self) -> Option<f64> {
        match self.bill {
            Some(bill) => bill.price_per_hour,
            None => self.of.sku.price_per_hour,
        }
    }

    fn name(&self) -> String {
        match self.bill.and_then(|it| it.option) {
            Some(option) => format!("{}, {}", self.of.sku.name, option.name().replace('_', " ")),
            None => self.of.sku.name.clone(),
        }
    }
}

/// Dollars an hour by SKU and purchase option, or GPUs where a SKU in use has no price.
pub(super) fn over_time(record: &RunRecord, ledger: &Ledger) -> Chart {
    let series = Series::all(record);
    let mut levels = Levels::new(series.len(), record.end);
    let of = |sku: usize, option| {
        let is_it = |it: &Series<'_>| it.sku == sku && it.bill.and_then(|it| it.option) == option;
        series.iter().position(is_it)
    };
    for account in ledger.servers() {
        let reserved = account.purchase == Some(PurchaseOption::Reserved);
        let series = of(account.sku, account.purchase).filter(|_| !reserved);
        if let (Some(series), Some(span)) = (series, account.span(None, record.end)) {
            levels.add(series, span);
        }
    }
    for (position, of) in series.iter().enumerate() {
        if let Some((count, since)) = of.bill.and_then(|it| it.reserved) {
            levels.add_several(position, since..record.end, count);
        }
    }
    let steps = levels.steps();
    let used: Vec<_> = (0..series.len()).filter(|it| steps.any(*it)).collect();
    let priced = used.iter().all(|it| series[*it].price().is_some());
    let mut note = if priced {
        let used = |of: &&ServerUsage| !of.bills.is_empty() || of.seconds > 0.0;
        let total = record.servers.iter().filter(used);
        let total = total.filter_map(ServerUsage::cost).sum();
        format!(
            "Dollars an hour, every server from the call for it until it is gone: {} in all.",
            dollars(total)
        )
    } else {
        "GPUs of the servers that are there or on their way; a SKU in use has no price.".to_owned()
    };
    if series.iter().any(|it| it.bill.is_some()) {
        note += " What is reserved is paid for all along.";
    }
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
    for (position, &index) in used.iter().enumerate() {
        let of = &series[index];
        let each = match of.price().filter(|_| priced) {
            Some(price) => price,
            None => of.of.sku.processors.into(),
        };
        let points = steps
            .of(index)
            .map(|(at, servers)| (at, Some(servers * each)));
        let colour = Colour::of_series(position);
        chart.add(of.name(), colour, Shape::stacked(points));
    }
    chart
}
