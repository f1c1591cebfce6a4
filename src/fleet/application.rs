//! What applications are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;

use crate::catalog::Catalog;
use crate::random::{Delay, Stream};
use crate::scenario::{self, Drain, Engine, Template};
use crate::serving::{Endpoint, Performance, PossibleEngine, Role};
use crate::time::SimDuration;

use super::stock::Kind;
use super::{ScalingError, departure};

/// An application. Despawning it takes its instances with it.
#[derive(Component, Clone, Debug)]
#[component(immutable, on_remove = departure::application_removed)]
pub struct Application {
    pub(super) index: usize,
    pub(super) name: Arc<str>,
}

impl Application {
    /// Its position in the scenario.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }
}

/// The data plane of an application. Reading it is for everyone; engines are the lifecycle's.
#[derive(Component, Debug)]
pub struct Service(pub Endpoint);

/// The instances of an application that there are, by number.
#[derive(Component, Clone, Debug, Default)]
pub struct Instances(pub(super) BTreeMap<u64, Entity>);

impl Instances {
    /// Each, in the order of creation.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entity> + '_ {
        self.0.values().copied()
    }
}

/// How an application's instances come and go.
#[derive(Component, Debug)]
pub struct ScalingRules {
    pub(super) spin_up: Delay,
    pub(super) spin_up_stream: Stream,
    pub(super) scale_up_delay: SimDuration,
    pub(super) drain: Drain,
    pub(super) drain_timeout: Option<SimDuration>,
}

impl ScalingRules {
    pub(super) fn new(rules: &scenario::Scaling, seed: u64, application: &str) -> Self {
        Self {
            spin_up: rules.spin_up,
            spin_up_stream: Stream::new(seed, &format!("spin_up/{application}")),
            scale_up_delay: rules.scale_up_delay,
            drain: rules.drain,
            drain_timeout: rules.drain_timeout,
        }
    }

    /// Draws how long the next instance takes to spin up.
    pub(super) fn draw_spin_up(&mut self) -> SimDuration {
        self.spin_up.draw(&mut self.spin_up_stream)
    }
}

/// What instances of an application can be made of.
#[derive(Component, Clone, Debug)]
#[component(immutable)]
pub struct Templates(Vec<InstanceTemplate>);

#[derive(Clone, Debug)]
pub(super) struct InstanceTemplate {
    pub(super) role: Role,
    pub(super) engine: Engine,
    pub(super) processors: u32,
    /// What it comes to on each SKU of the fleet.
    fits: Vec<Result<Fit, ScalingError>>,
}

/// An instance of some template on some SKU.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) memory_bytes: u64,
    pub(super) performance: Performance,
}

impl Templates {
    pub(super) fn new(
        application: &scenario::Application,
        catalog: &Catalog,
        weights_bytes: u64,
        kinds: &[Kind],
    ) -> Self {
        let template = |template: &Template| InstanceTemplate {
            role: template.role,
            engine: template.engine,
            processors: template.processors(),
            fits: kinds
                .iter()
                .map(|kind| Fit::new(application, template, catalog, weights_bytes, kind))
                .collect(),
        };
        Self(application.instances.iter().map(template).collect())
    }

    /// The position of the first template of a role.
    pub(super) fn first_of(&self, role: Role) -> Option<usize> {
        self.0.iter().position(|template| template.role == role)
    }

    pub(super) fn get(&self, position: usize) -> &InstanceTemplate {
        &self.0[position]
    }

    /// The roles, each once, in the order of the templates.
    pub fn roles(&self) -> impl Iterator<Item = Role> + '_ {
        self.0
            .iter()
            .enumerate()
            .filter(|(position, template)| self.first_of(template.role) == Some(*position))
            .map(|(_, template)| template.role)
    }

    /// Processors that an instance of a role takes, of the template that scale-up uses.
    #[must_use]
    pub fn processors(&self, role: Role) -> Option<u32> {
        Some(self.get(self.first_of(role)?).processors)
    }

    /// How an instance of a role batches, of the template that scale-up uses.
    #[must_use]
    pub fn engine(&self, role: Role) -> Option<Engine> {
        Some(self.get(self.first_of(role)?).engine)
    }

    /// The performance of an instance of a role on the SKU at this position of the fleet, of the
    /// template that scale-up uses; none where it cannot be.
    #[must_use]
    pub fn performance(&self, role: Role, sku: usize) -> Option<&Performance> {
        let fit = self.get(self.first_of(role)?).fits.get(sku)?;
        fit.as_ref().ok().map(|fit| &fit.performance)
    }

    /// What an instance could ever be.
    pub(super) fn possible(&self) -> Vec<PossibleEngine> {
        self.0
            .iter()
            .flat_map(|template| {
                template.fits.iter().flatten().map(|fit| {
                    PossibleEngine::new(template.role, template.engine, fit.memory_bytes)
                })
            })
            .collect()
    }
}

impl InstanceTemplate {
    /// What it comes to on the SKU at this position of the fleet.
    pub(super) fn on(&self, sku: usize) -> Result<&Fit, ScalingError> {
        self.fits[sku].as_ref().map_err(Clone::clone)
    }
}

impl Fit {
    fn new(
        application: &scenario::Application,
        template: &Template,
        catalog: &Catalog,
        weights_bytes: u64,
        kind: &Kind,
    ) -> Result<Self, ScalingError> {
        let needed = template.processors();
        let sku = kind.sku();
        if needed > sku.processors {
            return Err(ScalingError::SkuTooSmall {
                sku: sku.name.clone(),
                needed,
                processors: sku.processors,
            });
        }
        let performance = Performance::new(
            &application.performance,
            catalog,
            &application.model,
            &sku.processor,
            template.tensor_parallelism,
        )?;
        let memory_bytes = u64::from(needed).saturating_mul(kind.processor().memory_bytes);
        if memory_bytes <= weights_bytes && template.engine.limits().counts_memory() {
            return Err(ScalingError::TooLittleMemory {
                sku: sku.name.clone(),
                weights_bytes,
                memory_bytes,
            });
        }
        Ok(Self {
            memory_bytes,
            performance,
        })
    }
}
