use bevy_ecs::component::Component;
use bevy_ecs::prelude::{Query, Res, ResMut};
use serde::{Deserialize, Serialize};

use super::grid::next_on_grid;
use super::{
    Amount, Completion, InstanceSnapshot, Load, RoleSnapshot, Signals, SkuSnapshot, Snapshot,
};
use crate::fleet::{
    Agenda, Application, Clock, EngineHandle, HostedOn, Instance, InstanceRole, InstanceStatus,
    Instances, Ledger, OfFleet, ServerSku, Service, StartUp, Stock, Templates,
};
use crate::serving::{EngineLoad, Role};
use crate::time::{SimDuration, SimTime};

/// Tokens of the prompt batch by which a role's prompt capacity is measured: a full iteration of the
/// Splitwise engine.
const FULL_PROMPT: u64 = 2048;

/// The purpose for which an application is woken when it is looked at.
pub(super) struct Scraping;

/// When an application is looked at.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
pub(super) struct Scraper {
    interval: SimDuration,
    /// Whether it looks for each decision.
    for_decisions: bool,
    /// So long before a whole number of intervals.
    lead: SimDuration,
    memory: ModelMemory,
    /// Requests that had ended when it was last asked.
    ended: u64,
    /// Those of them that were completed.
    completed: Amount,
}

/// What a model takes on an instance, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct ModelMemory {
    pub(super) weights: u64,
    /// For each token in the KV cache.
    pub(super) token: u64,
}

impl Scraper {
    /// One that looks every `scrape_interval` or, with none, in time for each decision.
    pub(super) fn new(
        scrape_interval: SimDuration,
        delay: SimDuration,
        decisions: SimDuration,
        memory: ModelMemory,
    ) -> Self {
        let for_decisions = scrape_interval == SimDuration::ZERO;
        let of_its_own = (scrape_interval, SimDuration::ZERO);
        let (interval, lead) = if for_decisions {
            (decisions, delay)
        } else {
            of_its_own
        };
        Self {
            interval,
            for_decisions,
            lead,
            memory,
            ended: 0,
            completed: Amount::default(),
        }
    }

    /// Looks in time for decisions every `interval` from now on, and returns when; none if it does not look
    /// for decisions.
    pub(super) fn follow(&mut self, interval: SimDuration, now: SimTime) -> Option<SimTime> {
        if !self.for_decisions {
            return None;
        }
        self.interval = interval;
        Some(self.next(now).unwrap_or(SimTime::MAX))
    }

    /// The first look after `now`; none if there is no further one.
    fn next(&self, now: SimTime) -> Option<SimTime> {
        next_on_grid(self.interval, self.lead, now)
    }
}

/// Notes the requests that ended in this tick, before anybody takes them.
pub(super) fn listen(mut applications: Query<'_, '_, (&Service, &mut Signals, &mut Scraper)>) {
    for (service, mut signals, mut scraper) in &mut applications {
        let counts = service.0.counts();
        let ended = counts.ended();
        if ended > scraper.ended {
            let records = service.0.ended();
            let new = usize::try_from(ended - scraper.ended).unwrap_or(usize::MAX);
            let new = &records[records.len().saturating_sub(new)..];
            for record in new {
                if let Some(completion) = Completion::of(record) {
                    signals.complete(completion);
                    scraper.completed += Amount::one(record.prompt_tokens, record.output_tokens);
                }
            }
            scraper.ended = ended;
        }
    }
}

type Scraped = (
    (&'static Application, &'static OfFleet),
    &'static Service,
    Option<&'static Instances>,
    &'static Templates,
    &'static mut Signals,
    &'static mut Scraper,
);
type Member = (
    &'static Instance,
    &'static InstanceRole,
    &'static InstanceStatus,
    &'static HostedOn,
    Option<&'static StartUp>,
    Option<&'static EngineHandle>,
);

