//! A fleet that is changed while it runs: its SKUs, limits, delays and applications.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::catalog::Catalog;
use crate::random::Delay;
use crate::scenario::{Action, CheckedScenario, Fault, FleetEntry, Performance, Scaling};
use crate::serving::{ServingRegistry, StepTimes};

use super::build::{self, Blueprint};
use super::fleet_part::{part, part_mut};
use super::{
    Clock, FleetsExt, InstallError, Ledger, OfFleet, Origin, Parts, Roster, ScalingError,
    ScalingExt, ScalingRules, Service, Stock, Templates, drain, guard, ready_servers, requests,
    script,
};

/// What a host may change about a fleet between ticks. It holds for what comes: servers and instances that are
/// there, or on their way, stay as they are.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use fleetsim::fleet::{self, ChangeExt};
/// # use fleetsim::prelude::*;
/// # let scenario = CheckedScenario::from_ron(r#"(
/// #     name: "one server", fleet: [(sku: "dgx-h100", count: 1, limit: 1)],
/// #     applications: [(
/// #         name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
/// #         workload: Host,
/// #     )],
/// # )"#, ".".as_ref())?;
/// # let mut world = World::new();
/// # fleet::install(&mut world, &scenario)?;
/// let one_more = ScaleUpFull::new(world.application("chat")?, Role::Mixed);
/// assert!(world.scale_up_full(&one_more).is_err());
/// world.set_limit("dgx-h100", Some(2))?;
/// assert!(world.scale_up_full(&one_more).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With several fleets in the world, the variants with `_in` say which is meant.
///
/// # Panics
/// On a world without a fleet.
pub trait ChangeExt {
    /// The most servers of a SKU from now on; servers beyond it stay.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.set_limit("dgx-h100", Some(2))?;
    /// assert!(world.scale_up_server(None).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the fleet does not have the SKU.
    fn set_limit(&mut self, sku: &str, limit: Option<u32>) -> Result<(), ScalingError>;

    /// The same in one of several fleets.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.set_limit_in(world.only_fleet()?, "dgx-h100", Some(2))?;
    /// assert!(world.scale_up_server(None).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the fleet does not have the SKU, or is none.
    fn set_limit_in(
        &mut self,
        fleet: Entity,
        sku: &str,
        limit: Option<u32>,
    ) -> Result<(), ScalingError>;

    /// How long servers of a SKU take to be there that are asked for from now on.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.set_provision_delay("dgx-h100", Delay::Constant(SimDuration::new(60.0)?))?;
    /// let server = world.scale_up_server(None)?;
    /// world.run_until(SimTime::new(59.0)?)?;
    /// assert_eq!(world.get(server), Some(&ServerStatus::ScalingUp));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the fleet does not have the SKU.
    fn set_provision_delay(&mut self, sku: &str, delay: Delay) -> Result<(), ScalingError>;

    /// The same in one of several fleets.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let delay = Delay::Constant(SimDuration::new(60.0)?);
    /// world.set_provision_delay_in(world.only_fleet()?, "dgx-h100", delay)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the fleet does not have the SKU, or is none.
    fn set_provision_delay_in(
        &mut self,
        fleet: Entity,
        sku: &str,
        delay: Delay,
    ) -> Result<(), ScalingError>;

    /// What is scripted from now on: the actions and faults that come later than now take the place of those that
    /// were to come. Instants are those of the clock.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// # use fleetsim::scenario::{Fault, FaultKind};
    /// let fault = FaultKind::ServerCrash { server: 0, repair: None };
    /// let at = SimTime::new(60.0)?;
    /// world.set_script(&[], &[Fault { at, fault }])?;
    /// world.run_until(at)?;
    /// assert_eq!(world.status_summary().servers[0].1.active, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When there are several fleets, or none.
    fn set_script(&mut self, actions: &[Action], faults: &[Fault]) -> Result<(), ScalingError>;

    /// The same in one of several fleets.
    ///
    /// # Errors
    /// When `fleet` is none.
    fn set_script_in(
        &mut self,
        fleet: Entity,
        actions: &[Action],
        faults: &[Fault],
    ) -> Result<(), ScalingError>;

