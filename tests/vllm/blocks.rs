//! The block pool against a plain one that knows each block by its number.

use std::collections::{BTreeMap, VecDeque};

use fleetsim::serving::vllm::{BlockId, Blocks};
use proptest::prelude::*;

/// What a block of the plain pool contains.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    Nothing,
    /// Content that nobody asks for.
    Spent,
    Known(u128),
}

/// The rules as they are told: users, contents and a queue of numbers.
struct Plain {
    users: Vec<u32>,
    content: Vec<Content>,
    free: VecDeque<usize>,
    found: BTreeMap<u128, Vec<usize>>,
}

impl Plain {
    fn new(count: usize) -> Self {
        Self {
            users: vec![0; count],
            content: vec![Content::Nothing; count],
            free: (1..count).collect(),
            found: BTreeMap::new(),
        }
    }

    fn take(&mut self, count: usize) -> Vec<usize> {
        let taken: Vec<_> = self.free.drain(..count).collect();
        for &block in &taken {
            if let Content::Known(content) = self.content[block] {
                let equals = self.found.get_mut(&content).expect("it is known");
                equals.retain(|&other| other != block);
                if equals.is_empty() {
                    self.found.remove(&content);
                }
            }
            self.content[block] = Content::Nothing;
            self.users[block] = 1;
        }
        taken
    }

    fn find(&self, content: u128) -> Option<usize> {
        self.found.get(&content).map(|equals| equals[0])
    }

    fn share(&mut self, block: usize) {
        self.free.retain(|&other| other != block);
        self.users[block] += 1;
    }

    fn register(&mut self, block: usize, content: u128) {
        self.content[block] = Content::Known(content);
        self.found.entry(content).or_default().push(block);
    }

    fn release(&mut self, blocks: &[usize]) {
        let mut front = Vec::new();
        for &block in blocks.iter().rev() {
            self.users[block] -= 1;
            if self.users[block] == 0 {
                match self.content[block] {
                    Content::Nothing => front.push(block),
                    _ => self.free.push_back(block),
                }
            }
        }
        for block in front.into_iter().rev() {
            self.free.push_front(block);
        }
    }

    fn queue(&self) -> Vec<Option<u128>> {
        let content = |&block: &usize| match self.content[block] {
            Content::Known(content) => Some(content),
            _ => None,
        };
        self.free.iter().map(content).collect()
    }
}

/// A request in both pools: found blocks, then registered ones nobody asks for, then plain ones.
struct Held {
    plain: Vec<usize>,
    found: Vec<BlockId>,
    spent: usize,
}

/// A request that comes, and what of it is registered; or one that goes.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Come {
        prompt: u8,
        known: u8,
        spent: u8,
        plain: u8,
    },
    Go(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0..4_u8, 0..5_u8, 0..4_u8, 0..4_u8).prop_map(|(prompt, known, spent, plain)| {
            Deed::Come {
                prompt,
                known,
                spent,
                plain,
            }
        }),
        any::<u8>().prop_map(Deed::Go),
    ]
}

struct Pair {
    blocks: Blocks,
    plain: Plain,
    held: Vec<Held>,
}

impl Pair {
    fn new(count: u32) -> Self {
        Self {
            blocks: Blocks::new(count),
            plain: Plain::new(count as usize),
            held: Vec::new(),
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Come {
                prompt,
                known,
                spent,
                plain,
            } => self.come(prompt, known, spent, plain),
            Deed::Go(_) if self.held.is_empty() => {}
            Deed::Go(which) => {
                let held = self.held.swap_remove(which as usize % self.held.len());
                let spent = held.spent as u32;
                let plain = (held.plain.len() - held.found.len() - held.spent) as u32;
                self.blocks.release(plain, spent, &held.found);
                self.plain.release(&held.plain);
            }
        }
    }

    fn come(&mut self, prompt: u8, known: u8, spent: u8, plain: u8) {
        let content = |block: u8| u128::from(prompt) * 100 + u128::from(block);
        let mut held = Held {
            plain: Vec::new(),
            found: Vec::new(),
            spent: spent.into(),
        };
        for block in 0..known {
            let (ours, theirs) = (
                self.blocks.find(content(block)),
                self.plain.find(content(block)),
            );
            assert_eq!(ours.is_some(), theirs.is_some());
            let (Some(ours), Some(theirs)) = (ours, theirs) else {
                break;
            };
            assert_eq!(self.blocks.is_unused(ours), self.plain.users[theirs] == 0);
            held.found.push(ours);
            held.plain.push(theirs);
        }
        let hits = held.found.len();
        let fresh = known as usize - hits + usize::from(spent) + usize::from(plain);
        let unused = held.found.iter().filter(|&&hit| self.blocks.is_unused(hit));
        if fresh + unused.count() > self.blocks.free() as usize {
            return;
        }
        for place in 0..hits {
            self.blocks.share(held.found[place]);
            self.plain.share(held.plain[place]);
        }
        self.blocks.take(fresh as u32);
        held.plain.extend(self.plain.take(fresh));
        for block in hits..known as usize {
            held.found.push(self.blocks.register(content(block as u8)));
            self.plain.register(held.plain[block], content(block as u8));
        }
        for block in 0..usize::from(spent) {
            self.plain.content[held.plain[known as usize + block]] = Content::Spent;
        }
        self.held.push(held);
    }

    fn check(&self) {
        self.blocks.recount().expect("the counts agree");
        assert_eq!(self.blocks.queue().collect::<Vec<_>>(), self.plain.queue());
        assert_eq!(self.blocks.free() as usize, self.plain.free.len());
    }
}

proptest! {
    #[test]
    fn the_queue_is_that_of_a_plain_pool(
        count in 2..40_u32,
        deeds in prop::collection::vec(deed(), 0..200),
    ) {
        let mut pair = Pair::new(count);
        for deed in deeds {
            pair.act(deed);
            pair.check();
        }
    }
}

/// All ways to do five things in a small pool.
#[test]
fn every_short_history_is_that_of_a_plain_pool() {
    let come = |prompt, known, spent, plain| Deed::Come {
        prompt,
        known,
        spent,
        plain,
    };
    let deeds = [
        come(0, 2, 0, 1),
        come(0, 1, 1, 0),
        come(1, 1, 0, 2),
        come(1, 3, 1, 0),
        Deed::Go(0),
        Deed::Go(1),
    ];
    for history in 0..deeds.len().pow(5) {
        let mut pair = Pair::new(7);
        for place in 0..5 {
            pair.act(deeds[history / deeds.len().pow(place) % deeds.len()]);
            pair.check();
        }
    }
}

#[test]
fn nothing_leaks_in_a_million_operations() {
    let mut pair = Pair::new(64);
    let mut state = 1_u64;
    for operation in 0..1_000_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let [a, b, c, d, go, which, ..] = (state >> 8).to_le_bytes();
        pair.act(if go < 120 {
            Deed::Come {
                prompt: a % 6,
                known: b % 8,
                spent: c % 4,
                plain: d % 4,
            }
        } else {
            Deed::Go(which)
        });
        if operation % 1_000 == 0 {
            pair.check();
        }
    }
    while !pair.held.is_empty() {
        pair.act(Deed::Go(0));
    }
    pair.check();
    assert_eq!(pair.blocks.free(), 63, "every block comes back");
}
