//! What instances can carry, and how many of them a demand takes.
//!
//! A model of means, so that a policy can ask it at each decision: it knows how long iterations take,
//! how the engine batches and how much memory there is, and nothing of queues in detail. With the mean
//! prompt `p` and output `o` of the requests, in tokens, and the mean length `l = E[p²] / E[p]` of the
//! prompt that a token is part of (`p`, if all are alike):
//!
//! - **Prompts alone.** An iteration of `k` prompts of length `l` takes `P(k·l)` seconds and is worth
//!   `n = k·l / p` requests: `n / P(k·l)` requests a second at most. `k` is 1, 2, 4… or what batch and
//!   tokens of an iteration allow, whichever is best. Prompts of length `l` stand for all, since
//!   work is in proportion to tokens, and what a token costs depends on the prompt that it is in.
//! - **Tokens alone.** An iteration of `b` tasks takes `D(b)` and gives each a token. A request takes
//!   `o − 1` of them (its first token is the prompt's), so `b / (D(b)·(o − 1))` requests a second. `b`
//!   is the most that the batch holds, that the KV cache holds at `p + o` tokens each (Splitwise and
//!   Orca reserve the whole request) or `p + o/2` and half a block (`Vllm`, whose blocks come as tokens do),
//!   and whose `D(b)` is within the objective of TBT. Where step times depend on what is in the KV cache, a task
//!   has `p + o/2` tokens there.
//! - **Both on one instance.** An iteration of `k` prompts beside `c` token tasks takes `M(k·l + c)`
//!   and gives each of those tasks a token, too; `c` is `b`, or as many as the prompts leave places for
//!   in the iteration. A request therefore takes `M / n + (o − 1 − c / n)·D(b) / b` seconds of the
//!   instance. By Little's law the mean TBT is `b` times that over `o − 1`, and `b` is the most for
//!   which it is within the objective.
//! - **TTFT.** A prompt in an M/D/1 queue (Pollaczek–Khinchine) with service time `s` at load ρ waits
//!   `ρ·s / (2(1 − ρ))` on average; with the iteration of the prompt itself that is to be within the
//!   objective, so ρ is at most `2w / (s + 2w)` with `w` the objective less that iteration.
//!
//! An objective that not even one request alone would get is left out of account, and so is that of
//! E2E. Since means are to be within the objective, half of the requests may be beyond it at full
//! capacity: a target utilisation below 1 is for them.

mod ahead;
mod bound;
mod demand;
mod instance;
mod passes;

use std::sync::Arc;

pub(crate) use ahead::{arrivals_in_bins, bin};
pub use bound::CostBound;
pub use demand::{Amount, Demand, Mix};
pub use instance::Capacity;
use instance::{InstanceModel, Part};
pub use passes::EngineModel;

use super::Variant;
use crate::catalog::{GIB, Processor, Sku};
use crate::random::Delay;
use crate::scenario::{
    Application, CheckedScenario, EngineHardware, FleetEntry, Scaling, SkuChoice, Slo, Stage,
    Template,
};
use crate::serving::{Performance, Role};
use crate::time::SimDuration;

/// Lengths by which SKUs are compared: those by which `Fastest` compares them, too.
const USUAL: Mix = Mix::even(1024.0, 128.0);
/// Times the seconds of an iteration: the rank of a SKU that misses an objective, above every price.
const BEYOND: f64 = 1e100;
/// Token tasks by whose iteration the fastest SKU is told.
const TASKS: u64 = 32;

