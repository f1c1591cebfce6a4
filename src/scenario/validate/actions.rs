use std::collections::BTreeSet;

use super::Check;
use crate::scenario::{FaultKind, Placement, Role, Template, Verb};

impl Check<'_> {
    pub(super) fn actions(&mut self, placement: &Placement) {
        for (index, action) in self.scenario.actions.iter().enumerate() {
            let path = format!("actions[{index}].action");
            match &action.action {
                Verb::ScaleUpFull {
                    application,
                    role,
                    sku,
                    ..
                } => {
                    let sku_path = format!("{path}.sku");
                    let sku = self.fleet_sku(sku_path.clone(), sku.as_deref());
                    let found = self.application_with(&path, application, *role);
                    if let (Some(index), Some(sku)) = (found, sku) {
                        let of = &self.scenario.applications[index];
                        let numbers: Vec<_> = of.templates_of(*role).collect();
                        self.one_fits(sku_path, index, &numbers, sku);
                    }
                }
                Verb::ScaleUpServer { sku } => {
                    self.fleet_sku(format!("{path}.sku"), sku.as_deref());
                }
                Verb::ScaleUpInstance {
                    application,
                    role,
                    server,
                    processors,
                    ..
                } => {
                    let Some(index) = self.application_with(&path, application, *role) else {
                        continue;
                    };
                    // Servers that come later are of a SKU that only the run knows.
                    let server = usize::try_from(*server).ok();
                    let entry = server.and_then(|server| placement.servers.get(server));
                    let sku = entry.map(|entry| self.scenario.fleet[*entry].sku.as_str());
                    let of = &self.scenario.applications[index];
                    let templates = &of.instances;
                    let mut numbers: Vec<_> = of.templates_of(*role).collect();
                    if let Some(processors) = processors {
                        // The one that takes as many comes first.
                        let count = processors.len() as u64;
                        let other = |it: &usize| u64::from(templates[*it].processors()) != count;
                        numbers.sort_by_key(other);
                    }
                    let fitting = sku.and_then(|sku| {
                        self.one_fits(format!("{path}.server"), index, &numbers, sku)
                    });
                    if let Some(processors) = processors {
                        let template = &templates[fitting.unwrap_or(numbers[0])];
                        self.processors(&path, processors, template, sku);
                    }
                }
                Verb::ScaleDownFull { .. }
                | Verb::ScaleDownServer { .. }
                | Verb::ScaleDownInstance { .. }
                | Verb::CancelScaleUp { .. } => {}
            }
        }
    }

    fn processors(&mut self, path: &str, chosen: &[u32], template: &Template, sku: Option<&str>) {
        let needed = template.processors();
        if chosen.len() as u64 != u64::from(needed) {
            let message = format!(
                "{} processors for an instance that takes {needed}",
                chosen.len()
            );
            let help = "name as many as the template takes, or leave them out";
            self.report(format!("{path}.processors"), message, help);
        }
        let there = sku
            .and_then(|sku| self.catalog.skus.get(sku))
            .map(|sku| sku.processors);
        let mut seen = BTreeSet::new();
        for (index, processor) in chosen.iter().enumerate() {
            let path = format!("{path}.processors[{index}]");
            if !seen.insert(processor) {
                let message = format!("processor {processor} is named twice");
                self.report(&*path, message, "name each once");
            }
            if let Some(there) = there
                && *processor >= there
            {
                let message = format!("the server has no processor {processor}");
                self.report(&*path, message, &format!("they are 0 to {}", there - 1));
            }
        }
    }

    /// The position of the application, if it has a template of the role.
    fn application_with(&mut self, path: &str, name: &str, role: Role) -> Option<usize> {
        let index = self.application(format!("{path}.application"), name)?;
        let templates = &self.scenario.applications[index].instances;
        if templates.iter().all(|of| of.role != role) {
            let message = format!("`{name}` has no template with the role `{role:?}`");
            let help = "add one to its `instances`; start: None keeps it for scale-up alone";
            self.report(format!("{path}.role"), message, help);
            return None;
        }
        Some(index)
    }

    pub(super) fn faults(&mut self) {
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            let path = format!("faults[{index}].fault");
            match &fault.fault {
                FaultKind::NoNewServers { sku, .. } => {
                    self.fleet_sku(format!("{path}.sku"), sku.as_deref());
                }
                FaultKind::ZoneOutage { zone, .. } => self.zone(format!("{path}.zone"), zone),
                FaultKind::InstanceCrash { .. }
                | FaultKind::ServerCrash { .. }
                | FaultKind::ProcessorLost { .. }
                | FaultKind::SlowServer { .. }
                | FaultKind::SlowProcessor { .. }
                | FaultKind::SpotReclaim { .. } => {}
            }
        }
    }
}
