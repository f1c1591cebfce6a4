use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use serde::{Deserialize, Serialize};

use super::VllmConfig;
use super::blocks::Blocks;
use super::request::{Request, Ticket};

/// The requests that decode one token in every step, as sums over them.
///
/// A member's counts are those of when it joined; the number of the step says the rest. So a step costs
/// nothing for each member, and one that leaves costs the logarithm of their number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Lockstep {
    /// Members that have a token in the next step.
    pub(super) active: u32,
    /// Their Σ (computed − joined), so that the tokens with KV after step n are `offset + active · n`.
    pub(super) offset: i64,
    /// How many of them need a block in step n, by the remainder of n by the size of a block.
    phases: Vec<u32>,
    /// Their last steps.
    ends: BinaryHeap<Reverse<Member>>,
    /// Members whose last step has been scheduled and not processed.
    pub(super) ending: VecDeque<Member>,
    /// Blocks that steps fill and others can find, to be registered.
    fills: BinaryHeap<Reverse<Member>>,
    /// The latest admission among the members, or later.
    pub(super) latest: u64,
}

/// A member, in the order of a step and then of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) step: u64,
    pub(super) admission: u64,
    pub(super) ticket: Ticket,
}

impl Lockstep {
    pub(super) fn is_empty(&self) -> bool {
        self.active == 0 && self.ending.is_empty()
    }

    /// Takes in a request that has a token in each of the steps after `joined`, until `last`.
    pub(super) fn join(
        &mut self,
        ticket: Ticket,
        request: &mut Request,
        joined: u64,
        last: u64,
        config: &VllmConfig,
    ) {
        request.joined = joined;
        request.last_step = last;
        self.active += 1;
        self.offset += i64::from(request.computed) - joined as i64;
        if self.phases.is_empty() {
            self.phases.resize(config.block_size as usize, 0);
        }
        self.phases[phase(request, config)] += 1;
        let admission = request.admission;
        self.latest = self.latest.max(admission);
        self.ends.push(Reverse(Member {
            step: last,
            admission,
            ticket,
        }));
        self.await_fill(ticket, request, config);
    }

    /// The tokens with KV of all active members after step `number`.
    pub(super) fn context(&self, number: u64) -> u64 {
        (self.offset + i64::from(self.active) * number as i64) as u64
    }

    /// Members that need a block in step `number`.
    pub(super) fn lacking(&self, number: u64) -> u32 {
        if self.active == 0 {
            return 0;
        }
        self.phases[(number % self.phases.len() as u64) as usize]
    }

    /// Blocks that the active members need in the `count` steps after `number`.
    #[inline]
    pub(super) fn blocks_in(&self, number: u64, count: u64) -> u64 {
        if self.active == 0 {
            return 0;
        }
        let size = self.phases.len() as u64;
        let rounds = count / size * u64::from(self.active);
        let rest = (number + 1..=number + count % size).map(|step| u64::from(self.lacking(step)));
        rounds + rest.sum::<u64>()
    }

    /// For how many steps after `number` `free` blocks suffice.
    #[inline]
    pub(super) fn steps_with(&self, free: u32, number: u64) -> u64 {
        if self.active == 0 {
            return 0;
        }
        let rounds = u64::from(free / self.active);
        let mut free = free % self.active;
        let mut steps = rounds * self.phases.len() as u64;
        while let Some(left) = free.checked_sub(self.lacking(number + steps + 1)) {
            free = left;
            steps += 1;
        }
        steps
    }

    /// The last step that all active members are in.
    pub(super) fn first_end(&self) -> Option<u64> {
        self.ends.peek().map(|Reverse(member)| member.step)
    }

    /// The first step that registers a block for a member.
    pub(super) fn first_fill(&self) -> Option<u64> {
        self.fills.peek().map(|Reverse(member)| member.step)
    }

    /// The active members whose last step is `number` or earlier are no longer in the next one.
    pub(super) fn retire(&mut self, number: u64, requests: &[Request], config: &VllmConfig) {
        while let Some(Reverse(member)) = self.ends.peek().copied() {
            if member.step > number {
                break;
            }
            self.ends.pop();
            let request = &requests[member.ticket.index()];
            self.active -= 1;
            self.offset -= i64::from(request.computed) - request.joined as i64;
            self.phases[phase(request, config)] -= 1;
            self.ending.push_back(member);
        }
    }

    /// Registers what the members filled, as of step `number` and the members admitted before
    /// `admission` in it.
    pub(super) fn register(
        &mut self,
        number: u64,
        admission: u64,
        requests: &mut [Request],
        blocks: &mut Blocks,
        config: &VllmConfig,
    ) {
        while let Some(&Reverse(member)) = self.fills.peek() {
            if (member.step, member.admission) >= (number, admission) {
                break;
            }
            self.fills.pop();
            let request = &mut requests[member.ticket.index()];
            let content = request.content(request.registered, config.block_size);
            request.found.push(blocks.register(content));
            request.registered += 1;
            self.await_fill(member.ticket, request, config);
        }
    }

    /// Notes when the next block of a member that others can find is registered: in the step that
    /// fills it, or with asynchronous scheduling in the one after, when its last token is known.
    fn await_fill(&mut self, ticket: Ticket, request: &Request, config: &VllmConfig) {
        if request.registered >= request.shareable(config) {
            return;
        }
        let full = (u64::from(request.registered) + 1) * u64::from(config.block_size);
        let later = u64::from(config.async_scheduling);
        let step = request.joined + full + later - u64::from(request.computed);
        if step <= request.last_step {
            self.fills.push(Reverse(Member {
                step,
                admission: request.admission,
                ticket,
            }));
        }
    }

    /// All members, in the order of admission.
    pub(super) fn members(&self) -> Vec<Member> {
        let active = self.ends.iter().map(|Reverse(member)| *member);
        let mut members: Vec<_> = active.chain(self.ending.iter().copied()).collect();
        members.sort_unstable_by_key(|member| member.admission);
        members
    }

    pub(super) fn clear(&mut self) {
        self.active = 0;
        self.offset = 0;
        self.phases.fill(0);
        self.ends.clear();
        self.ending.clear();
        self.fills.clear();
        self.latest = 0;
    }

    /// Whether the sums are those of the members.
    pub(super) fn recount(&self, requests: &[Request], config: &VllmConfig) -> bool {
        let mut phases = vec![0; self.phases.len()];
        let mut offset = 0;
        for Reverse(member) in &self.ends {
            let request = &requests[member.ticket.index()];
            phases[phase(request, config)] += 1;
            offset += i64::from(request.computed) - request.joined as i64;
        }
        phases == self.phases && offset == self.offset && self.ends.len() == self.active as usize
    }
}

/// In which steps a member needs a block: the remainder of their numbers by the size of a block.
fn phase(request: &Request, config: &VllmConfig) -> usize {
    let size = i64::from(config.block_size);
    (request.joined as i64 + 1 - i64::from(request.computed)).rem_euclid(size) as usize
}
