//! What the fleet did and what it cost, in figures.

use crate::fleet::ScalingAction;
use crate::observe::{FleetSummary, ServerSummary, Summary};
use crate::report::html::numbers::{NONE, counted, dollars, number, or_none, percent};
use crate::report::html::page::{Page, Tile};
use crate::report::html::table::{Cell, Column, Table};
use crate::report::words::grouped;

/// What it cost, in large figures.
pub(super) fn tiles(fleet: &FleetSummary) -> Vec<Tile> {
    let used = || fleet.servers.iter().filter(|of| of.peak > 0);
    let mean: f64 = used().map(|of| of.mean).sum();
    let peaks: Vec<_> = used()
        .map(|of| format!("{} {}", grouped(of.peak), of.sku))
        .collect();
    let rates = [
        (fleet.rates.cost_per_day, "a day"),
        (fleet.rates.cost_per_month, "a month"),
        (fleet.rates.cost_per_million_tokens, "a million tokens"),
    ];
    let rates = rates.into_iter();
    let rates: Vec<_> = rates
        .filter_map(|(cost, of)| Some(format!("{} {of}", dollars(cost?))))
        .collect();
    vec![
        Tile::new(
            "Cost",
            or_none(fleet.cost.map(dollars)),
            match fleet.cost {
                Some(_) => rates.join(", "),
                None => "a SKU in use has no price".to_owned(),
            },
        ),
        Tile::new(
            "GPU-hours",
            number(fleet.gpu_hours),
            format!("{} server-hours", number(fleet.server_hours)),
        ),
        Tile::new(
            "Energy",
            or_none(fleet.energy_kwh.map(|it| format!("{} kWh", number(it)))),
            "of servers and GPUs",
        ),
        Tile::new(
            "Servers on average",
            number(mean),
            match peaks.as_slice() {
                [] => String::new(),
                peaks => format!("at the peak {}", peaks.join(", ")),
            },
        ),
    ]
}

/// The section about the fleet.
pub(super) fn section(page: &mut Page, summary: &Summary) {
    page.heading("Fleet");
    page.table(&servers(&summary.fleet));
    if let Some(table) = purchases(&summary.fleet) {
        page.table(&table);
    }
    page.table(&instances(summary));
    if let Some(table) = start_ups(summary) {
        page.table(&table);
    }
    events(page, &summary.fleet);
}

fn servers(fleet: &FleetSummary) -> Table {
    let columns = [
        Column::text("SKU"),
        Column::figures("on average"),
        Column::figures("at the peak"),
        Column::figures("server-hours"),
        Column::figures("GPU-hours"),
        Column::figures("cost"),
        Column::figures("energy, kWh"),
    ];
    let mut table = Table::new("Servers", columns).sortable();
    let paid = |of: &&ServerSummary| of.server_hours > 0.0 || !of.purchases.is_empty();
    for of in fleet.servers.iter().filter(paid) {
        table.row([
            Cell::text(&of.sku),
            figure(of.mean),
            Cell::figure(grouped(of.peak), Some(of.peak as f64)),
            figure(of.server_hours),
            figure(of.gpu_hours),
            Cell::figure(or_none(of.cost.map(dollars)), of.cost),
            Cell::figure(or_none(of.energy_kwh.map(number)), of.energy_kwh),
        ]);
    }
    table
}

/// What was paid for by purchase option, where there are any.
fn purchases(fleet: &FleetSummary) -> Option<Table> {
    let columns = [
        Column::text("SKU"),
        Column::text("bought"),
        Column::figures("price an hour"),
        Column::figures("server-hours"),
        Column::figures("hours paid for"),
        Column::figures("cost"),
        Column::figures("unused hours"),
        Column::figures("cost of unused"),
    ];
    let mut table = Table::new("Servers by purchase option", columns).sortable();
    let all = || fleet.servers.iter().flat_map(|of| &of.purchases);
    all().next()?;
    let money = |of: Option<f64>| Cell::figure(or_none(of.map(dollars)), of);
    for of in &fleet.servers {
        for it in &of.purchases {
            table.row([
                Cell::text(&of.sku),
                Cell::text(it.option.replace('_', " ")),
                money(it.price_per_hour),
                figure(it.server_hours),
                figure(it.billed_hours),
                money(it.cost),
                figure(it.unused_hours),
                money(it.unused_cost),
            ]);
        }
    }
    Some(table)
}

