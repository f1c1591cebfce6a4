//! What a run of several fleets, such as those of regions, leaves behind: put together, with the names of both the
//! fleet and the application.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::{faults, record};
use crate::autoscale::{Decision, DecisionLog};
use crate::catalog::Sku;
use crate::fleet::{
    Application, Fleet, FleetsExt, InstanceRole, Ledger, OfApplication, Origin, Roster,
    ScalingEvent, ScalingLog, Service, Stock, part, part_mut, traffic,
};
use crate::observe::{Felt, RegionRecord, Rows, RunRecord};
use crate::scenario::series;
use crate::serving::Role;
use crate::time::SimTime;

/// The applications of a fleet, as they are called where there are several fleets, and the position of the first
/// among those of all fleets.
pub(super) struct Share {
    pub(super) fleet: Entity,
    first: usize,
    /// By position in the fleet's scenario.
    names: Vec<Arc<str>>,
}

/// The shares of the fleets of a world, in the order of installation.
pub(super) fn shares(world: &World) -> Vec<Share> {
    let several = world.fleets().len() > 1;
    let mut first = 0;
    let share = |&fleet: &Entity| {
        let of = part::<Fleet>(world, fleet).name();
        let applications = part::<Roster>(world, fleet).applications().iter();
        let name = |it: &Entity| -> Arc<str> {
            let name = world.get::<Application>(*it).map(Application::name);
            match name {
                Some(name) if several => series(of, name).into(),
                Some(name) => name.clone(),
                None => "".into(),
            }
        };
        let names: Vec<Arc<str>> = applications.map(name).collect();
        let share = Share {
            fleet,
            first,
            names,
        };
        first += share.names.len();
        share
    };
    world.fleets().iter().map(share).collect()
}

impl Share {
    /// The name of an application that is known by its own.
    fn name(&self, world: &World, own: &Arc<str>) -> Arc<str> {
        let applications = part::<Roster>(world, self.fleet).applications().iter();
        let mut named = applications.zip(&self.names);
        let found = named.find(|&(&it, _)| {
            let application = world.get::<Application>(it);
            application.is_some_and(|it| it.name() == own)
        });
        found.map_or_else(|| own.clone(), |(_, name)| name.clone())
    }
}

/// Takes the rows of all fleets.
pub(super) fn take_rows(world: &mut World) -> Rows {
    if let Ok(only) = world.only_fleet() {
        let rows = world.get_mut::<Rows>(only);
        return rows
            .map(|mut it| std::mem::take(&mut *it))
            .unwrap_or_default();
    }
    let mut all = Rows::default();
    for share in shares(world) {
        let Some(mut rows) = world.get_mut::<Rows>(share.fleet) else {
            continue;
        };
        let rows = std::mem::take(&mut *rows);
        let requests = rows.requests.into_iter();
        let requests = requests.map(|(index, record)| (share.first + index, record));
        all.requests.extend(requests);
        all.samples
            .extend(rows.samples.into_iter().map(|mut sample| {
                sample.application = share.name(world, &sample.application);
                sample
            }));
        all.runs.extend(rows.runs);
        all.instances
            .extend(rows.instances.into_iter().map(|mut sample| {
                sample.application += share.first;
                sample
            }));
        all.steps.extend(rows.steps);
    }
    all.requests
        .sort_by_key(|(index, it)| (it.end.unwrap_or(it.arrival), *index));
    all.samples.sort_by_key(|it| it.time);
    all.instances.sort_by_key(|it| it.time);
    all
}

/// Takes the lines of all fleets, in the order of time.
pub(super) fn take_scaling(world: &mut World) -> Vec<ScalingEvent> {
    let mut lines = Vec::new();
    for fleet in world.fleets().to_vec() {
        if let Some(mut log) = world.get_mut::<ScalingLog>(fleet) {
            lines.extend(log.drain());
        }
    }
    if world.fleets().len() > 1 {
        lines.sort_by_key(|it| it.time);
    }
    lines
}

/// Takes the decisions for all fleets, in the order of time.
pub(super) fn take_decisions(world: &mut World) -> Vec<Decision> {
    if let Ok(only) = world.only_fleet() {
        let log = world.get_mut::<DecisionLog>(only);
        return log.map(|mut it| it.drain().collect()).unwrap_or_default();
    }
    let mut decisions = Vec::new();
    for share in shares(world) {
        let Some(mut log) = world.get_mut::<DecisionLog>(share.fleet) else {
            continue;
        };
        let taken: Vec<Decision> = log.drain().collect();
        decisions.extend(taken.into_iter().map(|mut decision| {
            decision.application = share.name(world, &decision.application);
            decision
        }));
    }
    decisions.sort_by_key(|it| it.time);
    decisions
}

/// What has not ended and what is on its way, in all fleets, and the batches under way.
pub(super) fn add_unfinished(world: &World, rows: &mut Rows, end: SimTime) {
    let mut outstanding = Vec::new();
    for share in shares(world) {
        for service in record::services(world, share.fleet) {
            rows.runs.extend(service.0.runs_under_way(end));
        }
        let left = record::outstanding(world, share.fleet).into_iter();
        outstanding.extend(left.map(|(index, record)| (share.first + index, record)));
    }
    outstanding.sort_by_key(|(index, record)| (record.arrival, *index));
    rows.requests.extend(outstanding);
}

