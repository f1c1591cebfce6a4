use crate::catalog::{Catalog, Layer, MemoryUse, Model, Parallelism, Precision};
use crate::measured::{Arrivals, Row};
use crate::random::Stream;
use crate::serving::Roofline;

/// What a row asks to simulate: one instance, its limits and its requests.
#[derive(Debug)]
pub(super) struct Case {
    /// The time of its steps.
    pub(super) step: Roofline,
    /// Tokens that a step computes, at most.
    pub(super) max_batch_tokens: u32,
    /// Requests that run at once, at most.
    pub(super) max_seqs: u32,
    /// Tokens of KV cache.
    pub(super) kv_tokens: u64,
    /// The requests, in order.
    pub(super) requests: Vec<Planned>,
    /// Users of a closed loop: each sends the next request when its last has ended. 0 for open arrivals.
    pub(super) users: usize,
    /// Requests that are not counted, from the start on.
    pub(super) uncounted: usize,
    /// Instances like this one: ranks of data parallel attention.
    pub(super) ranks: u32,
}

/// A request that is to be simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Planned {
    /// When it comes, in seconds; that of a closed loop comes when another ends.
    pub(super) arrival_s: f64,
    /// Tokens of its prompt.
    pub(super) prompt: u32,
    /// Of these, those that stand in the prefix cache once an equal prompt was computed.
    pub(super) cached: u32,
    /// Of these, those that prompts of the same group have in common.
    pub(super) shared: u32,
    /// Which of the prompts that are sent over and over it is.
    pub(super) text: u32,
    /// Tokens of its answer.
    pub(super) output: u32,
}

/// Pairs of prompt and output tokens of real chats, where rows ask for lengths like theirs.
pub(super) type Chats = [(u32, u32)];

/// The names that tables have for engines, by those of the coefficients.
fn engine_of(name: &str) -> &str {
    match name {
        "nim-trtllm" | "tensorrt-llm" => "trtllm",
        other => other,
    }
}

/// Where and with what a model runs.
pub(super) struct Setup<'a> {
    pub(super) model: &'a Model,
    pub(super) gpu: &'a str,
    pub(super) memory_bytes: u64,
    pub(super) memory_bandwidth: f64,
    pub(super) engine: &'a str,
    pub(super) precision: Precision,
    pub(super) parallelism: Parallelism,
}

/// Looks model, GPU and precision up, or says why the row cannot be simulated.
pub(super) fn setup<'a>(
    catalog: &'a Catalog,
    model: &str,
    gpu: &'a str,
    engine: &'a str,
    precision: &str,
    parallelism: Parallelism,
) -> Result<Setup<'a>, String> {
    let known = (catalog.models.get(model), catalog.processors.get(gpu));
    let (Some(model), Some(processor)) = known else {
        return Err("model or gpu not in the catalog".to_owned());
    };
    if precision.is_empty() {
        return Err("precision unknown".to_owned());
    }
    let precision: Precision = precision
        .parse()
        .map_err(|_| "precision not in the model".to_owned())?;
    let speeds = processor.speeds.as_ref();
    Ok(Setup {
        model,
        gpu,
        memory_bytes: processor.memory_bytes,
        memory_bandwidth: speeds.map_or(f64::INFINITY, |it| it.memory_bandwidth),
        engine: engine_of(engine),
        precision,
        parallelism,
    })
}

