//! Requests a second that one engine serves at its best batch size.

use super::estimate::missed;
use super::prediction::Prediction;
use crate::autoscale::EngineModel;
use crate::serving::Role;

/// Batch sizes that are looked at.
const SIZES: u64 = 128;

/// The most requests in a batch where nothing limits them.
const UNLIMITED: u64 = 4096;

/// Objectives, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Objectives {
    pub(super) ttft: f64,
    pub(super) tbt: f64,
}

/// The mean lengths of a request, in whole tokens.
struct Lengths {
    /// What of the prompt is computed.
    computed: u64,
    output: u64,
    /// In the KV cache, on average.
    context: u64,
}

/// A batch size: whether it meets the objective, and its rate.
#[derive(Clone, Copy)]
struct Found {
    meets: bool,
    rate: f64,
}

/// Requests a second that an engine of the role serves: at the batch size of the highest rate of those that meet
/// the objective, or of all where none does. None where lengths are not known or not one request fits.
pub(super) fn rate(
    role: Role,
    engine: &EngineModel,
    next: &Prediction,
    objectives: Objectives,
) -> Option<f64> {
    let (prompt, output) = (next.prompt_tokens.ceil(), next.output_tokens.ceil());
    let known = prompt > 0.0 && (role == Role::Prompt || output > 0.0);
    if !known {
        return None;
    }
    let computed = (prompt * missed(next.hit_rate)).ceil().max(1.0);
    let of = Lengths {
        computed: computed as u64,
        output: output.max(0.0) as u64,
        context: (prompt as u64)
            .saturating_add(output.max(0.0) as u64 / 2)
            .max(1),
    };
    let most = most(role, engine, &of);
    let found = sizes(most).filter_map(|size| try_size(role, engine, &of, objectives, size));
    let best = found.reduce(|best, it| {
        let better = it.meets && !best.meets || it.meets == best.meets && it.rate > best.rate;
        if better { it } else { best }
    });
    best.map(|it| it.rate)
}

/// The largest batch.
fn most(role: Role, engine: &EngineModel, of: &Lengths) -> u64 {
    let size = engine.max_batch_size.map_or(UNLIMITED, u64::from);
    let chunk = engine.max_batch_tokens.unwrap_or(u64::MAX);
    let in_memory = engine.kv_tokens.unwrap_or(u64::MAX) / of.context;
    match role {
        Role::Prompt if of.computed > chunk => 1,
        Role::Prompt => size.min(chunk / of.computed),
        Role::Token => size.min(in_memory),
        Role::Mixed if chunk <= 1 => 0,
        Role::Mixed => size.min(in_memory).min(chunk - 1),
    }
}

/// All sizes up to `most`; of more than 128, as many at equal distances.
fn sizes(most: u64) -> impl Iterator<Item = u64> {
    let count = most.min(SIZES);
    (0..count).map(move |it| match most <= SIZES {
        true => 1 + it,
        false => 1 + it * (most - 1) / (SIZES - 1),
    })
}

fn try_size(
    role: Role,
    engine: &EngineModel,
    of: &Lengths,
    objectives: Objectives,
    size: u64,
) -> Option<Found> {
    let kv = size.saturating_mul(of.context);
    let each = |seconds: f64| size as f64 / (of.output as f64 * seconds);
    Some(match role {
        Role::Prompt => {
            let ttft = engine.chunked(of.computed.saturating_mul(size), 0, 0);
            Found {
                meets: ttft <= objectives.ttft,
                rate: size as f64 / ttft,
            }
        }
        Role::Token => {
            let tbt = engine.step(0, 0, size, kv);
            Found {
                meets: tbt <= objectives.tbt,
                rate: each(tbt),
            }
        }
        Role::Mixed => {
            // Each step carries as much of the prompts as its tokens of outputs ask for.
            let beside = (size as f64 * of.computed as f64 / of.output as f64).ceil() as u64;
            let room = engine.max_batch_tokens.unwrap_or(u64::MAX) - size;
            if beside > room {
                return None;
            }
            let tbt = engine.step(0, beside, size, kv);
            let ttft = engine.chunked(beside.saturating_add(of.computed), size, kv);
            Found {
                meets: tbt <= objectives.tbt && ttft <= objectives.ttft,
                rate: each(tbt),
            }
        }
    })
}
