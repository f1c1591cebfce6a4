//! Engines, routers, step models and trace formats that scenarios can name beside the built-in ones: one
//! file and one line in the registry each.

use std::fmt::Debug;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::engine::Engine;
use super::routing::Router;
use super::{EngineLimits, Performance, Role, StepModel};
use crate::catalog::Catalog;
use crate::document::suggest;
use crate::random::Stream;
use crate::scenario::{
    self, CheckedScenario, Diagnostics, OpenTerms, Problem, Term, TraceFormat, Workload,
};
use crate::workload::{AnyFormat, NamedFormat, TraceFormatKind};

/// An engine that scenarios can name: its parameters, as they stand in the parentheses.
pub trait EngineKind: DeserializeOwned + JsonSchema + Debug + Send + Sync + 'static {
    /// Its name in a scenario.
    const NAME: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// What is wrong with the parameters, in words, if anything is.
    ///
    /// # Errors
    /// In that case.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// What each such engine can hold and do at most. Default: no limits.
    fn limits(&self) -> EngineLimits {
        EngineLimits::NONE
    }

    /// The engine of one instance.
    fn build(&self, site: &EngineSite) -> Box<dyn Engine>;
}

/// What the engine of an instance works with.
#[derive(Clone, Debug)]
pub struct EngineSite {
    /// How long its steps take.
    pub performance: Performance,
    /// Bytes of memory of its processors together.
    pub memory_bytes: u64,
    /// Bytes of the model's weights.
    pub weights_bytes: u64,
    /// Bytes that a token takes in the KV cache.
    pub kv_bytes_per_token: u64,
}

/// A router that scenarios can name as their `scheduler`: its parameters.
pub trait RouterKind: DeserializeOwned + JsonSchema + Debug + Send + Sync + 'static {
    /// Its name in a scenario.
    const NAME: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;
    /// The roles of which it needs a template. Default: any will do.
    const NEEDS: &'static [Role] = &[];

    /// What is wrong with the parameters, in words, if anything is.
    ///
    /// # Errors
    /// In that case.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Bandwidth in GiB/s of the transfer of a KV cache, where it pairs engines. Default 200, InfiniBand
    /// in Splitwise.
    fn transfer_gib_per_s(&self) -> f64 {
        200.0
    }

    /// The router of one application; `random` is its own.
    fn build(&self, random: Stream) -> Box<dyn Router>;
}

/// A step model that scenarios can name as their `performance`: its parameters.
pub trait StepModelKind: DeserializeOwned + JsonSchema + Debug + Send + Sync + 'static {
    /// Its name in a scenario.
    const NAME: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// What is wrong with the parameters, in words, if anything is.
    ///
    /// # Errors
    /// In that case.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The model for instances on some processors.
    ///
    /// # Errors
    /// Why there is none for these, in words.
    fn build(&self, site: &StepSite<'_>) -> Result<Arc<dyn StepModel>, String>;
}

/// What an instance is that a step model is asked for.
#[derive(Clone, Copy, Debug)]
pub struct StepSite<'a> {
    /// What is known of hardware and models.
    pub catalog: &'a Catalog,
    /// The model, by its name in the catalog.
    pub model: &'a str,
    /// The processors, by their name in the catalog.
    pub processor: &'a str,
    /// Processors that share each layer.
    pub tensor_parallelism: u32,
    /// Groups of processors that share the layers out.
    pub pipeline_parallelism: u32,
}

/// The engines, routers, step models and trace formats that scenarios can name beside the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct ServingRegistry {
    engines: Vec<Entry<dyn AnyEngineKind>>,
    routers: Vec<Entry<dyn AnyRouterKind>>,
    step_models: Vec<Entry<dyn AnyStepModelKind>>,
    trace_formats: Vec<Entry<dyn AnyFormat>>,
}

/// A kind that is known by name.
struct Entry<K: ?Sized> {
    name: &'static str,
    summary: &'static str,
    schema: fn() -> serde_json::Value,
    read: fn(&CheckedScenario, &str, Term) -> Result<Arc<K>, Diagnostics>,
}

impl<K: ?Sized> Clone for Entry<K> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<K: ?Sized> Debug for Entry<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A kind with its parameters, of any type.
trait AnyEngineKind: Debug + Send + Sync {
    fn limits(&self) -> EngineLimits;
    fn build(&self, site: &EngineSite) -> Box<dyn Engine>;
}

