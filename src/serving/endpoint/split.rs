use crate::serving::EngineId;
use crate::serving::engine::RequestId;
use crate::serving::queue::Lists;

/// Requests whose prompts and tokens are served by different engines, by engine, while no engine or only
/// that of the prompt has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Split {
    /// By the engine of the tokens: until the KV cache is there.
    coming: Lists<EngineId, RequestId>,
    /// By the engine of the prompt: from the end of the prompt until the KV cache is gone.
    going: Lists<EngineId, RequestId>,
    /// By engine: tokens to be generated for the requests that are coming.
    tokens: Vec<u64>,
}

impl Split {
    /// A request will come to an engine for these tokens.
    pub(crate) fn will_come(&mut self, to: EngineId, id: RequestId, tokens: u32) {
        if self.tokens.len() <= to.index() {
            self.tokens.resize(to.index() + 1, 0);
        }
        self.tokens[to.index()] += u64::from(tokens);
        self.coming.insert(to, id);
    }

    /// A request has come to an engine, or will not come.
    pub(crate) fn has_come(&mut self, to: EngineId, id: RequestId, tokens: u32) {
        self.tokens[to.index()] -= u64::from(tokens);
        self.coming.remove(to, id);
    }

    /// The KV cache of a request is to be sent from an engine.
    pub(crate) fn will_go(&mut self, from: EngineId, id: RequestId) {
        self.going.insert(from, id);
    }

    /// The KV cache of a request is gone from an engine.
    pub(crate) fn has_gone(&mut self, from: EngineId, id: RequestId) {
        self.going.remove(from, id);
    }

    /// The requests that will come to an engine.
    pub(crate) fn coming(&self, to: EngineId) -> impl Iterator<Item = RequestId> + '_ {
        self.coming.iter(to)
    }

    /// The requests whose KV cache is to be sent from an engine, or on its way.
    pub(crate) fn going(&self, from: EngineId) -> impl Iterator<Item = RequestId> + '_ {
        self.going.iter(from)
    }

    /// Tokens to be generated on an engine for the requests that are coming.
    pub(crate) fn tokens_to_come(&self, to: EngineId) -> u64 {
        self.tokens.get(to.index()).copied().unwrap_or(0)
    }
}
