//! What is there at time zero: which servers, and which instances on which of their processors.

use std::ops::Range;

use super::{Scenario, Start};
use crate::catalog::Catalog;
use crate::document::Problem;

/// More servers or instances than this at time zero are refused, before memory runs out.
const MOST: u64 = 4_000_000;

/// The servers and instances at time zero, in order of creation: their numbers are their
/// positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Each server's position in the scenario's `fleet`.
    pub servers: Vec<usize>,
    /// The instances.
    pub instances: Vec<PlacedInstance>,
}

/// An instance at time zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedInstance {
    /// The number of its server.
    pub server: usize,
    /// The position of its application in the scenario's `applications`.
    pub application: usize,
    /// The position of its template in the application's `instances`.
    pub template: usize,
    /// The positions on the server of its processors.
    pub processors: Range<u32>,
}

/// Plans what is there at time zero.
///
/// Servers are numbered in fleet order. Application by application, a template takes free
/// processors of the servers that its `start` names, as many times as they suffice; `Servers(n)`
/// takes the next `n` servers with room. Instances are numbered template by template or, where
/// every template with a start is placed by `Sku(..)`, server by server.
///
/// A SKU that the catalog does not know has no processors.
///
/// # Errors
/// A [`Problem`] for each start that cannot be met.
pub fn plan(scenario: &Scenario, catalog: &Catalog) -> Result<Placement, Vec<Problem>> {
    let fleet = scenario.fleet.iter();
    let total: u64 = fleet
        .map(|of| u64::from(of.count) + u64::from(of.warm))
        .sum();
    if total > MOST {
        let message = format!("{total} servers are more than fleetsim can hold");
        return Err(vec![
            Problem::new("fleet", message).help(format!("at most {MOST} at time zero")),
        ]);
    }
    let mut planner = Planner::new(scenario, catalog);
    for application in 0..scenario.applications.len() {
        planner.application(application);
    }
    if planner.problems.is_empty() {
        Ok(planner.placement)
    } else {
        Err(planner.problems)
    }
}

struct Planner<'a> {
    scenario: &'a Scenario,
    /// Processors of a server, for each entry of the fleet.
    sizes: Vec<u32>,
    /// Processors taken on each server: always the first ones.
    taken: Vec<u32>,
    /// The first server that no `Servers(n)` has passed.
    next: usize,
    placement: Placement,
    problems: Vec<Problem>,
}

impl<'a> Planner<'a> {
    fn new(scenario: &'a Scenario, catalog: &Catalog) -> Self {
        let size = |sku: &String| catalog.skus.get(sku).map_or(0, |sku| sku.processors);
        let servers: Vec<usize> = scenario
            .fleet
            .iter()
            .enumerate()
            .flat_map(|(entry, of)| std::iter::repeat_n(entry, of.count as usize))
            .collect();
        Self {
            scenario,
            sizes: scenario.fleet.iter().map(|of| size(&of.sku)).collect(),
            taken: vec![0; servers.len()],
            next: 0,
            placement: Placement {
                servers,
                instances: Vec::new(),
            },
            problems: Vec::new(),
        }
    }

    fn application(&mut self, application: usize) {
        let templates = &self.scenario.applications[application].instances;
        let first = self.placement.instances.len();
        for (template, of) in templates.iter().enumerate() {
            let path = || format!("applications[{application}].instances[{template}].start");
            let size = of.processors().max(1);
            let servers = match &of.start {
                Start::None => continue,
                Start::Servers(count) => match self.next_servers(*count, size) {
                    Ok(servers) => servers,
                    Err(message) => {
                        self.problems.push(self.refuse(path(), message));
                        continue;
                    }
                },
                Start::AllServers => (0..self.taken.len()).collect(),
                Start::Sku(sku) => (0..self.taken.len())
                    .filter(|server| self.sku(*server) == sku)
                    .collect(),
            };
            match servers.iter().find(|server| self.free(**server) < size) {
                Some(&server) => {
                    let message = format!(
                        "this start cannot be met: an instance takes {size} processors, and \
                         server {server} (`{}`) has {} free",
                        self.sku(server),
                        self.free(server)
                    );
                    self.problems.push(self.refuse(path(), message));
                }
                None => self.fill(&servers, application, template, size),
            }
        }
        let mut starts = templates.iter().map(|of| &of.start);
        if starts.all(|start| matches!(start, Start::None | Start::Sku(_))) {
            let instances = &mut self.placement.instances[first..];
            instances.sort_by_key(|of| (of.server, of.template));
        }
    }

    fn refuse(&self, path: String, message: String) -> Problem {
        Problem::new(path, message).help(format!(
            "start fewer, take smaller instances, or raise the counts of `fleet`, which has {} \
             servers at time zero",
            self.taken.len()
        ))
    }

    fn sku(&self, server: usize) -> &'a str {
        &self.scenario.fleet[self.placement.servers[server]].sku
    }

    fn free(&self, server: usize) -> u32 {
        self.sizes[self.placement.servers[server]] - self.taken[server]
    }

    /// The next servers with room, in fleet order.
    fn next_servers(&mut self, count: u32, size: u32) -> Result<Vec<usize>, String> {
        let servers: Vec<usize> = (self.next..self.taken.len())
            .filter(|server| self.free(*server) >= size)
            .take(count as usize)
            .collect();
        if servers.len() < count as usize {
            return Err(format!(
                "this start cannot be met: it takes servers with {size} free processors, and only \
                 {} of {count} are left",
                servers.len()
            ));
        }
        self.next = servers.last().map_or(self.next, |last| last + 1);
        Ok(servers)
    }

    /// Puts as many instances on each server as fit.
    fn fill(&mut self, servers: &[usize], application: usize, template: usize, size: u32) {
        for &server in servers {
            while self.free(server) >= size {
                if self.placement.instances.len() as u64 == MOST {
                    let path = format!("applications[{application}].instances[{template}].start");
                    let message = format!("more than {MOST} instances");
                    self.problems.push(self.refuse(path, message));
                    return;
                }
                let first = self.taken[server];
                self.taken[server] = first + size;
                self.placement.instances.push(PlacedInstance {
                    server,
                    application,
                    template,
                    processors: first..first + size,
                });
            }
        }
    }
}
