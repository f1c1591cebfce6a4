use super::Check;
use crate::scenario::{Actuator, Application, Limits, Role, SkuChoice, Victim};

impl<'a> Check<'a> {
    pub(super) fn actuators(&mut self) {
        for (index, application) in self.scenario.applications.iter().enumerate() {
            let path = format!("applications[{index}].actuator");
            let actuator = &application.actuator;
            self.limits(&path, actuator);
            self.roles_with_templates(&path, application);
            if let SkuChoice::Named(sku) = &actuator.sku {
                let path = format!("{path}.sku[0]");
                if let Some(sku) = self.fleet_sku(path.clone(), Some(sku))
                    && application.autoscaler.is_some()
                {
                    self.carries_roles(&path, index, sku);
                }
            }
            if let SkuChoice::FallBack(skus) = &actuator.sku {
                self.fall_back(&format!("{path}.sku[0]"), skus);
            }
            if actuator.sku == SkuChoice::Cheapest {
                self.prices(&format!("{path}.sku"), "Cheapest");
            }
            if actuator.sku == SkuChoice::MostEfficient {
                self.prices_or_power(&format!("{path}.sku"));
            }
            if let SkuChoice::CheapestThatMeets { .. } = actuator.sku {
                let path = format!("{path}.sku");
                self.prices(&path, "CheapestThatMeets");
                if application.slo.ttft.is_none() && application.slo.tbt.is_none() {
                    let message =
                        "CheapestThatMeets needs an objective, and there is none of TTFT or TBT";
                    let help = "give the application a `slo`, or choose otherwise";
                    self.report(path, message, help);
                }
            }
            if actuator.victim == Victim::Costliest {
                self.prices(&format!("{path}.victim"), "Costliest");
            }
        }
    }

    /// Reports the first role that may be scaled up and that no server of the chosen SKU can carry.
    fn carries_roles(&mut self, path: &str, index: usize, sku: &str) {
        let application = &self.scenario.applications[index];
        let before = self.problems.len();
        for role in [Role::Prompt, Role::Token, Role::Mixed] {
            let numbers: Vec<_> = application.templates_of(role).collect();
            let fixed = application.actuator.limits(role).max == Some(0);
            if !fixed && !numbers.is_empty() && self.problems.len() == before {
                self.one_fits(path.to_owned(), index, &numbers, sku);
            }
        }
    }

    /// Reports SKUs to fall back on that are not there or there twice.
    fn fall_back(&mut self, path: &str, skus: &'a [String]) {
        if skus.is_empty() {
            let help = "name SKUs of the fleet, the first choice first";
            self.report(path, "there is nothing to fall back on", help);
        }
        for (number, sku) in skus.iter().enumerate() {
            let path = format!("{path}[{number}]");
            self.fleet_sku(path.clone(), Some(sku));
            if skus[..number].contains(sku) {
                let message = format!("`{sku}` is in the list already");
                self.report(path, message, "name each SKU once");
            }
        }
    }

    /// Reports limits of a role that has no template.
    fn roles_with_templates(&mut self, path: &str, application: &Application) {
        for (role, name, limits) in limits_by_role(&application.actuator) {
            let has = application.instances.iter().any(|it| it.role == role);
            if limits != Limits::default() && !has {
                self.report(
                    format!("{path}.{name}"),
                    format!("there is no template of the role `{role:?}`"),
                    "add one to `instances`, or leave the limits out",
                );
            }
        }
    }

    fn limits(&mut self, path: &str, actuator: &Actuator) {
        for (_, role, limits) in limits_by_role(actuator) {
            if let Some(max) = limits.max
                && max < limits.min
            {
                self.report(
                    format!("{path}.{role}.max"),
                    format!(
                        "at most {max} instances are fewer than at least {}",
                        limits.min
                    ),
                    "raise `max`, or lower `min` (1 unless given)",
                );
            }
        }
    }

    /// Reports a choice by price in a fleet where a SKU has none.
    fn prices(&mut self, path: &str, choice: &str) {
        if let Some(sku) = self.unpriced() {
            self.report(
                path,
                format!("{choice} needs prices, and `{sku}` has none"),
                "give the SKU or each of its `purchase` a price_per_hour, or choose otherwise",
            );
        }
    }

    /// Reports a choice by efficiency in a fleet where a SKU has no price and one has no power figures.
    fn prices_or_power(&mut self, path: &str) {
        let (skus, processors) = (&self.catalog.skus, &self.catalog.processors);
        let unknown = self.scenario.fleet.iter().find(|entry| {
            let sku = skus.get(&entry.sku);
            let power = sku.and_then(|sku| processors.get(&sku.processor));
            power.is_some_and(|it| it.step_power().is_none())
        });
        if let (Some(unpriced), Some(unknown)) = (self.unpriced(), unknown) {
            let message = format!(
                "MostEfficient needs a price of every SKU or the power of every processor; \
                 `{unpriced}` has no price, and the processors of `{}` no power",
                unknown.sku
            );
            let help = "give the SKUs a price_per_hour in a catalog file, or choose otherwise";
            self.report(path, message, help);
        }
    }

    /// The first SKU of the fleet that has no price.
    pub(super) fn unpriced(&self) -> Option<&str> {
        let unpriced = self.scenario.fleet.iter().find(|entry| {
            let sku = self.catalog.skus.get(&entry.sku);
            sku.is_some_and(|sku| !entry.is_priced(sku.price_per_hour))
        });
        unpriced.map(|entry| entry.sku.as_str())
    }
}

/// The limits of each role, with the name of their field.
const fn limits_by_role(actuator: &Actuator) -> [(Role, &'static str, Limits); 3] {
    [
        (Role::Prompt, "prompt", actuator.prompt),
        (Role::Token, "token", actuator.token),
        (Role::Mixed, "mixed", actuator.mixed),
    ]
}
