//! How long instances and servers were there, and what they did.

use std::collections::BTreeMap;
use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::fleet::{
    Application, Billing, FleetsExt, InstanceFilter, InstanceStatus, Kind, Ledger, PowerSlowdown,
    Service, StageTime, StageTimes, Stock, part,
};
use crate::observe::{
    Bill, DesertedSummary, InstanceUsage, PowerCapSummary, SECONDS_PER_HOUR, ServerUsage,
    StageSummary,
};
use crate::scenario::PurchaseOption;
use crate::time::SimTime;

/// The time of an application's instances up to `end`, by role, SKU and size.
pub(super) fn instances(world: &World, application: Entity, end: SimTime) -> Vec<InstanceUsage> {
    let (Some(of), Some(service)) = (
        world.get::<Application>(application),
        world.get::<Service>(application),
    ) else {
        return Vec::new();
    };
    let fleet = world.fleet_of(application);
    let books = fleet.and_then(|it| Some((world.get::<Ledger>(it)?, world.get::<Stock>(it)?)));
    let Some((ledger, stock)) = books else {
        return Vec::new();
    };
    let mut groups = BTreeMap::new();
    for account in ledger
        .instances()
        .iter()
        .filter(|account| account.application == of.index())
    {
        let key = (account.role, account.sku, account.processors);
        let usage = groups.entry(key).or_insert_with(|| InstanceUsage {
            role: account.role,
            sku: Arc::from(stock.kinds()[account.sku].sku().name.as_str()),
            processors: account.processors,
            scaling_up_s: 0.0,
            active_s: 0.0,
            draining_s: 0.0,
            prompt_busy_s: 0.0,
            token_busy_s: 0.0,
            peak: 0,
        });
        let seconds = |status| {
            let span = account.span(Some(status), end);
            span.map_or(0.0, |span| (span.end.min(end) - span.start).seconds())
        };
        usage.scaling_up_s += seconds(InstanceStatus::ScalingUp);
        usage.active_s += seconds(InstanceStatus::Active);
        usage.draining_s += seconds(InstanceStatus::Draining);
        if let Some(engine) = account.engine {
            let did = service.0.load(engine, end);
            usage.prompt_busy_s += did.prompt_busy_s;
            usage.token_busy_s += did.token_busy_s;
        }
    }
    for (&(role, sku, processors), usage) in &mut groups {
        let filter = InstanceFilter {
            application: Some(of.index()),
            role: Some(role),
            sku: Some(sku),
            processors: Some(processors),
            ..InstanceFilter::default()
        };
        usage.peak = ledger.peak_instances(&(SimTime::ZERO..end), &filter) as u64;
    }
    groups.into_values().collect()
}

/// How long the start-ups of an application were in each stage, then from the order until they were active; none
/// where there were no stages.
pub(super) fn start_up(world: &World, application: Entity) -> Vec<StageSummary> {
    let (Some(of), Some(times)) = (
        world.get::<Application>(application),
        world.get::<StageTimes>(application),
    ) else {
        return Vec::new();
    };
    let stages = times.iter();
    let mut rows: Vec<_> = stages
        .map(|(kind, time)| StageSummary::of(kind.name(), time))
        .collect();
    let ledger = world.fleet_of(application);
    let ledger = ledger.and_then(|it| world.get::<Ledger>(it));
    let accounts = ledger.into_iter().flat_map(|it| it.instances().iter());
    let started = accounts.filter(|it| it.application == of.index());
    let seconds = started.filter_map(|it| {
        let active = it.active.filter(|active| *active > SimTime::ZERO)?;
        Some((active - it.created).seconds())
    });
    let all = StageTime {
        seconds: seconds.collect(),
        abandoned: times.iter().map(|(_, time)| time.abandoned).sum(),
        ..StageTime::default()
    };
    rows.push(StageSummary::of("all", &all));
    rows
}

/// The time of the fleet's servers up to `end`, by SKU in fleet order.
pub(super) fn servers(world: &World, fleet: Entity, end: SimTime) -> Vec<ServerUsage> {
    let (ledger, stock) = (part::<Ledger>(world, fleet), part::<Stock>(world, fleet));
    let window = SimTime::ZERO..end;
    (0..)
        .zip(stock.kinds())
        .map(|(position, kind)| ServerUsage {
            sku: Arc::clone(kind.sku()),
            processor: Arc::clone(kind.processor()),
            seconds: ledger.server_time(&window, Some(position), None).seconds(),
            peak: ledger.peak_servers(&window, Some(position)) as u64,
            bills: bills(kind, position, ledger, end),
        })
        .collect()
}

/// What is paid for of a SKU up to `end`, by purchase option; nothing where that is the time of its servers.
fn bills(kind: &Kind, position: usize, ledger: &Ledger, end: SimTime) -> Vec<Bill> {
    let bill = |option: Option<PurchaseOption>, price_per_hour, billing: Billing| {
        let of_sku = ledger.servers().iter().filter(|it| it.sku == position);
        let accounts = of_sku.filter(|it| it.purchase == option && it.created < end);
        let lives = accounts.filter_map(|it| it.span(None, end));
        let lives = lives.map(|span| (span.end.min(end) - span.start).seconds());
        let (seconds, billed_s) = lives.fold((0.0, 0.0), |(used, billed), life| {
            (used + life, billed + billing.billed(life))
        });
        Bill {
            option,
            price_per_hour,
            seconds,
            billed_s,
            reserved: None,
        }
    };
    let offers = kind.offers().iter().map(|offer| {
        let one = bill(Some(offer.option), offer.price_per_hour, offer.billing);
        if offer.option != PurchaseOption::Reserved {
            return one;
        }
        let (most, since) = (offer.most.unwrap_or(0), kind.paid_since());
        let paid = (end - since.min(end)).seconds();
        Bill {
            billed_s: f64::from(most) * paid,
            reserved: Some((most, since)),
            ..one
        }
    });
    let bills: Vec<Bill> = offers.collect();
    if bills.is_empty() && kind.billing() != Billing::default() {
        return vec![bill(None, kind.sku().price_per_hour, kind.billing())];
    }
    bills
}

/// How long steps took longer for want of power up to `end`, where they may.
pub(super) fn power_cap(world: &World, fleet: Entity, end: SimTime) -> Option<PowerCapSummary> {
    let slowdown = world.get::<PowerSlowdown>(fleet)?;
    Some(PowerCapSummary {
        slowed_s: slowdown.slowed_s(end),
        highest_factor: slowdown.highest(),
    })
}

/// The servers that crashes left empty up to `end`, if any.
pub(super) fn deserted(world: &World, fleet: Entity, end: SimTime) -> Option<DesertedSummary> {
    let accounts = part::<Ledger>(world, fleet).servers();
    let seconds: f64 = accounts
        .iter()
        .map(|account| account.deserted_until(end).seconds())
        .sum();
    let at_end = accounts.iter().filter(|it| it.deserted_since.is_some());
    let at_end = at_end.count() as u64;
    (at_end > 0 || seconds > 0.0).then_some(DesertedSummary {
        at_end,
        server_hours: seconds / SECONDS_PER_HOUR,
    })
}
