use crate::catalog::Catalog;
use crate::scenario::{
    Action, Actuator, Application, Arrivals, CheckedScenario, Diagnostics, Engine, FleetEntry,
    Lengths, Objective, Performance, Role, Scaling, Scenario, Scheduler, Shape, Signals, Start,
    SystemPrompts, Template, Verb, Workload,
};
use crate::time::{SimDuration, SimTime};

pub(super) const MODEL: &str = "bloom-176b";
pub(super) const SKU: &str = "dgx-h100";
pub(super) const APPLICATION: &str = "chat";

/// The share of `Prompt` instances, of those with pools: with it no pool fills up before the other.
const PROMPT_SHARE: f64 = 0.55;

/// Every scheduler with its name, with its default parameters.
pub const SCHEDULERS: [(&str, Scheduler); 8] = [
    ("RoundRobin", Scheduler::RoundRobin),
    ("Random", Scheduler::Random),
    ("Jsq", Scheduler::Jsq),
    ("TokenJsq", Scheduler::TokenJsq),
    (
        "KvRoundRobin",
        Scheduler::KvRoundRobin {
            transfer_gib_per_s: 200.0,
        },
    ),
    (
        "KvJsq",
        Scheduler::KvJsq {
            transfer_gib_per_s: 200.0,
        },
    ),
    (
        "KvTokenJsq",
        Scheduler::KvTokenJsq {
            transfer_gib_per_s: 200.0,
        },
    ),
    (
        "MixedPool",
        Scheduler::MixedPool {
            prompt_max_pending_tokens: 8192,
            transfer_gib_per_s: 200.0,
        },
    ),
];

/// A fleet of bloom-176b on dgx-h100, one instance a server, under a conversation workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FleetBench {
    /// Servers at time zero. A scheduler with pools needs at least 2.
    pub servers: u32,
    /// Requests in all.
    pub requests: u64,
    /// Which instance serves a request.
    pub scheduler: Scheduler,
    /// The rate of requests, as a share of the highest at which the queues of the fleet at time
    /// zero stay bounded. An engine that decodes is busy all the time, so a share of busy time
    /// would tell nothing.
    pub load: f64,
    /// The share of the fleet that is scaled down in the first half of the run and up again in
    /// the second, one instance after the other.
    pub swing: f64,
}

impl FleetBench {
    /// 40 servers, 1 million requests.
    #[must_use]
    pub const fn small(scheduler: Scheduler) -> Self {
        Self {
            servers: 40,
            requests: 1_000_000,
            scheduler,
            // Near enough to capacity for batches to form, far enough for queues to stay short.
            load: 0.7,
            swing: 0.0,
        }
    }

    /// 10,000 servers, 5 million requests.
    #[must_use]
    pub const fn large(scheduler: Scheduler) -> Self {
        Self {
            servers: 10_000,
            requests: 5_000_000,
            ..Self::small(scheduler)
        }
    }

    /// 100,000 servers, 10 million requests, the fleet down by 30 % and up again meanwhile. The
    /// load is such that it stays between 56 % and 80 %.
    #[must_use]
    pub const fn huge(scheduler: Scheduler) -> Self {
        Self {
            servers: 100_000,
            requests: 10_000_000,
            load: 0.56,
            swing: 0.3,
            ..Self::small(scheduler)
        }
    }

    /// Requests a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.load * capacity(&self.scheduler, self.servers)
    }

    /// The scenario.
    ///
    /// # Errors
    /// When a field is out of its range.
    pub fn scenario(&self) -> Result<CheckedScenario, Diagnostics> {
        let scenario = Scenario {
            actions: self.actions(),
            ..scenario(self.servers, self.application())
        };
        CheckedScenario::new(scenario, Catalog::built_in(), ".")
    }

    fn application(&self) -> Application {
        let instances = templates(&self.scheduler, self.servers)
            .into_iter()
            .map(|(role, count)| template(role, Engine::default(), count))
            .collect();
        Application {
            scheduler: self.scheduler,
            instances,
            ..application(self.workload())
        }
    }

    pub(super) fn workload(&self) -> Workload {
        conversation(self.rate(), None, self.requests)
    }

    /// Down, then up, evenly over the instances and over the time in which requests come.
    fn actions(&self) -> Vec<Action> {
        let count = (f64::from(self.servers) * self.swing) as u64;
        let duration = self.requests as f64 / self.rate();
        let roles = templates(&self.scheduler, self.servers);
        let chosen = move |n: u64| n * u64::from(self.servers) / count;
        let at = move |n: u64| SimTime::saturating(duration * n as f64 / (2 * count) as f64);
        let down = (0..count).map(|n| Action {
            at: at(n),
            action: Verb::ScaleDownFull {
                instance: chosen(n),
            },
        });
        let up = (0..count).map(|n| Action {
            at: at(count + n),
            action: Verb::ScaleUpFull {
                application: APPLICATION.to_owned(),
                role: role_of(&roles, chosen(n)),
                sku: None,
                tag: None,
            },
        });
        down.chain(up).collect()
    }
}

