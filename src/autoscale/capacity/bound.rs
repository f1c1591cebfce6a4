//! What serving requests costs at the very least.

use super::ahead::arrivals;
use super::{Fit, is_priced};
use crate::scenario::{Application, CheckedScenario, FleetEntry};
use crate::workload::WorkloadError;

/// Rates of the prompts' share that are tried: each gives a bound, and the best is taken.
const TRIALS: u32 = 64;
const SECONDS_PER_HOUR: f64 = 3600.0;

/// What serving an application's requests to their last token costs at the very least, on any number of
/// instances that come and go in no time, each on the best SKU, with any schedule.
///
/// A run whose requests are all completed costs no less. It is a bound on cost alone: no promise to
/// users is kept by it.
///
/// Why it is one: let an instance of kind `j` (a template on a SKU) cost `c` a second, its share of the
/// server's price. Give a prompt token the price `a`, and each token after the first `g·h`, where `h` is
/// the number of tokens whose KV cache the request holds meanwhile. If no iteration of any kind of
/// instance serves more than it costs at these prices, no run does, and all requests at these prices are
/// a bound. For kind `j` with room for `K` tokens, an iteration of
/// - prompts of `x` tokens serves `a·x` and costs `c·P(x)`;
/// - token tasks serves at most `g·K`, since together they hold no more, and costs `c·D(b)`;
/// - both, `x` tokens in all, serves less than `a·x + g·K`, and costs `c·M(x)`.
///
/// For any `a` that the first allows, the other two give the highest `g`, and any such pair is a bound;
/// several `a` are tried. Where the batch is what limits (`n` tasks of price `g` each), the same holds
/// with `n` in the place of `K`; the better of the two is taken. This is the relaxation that serves
/// tokens fluidly, at the best throughput per cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CostBound {
    /// Hours of processors.
    pub gpu_hours: f64,
    /// Dollars; none where a SKU of the fleet has no price.
    pub cost: Option<f64>,
}

/// What the prices are multiplied with.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    prompt_tokens: f64,
    /// Output tokens after the first.
    decode_tokens: f64,
    /// The same, each times the tokens that its request holds.
    held_tokens: f64,
    longest_prompt: u64,
}

impl CostBound {
    /// The bound for the requests of an application that arrive by the scenario's end.
    ///
    /// # Errors
    /// As [`workload::open`](crate::workload::open), and of any row of a trace.
    pub fn of_application(
        checked: &CheckedScenario,
        application: usize,
    ) -> Result<Self, WorkloadError> {
        let Some(of) = checked.scenario().applications.get(application) else {
            return Ok(Self::default());
        };
        let mut work = Work::default();
        for arrival in arrivals(checked, application)? {
            let arrival = arrival?;
            work.add(arrival.prompt_tokens, arrival.output_tokens);
        }
        Ok(Self::of(checked, of, &work))
    }

    fn of(checked: &CheckedScenario, of: &Application, work: &Work) -> Self {
        let fleet = &checked.scenario().fleet;
        let on_each = |template| {
            let fit = move |entry: &FleetEntry| Fit::new(checked, of, template, entry);
            fleet.iter().filter_map(fit)
        };
        let fits: Vec<Fit> = of.instances.iter().flat_map(on_each).collect();
        let processors: Vec<f64> = fits.iter().map(|it| it.processors.into()).collect();
        let dollars = fits.iter().map(|it| {
            let share = f64::from(it.processors) / f64::from(it.sku.processors);
            it.lowest_price.unwrap_or(0.0) * share
        });
        let dollars: Vec<f64> = dollars.collect();
        Self {
            gpu_hours: least(&fits, &processors, work) / SECONDS_PER_HOUR,
            cost: is_priced(checked).then(|| least(&fits, &dollars, work) / SECONDS_PER_HOUR),
        }
    }
}

impl Work {
    fn add(&mut self, prompt_tokens: u32, output_tokens: u32) {
        let (prompt, output) = (f64::from(prompt_tokens), f64::from(output_tokens));
        let decode = (output - 1.0).max(0.0);
        self.prompt_tokens += prompt;
        self.decode_tokens += decode;
        self.held_tokens += decode * (prompt + output);
        self.longest_prompt = self.longest_prompt.max(prompt_tokens.into());
    }
}

/// The highest bound found, with the cost per second of each kind of instance.
fn least(fits: &[Fit], costs: &[f64], work: &Work) -> f64 {
    let kinds: Vec<Kind> = fits
        .iter()
        .zip(costs)
        .map(|(fit, &cost)| Kind::new(fit, cost, work.longest_prompt))
        .collect();
    let lowest =
        |price: &dyn Fn(&Kind) -> f64| kinds.iter().map(price).fold(f64::INFINITY, f64::min);
    let most = lowest(&|kind| kind.prompt);
    if !most.is_finite() {
        return 0.0;
    }
    let trial = |step: u32| {
        let prompt = most * f64::from(step) / f64::from(TRIALS);
        let by_memory = lowest(&|kind| kind.left(prompt) / kind.kv_tokens) * work.held_tokens;
        let by_batch = lowest(&|kind| kind.left(prompt) / kind.tasks) * work.decode_tokens;
        prompt * work.prompt_tokens + by_memory.max(by_batch).max(0.0)
    };
    (0..=TRIALS).map(trial).fold(0.0, f64::max)
}

/// A template on a SKU, as far as the bound goes.
struct Kind {
    tasks: f64,
    kv_tokens: f64,
    /// The highest price of a prompt token that iterations of prompts allow.
    prompt: f64,
    /// What an iteration of token tasks costs at least.
    token: f64,
    /// What iterations of both cost, by tokens: as little as their lower convex hull.
    both: Vec<(f64, f64)>,
}

impl Kind {
    fn new(fit: &Fit, cost: f64, longest_prompt: u64) -> Self {
        let model = &fit.instance;
        let seconds = |prompts, tasks| cost * model.performance.iteration(prompts, tasks);
        let alone = model.tasks == 1;
        // A batch holds one prompt of any length, or as many tokens as an iteration takes.
        let all = model
            .tasks
            .saturating_mul(longest_prompt)
            .min(model.kv_tokens);
        let most = model.tokens.min(all).max(longest_prompt).max(1);
        let tokens = 1..=most;
        let prompt = tokens.map(|x| seconds(x, 0) / x as f64);
        let tasks = model.tasks.min(model.tokens).min(model.kv_tokens);
        let token = (1..=tasks.max(1)).map(|b| seconds(0, b));
        let mixed = (2..=most.saturating_add(tasks)).map(|x| (x as f64, seconds(x - 1, 1)));
        Self {
            tasks: model.tasks as f64,
            kv_tokens: model.kv_tokens as f64,
            prompt: prompt.fold(f64::INFINITY, f64::min),
            token: token.fold(f64::INFINITY, f64::min),
            both: if alone { Vec::new() } else { hull(mixed) },
        }
    }

    /// What is left for the token tasks of an iteration when prompt tokens have a price.
    fn left(&self, prompt: f64) -> f64 {
        let both = self.both.iter().map(|(x, cost)| cost - prompt * (x - 1.0));
        both.fold(self.token, f64::min)
    }
}

/// The lower convex hull of points in order of `x`: where a straight line can touch them from below.
fn hull(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for point in points {
        while let [.., a, b] = hull[..]
            && (b.1 - a.1) * (point.0 - a.0) >= (point.1 - a.1) * (b.0 - a.0)
        {
            hull.pop();
        }
        hull.push(point);
    }
    hull
}