impl<K: EngineKind> AnyEngineKind for K {
    fn limits(&self) -> EngineLimits {
        EngineKind::limits(self)
    }
    fn build(&self, site: &EngineSite) -> Box<dyn Engine> {
        EngineKind::build(self, site)
    }
}

trait AnyRouterKind: Debug + Send + Sync {
    fn needs(&self) -> &'static [Role];
    fn transfer_gib_per_s(&self) -> f64;
    fn build(&self, random: Stream) -> Box<dyn Router>;
}

impl<K: RouterKind> AnyRouterKind for K {
    fn needs(&self) -> &'static [Role] {
        K::NEEDS
    }
    fn transfer_gib_per_s(&self) -> f64 {
        RouterKind::transfer_gib_per_s(self)
    }
    fn build(&self, random: Stream) -> Box<dyn Router> {
        RouterKind::build(self, random)
    }
}

trait AnyStepModelKind: Debug + Send + Sync {
    fn build(&self, site: &StepSite<'_>) -> Result<Arc<dyn StepModel>, String>;
}

impl<K: StepModelKind> AnyStepModelKind for K {
    fn build(&self, site: &StepSite<'_>) -> Result<Arc<dyn StepModel>, String> {
        StepModelKind::build(self, site)
    }
}

/// What the terms of an application stand for that are not built in.
#[derive(Clone, Debug, Default)]
pub struct NamedKinds {
    /// By template.
    engines: Vec<Option<NamedEngine>>,
    router: Option<Arc<dyn AnyRouterKind>>,
    step_model: Option<Arc<dyn AnyStepModelKind>>,
    trace_format: Option<NamedFormat>,
}

/// An engine that a scenario names and that is not built in.
#[derive(Clone, Debug)]
pub struct NamedEngine(Arc<dyn AnyEngineKind>);

impl NamedEngine {
    /// What it can hold and do at most.
    #[must_use]
    pub fn limits(&self) -> EngineLimits {
        self.0.limits()
    }

    /// The engine of one instance.
    #[must_use]
    pub fn build(&self, site: &EngineSite) -> Box<dyn Engine> {
        self.0.build(site)
    }
}

impl NamedKinds {
    /// The same without a step model of one's own.
    pub(crate) fn with_built_in_step_times(&self) -> Self {
        Self {
            step_model: None,
            ..self.clone()
        }
    }

    /// The engine of the template at this position, if it is not built in.
    #[must_use]
    pub fn engine(&self, template: usize) -> Option<&NamedEngine> {
        self.engines.get(template)?.as_ref()
    }

    /// The router, if it is not built in, and the bandwidth in GiB/s at which KV caches are sent.
    #[must_use]
    pub fn router(&self, random: Stream) -> Option<(Box<dyn Router>, f64)> {
        let router = self.router.as_ref()?;
        Some((router.build(random), router.transfer_gib_per_s()))
    }

    /// The format of the workload's trace, if it is not built in.
    #[must_use]
    pub const fn trace_format(&self) -> Option<&NamedFormat> {
        self.trace_format.as_ref()
    }

    /// The step model of an instance, if it is not built in.
    #[must_use]
    pub fn performance(&self, site: &StepSite<'_>) -> Option<Result<Performance, String>> {
        let model = self.step_model.as_ref()?.build(site);
        Some(model.map(Performance::Model))
    }
}

macro_rules! entry {
    ($kind:ident as $any:ident) => {
        Entry {
            name: $kind::NAME,
            summary: $kind::SUMMARY,
            schema: || schemars::schema_for!($kind).to_value(),
            read: |checked, path, term| {
                let kind: $kind = checked.read_term(path, term)?;
                match kind.check() {
                    Ok(()) => Ok(Arc::new(kind) as Arc<dyn $any>),
                    Err(wrong) => Err(checked.problem_at(path, wrong).into()),
                }
            },
        }
    };
}

impl ServingRegistry {
    /// Adds an engine; one of the same name is replaced.
    pub fn register_engine<K: EngineKind>(&mut self) -> &mut Self {
        self.engines.retain(|it| it.name != K::NAME);
        self.engines.push(entry!(K as AnyEngineKind));
        self
    }

    /// Adds a router; one of the same name is replaced.
    pub fn register_router<K: RouterKind>(&mut self) -> &mut Self {
        self.routers.retain(|it| it.name != K::NAME);
        self.routers.push(entry!(K as AnyRouterKind));
        self
    }

