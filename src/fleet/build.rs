use std::sync::Arc;

use bevy_ecs::bundle::Bundle;
use bevy_ecs::entity::Entity;
use bevy_ecs::message::Messages;
use bevy_ecs::world::World;

use crate::catalog::Catalog;
use crate::random::Stream;
use crate::scenario::{self, BeyondPower, CheckedScenario, Diagnostics};
use crate::serving::registry::NamedKinds;
use crate::serving::{Endpoint, EndpointConfig, ServingRegistry};
use crate::time::{SimDuration, SimTime};
use crate::workload::{self, ArrivalStream, WorkloadError};

use super::drain::IdleDrains;
use super::fault_log::FaultLog;
use super::fleet_part::{part, part_mut};
use super::fleets::Fleets;
use super::free_processors::FreeProcessors;
use super::guard::Guard;
use super::hazards::{self, Hazards};
use super::instances::{Entry, Plan};
use super::loads::Loads;
use super::market::Market;
use super::script::Script;
use super::skus::Kind;
use super::standby::Standby;
use super::start_up::WaitingRequests;
use super::zones::Zones;
use super::{
    Agenda, Application, Clock, Fleet, FleetsExt, Ledger, OfFleet, Origin, OutcomeLog, Parts,
    PowerSlowdown, Refusals, Retention, Roster, RunWarnings, ScalingError, ScalingEvent,
    ScalingLog, ScalingRules, Server, Service, Stock, Templates, TickLimits, VerbOutcome, cache,
    entries, guard, instances, power_cap, requests, schedule, script, servers,
};

/// Why a fleet cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// The catalog lacks something that the scenario names.
    #[error("the catalog has no {what} \"{name}\"")]
    NotInCatalog {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A workload cannot be opened.
    #[error("the workload of \"{application}\": {error}")]
    Workload {
        /// Whose.
        application: String,
        /// Why not.
        error: WorkloadError,
    },
    /// An instance of the start state cannot be created.
    #[error("the start state of \"{application}\": {error}")]
    Start {
        /// Whose.
        application: String,
        /// Why not.
        error: ScalingError,
    },
    /// The scenario names an engine, a scheduler or a step time that nobody knows, or with wrong parameters.
    #[error("{0}")]
    Named(Diagnostics),
    /// The world already has a fleet of this name.
    #[error("the world already has a fleet of this name: give each a name of its own")]
    Installed,
}

/// Puts a fleet into a world: its entities as they are at time zero, and the [`Tick`](super::Tick) schedule. Its
/// name is that of the scenario. The world may hold anything else beside it; a [`Retention`] that it has stays.
///
/// A world may have several fleets, each of its own name, on one clock. They do not know of one another: each
/// gives the results that it has alone. The time zero of one that comes later is the present, and
/// [`TickLimits`] are those of the first.
///
/// ```
#[doc = include_str!("example.txt")]
/// assert_eq!(world.status_summary().servers[0].1.active, 2);
/// assert_eq!(fleet::install(&mut world, &scenario), Err(InstallError::Installed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the world has a fleet of this name, the scenario names what its catalog lacks, a workload cannot be opened, or the
/// start state cannot be met. The world is then as it was.
pub fn install(world: &mut World, checked: &CheckedScenario) -> Result<(), InstallError> {
    install_with(world, checked, &ServingRegistry::default())
}

/// The same for a scenario that may name what this registry knows.
///
/// # Errors
/// As [`install`], and where the scenario names what neither is built in nor in the registry.
pub fn install_with(
    world: &mut World,
    checked: &CheckedScenario,
    registry: &ServingRegistry,
) -> Result<(), InstallError> {
    install_named(world, &checked.scenario().name, checked, registry).map(|_| ())
}

