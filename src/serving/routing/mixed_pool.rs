use prefetch_index::prefetch_index;
use serde::{Deserialize, Serialize};

use super::{Ahead, EngineId, Engines, Event, RequestView, Role, Route, Router, Withdrawn};
use crate::serving::engine::Phases;
use crate::serving::queue::LeastIndex;
use Figure::{Memory, Tokens};

/// Prompt, token and mixed pools that lend each other engines (Patel et al., "Splitwise", ISCA 2024,
/// as the reference simulator does it): a prompt queue that is too long borrows a token engine, a full
/// token memory borrows a prompt engine, and a borrowed engine goes home when it has nothing left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MixedPool {
    weights_bytes: i64,
    prompt_max_pending_tokens: i64,
    /// By pool and figure.
    rankings: [[Ranking; 2]; 3],
    members: Vec<Member>,
    /// By engine: the pool that it comes from.
    roles: Vec<Role>,
    /// Numbers the places in the pools: who comes later stands behind.
    joined: u64,
}

/// The open engines of one pool by one figure. It learns what has changed when it is asked: the prompt pool
/// is seldom asked for memory, and the token pool for tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Ranking {
    index: LeastIndex<EngineId, i64>,
    /// Engines that have changed since it was asked last.
    changed: Vec<EngineId>,
}

/// What is scheduled to an engine and not done.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Tokens,
    Memory,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Member {
    /// Where it is now.
    pool: Role,
    open: bool,
    /// A bit for each ranking that has it among its changed.
    changed: u8,
    order: u64,
    /// By figure.
    scheduled: [i64; 2],
}

const fn bit(pool: Role, figure: Figure) -> u8 {
    1 << (pool as u8 * 2 + figure as u8)
}

impl MixedPool {
    pub(crate) fn new(prompt_max_pending_tokens: u64, weights_bytes: u64) -> Self {
        Self {
            weights_bytes: signed(weights_bytes),
            prompt_max_pending_tokens: i64::try_from(prompt_max_pending_tokens).unwrap_or(i64::MAX),
            rankings: Default::default(),
            members: Vec::new(),
            roles: Vec::new(),
            joined: 0,
        }
    }

    fn next_order(&mut self) -> u64 {
        self.joined += 1;
        self.joined
    }

    fn scheduled(&self, engine: EngineId, figure: Figure) -> i64 {
        self.members[engine.index()].scheduled[figure as usize]
    }

    #[inline]
    fn add(&mut self, engine: EngineId, figure: Figure, amount: i64) {
        self.members[engine.index()].scheduled[figure as usize] += amount;
        self.changed(engine, figure);
    }

    /// Notes that an engine has come to its pool, is to leave it or has another figure.
    fn changed(&mut self, engine: EngineId, figure: Figure) {
        let member = &mut self.members[engine.index()];
        let bit = bit(member.pool, figure);
        if member.changed & bit == 0 {
            member.changed |= bit;
            self.rankings[member.pool as usize][figure as usize]
                .changed
                .push(engine);
        }
    }

    /// Takes an open engine to the end of another pool.
    fn move_to(&mut self, engine: EngineId, pool: Role) {
        self.changed(engine, Tokens);
        self.changed(engine, Memory);
        let order = self.next_order();
        let member = &mut self.members[engine.index()];
        member.pool = pool;
        member.order = order;
        self.changed(engine, Tokens);
        self.changed(engine, Memory);
    }

    /// The ranking of a pool by a figure, as it stands now.
    fn ranking(&mut self, pool: Role, figure: Figure) -> &LeastIndex<EngineId, i64> {
        let Ranking { index, changed } = &mut self.rankings[pool as usize][figure as usize];
        for engine in changed.drain(..) {
            let member = &mut self.members[engine.index()];
            member.changed &= !bit(pool, figure);
            if member.open && member.pool == pool {
                index.set(engine, member.scheduled[figure as usize], member.order);
            } else {
                index.remove(engine);
            }
        }
        index
    }

    /// The engine of a pool with the least of a figure, of those that `holds` takes.
    fn least(
        &mut self,
        pool: Role,
        figure: Figure,
        holds: impl FnMut(EngineId) -> bool,
    ) -> Option<EngineId> {
        let least = self.ranking(pool, figure).least_where(holds)?;
        Some(least.id)
    }

    /// The engine for the prompt, unless its queue is long.
    fn prompt_side(&mut self, request: &RequestView, engines: &Engines<'_>) -> Option<EngineId> {
        [Role::Prompt, Role::Mixed].into_iter().find_map(|pool| {
            let engine = self.least(pool, Tokens, |e| engines.holds(e, request, Phases::Prompt))?;
            let pending = self.scheduled(engine, Tokens);
            let queue_is_long = engines.has_pending(engine)
                && pending + i64::from(request.prompt_tokens) > self.prompt_max_pending_tokens;
            (!queue_is_long).then_some(engine)
        })
    }

    /// The engine for the tokens, unless its memory is full.
    fn token_side(&mut self, request: &RequestView, engines: &Engines<'_>) -> Option<EngineId> {
        let bytes = signed(request.bytes());
        [Role::Token, Role::Mixed].into_iter().find_map(|pool| {
            let engine = self.least(pool, Memory, |e| engines.holds(e, request, Phases::Both))?;
            let scheduled = self.scheduled(engine, Memory).saturating_add(bytes);
            (scheduled < signed(engines.memory(engine))).then_some(engine)
        })
    }

