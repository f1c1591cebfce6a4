use std::path::Path;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::foresight::no_sku_meets;
use super::kind::{PolicyKind, uninstall};
use super::systems::{add_parts, add_pool};
use super::{Policy, policies, pool};
use crate::document::suggest;
use crate::fleet::{Application, FleetsExt, Roster, ScalingError, ScalingExt};
use crate::scenario::{CheckedScenario, Diagnostics, Problem};
use crate::serving::ServingRegistry;
use crate::serving::registry::{EngineKind, RouterKind, StepModelKind};
use crate::warning::{Warning, Warnings};
use crate::workload::TraceFormatKind;

/// The policies that a scenario's `autoscaler` may name.
///
/// ```
/// use fleetsim::autoscale::PolicyRegistry;
/// let registry = PolicyRegistry::built_in();
/// assert!(registry.policies().any(|policy| policy.name() == "HeteroScale"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct PolicyRegistry {
    policies: Vec<PolicyKind>,
    serving: ServingRegistry,
}

/// The name of no policy: a host scales the application.
pub(crate) const HOST: &str = "Host";

impl PolicyRegistry {
    /// The policies that come with fleetsim.
    #[must_use]
    pub fn built_in() -> Self {
        let mut registry = Self::default();
        policies::register(&mut registry);
        registry
    }

    /// Adds a policy; one of the same name is replaced.
    pub fn register<P: Policy>(&mut self) -> &mut Self {
        self.policies.retain(|policy| policy.name != P::NAME);
        self.policies.push(PolicyKind::of::<P>());
        self
    }

    /// Adds an engine that scenarios can name; one of the same name is replaced.
    pub fn register_engine<K: EngineKind>(&mut self) -> &mut Self {
        self.serving.register_engine::<K>();
        self
    }

    /// Adds a router that scenarios can name as their scheduler; one of the same name is replaced.
    pub fn register_router<K: RouterKind>(&mut self) -> &mut Self {
        self.serving.register_router::<K>();
        self
    }

    /// Adds a step model that scenarios can name as their performance; one of the same name is replaced.
    pub fn register_step_model<K: StepModelKind>(&mut self) -> &mut Self {
        self.serving.register_step_model::<K>();
        self
    }

    /// Adds a trace format that scenarios can name; one of the same name is replaced.
    pub fn register_trace_format<K: TraceFormatKind>(&mut self) -> &mut Self {
        self.serving.register_trace_format::<K>();
        self
    }

    /// The engines, routers, step models and trace formats that are not built in.
    #[must_use]
    pub const fn serving(&self) -> &ServingRegistry {
        &self.serving
    }

    /// Reads and checks a scenario file that may name what is registered.
    ///
    /// # Errors
    /// As [`CheckedScenario::load`].
    pub fn load(&self, path: &Path, overrides: &[String]) -> Result<CheckedScenario, Diagnostics> {
        CheckedScenario::load_with(path, overrides, &self.serving.terms())
    }

    /// Reads and checks the text of a scenario that may name what is registered.
    ///
    /// # Errors
    /// As [`CheckedScenario::from_ron`].
    pub fn from_ron(&self, text: &str, directory: &Path) -> Result<CheckedScenario, Diagnostics> {
        CheckedScenario::from_ron_with(text, directory, &self.serving.terms())
    }

