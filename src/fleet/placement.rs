//! Where the instances of the start state go.

use crate::scenario::{Scenario, Start, Template};

/// An instance of the start state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlacedInstance {
    /// Its server's number.
    pub(super) server: usize,
    /// Its application's position in the scenario.
    pub(super) application: usize,
    /// Its template's position in the application.
    pub(super) template: usize,
    /// Positions of its processors on the server.
    pub(super) processors: Vec<u32>,
}

/// Places the start state on servers of these SKUs and sizes; the result is in the order of the
/// instances' numbers.
pub(super) fn plan(scenario: &Scenario, servers: &[(&str, u32)]) -> Vec<PlacedInstance> {
    let templates: Vec<(usize, usize, &Template)> = scenario
        .applications
        .iter()
        .enumerate()
        .flat_map(|(a, application)| {
            let templates = application.instances.iter().enumerate();
            templates.map(move |(t, template)| (a, t, template))
        })
        .collect();
    let mut used = vec![0; servers.len()];
    let mut next = 0;
    let mut placed = Vec::new();
    for &(application, position, template) in &templates {
        let chosen: Vec<usize> = match &template.start {
            Start::None => Vec::new(),
            Start::Servers(count) => {
                let first = next;
                next = servers.len().min(first + *count as usize);
                (first..next).collect()
            }
            Start::AllServers => (0..servers.len()).collect(),
            Start::Sku(sku) => (0..servers.len())
                .filter(|&server| servers[server].0 == sku)
                .collect(),
        };
        let needed = template.processors();
        for server in chosen {
            while used[server] + needed <= servers[server].1 {
                placed.push(PlacedInstance {
                    server,
                    application,
                    template: position,
                    processors: (used[server]..used[server] + needed).collect(),
                });
                used[server] += needed;
            }
        }
    }
    let by_sku = |template: &Template| matches!(template.start, Start::Sku(_) | Start::None);
    if templates.iter().all(|(.., template)| by_sku(template)) {
        placed.sort_by_key(|it| (it.server, it.application, it.template));
    }
    placed
}