/// What instances of an application can carry, by role and SKU. Cheap to clone.
///
/// ```
/// use fleetsim::autoscale::{CapacityModel, Mix};
/// use fleetsim::scenario::CheckedScenario;
/// use fleetsim::serving::Role;
///
/// let checked = CheckedScenario::from_ron(
///     r#"(
///         name: "capacity",
///         fleet: [(sku: "dgx-h100", count: 1)],
///         applications: [(
///             name: "chat",
///             model: "llama2-70b",
///             performance: Constant(prompt_time: 0.5, token_time: 0.05),
///             instances: [(role: Mixed, engine: Fcfs, start: AllServers)],
///             workload: Synthetic(
///                 arrivals: Constant(rate: 1),
///                 prompt_tokens: Constant(100),
///                 output_tokens: Constant(11),
///                 requests: 9,
///             ),
///         )],
///     )"#,
///     ".".as_ref(),
/// )?;
/// let model = CapacityModel::new(&checked, 0);
/// let mix = Mix::even(100.0, 11.0);
/// // One request at a time: 0.5 s for its prompt and 10 × 0.05 s for the other tokens.
/// assert_eq!(model.of(Role::Mixed, mix).unwrap().requests_per_s, 1.0);
/// // 3 requests a second at 80 %: 3 ÷ 0.8.
/// assert_eq!(model.instances(Role::Mixed, &mix.at(3.0), 0.8), 4);
/// # Ok::<(), fleetsim::scenario::Diagnostics>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CapacityModel {
    slo: Slo,
    transfer_tokens_per_s: Option<f64>,
    roles: Arc<[RoleModel]>,
}

/// Instances of one role.
#[derive(Clone, Debug)]
struct RoleModel {
    role: Role,
    part: Part,
    /// On each SKU of the fleet, in its order; none where they cannot be.
    on: Vec<Option<Fit>>,
    /// The SKU that the actuator adds as long as there is room.
    usual: Option<usize>,
    /// Whether every SKU of the fleet has a price.
    priced: bool,
    /// How the actuator chooses a SKU.
    choice: SkuChoice,
    /// The objective of the application.
    slo: Slo,
    /// The engine, where it was given by hand.
    engine: Option<EngineModel>,
    start_up: StartUp,
}

/// How long it takes from the order of an instance on a new server until it is active.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StartUp {
    /// On average.
    pub mean: SimDuration,
    /// Hardly ever longer: once in a thousand times, or never.
    pub longest: SimDuration,
}

impl StartUp {
    fn new(provision: Delay, scaling: &Scaling, weights_bytes: u64) -> Self {
        let of = |length: fn(&Delay) -> SimDuration| {
            let stages = Stage::alone(&scaling.stages, weights_bytes, length);
            let joins = length(&scaling.spin_up) + stages;
            length(&provision) + joins.max(scaling.scale_up_delay)
        };
        Self {
            mean: of(Delay::mean),
            longest: of(Delay::longest),
        }
    }
}

/// An instance on a SKU.
#[derive(Clone, Debug)]
struct Fit {
    instance: InstanceModel,
    sku: Arc<Sku>,
    /// Of an hour of a server, by the first purchase option.
    price: Option<f64>,
    /// The same by the cheapest.
    lowest_price: Option<f64>,
    processor: Arc<Processor>,
    /// Processors of an instance.
    processors: u32,
    /// Instances that a server has room for.
    per_server: u32,
}

impl CapacityModel {
    /// The model of the application at this position of the scenario, with its own objective; empty
    /// where there is no such application.
    #[must_use]
    pub fn new(checked: &CheckedScenario, application: usize) -> Self {
        let scenario = checked.scenario();
        let Some(of) = scenario.applications.get(application) else {
            return Self::default();
        };
        let has = |role| of.instances.iter().any(|template| template.role == role);
        let priced = is_priced(checked);
        let roles = [Role::Prompt, Role::Token, Role::Mixed];
        let models = roles.into_iter().filter_map(|role| {
            if !has(role) {
                return None;
            }
            let part = match role {
                Role::Prompt => Part::Prompt,
                Role::Token => Part::Token,
                Role::Mixed if has(Role::Prompt) && !has(Role::Token) => Part::Token,
                Role::Mixed if has(Role::Token) && !has(Role::Prompt) => Part::Prompt,
                Role::Mixed => Part::Both,
            };
            let fleet = scenario.fleet.iter();
            let on = fleet.map(|entry| {
                let fit = |it| Fit::new(checked, of, &of.instances[it], entry);
                of.templates_of(role).find_map(fit)
            });
            let mut model = RoleModel {
                role,
                part,
                on: on.collect(),
                usual: None,
                priced,
                choice: of.actuator.sku.clone(),
                slo: of.slo.limits(),
                engine: None,
                start_up: StartUp::default(),
            };
            model.usual = (0..model.on.len())
                .filter_map(|sku| Some((sku, model.rank(sku, &of.actuator.sku)?)))
                .min_by(|(_, a), (_, b)| a.total_cmp(b))
                .map(|(sku, _)| sku);
            if let Some(sku) = model.usual {
                let weights = of.model_in(checked.catalog());
                let weights = weights.map_or(0, |it| it.weights_bytes);
                let provision = scenario.fleet[sku].provision_delay;
                model.start_up = StartUp::new(provision, &of.scaling, weights);
            }
            Some(model)
        });
        let model = of.model_in(checked.catalog());
        let bandwidth = of.scheduler.transfer_gib_per_s();
        let transfer = |gib_per_s: f64| {
            let bytes = model.as_ref()?.kv_bytes_per_token();
            (bytes > 0).then(|| gib_per_s * GIB / bytes as f64)
        };
        Self {
            slo: of.slo.limits(),
            transfer_tokens_per_s: bandwidth.and_then(transfer),
            roles: models.collect(),
        }
    }

