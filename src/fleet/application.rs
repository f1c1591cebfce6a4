//! What applications are made of.

use std::sync::Arc;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::random::{Delay, Stream};
use crate::scenario::{
    self, Drain, Engine, EngineHardware, Stage, StageKind, StartUpFailure, Template,
};
use crate::serving::registry::{NamedEngine, NamedKinds, StepSite};
use crate::serving::vllm::VllmConfig;
use crate::serving::{EngineLimits, Performance, PerformanceError, PossibleEngine, Role};
use crate::time::SimDuration;

use super::fate::Fate;
use super::skus::Kind;
use super::{ScalingError, guard, removal};

/// An application. Despawning it takes its instances with it.
#[derive(Component, Clone, Debug)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>,
    on_despawn = removal::application_removed
)]
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

/// How an application's instances come and go.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
#[component(on_insert = guard::inserted::<Self>, on_discard = guard::discarded::<Self>)]
pub struct ScalingRules {
    pub(super) spin_up: Delay,
    pub(super) spin_up_stream: Stream,
    pub(super) scale_up_delay: SimDuration,
    stages: Arc<[Stage]>,
    stage_stream: Stream,
    pub(super) start_up_failure: Option<StartUpFailure>,
    failure_stream: Stream,
    pub(super) health_check: SimDuration,
    pub(super) drain: Drain,
    pub(super) drain_timeout: Option<SimDuration>,
}

impl ScalingRules {
    pub(super) fn new(rules: &scenario::Scaling, seed: u64, application: &str) -> Self {
        Self {
            spin_up: rules.spin_up,
            spin_up_stream: Stream::new(seed, &format!("spin_up/{application}")),
            scale_up_delay: rules.scale_up_delay,
            stages: Stage::expand(&rules.stages).into(),
            stage_stream: Stream::new(seed, &format!("stages/{application}")),
            start_up_failure: rules.start_up_failure,
            failure_stream: Stream::new(seed, &format!("start_up_failure/{application}")),
            health_check: rules.health_check,
            drain: rules.drain,
            drain_timeout: rules.drain_timeout,
        }
    }

    /// Follows other rules from now on.
    pub(super) fn change(&mut self, rules: &scenario::Scaling) {
        self.spin_up = rules.spin_up;
        self.scale_up_delay = rules.scale_up_delay;
        self.stages = Stage::expand(&rules.stages).into();
        self.start_up_failure = rules.start_up_failure;
        self.health_check = rules.health_check;
        self.drain = rules.drain;
        self.drain_timeout = rules.drain_timeout;
    }

    /// Draws how long the next instance takes to spin up.
    pub(super) fn draw_spin_up(&mut self) -> SimDuration {
        self.spin_up.draw(&mut self.spin_up_stream)
    }

    /// The stages of the next start-up.
    pub(super) fn stages(&self) -> Arc<[Stage]> {
        Arc::clone(&self.stages)
    }

    /// Draws how long a stage takes.
    pub(super) fn draw_stage(&mut self, delay: &Delay) -> SimDuration {
        delay.draw(&mut self.stage_stream)
    }

    /// Draws what becomes of the next attempt at a start-up.
    pub(super) fn draw_fate(&mut self, failure: &StartUpFailure) -> Fate {
        let StartUpFailure {
            probability, hang, ..
        } = *failure;
        if probability + hang <= 0.0 {
            return Fate::Up;
        }
        let drawn = self.failure_stream.uniform();
        if drawn >= probability + hang {
            return Fate::Up;
        }
        let stages = self.stages.iter().enumerate();
        let own = stages.filter(|(_, stage)| {
            !matches!(stage.kind(), Some(StageKind::Provision | StageKind::Boot))
        });
        let own: Vec<usize> = own.map(|(place, _)| place).collect();
        let which = self.failure_stream.below(own.len());
        let place = own.get(which).copied().unwrap_or(self.stages.len());
        if drawn < probability {
            Fate::Fails { place }
        } else {
            Fate::Hangs { place }
        }
    }
}

/// What instances of an application can be made of.
#[derive(Component, Clone, Debug)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>
)]
pub struct Templates {
    templates: Vec<InstanceTemplate>,
    /// What they were made from, for SKUs that come later.
    of: Arc<Recipe>,
}

#[derive(Debug)]
struct Recipe {
    application: scenario::Application,
    weights_bytes: u64,
    model: Arc<str>,
    named: NamedKinds,
}