    /// Adds a step model; one of the same name is replaced.
    pub fn register_step_model<K: StepModelKind>(&mut self) -> &mut Self {
        self.step_models.retain(|it| it.name != K::NAME);
        self.step_models.push(entry!(K as AnyStepModelKind));
        self
    }

    /// Adds a trace format; one of the same name is replaced.
    pub fn register_trace_format<K: TraceFormatKind>(&mut self) -> &mut Self {
        self.trace_formats.retain(|it| it.name != K::NAME);
        self.trace_formats.push(entry!(K as AnyFormat));
        self
    }

    /// The terms that a scenario may use beside the built-in ones.
    #[must_use]
    pub fn terms(&self) -> OpenTerms {
        let mut terms = OpenTerms::default();
        for it in &self.engines {
            terms.add("Engine", it.name, it.summary, (it.schema)());
        }
        for it in &self.routers {
            terms.add("Scheduler", it.name, it.summary, (it.schema)());
        }
        for it in &self.step_models {
            terms.add("Performance", it.name, it.summary, (it.schema)());
        }
        for it in &self.trace_formats {
            terms.add("TraceFormat", it.name, it.summary, (it.schema)());
        }
        terms
    }

    /// Reads what an application names that is not built in.
    ///
    /// # Errors
    /// [`Diagnostics`] with the first name that is not known, or what is wrong with its parameters.
    pub fn named(
        &self,
        checked: &CheckedScenario,
        application: usize,
    ) -> Result<NamedKinds, Diagnostics> {
        let Some(of) = checked.scenario().applications.get(application) else {
            return Ok(NamedKinds::default());
        };
        let place = |field: &str| format!("applications[{application}].{field}");
        let mut named = NamedKinds::default();
        for (position, template) in of.instances.iter().enumerate() {
            let engine = match template.engine {
                scenario::Engine::Named(term) => {
                    let path = place(&format!("instances[{position}].engine"));
                    let kind = find(&self.engines, "engine", checked, &path, term)?;
                    Some(NamedEngine(kind))
                }
                _ => None,
            };
            named.engines.push(engine);
        }
        if let scenario::Scheduler::Named(term) = of.scheduler {
            let path = place("scheduler");
            let router = find(&self.routers, "scheduler", checked, &path, term)?;
            let has = |role| of.instances.iter().any(|template| template.role == role);
            if let Some(role) = router.needs().iter().find(|&&role| !has(role)) {
                let message = format!(
                    "the scheduler {} needs `{role:?}` instances, and there is no template of that role",
                    term.name()
                );
                return Err(checked.problem_at(&path, message).into());
            }
            named.router = Some(router);
        }
        if let scenario::Performance::Named(term) = of.performance {
            let path = place("performance");
            let model = find(&self.step_models, "step time", checked, &path, term)?;
            named.step_model = Some(model);
        }
        if let Workload::Trace {
            format: TraceFormat::Named(term),
            ..
        } = of.workload
        {
            let path = place("workload.format");
            let format = find(&self.trace_formats, "trace format", checked, &path, term)?;
            named.trace_format = Some(NamedFormat::new(format));
        }
        Ok(named)
    }

    /// Checks everything that a scenario names and that is not built in.
    ///
    /// # Errors
    /// [`Diagnostics`] with what is wrong in each application.
    pub fn check(&self, checked: &CheckedScenario) -> Result<(), Diagnostics> {
        let mut problems = Vec::new();
        for index in 0..checked.scenario().applications.len() {
            let found = self.named(checked, index).err();
            problems.extend(found.into_iter().flat_map(Diagnostics::into_problems));
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Diagnostics::new(problems)),
        }
    }
}

fn find<K: ?Sized>(
    entries: &[Entry<K>],
    what: &str,
    checked: &CheckedScenario,
    path: &str,
    term: Term,
) -> Result<Arc<K>, Diagnostics> {
    let name = term.name();
    match entries.iter().find(|entry| entry.name == name) {
        Some(entry) => (entry.read)(checked, path, term),
        None => {
            let problem = checked.problem_at(path, format!("unknown {what} `{name}`"));
            let names = entries.iter().map(|entry| entry.name);
            let help = suggest(name, names, "registered are");
            Err(Problem { help, ..problem }.into())
        }
    }
}