    /// The same with another objective.
    #[must_use]
    pub fn with_slo(&self, slo: Slo) -> Self {
        Self {
            slo,
            ..self.clone()
        }
    }

    /// The same with an engine of this role; for signals made by hand.
    #[must_use]
    pub fn with_engine(&self, role: Role, engine: EngineModel) -> Self {
        let mut roles = self.roles.to_vec();
        roles.retain(|it| it.role != role);
        roles.push(RoleModel {
            role,
            part: Part::Both,
            on: Vec::new(),
            usual: None,
            priced: false,
            choice: SkuChoice::First,
            slo: Slo::default(),
            engine: Some(engine),
            start_up: StartUp::default(),
        });
        Self {
            roles: roles.into(),
            ..self.clone()
        }
    }

    /// The engine of a role's instances, on the SKU that scale-up takes as long as it has room; none where
    /// there is no such role, or its step times are not known.
    #[must_use]
    pub fn engine(&self, role: Role) -> Option<EngineModel> {
        let model = self.model(role)?;
        let usual = || model.on.get(model.usual?)?.as_ref();
        let usual = || usual().map(|it| EngineModel::of(&it.instance, it.processors));
        model.engine.clone().or_else(usual)
    }

    /// The objective within which it says what an instance can carry.
    #[must_use]
    pub const fn slo(&self) -> Slo {
        self.slo
    }

    /// Tokens a second whose KV cache a link between two instances carries; none where nothing is sent.
    #[must_use]
    pub const fn transfer_tokens_per_s(&self) -> Option<f64> {
        self.transfer_tokens_per_s
    }

