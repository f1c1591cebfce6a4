use super::case::{Case, Planned};
use crate::measured::{Figures, Spread};
use crate::serving::vllm::{News, Prefix, Vllm, VllmConfig, Work};
use crate::time::SimTime;

/// Tokens of a KV block.
const BLOCK: u32 = 16;

/// What a request felt, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Felt {
    pub(super) arrival: f64,
    pub(super) first_token: f64,
    pub(super) last_token: f64,
    pub(super) output: u32,
}

impl Felt {
    pub(super) fn ttft(&self) -> f64 {
        self.first_token - self.arrival
    }

    pub(super) fn tpot(&self) -> f64 {
        (self.last_token - self.first_token) / f64::from(self.output.saturating_sub(1).max(1))
    }

    pub(super) fn e2e(&self) -> f64 {
        self.last_token - self.arrival
    }
}

/// Serves the requests of a case with the engine of vLLM: what each felt, in the order of the case.
///
/// # Errors
/// Why the engine cannot serve one of them.
pub(super) fn serve(case: &Case) -> Result<Vec<Felt>, String> {
    let mut engine = Vllm::new(config(case)?);
    let mut source = Source {
        requests: &case.requests,
        next: 0,
        arrivals: vec![0.0; case.requests.len()],
    };
    let mut felt = vec![Felt::default(); case.requests.len()];
    let mut news = News::default();
    for _ in 0..case.users {
        source.enqueue(&mut engine, SimTime::ZERO);
    }
    engine.start(SimTime::ZERO, &case.step, &mut news);
    loop {
        let event = engine.next_event();
        if let Some(arrival) = source.next_arrival(case.users)
            && event.is_none_or(|event| arrival <= event)
        {
            source.enqueue(&mut engine, arrival);
            let more = source.next_arrival(case.users) == Some(arrival);
            if event.is_none() && !more {
                engine.start(arrival, &case.step, &mut news);
            }
            continue;
        }
        let Some(now) = event else {
            break;
        };
        engine.finish(&mut news);
        for done in news.ended.drain(..) {
            let number = done.owner as usize;
            let at = |instant: Option<SimTime>| instant.unwrap_or(now).seconds();
            felt[number] = Felt {
                arrival: source.arrivals[number],
                first_token: at(done.progress.first_token),
                last_token: at(done.progress.last_token),
                output: done.progress.outputs,
            };
            if case.users > 0 {
                source.enqueue(&mut engine, now);
            }
        }
        news.clear();
        engine.start(now, &case.step, &mut news);
    }
    match felt.iter().position(|it| it.output == 0) {
        Some(number) => Err(format!("request {number} never ends")),
        None => Ok(felt),
    }
}

/// The requests that are still to come.
struct Source<'a> {
    requests: &'a [Planned],
    next: usize,
    arrivals: Vec<f64>,
}

impl Source<'_> {
    /// When the next request comes by itself; those of a closed loop come when others end.
    fn next_arrival(&self, users: usize) -> Option<SimTime> {
        let request = self.requests.get(self.next).filter(|_| users == 0)?;
        Some(SimTime::saturating(request.arrival_s))
    }

    fn enqueue(&mut self, engine: &mut Vllm, now: SimTime) {
        let Some(request) = self.requests.get(self.next) else {
            return;
        };
        self.arrivals[self.next] = now.seconds();
        engine.enqueue(work(self.next, request, now), now);
        self.next += 1;
    }
}

/// The `number`th request, as the engine takes it in.
pub(super) fn work(number: usize, request: &Planned, now: SimTime) -> Work {
    Work {
        owner: number as u32,
        id: number as u64,
        arrival: now,
        prompt_tokens: request.prompt,
        output_tokens: request.output,
        prefix: prefix(request),
        ..Work::default()
    }
}

/// What stands in a prompt: blocks that its group has in common, then blocks of its own.
fn prefix(request: &Planned) -> Prefix {
    /// Groups of prompts that begin alike.
    const GROUPS: u32 = 10;
    let of = |text: u32, block: u32| (u64::from(text) << 32) | u64::from(block);
    let (shared, cached) = (request.shared / BLOCK, request.cached / BLOCK);
    let group = u32::MAX - request.text % GROUPS;
    Prefix {
        ids: (0..cached)
            .map(|block| match block < shared {
                true => of(group, block),
                false => of(request.text, block),
            })
            .collect(),
        tokens: BLOCK,
    }
}

pub(super) fn config(case: &Case) -> Result<VllmConfig, String> {
    let longest = case
        .requests
        .iter()
        .map(|it| it.prompt.saturating_add(it.output))
        .max()
        .unwrap_or(1);
    let blocks = (case.kv_tokens / u64::from(BLOCK)).min(u64::from(u32::MAX - 1)) as u32;
    let config = VllmConfig {
        max_num_seqs: case.max_seqs,
        max_num_batched_tokens: case.max_batch_tokens.max(case.max_seqs),
        block_size: BLOCK,
        // One of them, the null block, is never used.
        num_gpu_blocks: blocks + 1,
        enable_prefix_caching: case.requests.iter().any(|it| it.cached > 0),
        ..VllmConfig::of_server("", 0, longest.saturating_add(1), 2)
    };
    config.check().map_err(|error| error.to_string())?;
    for request in &case.requests {
        if config.misfit(request.prompt, request.output).is_some() {
            let (prompt, output) = (request.prompt, request.output);
            return Err(format!(
                "a request of {prompt} + {output} tokens does not fit the KV cache"
            ));
        }
    }
    Ok(config)
}

/// Means and percentiles of the requests that are counted; of a rate, those of all ranks.
pub(super) fn figures(case: &Case, felt: &[Felt]) -> Figures {
    let counted = felt.get(case.uncounted..).unwrap_or(felt);
    let spread = |of: fn(&Felt) -> f64| Spread::of(counted.iter().map(|it| of(it) * 1e3).collect());
    let over = felt.iter().map(|it| it.last_token).fold(0.0, f64::max);
    let ranks = f64::from(case.ranks);
    let tokens: f64 = felt.iter().map(|it| f64::from(it.output)).sum();
    Figures {
        ttft: spread(Felt::ttft),
        tpot: spread(Felt::tpot),
        e2e: spread(Felt::e2e),
        requests_per_s: felt.len() as f64 / over * ranks,
        output_tokens_per_s: tokens / over * ranks,
    }
}
