use super::Check;
use crate::scenario::{Actuator, SkuChoice, Victim};

impl Check<'_> {
    pub(super) fn actuators(&mut self) {
        for (index, application) in self.scenario.applications.iter().enumerate() {
            let path = format!("applications[{index}].actuator");
            let actuator = &application.actuator;
            self.limits(&path, actuator);
            if let SkuChoice::Named(sku) = &actuator.sku {
                self.fleet_sku(format!("{path}.sku[0]"), Some(sku));
            }
            if actuator.sku == SkuChoice::Cheapest {
                self.prices(&format!("{path}.sku"), "Cheapest");
            }
            if actuator.victim == Victim::Costliest {
                self.prices(&format!("{path}.victim"), "Costliest");
            }
        }
    }

    fn limits(&mut self, path: &str, actuator: &Actuator) {
        let roles = [
            ("prompt", actuator.prompt),
            ("token", actuator.token),
            ("mixed", actuator.mixed),
        ];
        for (role, limits) in roles {
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
        let unpriced = self.scenario.fleet.iter().find(|entry| {
            let sku = self.catalog.skus.get(&entry.sku);
            sku.is_some_and(|sku| sku.price_per_hour.is_none())
        });
        if let Some(entry) = unpriced {
            self.report(
                path,
                format!("{choice} needs prices, and `{}` has none", entry.sku),
                "give the SKU a price_per_hour in a catalog file, or choose otherwise",
            );
        }
    }
}
