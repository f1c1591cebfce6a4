use super::{Choice, EngineId, Engines, Role, Scheduler, Shape, Withdrawn};
use crate::serving::index::LeastIndex;

/// Prompt, token and mixed pools that lend each other engines (Patel et al., "Splitwise", ISCA 2024,
/// as the reference simulator does it): a prompt queue that is too long borrows a token engine, a full
/// token memory borrows a prompt engine, and a borrowed engine goes home when it has nothing left.
#[derive(Debug)]
pub(in super::super) struct MixedPool {
    prompt_max_pending_tokens: i64,
    prompt: Pool,
    mixed: Pool,
    token: Pool,
    members: Vec<Member>,
    /// Numbers the places in the pools: who comes later stands behind.
    joined: u64,
}

/// The open engines of one pool by scheduled pending tokens and by scheduled memory.
#[derive(Debug, Default)]
struct Pool {
    by_tokens: LeastIndex<i64>,
    by_memory: LeastIndex<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    role: Role,
    /// The pool that it is in.
    pool: Role,
    open: bool,
    order: u64,
    pending_tokens: i64,
    memory: i64,
}

impl Pool {
    fn insert(&mut self, engine: EngineId, member: &Member) {
        self.by_tokens
            .set(engine, member.pending_tokens, member.order);
        self.by_memory.set(engine, member.memory, member.order);
    }

    fn remove(&mut self, engine: EngineId) {
        self.by_tokens.remove(engine);
        self.by_memory.remove(engine);
    }

    fn fewest_tokens(&self, holds: impl FnMut(EngineId) -> bool) -> Option<EngineId> {
        self.by_tokens.least_where(holds).map(|entry| entry.engine)
    }

    fn least_memory(&self, holds: impl FnMut(EngineId) -> bool) -> Option<EngineId> {
        self.by_memory.least_where(holds).map(|entry| entry.engine)
    }
}

impl MixedPool {
    pub(super) fn new(prompt_max_pending_tokens: u64) -> Self {
        Self {
            prompt_max_pending_tokens: i64::try_from(prompt_max_pending_tokens).unwrap_or(i64::MAX),
            prompt: Pool::default(),
            mixed: Pool::default(),
            token: Pool::default(),
            members: Vec::new(),
            joined: 0,
        }
    }

    fn pool(&mut self, role: Role) -> &mut Pool {
        match role {
            Role::Prompt => &mut self.prompt,
            Role::Token => &mut self.token,
            Role::Mixed => &mut self.mixed,
        }
    }

    fn next_order(&mut self) -> u64 {
        self.joined += 1;
        self.joined
    }

    /// Takes an open engine to the end of another pool.
    fn move_to(&mut self, engine: EngineId, pool: Role) {
        let order = self.next_order();
        let from = self.members[engine.index()].pool;
        self.pool(from).remove(engine);
        let member = &mut self.members[engine.index()];
        member.pool = pool;
        member.order = order;
        let member = *member;
        self.pool(pool).insert(engine, &member);
    }

    fn add_tokens(&mut self, engine: EngineId, tokens: i64) {
        let member = &mut self.members[engine.index()];
        member.pending_tokens += tokens;
        let pool = member.pool;
        self.pool(pool)
            .by_tokens
            .update(engine, |pending| pending + tokens);
    }

    fn add_memory(&mut self, engine: EngineId, bytes: i64) {
        let member = &mut self.members[engine.index()];
        member.memory += bytes;
        let pool = member.pool;
        self.pool(pool)
            .by_memory
            .update(engine, |memory| memory + bytes);
    }

    /// The engine for the prompt, unless its queue is long.
    fn prompt_side(&self, request: &Shape, engines: &Engines<'_>) -> Option<EngineId> {
        [&self.prompt, &self.mixed].into_iter().find_map(|pool| {
            let engine = pool.fewest_tokens(|e| engines.holds(e, request.prompt_bytes))?;
            let pending = self.members[engine.index()].pending_tokens;
            let queue_is_long = engines.has_pending(engine)
                && pending + i64::from(request.prompt_tokens) > self.prompt_max_pending_tokens;
            (!queue_is_long).then_some(engine)
        })
    }

    /// The engine for the tokens, unless its memory is full.
    fn token_side(&self, request: &Shape, engines: &Engines<'_>) -> Option<EngineId> {
        let bytes = signed(request.bytes());
        [&self.token, &self.mixed].into_iter().find_map(|pool| {
            let engine = pool.least_memory(|e| engines.holds(e, request.bytes()))?;
            let scheduled = self.members[engine.index()].memory.saturating_add(bytes);
            (scheduled < signed(engines.memory(engine))).then_some(engine)
        })
    }

