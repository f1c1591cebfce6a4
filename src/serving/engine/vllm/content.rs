use serde::{Deserialize, Serialize};

/// An odd number whose bits look random.
const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
/// Tells content of one request alone from content that ids describe.
const ALONE: u128 = 0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f;

/// What the tokens of a request are, as far as others may have equal ones.
///
/// Position `p` of prompt and output together has the content `(ids[p / tokens], p mod tokens)`.
/// Positions beyond the ids are like nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// One id for each stretch of tokens.
    pub ids: Box<[u64]>,
    /// Tokens that an id stands for.
    pub tokens: u32,
}

impl Prefix {
    /// Whole blocks of `size` tokens that the ids describe.
    #[must_use]
    pub fn blocks(&self, size: u32) -> u32 {
        let tokens = self.ids.len() as u64 * u64::from(self.tokens);
        u32::try_from(tokens / u64::from(size)).unwrap_or(u32::MAX)
    }
}

/// The contents of the blocks of a request: each stands for that block and all before it.
///
/// Two are equal if the tokens are, and otherwise differ but for a chance of one in 2^64 or less.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Contents(Vec<u128>);

impl Contents {
    /// Forgets them, and keeps the storage.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The content of block `index`; blocks have `size` tokens, and `serial` is the request's own number.
    #[inline]
    pub(super) fn get(&mut self, index: u32, size: u32, prefix: &Prefix, serial: u64) -> u128 {
        if let Some(&content) = self.0.get(index as usize) {
            return content;
        }
        self.extend(index, size, prefix, serial)
    }

    /// Adds the contents of all blocks up to `index`, and returns that one.
    fn extend(&mut self, index: u32, size: u32, prefix: &Prefix, serial: u64) -> u128 {
        let described = prefix.blocks(size).min(index + 1) as usize;
        let mut content = self.0.last().copied().unwrap_or(FACTOR);
        self.0.reserve(described.saturating_sub(self.0.len()));
        if self.0.len() < described {
            let begin = self.0.len() as u64 * u64::from(size);
            let tokens = u64::from(prefix.tokens);
            // Where the block begins: in which id, and how many tokens into it.
            let (mut id, mut into) = ((begin / tokens) as usize, begin % tokens);
            while self.0.len() < described {
                content = mix(content, prefix.ids[id]);
                into += u64::from(size);
                while into > tokens {
                    into -= tokens;
                    id += 1;
                    content = mix(content, prefix.ids[id]);
                }
                if into == tokens {
                    into = 0;
                    id += 1;
                }
                self.0.push(content);
            }
        }
        while self.0.len() <= index as usize {
            content = mix(content ^ ALONE, serial);
            self.0.push(content);
        }
        content
    }
}

/// Chains a word to a content. For each word it is one to one.
pub(super) const fn mix(content: u128, word: u64) -> u128 {
    let mixed = (content ^ word as u128).wrapping_mul(FACTOR);
    mixed ^ (mixed >> 64)
}