    /// The roles that the application has templates of.
    pub fn roles(&self) -> impl Iterator<Item = Role> + '_ {
        self.roles.iter().map(|it| it.role)
    }

    /// How long instances of a role take to start up, on the SKU that scale-up takes as long as it has
    /// room; no time where there is no such role.
    #[must_use]
    pub fn start_up(&self, role: Role) -> StartUp {
        self.model(role)
            .map_or(StartUp::default(), |it| it.start_up)
    }

    /// What an instance of a role can carry, on the SKU that scale-up takes as long as it has room;
    /// none where there is no such role.
    #[must_use]
    pub fn of(&self, role: Role, mix: Mix) -> Option<Capacity> {
        self.on(role, self.model(role)?.usual?, mix)
    }

    /// What an instance of a role can carry on the SKU at this position of the fleet; none where it
    /// cannot be.
    #[must_use]
    pub fn on(&self, role: Role, sku: usize, mix: Mix) -> Option<Capacity> {
        let model = self.model(role)?;
        let fit = model.on.get(sku)?.as_ref()?;
        Some(fit.instance.capacity(model.part, mix, self.slo))
    }

    /// What instances of a role can carry on the SKU at this position of the fleet, of the template that takes
    /// this number of processors; none where there is no such template, or they cannot be.
    #[must_use]
    pub(crate) fn of_size(
        &self,
        checked: &CheckedScenario,
        application: usize,
        role: Role,
        sku: usize,
        processors: u32,
    ) -> Option<impl Fn(Mix) -> Capacity + use<>> {
        let scenario = checked.scenario();
        let of = scenario.applications.get(application)?;
        let entry = scenario.fleet.get(sku)?;
        let part = self.model(role)?.part;
        let slo = self.slo;
        let fit = of.templates_of(role).find_map(|template| {
            let template = &of.instances[template];
            let is_of_size = template.processors() == processors;
            is_of_size.then(|| Fit::new(checked, of, template, entry))?
        })?;
        Some(move |mix| fit.instance.capacity(part, mix, slo))
    }

    /// How much of a role's instances a demand takes when each is to be used to this share of what it
    /// can carry (above 0; 1 is all of it). Not a whole number.
    ///
    /// `Mixed` instances beside `Prompt` and `Token` instances are a reserve: none are needed.
    #[must_use]
    pub fn needed(&self, role: Role, demand: &Demand, utilisation: f64) -> f64 {
        let reserve = role == Role::Mixed
            && self.model(Role::Prompt).is_some()
            && self.model(Role::Token).is_some();
        let mix = demand.mix();
        let nothing = role == Role::Token && mix.output_tokens <= 1.0;
        match self.of(role, mix) {
            Some(capacity) if demand.requests_per_s > 0.0 && !reserve && !nothing => {
                demand.requests_per_s / (capacity.requests_per_s * utilisation)
            }
            _ => 0.0,
        }
    }

    /// The instances of a role that a demand takes: [`Self::needed`], rounded up.
    #[must_use]
    pub fn instances(&self, role: Role, demand: &Demand, utilisation: f64) -> u32 {
        // What a quotient of decimal fractions is too much by is not worth an instance.
        (self.needed(role, demand, utilisation) - 1e-9).ceil() as u32
    }

    /// The SKUs on which the actuator may put instances of a role, in the order of the fleet, with none on
    /// any of them.
    #[must_use]
    pub fn variants(&self, role: Role) -> Vec<Variant> {
        let Some(model) = self.model(role) else {
            return Vec::new();
        };
        let on = |(sku, fit): (usize, &Option<Fit>)| {
            model.rank(sku, &model.choice)?;
            Some(Variant {
                sku,
                price_per_hour: fit.as_ref()?.price_per_hour(),
                starting: 0,
                active: 0,
            })
        };
        model.on.iter().enumerate().filter_map(on).collect()
    }

    /// By what the actuator compares SKUs, the least being the best; none where an instance of the
    /// role cannot be.
    pub(super) fn rank(&self, role: Role, sku: usize, choice: &SkuChoice) -> Option<f64> {
        self.model(role)?.rank(sku, choice)
    }

    /// The same at a price of an hour of the next server of the SKU.
    pub(super) fn rank_at(
        &self,
        role: Role,
        sku: usize,
        choice: &SkuChoice,
        price: Option<f64>,
    ) -> Option<f64> {
        self.model(role)?.rank_at(sku, choice, price)
    }

    /// Whether a rank is that of a SKU on which instances miss the objective.
    pub(super) fn misses(rank: f64) -> bool {
        rank >= BEYOND * 1e-9
    }

    /// A role of which no instance on any SKU keeps the objective by which the actuator chooses a SKU, where it does.
    pub(super) fn hopeless(&self) -> Option<Role> {
        let misses = |of: &&RoleModel| {
            let by_objective = matches!(of.choice, SkuChoice::CheapestThatMeets { .. });
            let mut ranks = (0..of.on.len()).filter_map(|sku| of.rank(sku, &of.choice));
            by_objective && ranks.all(Self::misses)
        };
        self.roles.iter().find(misses).map(|of| of.role)
    }

    fn model(&self, role: Role) -> Option<&RoleModel> {
        self.roles.iter().find(|it| it.role == role)
    }
}

/// Whether every SKU of the fleet has a price.
fn is_priced(checked: &CheckedScenario) -> bool {
    let price = |sku: &String| checked.catalog().skus.get(sku)?.price_per_hour;
    let mut fleet = checked.scenario().fleet.iter();
    fleet.all(|entry| entry.is_priced(price(&entry.sku)))
}

impl RoleModel {
    fn rank(&self, sku: usize, choice: &SkuChoice) -> Option<f64> {
        let price = self.on.get(sku)?.as_ref()?.price;
        self.rank_at(sku, choice, price)
    }