impl Setup<'_> {
    pub(super) fn step(&self, catalog: &Catalog, layer: Layer) -> Result<Roofline, String> {
        let (model, gpu, engine) = (self.model, self.gpu, self.engine);
        let (precision, parallelism) = (self.precision, self.parallelism);
        Roofline::new(catalog, model, gpu, engine, precision, parallelism, layer)
            .map_err(|error| error.to_string())
    }

    /// Tokens of KV cache of a rank by the memory rule.
    pub(super) fn kv_tokens(&self, bytes_per_value: u32, utilization: f64) -> u64 {
        let room = MemoryUse {
            utilization,
            ..MemoryUse::default()
        };
        let (memory, parallelism) = (self.memory_bytes, self.parallelism);
        self.model
            .kv_tokens(memory, self.precision, parallelism, bytes_per_value, room)
            .unwrap_or(0)
    }

    /// What the engine takes where nothing is said: tokens of a step, requests at once.
    fn defaults(&self) -> (u32, u32) {
        const LARGE: u64 = 70 << 30;
        let large = self.memory_bytes >= LARGE && !self.gpu.starts_with("a100");
        match self.engine {
            "vllm" if large => (8192, 1024),
            "vllm" => (2048, 256),
            "sglang" => (8192, 4096),
            _ => (8192, 2048),
        }
    }
}

/// What a row asks to simulate, or why it is left out.
///
/// Limits come from the row, else from flags in its notes, else from the engine's defaults; the KV
/// cache from the row, else from the memory rule.
pub(super) fn case(
    row: &Row,
    catalog: &Catalog,
    layer: Layer,
    chats: &Chats,
) -> Result<Case, String> {
    if !matches!(row.usable.as_str(), "" | "yes") {
        return Err(format!("use: {}", row.usable));
    }
    let notes = Notes(&row.notes);
    if !catalog.models.contains_key(&row.model) || !catalog.processors.contains_key(&row.gpu) {
        return Err("model or gpu not in the catalog".to_owned());
    }
    if row.notes.contains("offload") {
        return Err("KV offloading".to_owned());
    }
    if ["--pp-size", "--pp_size", "pipeline-parallel"]
        .iter()
        .any(|flag| row.notes.contains(flag))
    {
        return Err("pipeline parallel".to_owned());
    }
    if row.prompt_tokens <= 0.0 || row.output_tokens <= 0.0 {
        return Err("lengths not stated".to_owned());
    }
    let parallelism = parallelism(row)?;
    let of = setup(
        catalog,
        &row.model,
        &row.gpu,
        &row.engine,
        &row.precision,
        parallelism,
    )?;
    let step = of.step(catalog, layer)?;
    let (tokens, seqs) = of.defaults();
    let flag = |names: &[&str]| notes.flag(names).map(|it| it as u32).filter(|&it| it > 0);
    let tokens = flag(&[
        "--max-num-batched-tokens",
        "--max_num_tokens",
        "--chunked-prefill-size",
    ])
    .unwrap_or(tokens);
    let seqs = flag(&[
        "--max-num-seqs",
        "--max_batch_size",
        "--max-running-requests",
    ])
    .unwrap_or(seqs);
    let kv_tokens = kv_tokens(row, &of, &notes);
    if kv_tokens == 0 {
        return Err("weights do not fit by the memory rule".to_owned());
    }
    let mut case = Case {
        step,
        max_batch_tokens: row.max_batch_tokens.unwrap_or(tokens),
        max_seqs: row.max_seqs.unwrap_or(seqs),
        kv_tokens,
        requests: Vec::new(),
        users: 0,
        uncounted: 0,
        ranks: parallelism.data,
    };
    match row.arrivals {
        Arrivals::Constant | Arrivals::Poisson => open(row, &mut case)?,
        Arrivals::Closed | Arrivals::AtOnce => {
            if is_impossible(row, &of) {
                return Err("impossible: decodes faster than the caches can be read".to_owned());
            }
            closed(row, &mut case, chats)?;
        }
    }
    Ok(case)
}

/// The row's parallelism. SGLang counts all GPUs in `tp`, of which attention has a share.
fn parallelism(row: &Row) -> Result<Parallelism, String> {
    let gpus = row.gpus.unwrap_or(0);
    let data = row.dp.unwrap_or(1).max(1);
    let tensor = match row.tp {
        Some(tensor) if tensor > 0 => tensor,
        _ if gpus == 1 => 1,
        _ => return Err("parallelism not stated".to_owned()),
    };
    let all = u64::from(tensor) * u64::from(data);
    let tensor = match gpus {
        1.. if all > u64::from(gpus) => (gpus / data).max(1),
        _ => tensor,
    };
    Ok(Parallelism { tensor, data })
}

