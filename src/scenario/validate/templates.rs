use std::collections::BTreeSet;

use super::Check;
use crate::scenario::placement::plan;
use crate::scenario::{Application, Performance, Placement, Role, Scheduler, Start, Verb};

impl Check<'_> {
    pub(super) fn templates(&mut self) {
        for (index, application) in self.scenario.applications.iter().enumerate() {
            self.roles(index, application);
            for (number, template) in application.instances.iter().enumerate() {
                let path = format!("applications[{index}].instances[{number}]");
                if let Start::Sku(sku) = &template.start {
                    self.fleet_sku(format!("{path}.start[0]"), Some(sku));
                }
                let reason = match application.performance {
                    Performance::Profile => Some("there are no measured profiles of pipelines"),
                    Performance::Roofline { .. } | Performance::Table { .. } => {
                        Some("the roofline knows no pipelines")
                    }
                    Performance::Constant { .. }
                    | Performance::Linear { .. }
                    | Performance::Named(_) => None,
                };
                if let Some(reason) = reason
                    && template.pipeline_parallelism > 1
                {
                    self.report(
                        format!("{path}.pipeline_parallelism"),
                        reason,
                        "use pipeline_parallelism: 1, or performance: Constant(..)",
                    );
                    self.hopeless.insert((index, number));
                } else {
                    self.fits_somewhere(index, number);
                }
            }
        }
    }

    /// Plans what is there at time zero, and checks that it can run there.
    pub(super) fn placement(&mut self) -> Placement {
        let mut fleet = self.scenario.fleet.iter();
        if !fleet.all(|entry| self.catalog.skus.contains_key(&entry.sku)) {
            // Which servers there are is not known; the unknown name is the one error.
            return Placement::default();
        }
        let placement = match plan(self.scenario, self.catalog) {
            Ok(placement) => placement,
            Err(mut problems) => {
                for (index, number) in &self.hopeless {
                    let path = format!("applications[{index}].instances[{number}].start");
                    problems.retain(|problem| problem.path != path);
                }
                self.problems.extend(problems);
                return Placement::default();
            }
        };
        let placed: BTreeSet<_> = placement
            .instances
            .iter()
            .map(|of| (of.application, of.template, placement.servers[of.server]))
            .collect();
        for (index, number, entry) in placed {
            let path = format!("applications[{index}].instances[{number}].start");
            self.fits(path, index, number, &self.scenario.fleet[entry].sku);
        }
        self.somewhere_to_start(&placement);
        placement
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
            // Its registry knows.
            Scheduler::Named(_) => return,
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

    /// Reports applications that never have anything to serve them.
    fn somewhere_to_start(&mut self, placement: &Placement) {
        for (index, application) in self.scenario.applications.iter().enumerate() {
            if application.autoscaler.is_some() || application.has_host() {
                continue;
            }
            let started = placement.instances.iter();
            let mut roles: BTreeSet<Role> = started
                .filter(|of| of.application == index)
                .map(|of| application.instances[of.template].role)
                .collect();
            let verbs = self.scenario.actions.iter().map(|action| &action.action);
            roles.extend(verbs.filter_map(|verb| match verb {
                Verb::ScaleUpFull {
                    application: name,
                    role,
                    ..
                }
                | Verb::ScaleUpInstance {
                    application: name,
                    role,
                    ..
                } if *name == application.name => Some(*role),
                _ => None,
            }));
            let missing = match application.scheduler {
                Scheduler::KvRoundRobin { .. }
                | Scheduler::KvJsq { .. }
                | Scheduler::KvTokenJsq { .. } => SPLIT
                    .into_iter()
                    // Where there is no template either, that has been said.
                    .filter(|role| application.instances.iter().any(|of| of.role == *role))
                    .find(|role| !roles.contains(role))
                    .map(|role| format!("`{role:?}` instance")),
                _ => roles.is_empty().then(|| "instance".to_owned()),
            };
            if let Some(missing) = missing {
                self.report(
                    format!("applications[{index}].instances"),
                    format!(
                        "`{}` has no {missing} at time zero, and nothing would ever add one",
                        application.name
                    ),
                    "give a template start: Servers(1), or add an autoscaler or a ScaleUpFull action",
                );
            }
        }
    }
}

const SPLIT: [Role; 2] = [Role::Prompt, Role::Token];
const ALL: [Role; 3] = [Role::Prompt, Role::Token, Role::Mixed];