    /// Adds a SKU to the fleet, the last in its order, with its limit and its delay: applications may be scaled
    /// up on it from now on. `entry.count` servers of it are asked for at once, as by
    /// [`scale_up_server`](super::ScalingExt::scale_up_server). What `catalog` says of the SKU holds, and step times
    /// come from there.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let entry = FleetEntry {
    ///     sku: "dgx-a100".to_owned(),
    ///     count: 1,
    ///     limit: Some(8),
    ///     ..FleetEntry::default()
    /// };
    /// world.add_sku(&entry, scenario.catalog())?;
    /// assert_eq!(world.status_summary().servers[1].0, "dgx-a100");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the catalog does not have the SKU or its processor, the fleet has it already, or fewer servers are
    /// allowed than are asked for. Nothing is changed then.
    fn add_sku(&mut self, entry: &FleetEntry, catalog: &Catalog) -> Result<(), ChangeError>;

    /// The same in one of several fleets.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let sku = "dgx-a100".to_owned();
    /// let entry = FleetEntry { sku, ..FleetEntry::default() };
    /// world.add_sku_in(world.only_fleet()?, &entry, scenario.catalog())?;
    /// world.scale_up_server(Some("dgx-a100"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`add_sku`](Self::add_sku), and when `fleet` is none.
    fn add_sku_in(
        &mut self,
        fleet: Entity,
        entry: &FleetEntry,
        catalog: &Catalog,
    ) -> Result<(), ChangeError>;

    /// How the instances of an application come and go from now on. Those that start up are active when they
    /// were to be; those that drain are looked at as the new rule says, and put back when they were to be.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let rules = Scaling {
    ///     scale_up_delay: SimDuration::new(1.0)?,
    ///     ..Scaling::default()
    /// };
    /// world.set_scaling(chat, &rules)?;
    /// let new = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))?;
    /// world.run_until(SimTime::new(6.0)?)?;
    /// assert!(world.can_schedule(new.instance));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ScalingError::NotAnApplication`].
    fn set_scaling(&mut self, application: Entity, rules: &Scaling) -> Result<(), ScalingError>;

    /// How long steps take of the instances of an application that are made from now on: a built-in `performance`
    /// of a scenario. Those that are there keep theirs ([`Slow`](super::Slow) on a server makes them slower), and
    /// policies plan with what the scenario says. A world with step times of both kinds is not saved.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// # use fleetsim::scenario::Performance;
    /// let slower = Performance::Linear {
    ///     base: 0.1,
    ///     prefill_token: 1e-4,
    ///     decode_request: 1e-3,
    ///     context_token: 0.0,
    /// };
    /// world.set_step_times(chat, &slower, scenario.catalog())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When it is no application, `performance` is not built in, or a template has no such step times on any SKU
    /// of the fleet. Nothing is changed then.
    fn set_step_times(
        &mut self,
        application: Entity,
        performance: &Performance,
        catalog: &Catalog,
    ) -> Result<(), ChangeError>;

    /// Adds an application of a scenario, with its workload, whose time zero is now. It has no instances: its
    /// `start` is the host's to carry out. Policies are given by
    /// [`PolicyRegistry::set_policy`](crate::autoscale::PolicyRegistry::set_policy), records by installing
    /// [recorders](crate::observe::install) once more.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let text = r#"(
    ///     name: "more", fleet: [(sku: "dgx-h100", count: 1)],
    ///     applications: [(
    ///         name: "code", model: "llama2-70b", instances: [(role: Mixed, start: None)],
    ///         workload: Host, autoscaler: Host,
    ///     )],
    /// )"#;
    /// let more = CheckedScenario::from_ron(text, ".".as_ref())?;
    /// let code = world.add_application(&more, "code", &ServingRegistry::default())?;
    /// world.scale_up_full(&ScaleUpFull::new(code, Role::Mixed))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the scenario has no application of this name, the fleet has one, or it cannot be built. Nothing is
    /// changed then.
    fn add_application(
        &mut self,
        scenario: &CheckedScenario,
        name: &str,
        registry: &ServingRegistry,
    ) -> Result<Entity, ChangeError>;