/// Requests of conversations at this rate a second.
pub(super) fn conversation(
    rate: f64,
    system_prompts: Option<SystemPrompts>,
    requests: u64,
) -> Workload {
    let lengths = |median, sigma, max| Lengths::LogNormal {
        median,
        sigma,
        min: 1,
        max,
    };
    Workload::Synthetic {
        arrivals: Arrivals::Poisson { rate },
        shape: Shape::Constant,
        // The median, the mean and the longest of the public trace of a conversation service
        // (Azure, 2023): 1,020, 1,155 and 14,050 tokens of prompt, 129, 211 and 1,000 of output.
        prompt_tokens: lengths(1020.0, 0.5, 14_050),
        output_tokens: lengths(130.0, 1.0, 1000),
        system_prompts,
        rate_scale: 1.0,
        window: None,
        requests: Some(requests),
    }
}

/// The highest rate, in requests a second, at which the queues of `instances` stay bounded.
///
/// Found by runs of 200,000 to 800,000 requests on 40 instances, at rates 0.1 requests a second and
/// instance apart: at the next higher one, waits grow with the length of the run. There the memory
/// of an instance is full, about 68 requests, and the output of new ones waits for it.
fn capacity(scheduler: &Scheduler, instances: u32) -> f64 {
    let instances = f64::from(instances);
    match scheduler {
        Scheduler::RoundRobin
        | Scheduler::Random
        | Scheduler::Jsq
        | Scheduler::TokenJsq
        | Scheduler::Named(_) => 3.7 * instances,
        Scheduler::MixedPool { .. } => 3.6 * instances,
        // `KvJsq` counts a request at its token instance only once its cache is there. With 1,000
        // instances and more, what comes in the meantime goes to the same one, and transfers wait for
        // memory and are tried again: many events a request, at any load worth its name.
        Scheduler::KvRoundRobin { .. } | Scheduler::KvJsq { .. } => 3.2 * instances,
        // The counts of the reference drift so that one pair gets nearly every request.
        Scheduler::KvTokenJsq { .. } => 5.0,
    }
}

/// Whether prompts and tokens have pools of their own.
const fn has_pools(scheduler: &Scheduler) -> bool {
    scheduler.transfer_gib_per_s().is_some()
}

/// Roles with how many instances each has at time zero, in the order of their numbers.
pub(super) fn templates(scheduler: &Scheduler, instances: u32) -> Vec<(Role, u32)> {
    if has_pools(scheduler) {
        let prompt = (f64::from(instances) * PROMPT_SHARE).round().max(1.0) as u32;
        vec![
            (Role::Prompt, prompt),
            (Role::Token, instances.saturating_sub(prompt)),
        ]
    } else {
        vec![(Role::Mixed, instances)]
    }
}

/// The role of the instance of this number.
fn role_of(roles: &[(Role, u32)], instance: u64) -> Role {
    let mut end = 0;
    let found = roles.iter().find(|(_, count)| {
        end += u64::from(*count);
        instance < end
    });
    found.map_or(Role::Mixed, |&(role, _)| role)
}

/// One fleet with one application, sampled as often as a scenario is that does not say.
pub(super) fn scenario(servers: u32, application: Application) -> Scenario {
    Scenario {
        name: "bench".to_owned(),
        seed: 0,
        end: None,
        max_tick: None,
        sample_interval: SimDuration::saturating(10.0),
        percentiles: vec![50.0, 95.0, 99.0],
        catalog: Vec::new(),
        fleet: vec![FleetEntry {
            sku: SKU.to_owned(),
            count: servers,
            ..FleetEntry::default()
        }],
        applications: vec![application],
        pool: None,
        actions: Vec::new(),
        faults: Vec::new(),
        hazards: Vec::new(),
        quotas: Vec::new(),
        power_cap: None,
        regions: Vec::new(),
        region_routing: crate::scenario::RegionRouting::default(),
        region_latency: Vec::new(),
    }
}

/// An application with its defaults and no instances.
pub(super) fn application(workload: Workload) -> Application {
    Application {
        name: APPLICATION.to_owned(),
        model: MODEL.to_owned(),
        performance: Performance::Profile,
        scheduler: Scheduler::TokenJsq,
        instances: Vec::new(),
        scaling: Scaling::default(),
        autoscaler: None,
        signals: Signals::default(),
        actuator: Actuator::default(),
        priority: 0,
        crash: crate::scenario::CrashPolicy::default(),
        slo: Objective::default(),
        workload,
    }
}

/// A template of `count` instances, each on all processors of its server.
pub(super) fn template(role: Role, engine: Engine, count: u32) -> Template {
    Template {
        role,
        engine,
        tensor_parallelism: 8,
        pipeline_parallelism: 1,
        start: Start::Servers(count),
    }
}
