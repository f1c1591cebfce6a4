//! How much of the prompts has been there before.

use std::collections::HashMap;

use serde::Serialize;

use super::arrival::Arrival;

/// What a prefix cache that never forgets could serve of a workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PrefixStatistics {
    /// Requests that say what their tokens are.
    pub requests: u64,
    /// Prompt tokens that equal the beginning of an earlier request, prompt and output.
    pub served_tokens: u64,
    /// The same over the prompt tokens of all requests.
    pub served_share: f64,
}

/// Everything that was there, as the hash of each block with all before it.
#[derive(Default)]
pub(super) struct Seen {
    /// Tokens of the block that were there.
    blocks: HashMap<u64, u32>,
    requests: u64,
    served: u64,
    prompts: u64,
}

impl Seen {
    pub(super) fn add(&mut self, arrival: &Arrival) {
        self.prompts += u64::from(arrival.prompt_tokens);
        let Some(details) = &arrival.details else {
            return;
        };
        let size = u64::from(details.block_tokens);
        if details.prefix_blocks.is_empty() || size == 0 {
            return;
        }
        self.requests += 1;
        let prompt = u64::from(arrival.prompt_tokens);
        let all = prompt + u64::from(arrival.output_tokens);
        let mut chain = size;
        let mut matches = true;
        for (index, id) in (0_u64..).zip(&details.prefix_blocks) {
            chain = mixed(chain ^ mixed(*id));
            let begin = index * size;
            let here = |tokens: u64| tokens.saturating_sub(begin).min(size);
            if here(all) == 0 {
                break;
            }
            let there = self.blocks.entry(chain).or_default();
            if matches {
                self.served += here(prompt).min(u64::from(*there));
                matches = u64::from(*there) == size;
            }
            // At most a block, which is a `u32`.
            *there = (*there).max(here(all) as u32);
        }
    }

    /// The figures; none where no request says what its tokens are.
    pub(super) fn statistics(&self) -> Option<PrefixStatistics> {
        (self.requests > 0).then(|| PrefixStatistics {
            requests: self.requests,
            served_tokens: self.served,
            served_share: self.served as f64 / self.prompts as f64,
        })
    }
}

/// The bits of a number, spread (SplitMix64, Steele, Lea and Flood 2014).
const fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
