use super::list::List;
use super::{Choice, EngineId, Engines, Role, Scheduler, Shape, Withdrawn};

/// One engine serves both phases: `RoundRobin`, `Random`, `Jsq` and `TokenJsq`.
#[derive(Debug, Default)]
pub(crate) struct OneInstance<L> {
    list: L,
}

impl<L> OneInstance<L> {
    pub(crate) fn new(list: L) -> Self {
        Self { list }
    }
}

impl<L: List> Scheduler for OneInstance<L> {
    fn open(&mut self, engine: EngineId, _: Role, _: &Engines<'_>) {
        self.list.open(engine);
    }

    fn close(&mut self, engine: EngineId) {
        self.list.close(engine);
    }

    fn choose(&mut self, request: &Shape, engines: &Engines<'_>) -> Option<Choice> {
        let engine = self
            .list
            .pick(|engine| engines.holds(engine, request.bytes()))?;
        self.list
            .scheduled(engine, i64::from(request.prompt_tokens) + 1);
        Some(Choice::both(engine))
    }

    fn pool_entered(&mut self, engine: EngineId) {
        self.list.pool_entered(engine);
    }

    fn pool_left(&mut self, engine: EngineId) {
        self.list.pool_left(engine);
    }

    fn prompt_done(&mut self, engine: EngineId, prompt_tokens: u32) {
        self.list.served(engine, i64::from(prompt_tokens));
    }

    fn request_done(&mut self, engine: EngineId) {
        self.list.served(engine, 1);
    }

    fn fetch(&self, engine: EngineId) {
        self.list.fetch(engine);
    }

    fn likely(&mut self) -> Option<Choice> {
        self.list.likely().map(Choice::both)
    }

    fn withdrawn(&mut self, withdrawn: &Withdrawn) {
        let engine = withdrawn.choice.prompt;
        if !withdrawn.prompt_done {
            self.list
                .served(engine, i64::from(withdrawn.shape.prompt_tokens));
        }
        self.list.served(engine, 1);
    }
}