/// Tokens of KV cache of a rank. The recipes of both sources of closed loops keep the cache in fp8
/// where the weights are fp8 or fp4.
fn kv_tokens(row: &Row, of: &Setup<'_>, notes: &Notes<'_>) -> u64 {
    if let Some(tokens) = row.kv_tokens {
        return (tokens / f64::from(of.parallelism.data)) as u64;
    }
    let recipe = matches!(row.source.as_str(), "inferencex" | "aiconfigurator");
    let small = matches!(row.precision.as_str(), "fp8" | "fp4");
    let bytes_per_value = if recipe && small { 1 } else { 2 };
    let flags = [
        "gpu memory utilisation",
        "--gpu-memory-utilization",
        "--mem-fraction-static",
    ];
    let share = notes.flag(&flags).filter(|it| (0.0..=1.0).contains(it));
    of.kv_tokens(bytes_per_value, share.unwrap_or(0.9))
}

/// Whether a row decodes faster than an fp8 cache of all its users can be read.
fn is_impossible(row: &Row, of: &Setup<'_>) -> bool {
    let (Some(tpot), Some(ttft), Some(users)) = (row.tpot.mean, row.ttft.mean, row.concurrency)
    else {
        return false;
    };
    let tensor = of.parallelism.tensor;
    let token = of.model.kv_bytes_on_all(tensor, 1).unwrap_or(0.0);
    let tokens = f64::from(users) / f64::from(of.parallelism.data) * row.prompt_tokens;
    row.arrivals == Arrivals::Closed
        && tpot > 0.0
        && ttft > 0.0
        && ttft < 0.5 * row.output_tokens * tpot
        && tpot * 1e-3 < tokens * token / f64::from(tensor) / of.memory_bandwidth
}

/// A rate for a hundred seconds, at most 2,000 requests; the first quarter is not counted.
///
/// A run that begins with an empty prefix cache is simulated from its first request on: the load
/// generator sends a hundred prompts over and over, and the first of each is computed in full.
fn open(row: &Row, case: &mut Case) -> Result<(), String> {
    const SECONDS: f64 = 100.0;
    const MOST: f64 = 2000.0;
    const LONGEST: f64 = 20_000.0;
    const TEXTS: usize = 100;
    let rate = row
        .request_rate
        .ok_or_else(|| "rate or parallelism not stated".to_owned())?;
    let begins = ["stage 0", "whole"].iter().any(|it| row.notes.contains(it));
    let cold = row
        .requests
        .filter(|&count| begins && row.cached_tokens.is_some() && f64::from(count) <= LONGEST);
    let count = match cold {
        Some(count) => count as usize,
        None => (rate * SECONDS).clamp(1.0, MOST) as usize,
    };
    let prompt = whole(row.prompt_tokens);
    let output = (row.output_tokens as u32).max(1);
    let cached = row.cached_tokens.unwrap_or(0).min(prompt - 1);
    let shared = row.shared_prefix_tokens.unwrap_or(0).min(cached);
    let mut random = Stream::new(0, &format!("validation/{}", row.id));
    let mut now = 0.0;
    case.requests = (0..count)
        .map(|number| {
            let arrival_s = match row.arrivals {
                Arrivals::Poisson => now,
                _ => number as f64 / rate,
            };
            now += random.exponential() / rate;
            Planned {
                arrival_s,
                prompt,
                cached,
                shared,
                text: match cold {
                    Some(_) => (number % TEXTS) as u32,
                    None => 0,
                },
                output,
            }
        })
        .collect();
    case.uncounted = match cold {
        Some(_) => 0,
        None => count / 4,
    };
    Ok(())
}

