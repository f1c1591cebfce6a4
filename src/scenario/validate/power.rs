use super::Check;
use crate::scenario::{BeyondPower, FleetEntry};

impl Check<'_> {
    /// Reports a power cap that cannot be kept, and warns of one without effect.
    pub(super) fn power_cap(&mut self) {
        let Some(cap) = self.scenario.power_cap else {
            return;
        };
        let fleet = &self.scenario.fleet;
        let (skus, processors) = (&self.catalog.skus, &self.catalog.processors);
        let known = |entry: &&FleetEntry| skus.contains_key(&entry.sku);
        let watts = |entry: &FleetEntry| {
            let sku = skus.get(&entry.sku)?;
            sku.most_power(processors.get(&sku.processor)?)
        };
        let unknown = fleet.iter().filter(known).find(|it| watts(it).is_none());
        if let Some(entry) = unknown {
            let message = format!("nobody knows what a `{}` draws", entry.sku);
            let help = "give the SKU a `max_power_w` in a catalog file";
            self.report("power_cap", message, help);
            return;
        }
        let sum = |of: &dyn Fn(&FleetEntry) -> Option<u32>| -> Option<f64> {
            let each = fleet.iter().map(|it| Some(f64::from(of(it)?) * watts(it)?));
            each.sum()
        };
        let at_start = sum(&|it| Some(it.count)).unwrap_or(0.0);
        let all = |it: &FleetEntry| Some(it.count.saturating_add(it.warm));
        let with_warm = sum(&all).unwrap_or(0.0);
        if at_start > cap.watts && cap.beyond == BeyondPower::Wait {
            let message = format!(
                "the servers at time zero draw up to {at_start} W, more than the {} W of the cap",
                cap.watts
            );
            let help = "raise the cap, start fewer, or let steps be slower: `beyond: Slow`";
            self.report("power_cap.watts", message, help);
        } else if with_warm > cap.watts && cap.beyond == BeyondPower::Wait {
            let message = format!(
                "the servers that are kept ready have no power: {with_warm} W with those at time zero"
            );
            let help = "raise the cap, or keep fewer `warm`";
            self.warn("warm_beyond_power", "power_cap.watts", message, help);
        }
        let most = sum(&|it| it.limit).filter(|most| *most <= cap.watts);
        if let Some(most) = most {
            let message = format!("the cap is never reached: all servers together draw {most} W");
            let help = "lower it, or leave it out";
            self.warn("unused_power_cap", "power_cap.watts", message, help);
        }
    }
}
