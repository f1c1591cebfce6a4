use serde::{Deserialize, Serialize};

use super::list::{Change, List};
use super::{Ahead, EngineId, Engines, Event, RequestView, Route, Router};
use crate::serving::engine::Phases;

/// One engine serves both phases: `RoundRobin`, `Random`, `Jsq` and `TokenJsq`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OneInstance<L> {
    list: L,
}

impl<L> OneInstance<L> {
    pub(super) const fn new(list: L) -> Self {
        Self { list }
    }
}

impl<L: List> Router for OneInstance<L> {
    fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route {
        let picked = self
            .list
            .pick(|engine| engines.holds(engine, request, Phases::Both));
        let Some(engine) = picked else {
            return Route::Wait;
        };
        let tokens = i64::from(request.prompt_tokens) + 1;
        self.list.count(engine, Change::Tokens(tokens));
        Route::Engine(engine)
    }

    #[inline(always)]
    fn on(&mut self, event: &Event) {
        match *event {
            Event::Opened { engine, .. } => self.list.open(engine),
            Event::Closed { engine } => self.list.close(engine),
            Event::Entered { engine } => self.list.count(engine, Change::Requests(1)),
            Event::Left { engine } => self.list.count(engine, Change::Requests(-1)),
            Event::PromptDone {
                engine,
                prompt_tokens,
            } => self
                .list
                .count(engine, Change::Tokens(-i64::from(prompt_tokens))),
            Event::Completed { engine } => self.list.count(engine, Change::Tokens(-1)),
            Event::Withdrawn(ref withdrawn) => {
                let mut tokens = 1;
                if !withdrawn.prompt_done {
                    tokens += i64::from(withdrawn.request.prompt_tokens);
                }
                // They differ for one that was moved.
                self.list.count(withdrawn.token, Change::Tokens(-tokens));
            }
            Event::Moved { to, .. } => self.list.count(to, Change::Tokens(1)),
            Event::Joined { .. } | Event::MemoryReleased { .. } | Event::Emptied { .. } => {}
        }
    }
}

impl<L: List> Ahead for OneInstance<L> {
    fn fetch(&self, engine: EngineId) {
        self.list.fetch(engine);
    }

    fn likely(&mut self) -> Option<(EngineId, EngineId)> {
        self.list.likely().map(|engine| (engine, engine))
    }
}