/// All users at the start. One rank has its share of users and of requests.
fn closed(row: &Row, case: &mut Case, chats: &Chats) -> Result<(), String> {
    let users = row
        .concurrency
        .ok_or_else(|| "concurrency not stated".to_owned())? as usize;
    let total = row.requests.map_or_else(
        || users.saturating_mul(5).max(60),
        |requests| requests as usize,
    );
    let ranks = case.ranks.max(1) as usize;
    let all = total.min(1500).max(total.min(users.saturating_mul(3)));
    let count = match ranks {
        1 => all,
        _ => total.min(20).max(all / ranks),
    };
    // More than any server of one instance is measured with, and memory for nobody.
    if count > 1_000_000 {
        return Err(format!(
            "{count} requests are more than one instance is asked for"
        ));
    }
    let lengths = lengths(row, count, chats)?;
    case.users = ((users as f64 / ranks as f64).round_ties_even() as usize).max(1);
    case.requests = lengths
        .into_iter()
        .map(|(prompt, output)| Planned {
            arrival_s: 0.0,
            prompt,
            cached: 0,
            shared: 0,
            text: 0,
            output,
        })
        .collect();
    Ok(())
}

/// Lengths of `count` requests, without random numbers: the same everywhere.
fn lengths(row: &Row, count: usize, chats: &Chats) -> Result<Vec<(u32, u32)>, String> {
    let (prompt, output) = (row.prompt_tokens, row.output_tokens);
    if row.lengths.starts_with("uniform 0.8-1.0") {
        // Fractions of the multiples of an irrational number fill the interval evenly.
        let share = |number: usize, irrational: f64| {
            let fraction = ((number + 1) as f64 * irrational) % 1.0;
            0.8 + 0.2 * fraction
        };
        let of = |mean: f64, share: f64, least: u32| ((mean / 0.9 * share) as u32).max(least);
        return Ok((0..count)
            .map(|number| {
                (
                    of(prompt, share(number, 0.618_033_988_749_894_9), 1),
                    of(output, share(number, 0.754_877_666_246_692_7), 2),
                )
            })
            .collect());
    }
    if row.lengths == "sharegpt" {
        if chats.is_empty() {
            return Err("no replay beside it to take the lengths of chats from".to_owned());
        }
        let mean = |of: fn(&(u32, u32)) -> u32| {
            let sum: u64 = chats.iter().map(|it| u64::from(of(it))).sum();
            sum as f64 / chats.len() as f64
        };
        let (mean_prompt, mean_output) = (mean(|it| it.0), mean(|it| it.1));
        let scaled = |of: u32, to: f64, from: f64, least: u32| {
            ((f64::from(of) * to / from).round_ties_even() as u32).max(least)
        };
        return Ok((0..count)
            .map(|number| {
                let (p, o) = chats[number % chats.len()];
                (
                    scaled(p, prompt, mean_prompt, 1),
                    scaled(o, output, mean_output, 2),
                )
            })
            .collect());
    }
    Ok(vec![(whole(prompt), whole(output)); count])
}

/// A mean number of tokens as that of one request: at least 1.
fn whole(mean: f64) -> u32 {
    (mean.round_ties_even() as u32).max(1)
}

/// Flags of a command line, as a source wrote them down.
struct Notes<'a>(&'a str);

impl Notes<'_> {
    /// The number behind the first of these flags that is there.
    fn flag(&self, names: &[&str]) -> Option<f64> {
        names.iter().find_map(|name| {
            let behind = self.0.split(name).nth(1)?;
            let behind = behind
                .strip_prefix([' ', '='])?
                .trim_start_matches([' ', '=']);
            let end = behind.find(|it: char| !it.is_ascii_digit() && it != '.');
            behind[..end.unwrap_or(behind.len())].parse().ok()
        })
    }
}
