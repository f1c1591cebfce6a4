use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use super::{ApplicationStatistics, FleetSummary, RunRecord, TotalSummary};

/// What became of the requests of a region's users, wherever they were served: by application, in the order of the
/// scenario. A component of the region's fleet.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct Felt(pub Vec<ApplicationStatistics>);

/// All that a run leaves of a region.
#[derive(Clone, Debug)]
pub struct RegionRecord {
    /// Its name.
    pub name: String,
    /// What became of its users' requests, by application.
    pub users: Vec<ApplicationStatistics>,
    /// How many of these went to each region, in the order of the scenario.
    pub sent_to: Vec<(String, u64)>,
    /// Its servers.
    pub fleet: FleetSummary,
}

/// A region in figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionSummary {
    /// Its name.
    pub name: String,
    /// What became of the requests of its users, wherever they were served. Latencies have the way to the region that
    /// served them, and back.
    pub users: TotalSummary,
    /// How many of these went to each region.
    pub sent_to: BTreeMap<String, u64>,
    /// Its servers.
    pub fleet: FleetSummary,
}

impl RegionRecord {
    pub(super) fn summarise(&self, run: &RunRecord) -> RegionSummary {
        RegionSummary {
            name: self.name.clone(),
            users: run.total_of(self.users.iter()),
            sent_to: self.sent_to.iter().cloned().collect(),
            fleet: self.fleet.clone(),
        }
    }
}
