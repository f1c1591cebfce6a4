//! What the fleet did and what it cost.

use plotly::Bar;
use plotly::common::{Marker, Orientation};
use plotly::layout::{HoverMode, Margin, TicksDirection};

use super::chart::{Chart, colour, from_zero, layout, rounded};
use super::page::{Page, Tile};
use super::text::escape;
use crate::fleet::ScalingAction;
use crate::observe::{FleetSummary, ServerSummary, Summary};
use crate::report::words::{grouped, number};

/// What it cost, in large figures.
pub(super) fn tiles(fleet: &FleetSummary) -> Vec<Tile> {
    let used = || fleet.servers.iter().filter(|of| of.peak > 0);
    let mean: f64 = used().map(|of| of.mean).sum();
    let peaks: Vec<_> = used()
        .map(|of| format!("{} {}", grouped(of.peak), of.sku))
        .collect();
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    vec![
        Tile {
            name: "Cost",
            value: or_dash(fleet.cost.map(|cost| format!("${cost:.2}"))),
            note: match fleet.cost {
                Some(_) => "server-hours at the catalog's prices".to_owned(),
                None => "a SKU in use has no price".to_owned(),
            },
        },
        Tile {
            name: "GPU-hours",
            value: number(fleet.gpu_hours),
            note: format!("{} server-hours", number(fleet.server_hours)),
        },
        Tile {
            name: "Energy",
            value: or_dash(
                fleet
                    .energy_kwh
                    .map(|energy| format!("{} kWh", number(energy))),
            ),
            note: "of servers and GPUs".to_owned(),
        },
        Tile {
            name: "Servers on average",
            value: number(mean),
            note: match peaks.as_slice() {
                [] => String::new(),
                peaks => format!("at the peak {}", peaks.join(", ")),
            },
        },
    ]
}

/// The section about the fleet.
pub(super) fn section(page: &mut Page, summary: &Summary) {
    let fleet = &summary.fleet;
    page.heading("Fleet");
    let used: Vec<&ServerSummary> = fleet
        .servers
        .iter()
        .filter(|of| of.server_hours > 0.0)
        .collect();
    page.charts(vec![
        by_sku("Cost by SKU", "dollars", colour::BLUE, &used, |of| of.cost),
        by_sku("Energy by SKU", "kWh", colour::ORANGE, &used, |of| {
            of.energy_kwh
        }),
    ]);
    servers(page, fleet);
    instances(page, summary);
    events(page, fleet);
}

fn by_sku(
    title: &str,
    unit: &str,
    colour: &'static str,
    servers: &[&ServerSummary],
    figure: fn(&ServerSummary) -> Option<f64>,
) -> Chart {
    // The first is the lowest bar.
    let known = servers
        .iter()
        .rev()
        .filter_map(|of| Some((escape(&of.sku), figure(of)?)));
    let (names, figures): (Vec<_>, Vec<_>) = known.map(|(name, it)| (name, rounded(it))).unzip();
    let unknown = servers.len() - names.len();
    let note = match unknown {
        0 => "Over the whole run.".to_owned(),
        _ => format!("{unknown} SKUs in use have no figures for it in the catalog."),
    };
    let layout = layout()
        .x_axis(from_zero(unit))
        .y_axis(
            plotly::layout::Axis::new()
                .auto_margin(true)
                .ticks(TicksDirection::Outside)
                .fixed_range(true),
        )
        .margin(Margin::new().left(20).right(24).top(10).bottom(44))
        .hover_mode(HoverMode::Closest)
        .show_legend(false);
    let rows = u32::try_from(names.len()).unwrap_or(u32::MAX).min(60);
    let text = figures.iter().copied().map(number).collect();
    let bars = Bar::new(figures, names)
        .orientation(Orientation::Horizontal)
        .marker(Marker::new().color(colour))
        .width(0.6)
        .text_array(text)
        .hover_template(format!("%{{y}}: %{{x}} {unit}<extra></extra>"));
    let mut chart = Chart::new(title, note, layout).height(90 + 44 * rows);
    chart.add(bars);
    chart
}

fn servers(page: &mut Page, fleet: &FleetSummary) {
    let optional = |figure: Option<String>| figure.unwrap_or_else(|| "–".to_owned());
    let rows: Vec<_> = fleet
        .servers
        .iter()
        .map(|of| {
            vec![
                of.sku.clone(),
                number(of.mean),
                grouped(of.peak),
                number(of.server_hours),
                number(of.gpu_hours),
                optional(of.cost.map(|cost| format!("{cost:.2}"))),
                optional(of.energy_kwh.map(number)),
            ]
        })
        .collect();
    let header = [
        "SKU",
        "mean",
        "peak",
        "server-hours",
        "GPU-hours",
        "dollars",
        "kWh",
    ];
    page.table("Servers", &header, &rows);
}

fn instances(page: &mut Page, summary: &Summary) {
    let mut rows = Vec::new();
    for application in &summary.applications {
        for of in &application.instances {
            let up = of.scaling_up_s + of.active_s + of.draining_s;
            let share = |part: f64| {
                let percent = if up > 0.0 { 100.0 * part / up } else { 0.0 };
                format!("{percent:.1} %")
            };
            let busy = of.prompt_busy_s + of.token_busy_s;
            rows.push(vec![
                format!("{}, {:?} on {}", application.name, of.role, of.sku),
                number(of.mean),
                grouped(of.peak),
                number(of.gpu_hours),
                share(of.scaling_up_s),
                share(of.draining_s),
                share(of.prompt_busy_s),
                share(of.token_busy_s),
                share((of.active_s + of.draining_s - busy).max(0.0)),
            ]);
        }
    }
    let header = [
        "instances",
        "mean",
        "peak",
        "GPU-hours",
        "starting",
        "draining",
        "in prompts",
        "in tokens",
        "idle",
    ];
    page.table("Instances, and shares of their time", &header, &rows);
}

fn events(page: &mut Page, fleet: &FleetSummary) {
    let rows: Vec<_> = ScalingAction::ALL
        .into_iter()
        .filter_map(|action| Some((action.name(), *fleet.scaling_events.get(action.name())?)))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| vec![name.to_owned(), grouped(count)])
        .collect();
    if rows.is_empty() {
        page.paragraph("faint", "Nothing was scaled.");
    } else {
        page.table("Scaling events", &["event", "count"], &rows);
    }
}