    /// The same at a price of an hour of the next server.
    fn rank_at(&self, sku: usize, choice: &SkuChoice, price: Option<f64>) -> Option<f64> {
        let fit = self.on.get(sku)?.as_ref()?;
        Some(match choice {
            SkuChoice::First => 0.0,
            SkuChoice::Named(name) if *name == fit.sku.name => 0.0,
            SkuChoice::Named(_) => return None,
            SkuChoice::FallBack(names) => {
                names.iter().position(|name| *name == fit.sku.name)? as f64
            }
            SkuChoice::Cheapest => price.unwrap_or(f64::INFINITY),
            SkuChoice::CheapestThatMeets {
                load,
                prompt_tokens,
                output_tokens,
            } => {
                let mix = Mix::even(f64::from(*prompt_tokens), f64::from(*output_tokens));
                let within = fit.instance.strict_capacity(self.part, mix, self.slo);
                let flat_out = fit.instance.capacity(self.part, mix, Slo::default());
                if within.requests_per_s < load * flat_out.requests_per_s {
                    return Some(BEYOND * self.rank_at(sku, &SkuChoice::Fastest, price)?);
                }
                fit.expense(price, &within) / within.requests_per_s
            }
            SkuChoice::Fastest => {
                let (prompts, tasks) = match self.part {
                    Part::Prompt => (USUAL.prompt_tokens as u64, 0),
                    Part::Token => (0, TASKS),
                    Part::Both => (USUAL.prompt_tokens as u64, TASKS),
                };
                fit.instance.performance.iteration(prompts, tasks)
            }
            SkuChoice::MostEfficient => {
                let slo = Slo::default();
                let capacity = fit.instance.capacity(self.part, USUAL, slo);
                fit.expense(price.filter(|_| self.priced), &capacity) / capacity.requests_per_s
            }
        })
    }
}

impl Fit {
    /// An instance's share of the price of a server by the first purchase option; 0 where there is none.
    fn price_per_hour(&self) -> f64 {
        let price = self.price.unwrap_or(0.0);
        price / f64::from(self.sku.processors.max(1)) * f64::from(self.processors)
    }

    /// An instance's share of a full server: dollars an hour or, without a price, watts.
    fn expense(&self, price: Option<f64>, does: &Capacity) -> f64 {
        let share = 1.0 / f64::from(self.per_server);
        match price {
            Some(price) => price * share,
            None => {
                let power = self.processor.step_power();
                let busy = power.map_or(0.0, |it| {
                    it.token_w + (it.prompt_w - it.token_w) * does.prompt_share
                });
                share * (self.sku.idle_power_w + f64::from(self.sku.processors) * busy)
            }
        }
    }

    fn new(
        checked: &CheckedScenario,
        of: &Application,
        template: &Template,
        entry: &FleetEntry,
    ) -> Option<Self> {
        let catalog = checked.catalog();
        let sku = catalog.skus.get(&entry.sku)?;
        let processor = catalog.processors.get(&sku.processor)?;
        let model = of.model_in(catalog)?;
        let processors = template.processors().max(1);
        let performance = Performance::new(
            &of.performance,
            catalog,
            &of.model,
            sku,
            template.tensor_parallelism,
            &template.engine,
        );
        let memory = processor.memory_bytes.saturating_mul(processors.into());
        let (weights, token) = (model.weights_bytes, model.kv_bytes_per_token());
        let engine = template.engine.on(&EngineHardware {
            gpu: &sku.processor,
            gpu_memory_bytes: processor.memory_bytes,
            processors,
            weights_bytes: weights,
            kv_bytes_per_token: model.kv_bytes_per_token_on(template.tensor_parallelism),
        });
        let usable = engine.limits().usable_bytes(memory, weights, token);
        let kv_tokens = usable.saturating_sub(weights) / token.max(1);
        let instance = InstanceModel::new(engine, kv_tokens, performance.ok()?);
        let per_server = sku.processors / processors;
        let fits = per_server > 0 && instance.kv_tokens > 0;
        fits.then(|| Self {
            instance,
            sku: Arc::clone(sku),
            price: entry.first_price(sku.price_per_hour),
            lowest_price: entry.lowest_price(sku.price_per_hour),
            processor: Arc::clone(processor),
            processors,
            per_server,
        })
    }
}