impl Recipe {
    /// What a template comes to on a SKU.
    fn fit(&self, position: usize, kind: &Kind, catalog: &Catalog) -> Result<Fit, ScalingError> {
        let template = &self.application.instances[position];
        let limits = limits(template.engine, self.named.engine(position));
        let fit = Fit::new(&self.application, template, catalog, kind, &self.named);
        fit.and_then(|it| it.beside(self.weights_bytes, limits, kind))
    }
}

#[derive(Clone, Debug)]
pub(super) struct InstanceTemplate {
    pub(super) role: Role,
    pub(super) engine: Engine,
    /// The engine, if it is not built in.
    pub(super) named: Option<NamedEngine>,
    pub(super) processors: u32,
    /// What it comes to on each SKU of the fleet.
    fits: Vec<Result<Fit, ScalingError>>,
}

/// An instance of some template on some SKU.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) engine: Engine,
    pub(super) memory_bytes: u64,
    pub(super) performance: Performance,
}

impl Templates {
    pub(super) fn new(
        application: &scenario::Application,
        catalog: &Catalog,
        weights_bytes: u64,
        kinds: &[Kind],
        named: &NamedKinds,
    ) -> Self {
        let of = Recipe {
            application: application.clone(),
            weights_bytes,
            model: application.model.as_str().into(),
            named: named.clone(),
        };
        let template = |(position, template): (usize, &Template)| InstanceTemplate {
            role: template.role,
            engine: template.engine,
            named: named.engine(position).cloned(),
            processors: template.processors(),
            fits: {
                let fit = |kind| of.fit(position, kind, catalog);
                kinds.iter().map(fit).collect()
            },
        };
        let templates = application.instances.iter().enumerate();
        Self {
            templates: templates.map(template).collect(),
            of: Arc::new(of),
        }
    }

    /// The same with one more SKU of the fleet.
    pub(super) fn with_kind(&self, kind: &Kind, catalog: &Catalog) -> Self {
        let mut templates = self.clone();
        for (position, template) in templates.templates.iter_mut().enumerate() {
            template.fits.push(self.of.fit(position, kind, catalog));
        }
        templates
    }

    /// The same with other step times.
    ///
    /// # Errors
    /// Why a template has none on any SKU, which had some on one.
    pub(super) fn with_step_times(
        &self,
        performance: &scenario::Performance,
        kinds: &[Kind],
        catalog: &Catalog,
    ) -> Result<Self, ScalingError> {
        let application = scenario::Application {
            performance: performance.clone(),
            ..self.of.application.clone()
        };
        let named = self.of.named.with_built_in_step_times();
        let weights = self.of.weights_bytes;
        let templates = Self::new(&application, catalog, weights, kinds, &named);
        for (new, old) in templates.templates.iter().zip(&self.templates) {
            if old.fits.iter().any(Result::is_ok)
                && let Some(Err(wrong)) = new.fits.first()
                && new.fits.iter().all(Result::is_err)
            {
                return Err(wrong.clone());
            }
        }
        Ok(templates)
    }

    /// The name of the model.
    pub(super) fn model(&self) -> &Arc<str> {
        &self.of.model
    }

    /// Bytes of its weights.
    pub(super) fn weights_bytes(&self) -> u64 {
        self.of.weights_bytes
    }

    /// The position of the first template of a role.
    pub(super) fn first_of(&self, role: Role) -> Option<usize> {
        let mut templates = self.templates.iter();
        templates.position(|template| template.role == role)
    }

    pub(super) fn find(&self, position: usize) -> Option<&InstanceTemplate> {
        self.templates.get(position)
    }

    pub(super) fn get(&self, position: usize) -> &InstanceTemplate {
        &self.templates[position]
    }

