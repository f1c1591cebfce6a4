use super::fleet::{application, conversation, scenario, template};
use super::measure::BenchError;
use super::vllm::engine;
use crate::catalog::{Catalog, KvPrecision, Layer, Parallelism};
use crate::scenario::{
    AllReduceTimes, Application, CheckedScenario, FleetEntry, Performance, Role, Scenario,
    Scheduler, Start, Template, Workload,
};
use crate::serving::{BatchShape, NoRoofline, Roofline, StepModel};
use crate::time::SimDuration;

/// Dense, with windows, with experts, and with experts and latent attention.
const MODELS: [&str; 4] = [
    "llama-3.3-70b",
    "gpt-oss-120b",
    "qwen3-235b-a22b",
    "deepseek-v3",
];

/// Servers with eight GPUs of three kinds, and these.
const SERVERS: [(&str, &str); 3] = [
    ("p5en.48xlarge", "h200-sxm"),
    ("p6-b200.48xlarge", "b200-sxm"),
    ("p6-b300.48xlarge", "b300-sxm"),
];

/// Requests that decode at once on an instance, on average: its rate follows from them.
const BATCH: u64 = 32;

/// Tokens of the mean prompt and of the mean answer.
const LENGTHS: (u64, u64) = (1_155, 196);

/// A fleet with four models on GPUs of three kinds, each instance on the eight GPUs of its server.
///
/// There is an application for each model on each kind, with engines `Vllm`. With `roofline` the steps are priced by
/// the step model `Roofline`, else by a `Linear` that agrees with it on a usual batch, so that both serve
/// the same work in about as many steps.
///
/// ```
/// use fleetsim::bench::{StepModelBench, measure_step_models};
///
/// let bench = StepModelBench { servers: 12, requests: 240, roofline: true };
/// assert_eq!(measure_step_models(&bench)?.completed, 240);
/// # Ok::<(), fleetsim::bench::BenchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepModelBench {
    /// Servers in all, each with one instance; at least 12.
    pub servers: u32,
    /// Requests in all.
    pub requests: u64,
    /// Whether steps are priced by `Roofline`, and not by `Linear`.
    pub roofline: bool,
}

impl StepModelBench {
    /// 10,000 instances, a million requests.
    #[must_use]
    pub const fn new(roofline: bool) -> Self {
        Self {
            servers: 10_000,
            requests: 1_000_000,
            roofline,
        }
    }

    /// The scenario.
    ///
    /// # Errors
    /// When a field is out of its range.
    pub fn scenario(&self) -> Result<CheckedScenario, BenchError> {
        let catalog = Catalog::built_in();
        let kinds = MODELS.len() * SERVERS.len();
        // Shares of a number that differ by at most one, and add up to it.
        let share = |of: u64, kind: usize| {
            let (kind, kinds) = (kind as u64, kinds as u64);
            (kind + 1) * of / kinds - kind * of / kinds
        };
        let mut fleet = Vec::new();
        let mut applications = Vec::new();
        for (place, (sku, gpu)) in SERVERS.into_iter().enumerate() {
            let mut count = 0;
            for (number, model) in MODELS.into_iter().enumerate() {
                let kind = place * MODELS.len() + number;
                let servers = share(self.servers.into(), kind) as u32;
                let requests = share(self.requests, kind);
                count += servers;
                let of = Usual::new(&catalog, model, gpu)?;
                applications.push(self.application(&of, servers, requests));
            }
            fleet.push(FleetEntry {
                sku: sku.to_owned(),
                count,
                ..FleetEntry::default()
            });
        }
        let scenario = Scenario {
            fleet,
            applications,
            ..scenario(0, application(Workload::Host))
        };
        Ok(CheckedScenario::new(scenario, catalog, ".")?)
    }

    fn application(&self, of: &Usual, servers: u32, requests: u64) -> Application {
        let workload = conversation(of.rate * f64::from(servers), None, requests);
        Application {
            name: format!("{}-{}", of.model, of.gpu),
            model: of.model.to_owned(),
            performance: match self.roofline {
                true => ROOFLINE,
                false => of.linear.clone(),
            },
            scheduler: Scheduler::Jsq,
            instances: vec![Template {
                start: Start::Servers(servers),
                ..template(Role::Mixed, engine(false), 0)
            }],
            ..application(workload)
        }
    }
}

const ROOFLINE: Performance = Performance::Roofline {
    server: None,
    layer: Layer::Auto,
    precision: None,
    kv_precision: KvPrecision::Bf16,
    minimum: SimDuration::ZERO,
    data_parallelism: 1,
    all_reduce: AllReduceTimes::Fitted,
};

/// A model on eight GPUs of a kind, under a usual load.
struct Usual {
    model: &'static str,
    gpu: &'static str,
    /// Requests a second and instance.
    rate: f64,
    /// The linear step time that agrees with the roofline on a usual batch.
    linear: Performance,
}

impl Usual {
    fn new(catalog: &Catalog, model: &'static str, gpu: &'static str) -> Result<Self, NoRoofline> {
        let (prompt, output) = LENGTHS;
        let step = Roofline::of(catalog, model, gpu, "vllm", Parallelism::tensor(8))?;
        let batch = |decodes: u64, context: u64, prompt: u64| {
            let mut shape = BatchShape {
                decodes,
                decode_context: context,
                ..BatchShape::default()
            };
            if prompt > 0 {
                shape.add_chunk(0, prompt, step.window());
            }
            step.seconds(&shape)
        };
        let context = BATCH * (prompt + output / 2);
        let usual = batch(BATCH, context, 0);
        let context_token = (batch(BATCH, context + 1_000, 0) - usual).max(0.0) / 1e3;
        let decode_request = (batch(2 * BATCH, context, 0) - usual).max(0.0) / BATCH as f64;
        let prefill_token = (batch(BATCH, context, prompt) - usual).max(0.0) / prompt as f64;
        let rest = decode_request * BATCH as f64 + context_token * context as f64;
        let prompt_s = prefill_token * prompt as f64;
        Ok(Self {
            model,
            gpu,
            // A request is in the batch for `output` steps, each longer by the prompts that come meanwhile.
            rate: BATCH as f64 / (output as f64 * usual + BATCH as f64 * prompt_s),
            linear: Performance::Linear {
                base: (usual - rest).max(usual / 10.0),
                prefill_token,
                decode_request,
                context_token,
            },
        })
    }
}