/// The same for a fleet that is to have another name. Returns its entity.
///
/// ```
#[doc = include_str!("example.txt")]
/// let registry = ServingRegistry::default();
/// let other = fleet::install_named(&mut world, "another", &scenario, &registry)?;
/// assert_eq!(world.fleets().len(), 2);
/// assert_eq!(world.status_summary_in(other).servers[0].1.active, 2);
/// // Which application is meant has to be said now.
/// assert!(world.application("chat").is_err());
/// assert_ne!(world.application_in(other, "chat")?, chat);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`install_with`].
pub fn install_named(
    world: &mut World,
    name: &str,
    checked: &CheckedScenario,
    registry: &ServingRegistry,
) -> Result<Entity, InstallError> {
    if world.fleet_named(name).is_ok() {
        return Err(InstallError::Installed);
    }
    let scenario = checked.scenario();
    let clock = world.get_resource::<Clock>();
    let stock = stock(checked, clock.map_or(SimTime::ZERO, Clock::now))?;
    let mut blueprints = Vec::new();
    for (index, application) in scenario.applications.iter().enumerate() {
        let named = registry
            .named(checked, index)
            .map_err(InstallError::Named)?;
        blueprints.push(Blueprint::new(checked, &stock, index, application, &named)?);
    }
    check_start_state(checked, &blueprints)?;

    if !world.contains_resource::<Fleets>() {
        prepare(world, scenario.max_tick);
    }
    let of = Fleet {
        number: world.resource::<Fleets>().next_number(),
        name: name.into(),
    };
    let parts = (
        Ledger::new(stock.kinds.len()),
        stock,
        Script::new(&scenario.actions, &scenario.faults),
        Origin::new(checked),
        Roster::default(),
        ScalingLog::default(),
        RunWarnings::default(),
        Refusals::default(),
        FreeProcessors::default(),
        (
            Loads::default(),
            Hazards::default(),
            FaultLog::of(of.number),
        ),
    );
    let fleet = guard::work(world, |world| world.spawn((of, parts)).id());
    world.resource_mut::<Fleets>().add(fleet);
    let now = world.resource::<Clock>().now();
    let mut agenda = world.resource_mut::<Agenda>();
    script::arm(&mut agenda, fleet, &scenario.actions, &scenario.faults, now);
    for blueprint in blueprints {
        let blueprint = match now {
            SimTime::ZERO => blueprint,
            now => blueprint.begun_at(now),
        };
        let bundle = (OfFleet(fleet), blueprint.bundle());
        let application = guard::work(world, |world| world.spawn(bundle).id());
        let mut roster = part_mut::<Roster>(world, fleet);
        roster.applications.push(application);
        requests::announce_also(world, application);
    }
    add_start_state(world, fleet, checked);
    if let Some(watts) = cap_of(checked, BeyondPower::Slow) {
        let slowdown = PowerSlowdown::new(watts, now);
        world.entity_mut(fleet).insert(slowdown);
        power_cap::share(world, fleet);
    }
    hazards::add(world, fleet, &scenario.hazards, scenario.seed);
    Ok(fleet)
}

/// Gives a world what all its fleets share.
fn prepare(world: &mut World, max_tick: Option<SimDuration>) {
    world.insert_resource(Fleets::default());
    world.insert_resource(Agenda::default());
    world.insert_resource(TickLimits {
        max_tick,
        ..TickLimits::default()
    });
    world.insert_resource(Clock::default());
    world.insert_resource(WaitingRequests::default());
    world.insert_resource(OutcomeLog::default());
    world.insert_resource(Guard::default());
    guard::add_observers(world);
    world.init_resource::<Retention>();
    entries::enter(&mut world.get_resource_or_init::<Parts>());
    world.insert_resource(Messages::<ScalingEvent>::default());
    world.insert_resource(Messages::<VerbOutcome>::default());
    schedule::add_schedule(world);
}

fn stock(checked: &CheckedScenario, now: SimTime) -> Result<Stock, InstallError> {
    let (catalog, seed) = (checked.catalog(), checked.scenario().seed);
    let kinds = checked.scenario().fleet.iter();
    let kinds: Result<Vec<Kind>, InstallError> =
        kinds.map(|entry| kind(entry, catalog, seed)).collect();
    let mut stock = Stock {
        kinds: kinds?,
        zones: Zones::default(),
        unnoticed: 0,
        quotas: checked.scenario().quotas.clone(),
        power_cap: cap_of(checked, BeyondPower::Wait),
    };
    for (position, entry) in checked.scenario().fleet.iter().enumerate() {
        stock.open_market(position, entry, now);
    }
    Ok(stock)
}

/// The power cap of a scenario in watts, where this is what happens beyond it.
fn cap_of(checked: &CheckedScenario, beyond: BeyondPower) -> Option<f64> {
    let cap = checked.scenario().power_cap?;
    (cap.beyond == beyond).then_some(cap.watts)
}

/// A SKU as a fleet has it.
pub(super) fn kind(
    entry: &scenario::FleetEntry,
    catalog: &Catalog,
    seed: u64,
) -> Result<Kind, InstallError> {
    let missing = |what, name: &str| InstallError::NotInCatalog {
        what,
        name: name.to_owned(),
    };
    let sku = catalog
        .skus
        .get(&entry.sku)
        .ok_or_else(|| missing("SKU", &entry.sku))?;
    let processor = catalog
        .processors
        .get(&sku.processor)
        .ok_or_else(|| missing("processor", &sku.processor))?;
    Ok(Kind {
        sku: Arc::clone(sku),
        processor: Arc::clone(processor),
        limit: entry.limit,
        highest_limit: entry.limit,
        provision_delay: entry.provision_delay,
        stream: Stream::new(seed, &format!("provision/{}", entry.sku)),
        blocked_until: SimTime::ZERO,
        away: 0,
        mending: 0,
        market: Market::default(),
        available: entry.available.clone(),
        standby: Standby::new(entry.warm, entry.stopped, seed, &entry.sku),
    })
}

