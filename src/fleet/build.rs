use std::sync::Arc;

use bevy_ecs::bundle::Bundle;
use bevy_ecs::entity::Entity;
use bevy_ecs::message::Messages;
use bevy_ecs::world::World;

use crate::catalog::Catalog;
use crate::random::Stream;
use crate::scenario::{self, CheckedScenario, Diagnostics};
use crate::serving::registry::NamedKinds;
use crate::serving::{Endpoint, EndpointConfig, ServingRegistry};
use crate::time::SimTime;
use crate::workload::{self, ArrivalStream, WorkloadError};

use super::drain::IdleDrains;
use super::free_processors::FreeProcessors;
use super::guard::Guard;
use super::instances::{Entry, Plan};
use super::loads::Loads;
use super::script::Script;
use super::skus::Kind;
use super::start_up::WaitingRequests;
use super::{
    Agenda, Application, Clock, Ledger, Origin, OutcomeLog, Parts, Refusals, Retention, Roster,
    RunWarnings, ScalingError, ScalingEvent, ScalingLog, ScalingRules, Service, Stock, Templates,
    TickLimits, VerbOutcome, cache, entries, guard, instances, servers, tick,
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
    /// The world already has a fleet.
    #[error("the world already has a fleet: use a world of its own for each")]
    Installed,
}

/// Puts a fleet into a world: its entities as they are at time zero, its resources, and the
/// [`Tick`](super::Tick) schedule. The world may hold anything else beside it; a [`Retention`] that it has
/// stays.
///
/// ```
#[doc = include_str!("example.txt")]
/// assert_eq!(world.status_summary().servers[0].1.active, 2);
/// assert_eq!(fleet::install(&mut world, &scenario), Err(InstallError::Installed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the world has a fleet, the scenario names what its catalog lacks, a workload cannot be opened, or the
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
    if world.contains_resource::<Roster>() {
        return Err(InstallError::Installed);
    }
    let scenario = checked.scenario();
    let stock = stock(checked)?;
    let mut blueprints = Vec::new();
    for (index, application) in scenario.applications.iter().enumerate() {
        let named = registry
            .named(checked, index)
            .map_err(InstallError::Named)?;
        blueprints.push(Blueprint::new(checked, &stock, index, application, &named)?);
    }
    check_start_state(checked, &blueprints)?;

    let mut agenda = Agenda::default();
    let script = Script::new(&scenario.actions, &scenario.faults, &mut agenda);
    world.insert_resource(Ledger::new(stock.kinds.len()));
    world.insert_resource(stock);
    world.insert_resource(agenda);
    world.insert_resource(script);
    world.insert_resource(TickLimits {
        max_tick: scenario.max_tick,
        ..TickLimits::default()
    });
    world.insert_resource(Clock::default());
    world.insert_resource(Origin::new(checked));
    world.insert_resource(Roster::default());
    world.insert_resource(WaitingRequests::default());
    world.insert_resource(Loads::default());
    world.insert_resource(ScalingLog::default());
    world.insert_resource(RunWarnings::default());
    world.insert_resource(Refusals::default());
    world.insert_resource(OutcomeLog::default());
    world.insert_resource(Guard::default());
    guard::add_observers(world);
    world.insert_resource(FreeProcessors::default());
    world.init_resource::<Retention>();
    entries::enter(&mut world.get_resource_or_init::<Parts>());
    world.insert_resource(Messages::<ScalingEvent>::default());
    world.insert_resource(Messages::<VerbOutcome>::default());
    for blueprint in blueprints {
        let bundle = blueprint.bundle();
        let entity = guard::work(world, |world| world.spawn(bundle).id());
        world.resource_mut::<Roster>().applications.push(entity);
    }
    add_start_state(world, checked);
    tick::add_schedule(world);
    Ok(())
}

fn stock(checked: &CheckedScenario) -> Result<Stock, InstallError> {
    let (catalog, seed) = (checked.catalog(), checked.scenario().seed);
    let kinds = checked.scenario().fleet.iter();
    let kinds: Result<Vec<Kind>, InstallError> =
        kinds.map(|entry| kind(entry, catalog, seed)).collect();
    Ok(Stock { kinds: kinds? })
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

fn add_start_state(world: &mut World, checked: &CheckedScenario) {
    let scenario = checked.scenario();
    let mut servers: Vec<Entity> = Vec::new();
    for (position, entry) in scenario.fleet.iter().enumerate() {
        let sku = Arc::clone(&world.resource::<Stock>().kinds[position].sku);
        servers.extend(servers::create_at_start(world, position, &sku, entry.count));
    }
    for placed in &checked.placement().instances {
        let application = world.resource::<Roster>().applications()[placed.application];
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
    cache::fill_at_start(world, checked, &servers);
}