    /// The same in one of several fleets.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// # let text = r#"(
    /// #     name: "more", fleet: [(sku: "dgx-h100", count: 1)],
    /// #     applications: [(
    /// #         name: "code", model: "llama2-70b", instances: [(role: Mixed, start: None)],
    /// #         workload: Host, autoscaler: Host,
    /// #     )],
    /// # )"#;
    /// # let more = CheckedScenario::from_ron(text, ".".as_ref())?;
    /// let fleet = world.only_fleet()?;
    /// let code = world.add_application_in(fleet, &more, "code", &ServingRegistry::default())?;
    /// assert_eq!(world.fleet_of(code), Some(fleet));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`add_application`](Self::add_application), and when `fleet` is none.
    fn add_application_in(
        &mut self,
        fleet: Entity,
        scenario: &CheckedScenario,
        name: &str,
        registry: &ServingRegistry,
    ) -> Result<Entity, ChangeError>;
}

/// Why a fleet cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A part cannot be built.
    #[error(transparent)]
    Build(#[from] InstallError),
    /// The fleet is not there, or it was not said which of several is meant.
    #[error(transparent)]
    Fleet(#[from] ScalingError),
    /// The fleet has it already.
    #[error("the fleet has the {what} \"{name}\" already: change that, or choose another name")]
    IsThere {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The scenario has no application of this name.
    #[error("the scenario has no application \"{0}\"")]
    NotInScenario(String),
    /// A step model of one's own comes with its application.
    #[error("`{0}` is not built in: add an application that names it, with `add_application`")]
    NotBuiltIn(String),
    /// More servers are asked for than are allowed.
    #[error(
        "{count} servers are more than the limit of {limit}: raise the limit, or ask for fewer"
    )]
    OverLimit {
        /// How many.
        count: u32,
        /// The most.
        limit: u32,
    },
}

/// On an application whose instances may have step times of two kinds: a snapshot would make all alike.
#[derive(Component, Clone, Copy, Debug)]
struct OtherStepTimes;

impl ChangeExt for World {
    fn set_limit(&mut self, sku: &str, limit: Option<u32>) -> Result<(), ScalingError> {
        self.set_limit_in(self.only_fleet()?, sku, limit)
    }

    fn set_limit_in(
        &mut self,
        fleet: Entity,
        sku: &str,
        limit: Option<u32>,
    ) -> Result<(), ScalingError> {
        let mut stock = self.get_mut::<Stock>(fleet).ok_or(ScalingError::NoFleet)?;
        let position = stock.find(Some(sku))?;
        stock.kinds[position].set_limit(limit);
        Ok(())
    }

    fn set_script(&mut self, actions: &[Action], faults: &[Fault]) -> Result<(), ScalingError> {
        self.set_script_in(self.only_fleet()?, actions, faults)
    }

    fn set_script_in(
        &mut self,
        fleet: Entity,
        actions: &[Action],
        faults: &[Fault],
    ) -> Result<(), ScalingError> {
        script::replace(self, fleet, actions, faults)
    }

    fn set_provision_delay(&mut self, sku: &str, delay: Delay) -> Result<(), ScalingError> {
        self.set_provision_delay_in(self.only_fleet()?, sku, delay)
    }

    fn set_provision_delay_in(
        &mut self,
        fleet: Entity,
        sku: &str,
        delay: Delay,
    ) -> Result<(), ScalingError> {
        let mut stock = self.get_mut::<Stock>(fleet).ok_or(ScalingError::NoFleet)?;
        let position = stock.find(Some(sku))?;
        stock.kinds[position].provision_delay = delay;
        Ok(())
    }

    fn add_sku(&mut self, entry: &FleetEntry, catalog: &Catalog) -> Result<(), ChangeError> {
        self.add_sku_in(self.only_fleet()?, entry, catalog)
    }