fn instances(summary: &Summary) -> Table {
    let columns = [
        Column::text("application"),
        Column::text("role"),
        Column::text("SKU"),
        Column::figures("GPUs each"),
        Column::figures("on average"),
        Column::figures("at the peak"),
        Column::figures("GPU-hours"),
        Column::figures("starting"),
        Column::figures("draining"),
        Column::figures("with prompts"),
        Column::figures("tokens alone"),
        Column::figures("idle"),
    ];
    let mut table = Table::new("Instances, and shares of their time", columns).sortable();
    for application in &summary.applications {
        for of in &application.instances {
            let up = of.scaling_up_s + of.active_s + of.draining_s;
            let share = |part: f64| match up > 0.0 {
                true => Cell::figure(percent(part / up), Some(part / up)),
                false => Cell::figure(NONE, None),
            };
            let busy = of.prompt_busy_s + of.token_busy_s;
            table.row([
                Cell::text(&application.name),
                Cell::text(format!("{:?}", of.role)),
                Cell::text(&of.sku),
                Cell::figure(of.processors.to_string(), Some(of.processors.into())),
                figure(of.mean),
                Cell::figure(grouped(of.peak), Some(of.peak as f64)),
                figure(of.gpu_hours),
                share(of.scaling_up_s),
                share(of.draining_s),
                share(of.prompt_busy_s),
                share(of.token_busy_s),
                share((of.active_s + of.draining_s - busy).max(0.0)),
            ]);
        }
    }
    table
}

/// How long start-ups were in each stage, where there are stages.
fn start_ups(summary: &Summary) -> Option<Table> {
    let columns = [
        Column::text("application"),
        Column::text("stage"),
        Column::figures("start-ups"),
        Column::figures("from the cache"),
        Column::figures("given up"),
        Column::figures("mean, s"),
        Column::figures("P50, s"),
        Column::figures("P95, s"),
        Column::figures("P99, s"),
        Column::figures("longest, s"),
    ];
    let mut table = Table::new("Start-up by stage", columns).sortable();
    let counted = |of: u64| Cell::figure(grouped(of), Some(of as f64));
    let seconds = |of: Option<f64>| Cell::figure(or_none(of.map(number)), of);
    for of in &summary.applications {
        for stage in &of.start_up {
            table.row([
                Cell::text(&of.name),
                Cell::text(stage.stage.replace('_', " ")),
                counted(stage.count),
                counted(stage.cached),
                counted(stage.abandoned),
                seconds(stage.mean_s),
                seconds(stage.p50_s),
                seconds(stage.p95_s),
                seconds(stage.p99_s),
                seconds(stage.max_s),
            ]);
        }
    }
    let any = summary
        .applications
        .iter()
        .any(|of| !of.start_up.is_empty());
    any.then_some(table)
}

fn figure(value: f64) -> Cell {
    Cell::figure(number(value), Some(value))
}

fn events(page: &mut Page, fleet: &FleetSummary) {
    let refused = !fleet.refusals.is_empty();
    let mut columns = vec![Column::text("what happened"), Column::figures("times")];
    if refused {
        columns.push(Column::prose("why it was refused"));
    }
    let mut table = Table::new("Scaling events", columns);
    for action in ScalingAction::ALL {
        let count = fleet.scaling_events.get(action.name()).copied();
        let Some(count) = count.filter(|it| *it > 0) else {
            continue;
        };
        let reasons = fleet.refusals.get(action.name());
        let reasons = reasons.into_iter().flatten();
        let reasons: Vec<_> = reasons
            .map(|(reason, count)| {
                let times = counted(*count, "time", "times");
                format!("{}, {times}", reason.replace('_', " "))
            })
            .collect();
        table.row([
            Cell::text(told(action)),
            Cell::figure(grouped(count), Some(count as f64)),
            Cell::text(reasons.join("; ")),
        ]);
    }
    if fleet.scaling_events.values().all(|count| *count == 0) {
        page.paragraph("faint", "Nothing was scaled.");
    }
    page.table(&table);
}

/// A scaling event in plain words.
const fn told(action: ScalingAction) -> &'static str {
    match action {
        ScalingAction::ScaleUpStart => "an instance began to start",
        ScalingAction::StartUpStage => "a stage of a start-up began",
        ScalingAction::StartUpFailed => "an attempt at a start-up was given up",
        ScalingAction::StartUpAgain => "another attempt at a start-up began",
        ScalingAction::ScaleUpComplete => "an instance became active",
        ScalingAction::ScaleUpCancelled => "an instance was given up before it was active",
        ScalingAction::Preempted => "an instance makes room for one that matters more",
        ScalingAction::ScaleUpFailed => "a server or an instance could not be had",
        ScalingAction::ScaleDownStart => "an instance began to drain",
        ScalingAction::ScaleDownComplete => "an instance was removed",
        ScalingAction::ScaleDownInvalid => "an instance was to drain but was not active",
        ScalingAction::ScaleUpServer => "a server was ordered",
        ScalingAction::ScaleDownServer => "a server was given back",
        ScalingAction::ServerStopped => "a server that was given back was stopped, with its disk",
        ScalingAction::ServerResumed => "a server that was ordered was one that was stopped",
        ScalingAction::ScaleDownServerInvalid => "a server could not be given back",
        ScalingAction::DrainTimeout => "a drain ran out of time and its work was put back",
        ScalingAction::Crash => "an instance or a server was lost to a fault",
        ScalingAction::ServerRepaired => "a server came back from repair",
        ScalingAction::CrashInvalid => "a fault named what was not there",
    }
}
