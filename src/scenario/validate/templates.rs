use std::collections::BTreeSet;

use super::Check;
use crate::catalog::ProfileKey;
use crate::document::Problem;
use crate::scenario::{
    Application, Engine, Performance, Placement, Role, Scheduler, Start, Template, Verb,
};

/// Why no instance of a template can run on a server of a SKU, the nearest miss last.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Misfit {
    Processors { needed: u32, there: u32 },
    Memory { weights: u64, memory: u64 },
    Profile(ProfileKey),
}

impl Check<'_> {
    pub(super) fn templates(&mut self, placement: &Placement) {
        let placed: BTreeSet<_> = placement
            .instances
            .iter()
            .map(|of| (of.application, of.template, placement.servers[of.server]))
            .collect();
        for (index, application) in self.scenario.applications.iter().enumerate() {
            self.roles(index, application);
            for (number, template) in application.instances.iter().enumerate() {
                let path = format!("applications[{index}].instances[{number}]");
                if let Start::Sku(sku) = &template.start {
                    self.fleet_sku(format!("{path}.start[0]"), Some(sku));
                }
                let profiled = application.performance == Performance::Profile;
                if profiled && template.pipeline_parallelism > 1 {
                    self.report(
                        format!("{path}.pipeline_parallelism"),
                        "there are no measured profiles of pipelines",
                        "use pipeline_parallelism: 1, or performance: Constant(..)",
                    );
                } else if self.fits_somewhere(&path, application, template) {
                    for (entry, of) in self.scenario.fleet.iter().enumerate() {
                        if placed.contains(&(index, number, entry)) {
                            let start = format!("{path}.start");
                            self.fits(start, application, template, &of.sku);
                        }
                    }
                }
            }
        }
    }

    fn roles(&mut self, index: usize, application: &Application) {
        let (scheduler, takes, needs): (_, &[Role], &[Role]) = match application.scheduler {
            Scheduler::RoundRobin => ("RoundRobin", &[Role::Mixed], &[]),
            Scheduler::Random => ("Random", &[Role::Mixed], &[]),
            Scheduler::Jsq => ("Jsq", &[Role::Mixed], &[]),
            Scheduler::TokenJsq => ("TokenJsq", &[Role::Mixed], &[]),
            Scheduler::KvRoundRobin { .. } => ("KvRoundRobin", &SPLIT, &SPLIT),
            Scheduler::KvJsq { .. } => ("KvJsq", &SPLIT, &SPLIT),
            Scheduler::KvTokenJsq { .. } => ("KvTokenJsq", &SPLIT, &SPLIT),
            Scheduler::MixedPool { .. } => {
                let mixed = application
                    .instances
                    .iter()
                    .any(|of| of.role == Role::Mixed);
                ("MixedPool", &ALL, if mixed { &[] } else { &SPLIT })
            }
        };
        let listed = |roles: &[Role]| {
            let names = roles.iter().map(|role| format!("`{role:?}`"));
            names.collect::<Vec<_>>().join(" and ")
        };
        for (number, template) in application.instances.iter().enumerate() {
            if !takes.contains(&template.role) {
                self.report(
                    format!("applications[{index}].instances[{number}].role"),
                    format!(
                        "the scheduler {scheduler} has no use for `{:?}` instances",
                        template.role
                    ),
                    &format!("give it {}, or choose another scheduler", listed(takes)),
                );
            }
        }
        for role in needs {
            if !application.instances.iter().any(|of| of.role == *role) {
                self.report(
                    format!("applications[{index}].scheduler"),
                    format!("the scheduler {scheduler} needs `{role:?}` instances, and there is no template of that role"),
                    &format!("add one to `instances`; it needs {}", listed(needs)),
                );
            }
        }
    }

    /// Reports a template that no SKU of the fleet can carry.
    fn fits_somewhere(
        &mut self,
        path: &str,
        application: &Application,
        template: &Template,
    ) -> bool {
        let mut nearest = None;
        for entry in &self.scenario.fleet {
            match self.misfit(application, template, &entry.sku) {
                None => return true,
                Some(misfit) => nearest = nearest.max(Some((misfit, entry.sku.as_str()))),
            }
        }
        if let Some((misfit, sku)) = nearest {
            let path = format!("{path}.tensor_parallelism");
            self.misfits(
                path,
                misfit,
                sku,
                application,
                "no SKU of the fleet can carry it",
            );
        }
        false
    }

    /// Reports a template that servers of a SKU cannot carry although they are to.
    pub(super) fn fits(
        &mut self,
        path: String,
        application: &Application,
        template: &Template,
        sku: &str,
    ) {
        if let Some(misfit) = self.misfit(application, template, sku) {
            self.misfits(
                path,
                misfit,
                sku,
                application,
                "this template cannot run there",
            );
        }
    }

    /// None also where a name is unknown: that is reported elsewhere.
    fn misfit(&self, application: &Application, template: &Template, sku: &str) -> Option<Misfit> {
        let sku = self.catalog.skus.get(sku)?;
        let processor = self.catalog.processors.get(&sku.processor)?;
        let model = self.catalog.models.get(&application.model)?;
        let needed = template.processors();
        if needed > sku.processors {
            let there = sku.processors;
            return Some(Misfit::Processors { needed, there });
        }
        let memory = processor.memory_bytes.saturating_mul(needed.into());
        let weights = model.weights_bytes;
        let one_token = weights.saturating_add(model.kv_bytes_per_token());
        if one_token > memory && !matches!(template.engine, Engine::Fcfs) {
            return Some(Misfit::Memory { weights, memory });
        }
        let key = ProfileKey {
            model: application.model.clone(),
            processor: sku.processor.clone(),
            tensor_parallelism: template.tensor_parallelism,
        };
        let profiled = application.performance == Performance::Profile;
        (profiled && !self.catalog.profiles.contains_key(&key)).then_some(Misfit::Profile(key))
    }

    fn misfits(
        &mut self,
        path: String,
        misfit: Misfit,
        sku: &str,
        application: &Application,
        consequence: &str,
    ) {
        let model = &application.model;
        let (reason, help) = match misfit {
            Misfit::Processors { needed, there } => (
                format!("an instance takes {needed} processors, and a server `{sku}` has {there}"),
                "tensor_parallelism × pipeline_parallelism must fit on one server".to_owned(),
            ),
            Misfit::Memory { weights, memory } => (
                format!(
                    "`{model}` has {weights} bytes of weights, and its processors on `{sku}` \
                     have {memory} bytes of memory together"
                ),
                "raise tensor_parallelism, or choose a smaller model".to_owned(),
            ),
            Misfit::Profile(key) => (
                format!(
                    "there is no measured profile of `{model}` on `{}` with tensor_parallelism {}",
                    key.processor, key.tensor_parallelism
                ),
                self.profiles_of(model),
            ),
        };
        self.report(path, format!("{consequence}: {reason}"), &help);
    }

    fn profiles_of(&self, model: &str) -> String {
        let keys = self.catalog.profiles.keys();
        let there: Vec<String> = keys
            .filter(|key| key.model == model)
            .map(|key| format!("{} with {}", key.processor, key.tensor_parallelism))
            .collect();
        match there.as_slice() {
            [] => format!(
                "there are none of `{model}`: add one to a catalog file, or use performance: Constant(..)"
            ),
            there => format!(
                "there are {}; or use performance: Constant(..)",
                there.join(", ")
            ),
        }
    }

    /// Reports applications that never have anything to serve them.
    pub(super) fn somewhere_to_start(&mut self, placement: &Placement) {
        for (index, application) in self.scenario.applications.iter().enumerate() {
            if application.autoscaler.is_some() {
                continue;
            }
            let comes = |role: Option<Role>| {
                let is = |of: Role| role.is_none_or(|role| role == of);
                let started = placement.instances.iter().any(|of| {
                    of.application == index && is(application.instances[of.template].role)
                });
                started
                    || self
                        .scenario
                        .actions
                        .iter()
                        .any(|action| match &action.action {
                            Verb::ScaleUpFull {
                                application: name,
                                role,
                                ..
                            }
                            | Verb::ScaleUpInstance {
                                application: name,
                                role,
                                ..
                            } => *name == application.name && is(*role),
                            _ => false,
                        })
            };
            let needs: &[Option<Role>] = match application.scheduler {
                Scheduler::KvRoundRobin { .. }
                | Scheduler::KvJsq { .. }
                | Scheduler::KvTokenJsq { .. } => &[Some(Role::Prompt), Some(Role::Token)],
                _ => &[None],
            };
            for role in needs.iter().filter(|role| !comes(**role)) {
                let what =
                    role.map_or("instance".to_owned(), |role| format!("`{role:?}` instance"));
                let message = format!(
                    "`{}` has no {what} to start with, and nothing would ever add one",
                    application.name
                );
                self.problems.push(
                    Problem::new(format!("applications[{index}].instances"), message).help(
                        "give a template start: Servers(1), or add an autoscaler or a ScaleUpFull \
                         action",
                    ),
                );
            }
        }
    }
}

const SPLIT: [Role; 2] = [Role::Prompt, Role::Token];
const ALL: [Role; 3] = [Role::Prompt, Role::Token, Role::Mixed];