    /// The roles, each once, in the order of the templates.
    pub fn roles(&self) -> impl Iterator<Item = Role> + '_ {
        self.templates
            .iter()
            .enumerate()
            .filter(|(position, template)| self.first_of(template.role) == Some(*position))
            .map(|(_, template)| template.role)
    }

    /// The position of the template that scale-up uses for a role on the SKU at this position of the
    /// fleet: the first of the role that fits there and, where `processors` is given, takes as many. The
    /// first of the role where none does, so that a refusal says why.
    pub(super) fn choose(&self, role: Role, sku: usize, processors: Option<u32>) -> Option<usize> {
        let order = || (0..self.templates.len()).filter(|&it| self.get(it).role == role);
        let fits = |it: &usize| self.get(*it).on(sku).is_ok();
        let takes = |it: &usize| processors.is_none_or(|count| count == self.get(*it).processors);
        let chosen = order().find(|it| fits(it) && takes(it));
        chosen
            .or_else(|| order().find(fits))
            .or_else(|| order().next())
    }

    /// Processors that scale-up takes for an instance of a role on the SKU at this position of the fleet;
    /// none where no template of the role fits.
    #[must_use]
    pub fn processors(&self, role: Role, sku: usize) -> Option<u32> {
        self.fitting(role, sku)
            .map(|(template, _)| template.processors)
    }

    /// What an instance of a role can hold and do at most, of the first template of the role.
    #[must_use]
    pub fn limits(&self, role: Role) -> Option<EngineLimits> {
        let template = self.get(self.first_of(role)?);
        let fit = template.fits.iter().flatten().next();
        Some(fit.map_or_else(|| template.limits(), |fit| template.limits_of(fit)))
    }

    /// The performance of an instance that scale-up makes of a role on the SKU at this position of the
    /// fleet; none where no template of the role fits.
    #[must_use]
    pub fn performance(&self, role: Role, sku: usize) -> Option<&Performance> {
        self.fitting(role, sku).map(|(_, fit)| &fit.performance)
    }

    fn fitting(&self, role: Role, sku: usize) -> Option<(&InstanceTemplate, &Fit)> {
        let template = self.get(self.choose(role, sku, None)?);
        Some((template, template.fits.get(sku)?.as_ref().ok()?))
    }

    /// What an instance could ever be.
    pub(super) fn possible(&self) -> Vec<PossibleEngine> {
        self.templates
            .iter()
            .flat_map(|template| {
                template.fits.iter().flatten().map(|fit| PossibleEngine {
                    role: template.role,
                    limits: template.limits_of(fit),
                    memory_bytes: fit.memory_bytes,
                })
            })
            .collect()
    }
}

/// What an engine can hold and do at most, be it built in or not.
fn limits(engine: Engine, named: Option<&NamedEngine>) -> EngineLimits {
    named.map_or_else(|| engine.limits(), NamedEngine::limits)
}

impl InstanceTemplate {
    pub(super) fn limits(&self) -> EngineLimits {
        limits(self.engine, self.named.as_ref())
    }

    /// The same on hardware that is known.
    pub(super) fn limits_of(&self, fit: &Fit) -> EngineLimits {
        limits(fit.engine, self.named.as_ref())
    }

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
        kind: &Kind,
        named: &NamedKinds,
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
        let site = StepSite {
            catalog,
            model: &application.model,
            processor: &sku.processor,
            tensor_parallelism: template.tensor_parallelism,
            pipeline_parallelism: template.pipeline_parallelism,
        };
        let performance = match named.performance(&site) {
            Some(named) => named.map_err(PerformanceError::Named)?,
            None => Performance::new(
                &application.performance,
                catalog,
                site.model,
                sku,
                site.tensor_parallelism,
                &template.engine,
            )?,
        };
        let memory_bytes = u64::from(needed).saturating_mul(kind.processor().memory_bytes);
        let model = application.model_in(catalog);
        let weights_bytes = model.as_ref().map_or(0, |it| it.weights_bytes);
        let engine = template.engine.on(&EngineHardware {
            gpu: &sku.processor,
            gpu_memory_bytes: kind.processor().memory_bytes,
            processors: needed,
            weights_bytes,
            kv_bytes_per_token: model.map_or(1, |it| {
                it.kv_bytes_per_token_on(template.tensor_parallelism)
            }),
        });
        Ok(Self {
            engine,
            memory_bytes,
            performance,
        })
    }

    /// The same where the weights leave room for anything.
    fn beside(
        self,
        weights_bytes: u64,
        limits: EngineLimits,
        kind: &Kind,
    ) -> Result<Self, ScalingError> {
        let memory_bytes = self.memory_bytes;
        if memory_bytes <= weights_bytes && limits.counts_memory() {
            return Err(ScalingError::TooLittleMemory {
                sku: kind.sku().name.clone(),
                weights_bytes,
                memory_bytes,
            });
        }
        if let Some(Err(wrong)) = VllmConfig::of(&self.engine).map(|config| config.check()) {
            return Err(ScalingError::InvalidEngine(wrong.to_string()));
        }
        Ok(self)
    }
}