/// What an application is made of.
pub(super) struct Blueprint {
    application: Application,
    endpoint: Endpoint,
    rules: ScalingRules,
    templates: Templates,
}

impl Blueprint {
    pub(super) fn new(
        checked: &CheckedScenario,
        stock: &Stock,
        index: usize,
        application: &scenario::Application,
        named: &NamedKinds,
    ) -> Result<Self, InstallError> {
        let (catalog, seed) = (checked.catalog(), checked.scenario().seed);
        let model = application
            .model_in(catalog)
            .ok_or_else(|| InstallError::NotInCatalog {
                what: "model",
                name: application.model.clone(),
            })?;
        let name = &application.name;
        let templates = Templates::new(
            application,
            catalog,
            model.weights_bytes,
            stock.kinds(),
            named,
        );
        let spec = &application.workload;
        let refused = |error| InstallError::Workload {
            application: name.clone(),
            error,
        };
        let (directory, format) = (checked.directory(), named.trace_format());
        let arrivals = workload::check_origin(spec, directory, name, format)
            .and_then(|()| workload::open_named(spec, directory, seed, name, format))
            .map_err(refused)?;
        let users = workload::Users::new(spec, seed, name).map_err(refused)?;
        // Users send their first requests themselves.
        let arrivals: ArrivalStream = match users {
            Some(_) => Box::new(std::iter::empty()),
            None => arrivals,
        };
        let config = EndpointConfig {
            weights_bytes: model.weights_bytes,
            kv_bytes_per_token: model.kv_bytes_per_token(),
            scheduler: application.scheduler,
            random: Stream::new(seed, &format!("scheduler/{name}")),
            possible: templates.possible(),
        };
        let endpoint = match named.router(config.random.clone()) {
            Some((router, gib_per_s)) => Endpoint::with_router(config, router, gib_per_s, arrivals),
            None => Endpoint::new(config, arrivals),
        };
        let mut endpoint = endpoint;
        endpoint.set_crash_retries(application.crash.retries());
        let endpoint = match users {
            Some(users) => endpoint.with_users(users),
            None => endpoint,
        };
        Ok(Self {
            application: Application {
                index,
                name: name.as_str().into(),
            },
            endpoint,
            rules: ScalingRules::new(&application.scaling, seed, name),
            templates,
        })
    }

    /// The same in a fleet that has run until `now`: its workload begins then.
    pub(super) fn begun_at(mut self, now: SimTime) -> Self {
        self.endpoint.begin_at(now);
        self
    }

    pub(super) fn bundle(self) -> impl Bundle {
        (
            self.application,
            Service(self.endpoint),
            IdleDrains::default(),
            self.rules,
            self.templates,
        )
    }
}

/// Whether each instance of the start state can be on its server.
fn check_start_state(
    checked: &CheckedScenario,
    blueprints: &[Blueprint],
) -> Result<(), InstallError> {
    let placement = checked.placement();
    for placed in &placement.instances {
        let blueprint = &blueprints[placed.application];
        let template = blueprint.templates.get(placed.template);
        if let Err(error) = template.on(placement.servers[placed.server]) {
            return Err(InstallError::Start {
                application: blueprint.application.name.to_string(),
                error,
            });
        }
    }
    Ok(())
}

fn add_start_state(world: &mut World, fleet: Entity, checked: &CheckedScenario) {
    let scenario = checked.scenario();
    let mut servers: Vec<Entity> = Vec::new();
    for (position, entry) in scenario.fleet.iter().enumerate() {
        let sku = Arc::clone(&part::<Stock>(world, fleet).kinds[position].sku);
        let created = servers::create_at_start(world, fleet, position, &sku, entry.count);
        servers.extend(created);
    }
    let skus = checked.placement().servers.iter().copied();
    let mut there: Vec<(Entity, usize)> = servers.iter().copied().zip(skus).collect();
    for placed in &checked.placement().instances {
        let application = part::<Roster>(world, fleet).applications()[placed.application];
        let server = servers[placed.server];
        let all = instances::processors_of(world, server);
        let processors = placed.processors.clone().map(|index| all[index as usize]);
        let plan = Plan {
            application,
            template: placed.template,
            server,
            processors: processors.collect(),
            tag: None,
        };
        instances::create(world, &plan, Entry::AtStart);
    }
    for (position, entry) in scenario.fleet.iter().enumerate() {
        let sku = Arc::clone(&part::<Stock>(world, fleet).kinds[position].sku);
        for server in servers::create_at_start(world, fleet, position, &sku, entry.warm) {
            there.push((server, position));
            if let Some(&Server { number }) = world.get(server) {
                part_mut::<Stock>(world, fleet).kinds[position]
                    .standby
                    .keep(number);
            }
        }
    }
    cache::fill_at_start(world, checked, &there);
}