    /// Each policy, in the order of registration.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyKind> {
        self.policies.iter()
    }

    /// Checks the policies that a scenario names, and their parameters. Returns every warning: those of
    /// the scenario, then those of its policies.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong, each at its place.
    pub fn check(&self, checked: &CheckedScenario) -> Result<Warnings, Diagnostics> {
        let (mut problems, mut found) = (Vec::new(), Vec::new());
        if checked.regions().is_empty() {
            self.check_alone(checked, &mut problems, &mut found)?;
        }
        for region in checked.regions() {
            // What several have in common is said once.
            self.check_alone(&region.scenario, &mut problems, &mut found)?;
        }
        if !problems.is_empty() {
            return Err(Diagnostics::new(problems));
        }
        let mut warnings = checked.warnings().clone();
        warnings.extend(found);
        Ok(warnings)
    }

    /// Adds what is wrong with the policies of a scenario, and what is likely a mistake.
    fn check_alone(
        &self,
        checked: &CheckedScenario,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Diagnostics> {
        self.serving.check(checked)?;
        for index in 0..checked.scenario().applications.len() {
            let found = match self.find(checked, index) {
                Ok(Some(policy)) => (policy.read)(checked, index),
                Ok(None) => Ok(Vec::new()),
                Err(problems) => Err(problems),
            };
            match found {
                Ok(found) => {
                    let known = |it: &Warning| warnings.iter().any(|w| w.problem == it.problem);
                    let found: Vec<Warning> = found.into_iter().filter(|it| !known(it)).collect();
                    warnings.extend(found);
                }
                Err(found) => {
                    let found = found.into_problems().into_iter();
                    let found: Vec<_> = found.filter(|it| !problems.contains(it)).collect();
                    problems.extend(found);
                }
            }
            let hopeless = no_sku_meets(checked, index);
            problems.extend(hopeless.filter(|it| !problems.contains(it)));
        }
        Ok(())
    }

    /// Gives every application of a world with a fleet the policy that the scenario names for it, and
    /// the [`Tick`](crate::fleet::Tick) schedule the systems for them, each once. A policy that an application had before is
    /// taken off, so that installing another scenario's policies replaces them at run time. Of several fleets,
    /// the one with the name of the scenario is meant.
    ///
    /// # Errors
    /// As [`Self::check`], and the world is then as it was; or what a policy finds as it prepares; or the world has
    /// no such fleet.
    pub fn install(&self, world: &mut World, checked: &CheckedScenario) -> Result<(), Diagnostics> {
        let only = world.only_fleet();
        let fleet = only.or_else(|_| world.fleet_named(&checked.scenario().name));
        let fleet = fleet.map_err(|it| Problem::new("", it.to_string()))?;
        self.install_in(world, fleet, checked)
    }

    /// The same for one of several fleets.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub fn install_in(
        &self,
        world: &mut World,
        fleet: Entity,
        checked: &CheckedScenario,
    ) -> Result<(), Diagnostics> {
        self.check(checked)?;
        let roster = world.get::<Roster>(fleet);
        let roster = roster.ok_or_else(|| Problem::new("", ScalingError::NoFleet.to_string()))?;
        let applications = roster.applications().to_vec();
        let mut used: Vec<PolicyKind> = Vec::new();
        for (index, &entity) in applications.iter().enumerate() {
            uninstall(world, entity);
            if let Some(policy) = self.find(checked, index)? {
                (policy.install)(world, entity, checked, index)?;
                if used.iter().all(|it| it.name != policy.name) {
                    used.push(*policy);
                }
            }
        }
        if let Some(settings) = checked.scenario().pool {
            let priorities = checked.scenario().applications.iter().map(|it| it.priority);
            pool::install(
                world,
                fleet,
                settings,
                applications.into_iter().zip(priorities),
            );
            add_pool(world);
        }
        if used.is_empty() {
            return Ok(());
        }
        add_parts(world, fleet, &mut used);
        Ok(())
    }

    /// Gives one application of a world with a fleet another policy, a term such as `HeteroScale(max: 50)`, or
    /// `None`. `checked` is what the application was made from: its signals, its actuator and its objective
    /// hold on. The policy begins without memory, and decides first at the next multiple of its interval.
    ///
    /// ```
    /// # use bevy_ecs::prelude::*;
    /// # use fleetsim::autoscale::PolicyRegistry;
    /// # use fleetsim::fleet;
    /// # use fleetsim::prelude::*;
    /// # let scenario = CheckedScenario::from_ron(r#"(
    /// #     name: "one server", fleet: [(sku: "dgx-h100", count: 1, limit: 4)],
    /// #     applications: [(
    /// #         name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
    /// #         workload: Host,
    /// #     )],
    /// # )"#, ".".as_ref())?;
    /// # let mut world = World::new();
    /// # fleet::install(&mut world, &scenario)?;
    /// let registry = PolicyRegistry::built_in();
    /// registry.set_policy(&mut world, &scenario, "chat", "HpaGpu(max: 3)")?;
    /// assert!(registry.set_policy(&mut world, &scenario, "chat", "HpaGpu(most: 3)").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the scenario or the fleet has no application of this name, the policy is not known, or its
    /// parameters are wrong. Nothing is changed then.
    pub fn set_policy(
        &self,
        world: &mut World,
        checked: &CheckedScenario,
        application: &str,
        term: &str,
    ) -> Result<(), Diagnostics> {
        let entity = world.application(application);
        let entity = entity.map_err(|it| Problem::new("applications", it.to_string()))?;
        self.set_policy_of(world, entity, checked, term)
    }

    /// The same for an application of one of several fleets, by its entity.
    ///
    /// # Errors
    /// As [`set_policy`](Self::set_policy).
    pub fn set_policy_of(
        &self,
        world: &mut World,
        entity: Entity,
        checked: &CheckedScenario,
        term: &str,
    ) -> Result<(), Diagnostics> {
        let missing = |error: &dyn std::fmt::Display| {
            Diagnostics::from(Problem::new("applications", error.to_string()))
        };
        let (Some(of), Some(fleet)) = (world.get::<Application>(entity), world.fleet_of(entity))
        else {
            return Err(missing(&ScalingError::NotAnApplication(entity)));
        };
        let application = of.name().clone();
        let applications = &checked.scenario().applications;
        let index = applications.iter().position(|it| *it.name == *application);
        let unknown = format!("the scenario has no application \"{application}\"");
        let index = index.ok_or_else(|| missing(&unknown))?;
        let checked = checked.with_policy(&[index], term)?;
        self.give(world, fleet, entity, &checked, index)
    }

    /// Gives an application of a fleet the policy that the scenario names for it, in the place of that which it has.
    #[cfg(feature = "cli")]
    pub(crate) fn give_anew(
        &self,
        world: &mut World,
        entity: Entity,
        checked: &CheckedScenario,
    ) -> Result<(), Diagnostics> {
        let of = world.get::<Application>(entity).zip(world.fleet_of(entity));
        let (index, fleet) = of
            .map(|(of, fleet)| (of.index(), fleet))
            .ok_or_else(|| Problem::new("", ScalingError::NotAnApplication(entity).to_string()))?;
        self.give(world, fleet, entity, checked, index)
    }

    fn give(
        &self,
        world: &mut World,
        fleet: Entity,
        entity: Entity,
        checked: &CheckedScenario,
        index: usize,
    ) -> Result<(), Diagnostics> {
        let policy = self.find(checked, index)?.copied();
        if let Some(policy) = policy {
            (policy.read)(checked, index)?;
        }
        uninstall(world, entity);
        if let Some(policy) = policy {
            (policy.install)(world, entity, checked, index)?;
            add_parts(world, fleet, &mut vec![policy]);
        }
        Ok(())
    }

    /// The policy that an application's term names; none where it has no term, or a host scales it.
    fn find(
        &self,
        checked: &CheckedScenario,
        application: usize,
    ) -> Result<Option<&PolicyKind>, Diagnostics> {
        let of = checked.scenario().applications.get(application);
        let Some(raw) = of.and_then(|of| of.autoscaler.as_ref()) else {
            return Ok(None);
        };
        let name = raw.name();
        if name == HOST {
            return Ok(None);
        }
        let known = self.policies.iter().find(|policy| policy.name == name);
        known.map(Some).ok_or_else(|| {
            let path = format!("applications[{application}].autoscaler");
            let problem = checked.problem_at(&path, format!("unknown policy `{name}`"));
            let names = self.policies.iter().map(|policy| policy.name);
            let help = suggest(name, names, "the policies are");
            Problem { help, ..problem }.into()
        })
    }
}
