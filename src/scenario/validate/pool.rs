//! What a pool asks of the rest of a scenario.

use super::Check;
use crate::random::Delay;
use crate::scenario::{Consolidation, Placement, Preemption, ServerScaling, Template};

impl Check<'_> {
    pub(super) fn pool(&mut self, placement: &Placement) {
        let scenario = self.scenario;
        let Some(pool) = &scenario.pool else {
            self.priorities_without_a_pool();
            return;
        };
        let applications = &scenario.applications;
        if applications.iter().all(|it| it.autoscaler.is_none()) {
            let message =
                "no application has an autoscaler, so that nothing asks for a place in the pool";
            self.warn(
                "unused_pool",
                "pool",
                message,
                "leave it out, or give an application a policy",
            );
        }
        let first = applications.first().map(|it| it.priority);
        let alike = applications.iter().all(|it| Some(it.priority) == first);
        if pool.preemption != Preemption::Never && alike {
            let message =
                "all applications have the same priority, so that none makes room for another";
            let help = "give the application that matters more a higher `priority`";
            self.warn("unused_preemption", "pool.preemption", message, help);
        }
        self.budget(pool.budget, placement);
        if pool.servers == ServerScaling::Fixed {
            self.fixed_servers();
        }
        match pool.servers {
            ServerScaling::Fixed if scenario.fleet.iter().all(|it| it.count == 0) => {
                let help = "give an entry of the fleet a `count`, or let somebody add servers";
                self.report(
                    "pool.servers",
                    "nobody adds servers, and there are none",
                    help,
                );
            }
            ServerScaling::ClusterAutoscaler {
                initial_backoff,
                max_backoff,
                ..
            } if max_backoff < initial_backoff => {
                let message = format!(
                    "{max_backoff} s are less than the first back-off, {initial_backoff} s"
                );
                self.report(
                    "pool.servers.max_backoff",
                    message,
                    "raise it, or lower `initial_backoff`",
                );
            }
            ServerScaling::Karpenter {
                batch_idle,
                batch_max,
                ..
            } if batch_max < batch_idle => {
                let message = format!("{batch_max} s are less than `batch_idle`, {batch_idle} s");
                self.report(
                    "pool.servers.batch_max",
                    message,
                    "raise it, or lower `batch_idle`",
                );
            }
            ServerScaling::Karpenter {
                consolidation: Consolidation::WhenEmptyOrUnderutilized,
                ..
            } if self.unpriced().is_some() && scenario.fleet.len() > 1 => {
                let message = "without a price of every SKU no server is replaced by a cheaper one";
                let help = "give the SKUs a price_per_hour in a catalog file";
                self.warn("unpriced_consolidation", "pool.servers", message, help);
            }
            _ => {}
        }
    }

    /// Warns of what an entry of the fleet says about servers to come, where none comes.
    fn fixed_servers(&mut self) {
        let scenario = self.scenario;
        let hosts = scenario.applications.iter().any(|it| it.has_host());
        let by_hand = hosts || scenario.changes_by_itself();
        for (index, entry) in scenario.fleet.iter().enumerate() {
            let path = format!("fleet[{index}]");
            if entry.warm > 0 {
                let message = "the servers of the pool are `Fixed`, and yet one is ordered for each that is taken";
                let help = "add them to `count`, or let somebody add servers in `pool`";
                self.warn("warm_in_fixed_pool", format!("{path}.warm"), message, help);
                continue;
            }
            for (field, is_there) in [
                ("limit", entry.limit.is_some()),
                ("provision_delay", entry.provision_delay != Delay::default()),
                ("available", !entry.available.is_empty()),
                ("available_of", !entry.available_of.is_empty()),
            ] {
                if is_there && !by_hand {
                    let message = "the servers of the pool are `Fixed`: nobody orders one";
                    let help = "let somebody add servers in `pool`, or leave it out";
                    self.warn("unused_order", format!("{path}.{field}"), message, help);
                }
            }
        }
    }

    /// Reports a budget into which no instance of an application with a policy fits, and warns of one that is
    /// exceeded from the start.
    fn budget(&mut self, budget: Option<u32>, placement: &Placement) {
        let scaled = self.scenario.applications.iter();
        let scaled = scaled.filter(|it| it.autoscaler.is_some());
        let sizes = scaled.flat_map(|it| &it.instances);
        let least = sizes.map(Template::processors).min().unwrap_or(1);
        if let Some(budget) = budget.filter(|it| *it < least.max(1)) {
            let message = format!("no instance fits into a budget of {budget} processors");
            let help = "raise the budget, or leave it out for no limit";
            self.report("pool.budget", message, help);
            return;
        }
        let used = placement.instances.iter();
        let used: u64 = used.map(|it| it.processors.len() as u64).sum();
        if let Some(budget) = budget.filter(|it| u64::from(*it) < used) {
            let message = format!(
                "the instances at time zero use {used} processors, more than the budget of {budget}"
            );
            let help = "raise the budget, or start fewer";
            self.warn("start_beyond_budget", "pool.budget", message, help);
        }
    }

    fn priorities_without_a_pool(&mut self) {
        for (index, application) in self.scenario.applications.iter().enumerate() {
            if application.priority != 0 {
                let path = format!("applications[{index}].priority");
                let message = "a priority counts only among the applications of a pool";
                self.warn(
                    "unused_priority",
                    path,
                    message,
                    "add `pool: ()`, or leave it out",
                );
            }
        }
    }
}