    fn add_sku_in(
        &mut self,
        fleet: Entity,
        entry: &FleetEntry,
        catalog: &Catalog,
    ) -> Result<(), ChangeError> {
        let stock = self.get::<Stock>(fleet).ok_or(ScalingError::NoFleet)?;
        if stock.find(Some(&entry.sku)).is_ok() {
            return Err(ChangeError::IsThere {
                what: "SKU",
                name: entry.sku.clone(),
            });
        }
        if let Some(limit) = entry.limit.filter(|&limit| entry.count > limit) {
            let count = entry.count;
            return Err(ChangeError::OverLimit { count, limit });
        }
        let seed = part::<Origin>(self, fleet).seed;
        let kind = build::kind(entry, catalog, seed)?;
        for application in part::<Roster>(self, fleet).applications().to_vec() {
            let Some(templates) = self.get::<Templates>(application) else {
                continue;
            };
            let templates = templates.with_kind(&kind, catalog);
            if let Some(mut service) = self.get_mut::<Service>(application) {
                service.0.set_possible(templates.possible());
            }
            guard::work(self, |world| {
                world.entity_mut(application).insert(templates);
            });
        }
        let now = self.resource::<Clock>().now();
        let mut stock = part_mut::<Stock>(self, fleet);
        stock.kinds.push(kind);
        let position = stock.kinds.len() - 1;
        stock.open_market(position, entry, now);
        part_mut::<Ledger>(self, fleet).add_sku();
        ready_servers::replenish(self, fleet, position);
        for _ in 0..entry.count {
            if let Err(error) = self.scale_up_server_in(fleet, Some(&entry.sku)) {
                tracing::warn!(target: "fleetsim::scaling", %error, "a server of a new SKU is refused");
            }
        }
        Ok(())
    }

    fn set_scaling(&mut self, application: Entity, rules: &Scaling) -> Result<(), ScalingError> {
        let Some(mut own) = self.get_mut::<ScalingRules>(application) else {
            return Err(ScalingError::NotAnApplication(application));
        };
        let drains_otherwise = own.drain != rules.drain;
        own.change(rules);
        if drains_otherwise {
            drain::wait_anew(self, application);
        }
        Ok(())
    }

    fn set_step_times(
        &mut self,
        application: Entity,
        performance: &Performance,
        catalog: &Catalog,
    ) -> Result<(), ChangeError> {
        if let Performance::Named(term) = performance {
            return Err(ChangeError::NotBuiltIn(term.name().to_owned()));
        }
        let of = self.get::<Templates>(application);
        let of = of.ok_or(ScalingError::NotAnApplication(application))?;
        let stock = self
            .fleet_of(application)
            .and_then(|it| self.get::<Stock>(it));
        let stock = stock.ok_or(ScalingError::NoFleet)?;
        let templates = of.with_step_times(performance, &stock.kinds, catalog)?;
        guard::work(self, |world| {
            world
                .entity_mut(application)
                .insert((templates, OtherStepTimes));
        });
        self.get_resource_or_init::<Parts>()
            .unsaved_component::<OtherStepTimes>();
        Ok(())
    }

    fn add_application(
        &mut self,
        scenario: &CheckedScenario,
        name: &str,
        registry: &ServingRegistry,
    ) -> Result<Entity, ChangeError> {
        self.add_application_in(self.only_fleet()?, scenario, name, registry)
    }

    fn add_application_in(
        &mut self,
        fleet: Entity,
        scenario: &CheckedScenario,
        name: &str,
        registry: &ServingRegistry,
    ) -> Result<Entity, ChangeError> {
        let roster = self.get::<Roster>(fleet).ok_or(ScalingError::NoFleet)?;
        let index = roster.applications().len();
        if self.application_in(fleet, name).is_ok() {
            return Err(ChangeError::IsThere {
                what: "application",
                name: name.to_owned(),
            });
        }
        let applications = &scenario.scenario().applications;
        let position = applications.iter().position(|it| it.name == name);
        let position = position.ok_or_else(|| ChangeError::NotInScenario(name.to_owned()))?;
        let named = registry
            .named(scenario, position)
            .map_err(InstallError::Named)?;
        let of = &applications[position];
        let stock = part::<Stock>(self, fleet);
        let blueprint = Blueprint::new(scenario, stock, index, of, &named)?;
        let now = self.resource::<Clock>().now();
        let bundle = (OfFleet(fleet), blueprint.begun_at(now).bundle());
        let entity = guard::work(self, |world| world.spawn(bundle).id());
        part_mut::<Roster>(self, fleet).applications.push(entity);
        let mut origin = part_mut::<Origin>(self, fleet);
        origin.step_times.resize(index, Vec::new());
        origin.step_times.push(StepTimes::of(of, scenario));
        requests::announce_also(self, entity);
        Ok(entity)
    }
}