/// Why a workload ended early, if one did.
pub(super) fn workload_error(world: &World) -> Option<String> {
    let gateways = world.get_resource::<crate::fleet::Gateways>();
    let sent = gateways.and_then(|it| it.workload_error());
    let sent = sent.map(ToString::to_string);
    let mut fleets = world.fleets().iter();
    sent.or_else(|| fleets.find_map(|&it| record::workload_error(world, it)))
}

/// What the fleets leave to be summed up.
pub(super) fn of(world: &World, end: SimTime, stopped: Option<String>) -> RunRecord {
    if let Ok(only) = world.only_fleet() {
        return record::of(world, only, end, stopped);
    }
    let mut all = RunRecord {
        end,
        stopped,
        faults: faults::of(world, world.fleets(), end),
        ..RunRecord::default()
    };
    for (position, share) in shares(world).into_iter().enumerate() {
        let of = record::of(world, share.fleet, end, None);
        let name = part::<Fleet>(world, share.fleet).name();
        if position == 0 {
            let origin = part::<Origin>(world, share.fleet);
            (all.scenario, all.hash) = (of.scenario.clone(), of.hash.clone());
            all.seed = origin.seed;
            all.percentiles.clone_from(&of.percentiles);
        }
        all.regions.push(region(world, &share, position, &of));
        let named = of.applications.into_iter().map(|mut application| {
            application.name = share.name(world, &application.name);
            for usage in &mut application.instances {
                usage.sku = series(name, &usage.sku).into();
            }
            application
        });
        all.applications.extend(named);
        let servers = of.servers.into_iter().map(|mut usage| {
            usage.sku = Arc::new(Sku {
                name: series(name, &usage.sku.name),
                ..Sku::clone(&usage.sku)
            });
            usage
        });
        all.servers.extend(servers);
        all.scaling.merge(&of.scaling);
        all.warnings.merge(&of.warnings);
        if let Some(more) = of.deserted {
            let deserted = all.deserted.get_or_insert_default();
            deserted.at_end += more.at_end;
            deserted.server_hours += more.server_hours;
        }
    }
    all
}

/// What the users of a region felt, and where their requests went; none of a fleet that is no region.
fn region(world: &World, share: &Share, position: usize, of: &RunRecord) -> RegionRecord {
    let felt = world.get::<Felt>(share.fleet).cloned().unwrap_or_default();
    let mut users = felt.0;
    let fleets = world.fleets();
    for &fleet in fleets {
        for (index, record) in record::outstanding(world, fleet) {
            let journey = record.journey();
            if journey.is_some_and(|it| it.region as usize == position)
                && let Some(users) = users.get_mut(index)
            {
                users.record(&record);
            }
        }
    }
    let traffic = traffic(world).unwrap_or_default();
    let names = fleets.iter().map(|&it| part::<Fleet>(world, it).name());
    let to = names.enumerate().map(|(to, name)| {
        let requests = traffic.between(position, to);
        (name.to_string(), requests)
    });
    RegionRecord {
        name: part::<Fleet>(world, share.fleet).name().to_string(),
        users,
        sent_to: to.collect(),
        fleet: of.summarise_fleet(),
    }
}

/// Takes the ledgers of all fleets, as one.
pub(super) fn take_ledger(world: &mut World) -> Ledger {
    let mut all = Ledger::default();
    let mut skus = 0;
    for share in shares(world) {
        let ledger = std::mem::take(&mut *part_mut::<Ledger>(world, share.fleet));
        all.append(ledger, share.first, skus);
        skus += part::<Stock>(world, share.fleet).kinds().len();
    }
    all
}

/// The data plane of the application at a position among those of all fleets, and the books of its fleet.
pub(super) fn service(world: &World, position: usize) -> Option<(&Service, &Ledger)> {
    let mut rest = position;
    for &fleet in world.fleets() {
        let applications = world.get::<Roster>(fleet)?.applications();
        if let Some(&application) = applications.get(rest) {
            return Some((world.get(application)?, world.get(fleet)?));
        }
        rest -= applications.len();
    }
    None
}

/// The application, by its position among those of all fleets, and the role of an instance of a fleet.
pub(super) fn whose(world: &World, fleet: u32, instance: u64) -> Option<(usize, Role)> {
    let rosters = world.fleets().iter().map(|&it| part::<Roster>(world, it));
    let mut numbers = world
        .fleets()
        .iter()
        .map(|&it| part::<Fleet>(world, it).number());
    let position = numbers.position(|number| number == fleet)?;
    let first: usize = rosters
        .clone()
        .take(position)
        .map(|it| it.applications().len())
        .sum();
    let instance = rosters.clone().nth(position)?.instance(instance)?;
    let role = world.get::<InstanceRole>(instance)?.role();
    let application = world.get::<OfApplication>(instance)?.application();
    let application = world.get::<Application>(application)?;
    Some((first + application.index(), role))
}