/// Looks at the applications that are due.
pub(super) fn scrape(
    clock: Res<'_, Clock>,
    fleets: Query<'_, '_, (&Ledger, &Stock)>,
    mut agenda: ResMut<'_, Agenda>,
    mut applications: Query<'_, '_, Scraped>,
    (instances, servers): (Query<'_, '_, Member>, Query<'_, '_, &ServerSku>),
) {
    let now = clock.now();
    for entity in agenda.awake_for::<Scraping>().collect::<Vec<_>>() {
        let Ok(((application, of), service, members, templates, mut signals, scraper)) =
            applications.get_mut(entity)
        else {
            continue;
        };
        let Ok((ledger, stock)) = fleets.get(of.fleet()) else {
            continue;
        };
        let counts = service.0.counts();
        let mut roles: Vec<RoleSnapshot> = templates
            .roles()
            .map(|role| RoleSnapshot {
                kv_bytes_per_token: scraper.memory.token,
                ..begin(role, application, service, templates, ledger, stock)
            })
            .collect();
        for (instance, of_role, status, server, start, engine) in members
            .into_iter()
            .flat_map(Instances::iter)
            .flat_map(|it| instances.get(it))
        {
            let Some(role) = roles.iter_mut().find(|it| it.role == of_role.role()) else {
                continue;
            };
            if let Some(start) = start {
                role.starting.push(start.activates);
            }
            if let Some(engine) = engine {
                let sku = servers.get(server.server()).map(ServerSku::position);
                let of = InstanceSnapshot {
                    number: instance.number(),
                    status: *status,
                    sku: sku.unwrap_or(0),
                    load: Load::ZERO,
                };
                let load = service.0.load(engine.engine(), now);
                add(role, of, &load, scraper.memory.weights);
            }
        }
        roles
            .iter_mut()
            .for_each(|role| role.starting.sort_unstable());
        signals.scrape(Snapshot {
            time: now,
            arrived: counts.arrived,
            arrived_prompt_tokens: counts.arrived_prompt_tokens,
            waiting: counts.waiting,
            completed: scraper.completed,
            roles,
            skus: skus(ledger, stock),
        });
        let next = scraper.next(now).unwrap_or(SimTime::MAX);
        agenda.wake_for::<Scraping>(next, entity);
    }
}

/// What is known of a role without a look at its instances.
fn begin(
    role: Role,
    application: &Application,
    service: &Service,
    templates: &Templates,
    ledger: &Ledger,
    stock: &Stock,
) -> RoleSnapshot {
    let counts = ledger.counts_of(application.index(), role);
    let gone = service.0.departed(role);
    let capacity = |sku| {
        let performance = templates.performance(role, sku)?;
        Some(FULL_PROMPT as f64 / performance.iteration(FULL_PROMPT, 0))
    };
    let limits = templates.limits(role);
    let (max_batch_size, max_batch_tokens) =
        limits.map_or((None, None), |it| (it.requests, it.step_tokens));
    RoleSnapshot {
        max_batch_size,
        max_batch_tokens,
        active: counts.active,
        draining: counts.draining,
        prompt_tokens: gone.prompt_tokens,
        output_tokens: gone.output_tokens,
        queried_tokens: gone.queried_tokens,
        hit_tokens: gone.hit_tokens,
        busy_s: gone.prompt_busy_s + gone.token_busy_s,
        up_s: gone.up_s,
        prompt_capacity: (0..stock.kinds().len())
            .filter_map(capacity)
            .fold(0.0, f64::max),
        ..RoleSnapshot::new(role)
    }
}

fn add(role: &mut RoleSnapshot, instance: InstanceSnapshot, of: &EngineLoad, weights_bytes: u64) {
    let memory = match of.memory {
        u64::MAX => 0,
        bytes => bytes,
    };
    let load = Load {
        assigned: of.assigned,
        queued: of.queued,
        running: of.running,
        pending_tokens: of.pending_tokens,
        memory_used: of.memory_used,
        memory,
        kv_used: of.memory_used.saturating_sub(weights_bytes),
        kv: memory.saturating_sub(weights_bytes),
    };
    match instance.status {
        InstanceStatus::Active => role.load += load,
        InstanceStatus::Draining => role.draining_load += load,
        InstanceStatus::ScalingUp | InstanceStatus::ScalingDown => {}
    }
    role.prompt_tokens += of.prompt_tokens;
    role.output_tokens += of.output_tokens;
    role.queried_tokens += of.queried_tokens;
    role.hit_tokens += of.hit_tokens;
    role.busy_s += of.prompt_busy_s + of.token_busy_s;
    role.up_s += of.up_s;
    role.instances.push(InstanceSnapshot { load, ..instance });
}

fn skus(ledger: &Ledger, stock: &Stock) -> Vec<SkuSnapshot> {
    let of = |(position, kind): (usize, &crate::fleet::Kind)| {
        let servers = ledger.servers_of(position);
        SkuSnapshot {
            sku: kind.sku().clone(),
            scaling_up: servers.scaling_up,
            active: servers.active,
            room: kind
                .limit()
                .map(|limit| limit.saturating_sub(servers.total())),
        }
    };
    stock.kinds().iter().enumerate().map(of).collect()
}
