//! A fleet that is changed while it runs: its SKUs, limits, delays and applications.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::catalog::Catalog;
use crate::random::Delay;
use crate::scenario::{CheckedScenario, FleetEntry, Scaling};
use crate::serving::{ServingRegistry, StepTimes};

use super::build::{self, Blueprint};
use super::requests::Announced;
use super::{
    Clock, InstallError, Ledger, Origin, Roster, ScalingError, ScalingRules, Service, Stock,
    Templates, drain, guard,
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
}

/// Why a fleet cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A part cannot be built.
    #[error(transparent)]
    Build(#[from] InstallError),
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

impl ChangeExt for World {
    fn set_limit(&mut self, sku: &str, limit: Option<u32>) -> Result<(), ScalingError> {
        let mut stock = self.resource_mut::<Stock>();
        let position = stock.find(Some(sku))?;
        stock.kinds[position].set_limit(limit);
        Ok(())
    }

    fn set_provision_delay(&mut self, sku: &str, delay: Delay) -> Result<(), ScalingError> {
        let mut stock = self.resource_mut::<Stock>();
        let position = stock.find(Some(sku))?;
        stock.kinds[position].provision_delay = delay;
        Ok(())
    }

    fn add_sku(&mut self, entry: &FleetEntry, catalog: &Catalog) -> Result<(), ChangeError> {
        if self.resource::<Stock>().find(Some(&entry.sku)).is_ok() {
            return Err(ChangeError::IsThere {
                what: "SKU",
                name: entry.sku.clone(),
            });
        }
        if let Some(limit) = entry.limit.filter(|&limit| entry.count > limit) {
            let count = entry.count;
            return Err(ChangeError::OverLimit { count, limit });
        }
        let seed = self.resource::<Origin>().seed;
        let kind = build::kind(entry, catalog, seed)?;
        for application in self.resource::<Roster>().applications().to_vec() {
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
        self.resource_mut::<Stock>().kinds.push(kind);
        self.resource_mut::<Ledger>().add_sku();
        for _ in 0..entry.count {
            if let Err(error) = super::ScalingExt::scale_up_server(self, Some(&entry.sku)) {
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

    fn add_application(
        &mut self,
        scenario: &CheckedScenario,
        name: &str,
        registry: &ServingRegistry,
    ) -> Result<Entity, ChangeError> {
        if super::ScalingExt::application(self, name).is_ok() {
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
        let index = self.resource::<Roster>().applications().len();
        let of = &applications[position];
        let stock = self.resource::<Stock>();
        let blueprint = Blueprint::new(scenario, stock, index, of, &named)?;
        let now = self.resource::<Clock>().now();
        let bundle = blueprint.begun_at(now).bundle();
        let entity = guard::work(self, |world| world.spawn(bundle).id());
        self.resource_mut::<Roster>().applications.push(entity);
        let mut origin = self.resource_mut::<Origin>();
        origin.step_times.resize(index, Vec::new());
        origin.step_times.push(StepTimes::of(of, scenario));
        if self.contains_resource::<Announced>()
            && let Some(mut service) = self.get_mut::<Service>(entity)
        {
            let follower = service.0.follow_ended();
            self.resource_mut::<Announced>()
                .add(index, entity, follower);
        }
        Ok(entity)
    }
}
