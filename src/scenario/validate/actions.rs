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
                    let found = self.template(&path, application, *role);
                    if let (Some((index, number)), Some(sku)) = (found, sku) {
                        self.fits(sku_path, index, number, sku);
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
                    let Some((index, number)) = self.template(&path, application, *role) else {
                        continue;
                    };
                    // Servers that come later are of a SKU that only the run knows.
                    let server = usize::try_from(*server).ok();
                    let entry = server.and_then(|server| placement.servers.get(server));
                    let sku = entry.map(|entry| self.scenario.fleet[*entry].sku.as_str());
                    if let Some(sku) = sku {
                        self.fits(format!("{path}.server"), index, number, sku);
                    }
                    if let Some(processors) = processors {
                        let template = &self.scenario.applications[index].instances[number];
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

    /// The positions of the application and of the template that scale-up uses for a role.
    fn template(&mut self, path: &str, name: &str, role: Role) -> Option<(usize, usize)> {
        let index = self.application(format!("{path}.application"), name)?;
        let templates = &self.scenario.applications[index].instances;
        let number = templates.iter().position(|of| of.role == role);
        if number.is_none() {
            let message = format!("`{name}` has no template with the role `{role:?}`");
            let help = "add one to its `instances`; start: None keeps it for scale-up alone";
            self.report(format!("{path}.role"), message, help);
        }
        number.map(|number| (index, number))
    }

    pub(super) fn faults(&mut self) {
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            if let FaultKind::NoNewServers { sku, .. } = &fault.fault {
                self.fleet_sku(format!("faults[{index}].fault.sku"), sku.as_deref());
            }
        }
    }
}