    /// Whatever has the fewest pending tokens, for both phases.
    fn either_side(&mut self, request: &RequestView, engines: &Engines<'_>) -> Option<EngineId> {
        let least = [Role::Prompt, Role::Mixed, Role::Token].map(|pool| {
            let engine = self.least(pool, Tokens, |e| engines.holds(e, request, Phases::Both))?;
            Some((self.scheduled(engine, Tokens), engine))
        });
        let least = least
            .into_iter()
            .flatten()
            .min_by_key(|&(tokens, _)| tokens);
        least.map(|(_, engine)| engine)
    }

    fn account(&mut self, request: &RequestView, prompt: EngineId, token: EngineId) {
        let (prompt_bytes, bytes) = (signed(request.prompt_bytes), signed(request.bytes()));
        if prompt != token {
            self.add(prompt, Memory, prompt_bytes);
        }
        self.add(token, Memory, bytes);
        self.add(prompt, Tokens, i64::from(request.prompt_tokens));
        self.add(token, Tokens, 1);
    }

    fn join(&mut self, engine: EngineId, role: Role) {
        let order = self.next_order();
        let member = Member {
            pool: role,
            open: false,
            changed: 0,
            order,
            scheduled: [0; 2],
        };
        if self.members.len() <= engine.index() {
            self.members.resize(engine.index() + 1, member);
            self.roles.resize(engine.index() + 1, role);
        }
        self.members[engine.index()] = member;
        self.roles[engine.index()] = role;
    }

    fn open(&mut self, engine: EngineId) {
        let member = &mut self.members[engine.index()];
        member.open = true;
        member.scheduled[Memory as usize] = self.weights_bytes;
        self.changed(engine, Tokens);
        self.changed(engine, Memory);
    }

    fn close(&mut self, engine: EngineId) {
        self.members[engine.index()].open = false;
        self.changed(engine, Tokens);
        self.changed(engine, Memory);
    }

    /// A borrowed engine goes home when it has nothing left.
    fn emptied(&mut self, engine: EngineId) {
        let Member { pool, open, .. } = self.members[engine.index()];
        let role = self.roles[engine.index()];
        if open && pool != role {
            self.move_to(engine, role);
        }
    }

    /// Takes back what the choice added; the memory that was taken has been released already.
    fn withdrawn(&mut self, withdrawn: &Withdrawn) {
        if !withdrawn.prompt_done {
            let tokens = i64::from(withdrawn.request.prompt_tokens);
            self.add(withdrawn.prompt, Tokens, -tokens);
        }
        self.add(withdrawn.token, Tokens, -1);
        self.add(withdrawn.prompt, Memory, -signed(withdrawn.prompt_untaken));
        self.add(withdrawn.token, Memory, -signed(withdrawn.token_untaken));
    }
}

impl Router for MixedPool {
    fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route {
        let mut prompt = self.prompt_side(request, engines);
        let mut token = if request.has_token_phase() {
            self.token_side(request, engines)
        } else {
            prompt
        };
        if prompt.is_none() {
            prompt = self.least(Role::Token, Tokens, |e| {
                engines.holds(e, request, Phases::Prompt)
            });
            if let Some(engine) = prompt {
                self.move_to(engine, Role::Mixed);
            }
        }
        if !request.has_token_phase() {
            token = prompt;
        } else if token.is_none() {
            token = self.least(Role::Prompt, Memory, |e| {
                engines.holds(e, request, Phases::Both)
            });
            if let Some(engine) = token {
                self.move_to(engine, Role::Mixed);
            }
        }
        let (prompt, token) = match (prompt, token) {
            (Some(prompt), Some(token)) => (prompt, token),
            _ => match self.either_side(request, engines) {
                Some(engine) => (engine, engine),
                None => return Route::Wait,
            },
        };
        self.account(request, prompt, token);
        Route::Pair { prompt, token }
    }

    #[inline(always)]
    fn on(&mut self, event: &Event) {
        match *event {
            Event::Joined { engine, role } => self.join(engine, role),
            Event::Opened { engine, .. } => self.open(engine),
            Event::Closed { engine } => self.close(engine),
            Event::PromptDone {
                engine,
                prompt_tokens,
            } => self.add(engine, Tokens, -i64::from(prompt_tokens)),
            Event::Completed { engine } => self.add(engine, Tokens, -1),
            Event::MemoryReleased { engine, bytes } => self.add(engine, Memory, -signed(bytes)),
            Event::Emptied { engine } => self.emptied(engine),
            Event::Withdrawn(ref withdrawn) => self.withdrawn(withdrawn),
            Event::Moved {
                ref request,
                from,
                to,
            } => {
                self.add(from, Memory, signed(request.prompt_bytes));
                self.add(to, Memory, signed(request.bytes()));
                self.add(to, Tokens, 1);
            }
            Event::Entered { .. } | Event::Left { .. } => {}
        }
    }
}

impl Ahead for MixedPool {
    fn fetch(&self, engine: EngineId) {
        prefetch_index(&self.members, engine.index());
        let role = self.roles[engine.index()];
        let [by_tokens, by_memory] = &self.rankings[role as usize];
        if role != Role::Token {
            by_tokens.index.fetch(engine);
        }
        if role != Role::Prompt {
            by_memory.index.fetch(engine);
        }
    }

    fn likely(&mut self) -> Option<(EngineId, EngineId)> {
        let prompt = self.ranking(Role::Prompt, Tokens).least()?.id;
        let token = self.ranking(Role::Token, Memory).least()?.id;
        Some((prompt, token))
    }
}

/// Bytes as a signed number; no memory comes near 2^63 bytes.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
