use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::message::Messages;
use bevy_ecs::world::World;

use crate::random::Stream;
use crate::scenario::{self, CheckedScenario, Diagnostics};
use crate::serving::registry::NamedKinds;
use crate::serving::{Endpoint, EndpointConfig, ServingRegistry};
use crate::time::SimTime;
use crate::workload::{self, WorkloadError};

use super::drain::IdleDrains;
use super::free_processors::FreeProcessors;
use super::guard::Guard;
use super::instances::{Entry, Plan};
use super::script::Script;
use super::skus::Kind;
use super::start_up::WaitingRequests;
use super::{
    Agenda, Application, Clock, Ledger, OutcomeLog, Refusals, Retention, Roster, RunWarnings,
    ScalingError, ScalingEvent, ScalingLog, ScalingRules, Service, Stock, Templates, TickLimits,
    VerbOutcome, guard, instances, servers, tick,
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
/// [`Tick`](super::Tick) schedule. The world may hold anything else beside it.
///
/// # Errors
/// When the scenario names what its catalog lacks, a workload cannot be opened, or the start state
/// cannot be met; the world is of no use then.
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
    world.init_resource::<Clock>();
    world.init_resource::<Roster>();
    world.init_resource::<WaitingRequests>();
    world.init_resource::<ScalingLog>();
    world.init_resource::<RunWarnings>();
    world.init_resource::<Refusals>();
    world.init_resource::<OutcomeLog>();
    world.init_resource::<Guard>();
    guard::add_observers(world);
    world.init_resource::<FreeProcessors>();
    world.init_resource::<Retention>();
    world.init_resource::<Messages<ScalingEvent>>();
    world.init_resource::<Messages<VerbOutcome>>();
    for (index, application) in scenario.applications.iter().enumerate() {
        let named = registry
            .named(checked, index)
            .map_err(InstallError::Named)?;
        add_application(world, checked, index, application, &named)?;
    }
    add_start_state(world, checked)?;
    tick::add_schedule(world);
    Ok(())
}

fn stock(checked: &CheckedScenario) -> Result<Stock, InstallError> {
    let catalog = checked.catalog();
    let missing = |what, name: &str| InstallError::NotInCatalog {
        what,
        name: name.to_owned(),
    };
    let kind = |entry: &scenario::FleetEntry| {
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
            provision_delay: entry.provision_delay,
            stream: Stream::new(checked.scenario().seed, &format!("provision/{}", entry.sku)),
            blocked_until: SimTime::ZERO,
        })
    };
    let kinds: Result<Vec<Kind>, InstallError> =
        checked.scenario().fleet.iter().map(kind).collect();
    Ok(Stock { kinds: kinds? })
}

fn add_application(
    world: &mut World,
    checked: &CheckedScenario,
    index: usize,
    application: &scenario::Application,
    named: &NamedKinds,
) -> Result<(), InstallError> {
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
        world.resource::<Stock>().kinds(),
        named,
    );
    let spec = &application.workload;
    let (directory, format) = (checked.directory(), named.trace_format());
    let arrivals = workload::check_origin(spec, directory, name, format)
        .and_then(|()| workload::open_named(spec, directory, seed, name, format))
        .map_err(|error| InstallError::Workload {
            application: name.clone(),
            error,
        })?;
    let users = workload::Users::new(spec, seed, name).map_err(|error| InstallError::Workload {
        application: name.clone(),
        error,
    })?;
    // Users send their first requests themselves.
    let arrivals = match users {
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
    let bundle = (
        Application {
            index,
            name: name.as_str().into(),
        },
        Service(endpoint),
        IdleDrains::default(),
        ScalingRules::new(&application.scaling, seed, name),
        templates,
    );
    let entity = guard::work(world, |world| world.spawn(bundle).id());
    world.resource_mut::<Roster>().applications.push(entity);
    Ok(())
}

fn add_start_state(world: &mut World, checked: &CheckedScenario) -> Result<(), InstallError> {
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
        instances::check(world, &plan).map_err(|error| InstallError::Start {
            application: scenario.applications[placed.application].name.clone(),
            error,
        })?;
        instances::create(world, &plan, Entry::AtStart);
    }
    Ok(())
}