    /// Whatever has the fewest pending tokens, for both phases.
    fn either_side(&self, request: &Shape, engines: &Engines<'_>) -> Option<EngineId> {
        [&self.prompt, &self.mixed, &self.token]
            .into_iter()
            .filter_map(|pool| pool.fewest_tokens(|e| engines.holds(e, request.bytes())))
            .min_by_key(|engine| self.members[engine.index()].pending_tokens)
    }

    fn account(&mut self, request: &Shape, choice: Choice) {
        let (prompt_bytes, bytes) = (signed(request.prompt_bytes), signed(request.bytes()));
        if choice.prompt != choice.token {
            self.add_memory(choice.prompt, prompt_bytes);
        }
        self.add_memory(choice.token, bytes);
        self.add_tokens(choice.prompt, i64::from(request.prompt_tokens));
        self.add_tokens(choice.token, 1);
    }
}

impl Scheduler for MixedPool {
    fn join(&mut self, engine: EngineId, role: Role) {
        let order = self.next_order();
        let member = Member {
            role,
            pool: role,
            open: false,
            order,
            pending_tokens: 0,
            memory: 0,
        };
        if self.members.len() <= engine.index() {
            self.members.resize(engine.index() + 1, member);
        }
        self.members[engine.index()] = member;
    }

    fn open(&mut self, engine: EngineId, role: Role, engines: &Engines<'_>) {
        let member = &mut self.members[engine.index()];
        member.open = true;
        member.memory = signed(engines.weights_bytes());
        let member = *member;
        self.pool(role).insert(engine, &member);
    }

    fn close(&mut self, engine: EngineId) {
        let member = &mut self.members[engine.index()];
        member.open = false;
        let pool = member.pool;
        self.pool(pool).remove(engine);
    }

    fn choose(&mut self, request: &Shape, engines: &Engines<'_>) -> Option<Choice> {
        let mut prompt = self.prompt_side(request, engines);
        let mut token = if request.has_token_phase() {
            self.token_side(request, engines)
        } else {
            prompt
        };
        if prompt.is_none() {
            prompt = self
                .token
                .fewest_tokens(|e| engines.holds(e, request.prompt_bytes));
            if let Some(engine) = prompt {
                self.move_to(engine, Role::Mixed);
            }
        }
        if !request.has_token_phase() {
            token = prompt;
        } else if token.is_none() {
            token = self
                .prompt
                .least_memory(|e| engines.holds(e, request.bytes()));
            if let Some(engine) = token {
                self.move_to(engine, Role::Mixed);
            }
        }
        let choice = match (prompt, token) {
            (Some(prompt), Some(token)) => Choice { prompt, token },
            _ => Choice::both(self.either_side(request, engines)?),
        };
        self.account(request, choice);
        Some(choice)
    }

    fn prompt_done(&mut self, engine: EngineId, prompt_tokens: u32) {
        self.add_tokens(engine, -i64::from(prompt_tokens));
    }

    fn request_done(&mut self, engine: EngineId) {
        self.add_tokens(engine, -1);
    }

    fn memory_released(&mut self, engine: EngineId, bytes: u64) {
        self.add_memory(engine, -signed(bytes));
    }

    fn freed(&mut self, engine: EngineId) {
        let member = self.members[engine.index()];
        if member.open && member.pool != member.role {
            self.move_to(engine, member.role);
        }
    }

    /// Takes back what the choice added; the memory that was taken has been released already.
    fn fetch(&self, engine: EngineId) {
        prefetch_index::prefetch_index(&self.members, engine.index());
        let pool = match self.members[engine.index()].role {
            Role::Prompt => &self.prompt,
            Role::Token => &self.token,
            Role::Mixed => &self.mixed,
        };
        pool.by_tokens.fetch(engine);
        pool.by_memory.fetch(engine);
    }

    fn withdrawn(&mut self, withdrawn: &Withdrawn) {
        let Withdrawn {
            shape,
            choice,
            prompt_done,
            prompt_untaken,
            token_untaken,
        } = *withdrawn;
        if !prompt_done {
            self.add_tokens(choice.prompt, -i64::from(shape.prompt_tokens));
        }
        self.add_tokens(choice.token, -1);
        self.add_memory(choice.prompt, -signed(prompt_untaken));
        self.add_memory(choice.token, -signed(token_untaken));
    }
}

/// Bytes as a signed number; no memory comes near 2^63 bytes.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
