use serde::{Deserialize, Serialize};

use super::list::{Change, List};
use super::{Ahead, EngineId, Engines, Event, RequestView, Role, Route, Router};
use crate::serving::engine::Phases;

/// One engine serves the prompt and another the tokens, each picked by the same rule from the list of
/// its role: `KvRoundRobin`, `KvJsq` and `KvTokenJsq`.
///
/// As in the reference, `KvTokenJsq` counts tokens that are served but never tokens that are scheduled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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

    fn count(&mut self, engine: EngineId, change: Change) {
        if let Some(list) = self.list(engine) {
            list.count(engine, change);
        }
    }

    fn join(&mut self, engine: EngineId, role: Role) {
        if self.roles.len() <= engine.index() {
            self.roles.resize(engine.index() + 1, None);
        }
        self.roles[engine.index()] = Some(role);
    }

    fn pick(&mut self, request: &RequestView, engines: &Engines<'_>) -> Option<Route> {
        let holds_prompt = |engine| engines.holds(engine, request, Phases::Prompt);
        if !request.has_token_phase() {
            return self.prompt.pick(holds_prompt).map(Route::Engine);
        }
        let holds_tokens = |engine| engines.holds(engine, request, Phases::Both);
        if !self.token.has(holds_tokens) {
            return None;
        }
        let prompt = self.prompt.pick(holds_prompt)?;
        let token = self.token.pick(holds_tokens)?;
        Some(Route::Pair { prompt, token })
    }
}

impl<L: List> Router for TwoInstances<L> {
    fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route {
        self.pick(request, engines).unwrap_or(Route::Wait)
    }

    #[inline(always)]
    fn on(&mut self, event: &Event) {
        match *event {
            Event::Joined { engine, role } => self.join(engine, role),
            Event::Opened { engine, .. } => {
                if let Some(list) = self.list(engine) {
                    list.open(engine);
                }
            }
            Event::Closed { engine } => {
                if let Some(list) = self.list(engine) {
                    list.close(engine);
                }
            }
            Event::Entered { engine } => self.count(engine, Change::Requests(1)),
            Event::Left { engine } => self.count(engine, Change::Requests(-1)),
            Event::PromptDone {
                engine,
                prompt_tokens,
            } => self.count(engine, Change::Tokens(-i64::from(prompt_tokens))),
            Event::Completed { engine } => self.count(engine, Change::Tokens(-1)),
            Event::MemoryReleased { .. }
            | Event::Emptied { .. }
            | Event::Withdrawn(_)
            | Event::Moved { .. } => {}
        }
    }
}

impl<L: List> Ahead for TwoInstances<L> {
    fn fetch(&self, engine: EngineId) {
        match self.roles[engine.index()] {
            Some(Role::Prompt) => self.prompt.fetch(engine),
            _ => self.token.fetch(engine),
        }
    }

    fn likely(&mut self) -> Option<(EngineId, EngineId)> {
        Some((self.prompt.likely()?, self.token.likely()?))
    }
}
