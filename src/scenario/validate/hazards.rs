use std::collections::BTreeSet;

use super::Check;
use crate::random::Delay;
use crate::scenario::{FleetEntry, Hazard, Scenario, Strike};
use crate::time::SimDuration;

/// Seconds. A target that is struck more often is hardly ever up.
const SHORTEST: f64 = 0.001;

impl Scenario {
    /// Whether servers or instances come and go without a policy: by actions, or after faults.
    pub(super) fn changes_by_itself(&self) -> bool {
        !self.actions.is_empty() || self.has_repairs()
    }

    /// Whether faults bring servers or instances with new numbers.
    pub(super) fn has_repairs(&self) -> bool {
        use crate::scenario::FaultKind;
        let brings = |it: &FaultKind| {
            matches!(
                it,
                FaultKind::InstanceCrash { restart: true, .. }
                    | FaultKind::ServerCrash {
                        repair: Some(_),
                        ..
                    }
                    | FaultKind::ProcessorLost { .. }
                    | FaultKind::ZoneOutage { .. }
            )
        };
        !self.hazards.is_empty() || self.faults.iter().any(|it| brings(&it.fault))
    }
}

impl<'a> Check<'a> {
    /// Reports zones and hazards that cannot be, and warns of those without effect.
    pub(super) fn hazards(&mut self) {
        for (index, entry) in self.scenario.fleet.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (number, zone) in entry.zones.iter().enumerate() {
                let path = format!("fleet[{index}].zones[{number}]");
                if zone.is_empty() {
                    self.report(path, "a zone has no name", "give it one");
                } else if !seen.insert(zone) {
                    let message = format!("`{zone}` is in the list already");
                    self.report(path, message, "name each zone once");
                }
            }
        }
        for (index, hazard) in self.scenario.hazards.iter().enumerate() {
            self.hazard(&format!("hazards[{index}]"), hazard);
        }
    }

    fn hazard(&mut self, path: &str, hazard: &'a Hazard) {
        self.fleet_sku(format!("{path}.sku"), hazard.sku.as_deref());
        if let Some(zone) = &hazard.zone {
            self.zone(format!("{path}.zone"), zone);
        } else if matches!(hazard.strikes, Strike::ZoneOutage { .. }) && self.zones().is_empty() {
            let message = "the fleet has no zones";
            self.report(
                format!("{path}.strikes"),
                message,
                "give fleet entries `zones`",
            );
        }
        if let Some(name) = &hazard.application {
            let path = format!("{path}.application");
            self.application(path.clone(), name);
            if !matches!(hazard.strikes, Strike::InstanceCrash { .. }) {
                let message = "only `InstanceCrash` looks at the application";
                self.report(path, message, "leave it out");
            }
        }
        if matches!(hazard.strikes, Strike::ZoneOutage { .. }) && hazard.sku.is_some() {
            let message = "a zone is out for every SKU";
            self.report(format!("{path}.sku"), message, "leave it out");
        }
        if let Some(option) = hazard.purchase {
            let path = format!("{path}.purchase");
            if matches!(hazard.strikes, Strike::ZoneOutage { .. }) {
                let message = "a zone is out for every server in it";
                self.report(path, message, "leave it out");
            } else {
                let fleet = self.scenario.fleet.iter();
                let named = |it: &&FleetEntry| hazard.sku.as_ref().is_none_or(|sku| *sku == it.sku);
                self.option(path, option, fleet.filter(named));
            }
        }
        self.delay(&format!("{path}.every"), &hazard.every);
        self.draw(&format!("{path}.every"), &hazard.every);
        let least = match hazard.every {
            Delay::Constant(least) | Delay::Uniform { min: least, .. } => least,
            Delay::Normal { mean, .. } | Delay::Exponential { mean } => mean,
        };
        if least < SimDuration::saturating(SHORTEST) {
            let message = format!("expected at least {SHORTEST} s, found `{least}`");
            self.report(format!("{path}.every"), message, "durations are in seconds");
        }
        if let Some(until) = hazard.until.filter(|until| *until <= hazard.from) {
            let message = format!("it is over at {until} s, and begins at {} s", hazard.from);
            self.report(format!("{path}.until"), message, "let it begin before");
        }
        if let Some(end) = self.scenario.end.filter(|end| hazard.from >= *end) {
            let message = format!(
                "nothing happens from {} s on: the run ends at {end} s",
                hazard.from
            );
            let help = "choose an earlier time, or a later `end`";
            self.warn("after_the_end", format!("{path}.from"), message, help);
        }
        let (field, delay) = match &hazard.strikes {
            Strike::ServerCrash { repair } | Strike::ProcessorLost { repair } => {
                ("repair", repair.as_ref())
            }
            Strike::SlowServer { duration, .. }
            | Strike::SlowProcessor { duration, .. }
            | Strike::ZoneOutage { duration } => ("duration", Some(duration)),
            Strike::InstanceCrash { .. } | Strike::SpotReclaim { .. } => return,
        };
        if let Some(delay) = delay {
            let path = format!("{path}.strikes.{field}");
            self.delay(&path, delay);
            self.draw(&path, delay);
        }
    }

    /// Reports a zone that no fleet entry has.
    pub(super) fn zone(&mut self, path: String, zone: &str) {
        let zones = self.zones();
        if zones.is_empty() {
            self.report(path, "the fleet has no zones", "give fleet entries `zones`");
        } else {
            self.known(path, "zone", zone, zones);
        }
    }

    fn zones(&self) -> Vec<&'a str> {
        let fleet = self.scenario.fleet.iter();
        fleet
            .flat_map(|entry| entry.zones.iter().map(String::as_str))
            .collect()
    }
}
