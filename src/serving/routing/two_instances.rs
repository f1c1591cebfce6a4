use super::list::List;
use super::{Choice, EngineId, Engines, Role, Scheduler, Shape};

/// One engine serves the prompt and another the tokens, each picked by the same rule from the list of
/// its role: `KvRoundRobin`, `KvJsq` and `KvTokenJsq`.
///
/// As in the reference, `KvTokenJsq` counts tokens that are served but never tokens that are scheduled.
#[derive(Debug, Default)]
pub(crate) struct TwoInstances<L> {
    prompt: L,
    token: L,
    roles: Vec<Option<Role>>,
}

impl<L: List> TwoInstances<L> {
    fn list(&mut self, engine: EngineId) -> Option<&mut L> {
        match self.roles.get(engine.index()).copied().flatten()? {
            Role::Prompt => Some(&mut self.prompt),
            Role::Token => Some(&mut self.token),
            Role::Mixed => None,
        }
    }

    fn with_list(&mut self, engine: EngineId, act: impl FnOnce(&mut L)) {
        if let Some(list) = self.list(engine) {
            act(list);
        }
    }
}

impl<L: List> Scheduler for TwoInstances<L> {
    fn join(&mut self, engine: EngineId, role: Role) {
        if self.roles.len() <= engine.index() {
            self.roles.resize(engine.index() + 1, None);
        }
        self.roles[engine.index()] = Some(role);
    }

    fn open(&mut self, engine: EngineId, _: Role, _: &Engines<'_>) {
        self.with_list(engine, |list| list.open(engine));
    }

    fn close(&mut self, engine: EngineId) {
        self.with_list(engine, |list| list.close(engine));
    }

    fn choose(&mut self, request: &Shape, engines: &Engines<'_>) -> Option<Choice> {
        let holds_prompt = |engine| engines.holds(engine, request.prompt_bytes);
        if !request.has_token_phase() {
            return self.prompt.pick(holds_prompt).map(Choice::both);
        }
        let holds_tokens = |engine| engines.holds(engine, request.bytes());
        if !self.token.has(holds_tokens) {
            return None;
        }
        let prompt = self.prompt.pick(holds_prompt)?;
        let token = self.token.pick(holds_tokens)?;
        Some(Choice { prompt, token })
    }

    fn fetch(&self, engine: EngineId) {
        match self.roles[engine.index()] {
            Some(Role::Prompt) => self.prompt.fetch(engine),
            _ => self.token.fetch(engine),
        }
    }

    fn likely(&mut self) -> Option<Choice> {
        let (prompt, token) = (self.prompt.likely()?, self.token.likely()?);
        Some(Choice { prompt, token })
    }

    fn pool_entered(&mut self, engine: EngineId) {
        self.with_list(engine, |list| list.pool_entered(engine));
    }

    fn pool_left(&mut self, engine: EngineId) {
        self.with_list(engine, |list| list.pool_left(engine));
    }

    fn prompt_done(&mut self, engine: EngineId, prompt_tokens: u32) {
        self.with_list(engine, |list| list.served(engine, i64::from(prompt_tokens)));
    }

    fn request_done(&mut self, engine: EngineId) {
        self.with_list(engine, |list| list.served(engine, 1));
    }
}
