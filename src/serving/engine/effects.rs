use serde::{Deserialize, Serialize};

use super::batching::Selection;
use super::vllm::{Progress, TokenGaps};
use super::{Phases, RequestId, Work};
use crate::serving::requests::Requests;
use crate::statistics::Distribution;
use crate::time::SimTime;

/// What comes of a step of an engine: it tells the endpoint here, request by request.
#[derive(Debug)]
pub struct Effects<'a> {
    pub(crate) now: SimTime,
    pub(crate) requests: &'a mut Requests,
    pub(crate) told: &'a mut Told,
}

/// What engines told of since the endpoint looked last. Storage that is used again and again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) events: Vec<(RequestId, Progressed)>,
    pub(crate) prompt_tokens: u64,
    pub(crate) output_tokens: u64,
    /// Seconds between two tokens of a request, since the endpoint is there.
    pub(crate) gaps: Distribution,
    /// For the engines that select a batch.
    #[serde(skip)]
    pub(crate) selection: Selection,
}

/// How a request has come on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Progressed {
    FirstToken,
    KvReady,
    /// Both of these.
    PromptLeft,
    Completed {
        released: u64,
    },
}

impl Effects<'_> {
    /// The instant at which things happen.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// What a request asks for, so that engines need not copy it.
    #[must_use]
    #[inline]
    pub fn work(&self, request: RequestId) -> Work {
        self.requests.work(request)
    }

    /// The prompt of a request runs now; only the first time counts.
    pub fn prompt_started(&mut self, request: RequestId) {
        let start = &mut self.requests[request].prompt_start;
        start.get_or_insert(self.now);
    }

    /// A request runs from this instant on, which may be later than now: its prompt or, where that was
    /// served elsewhere, its tokens. Only the first time counts.
    #[inline]
    pub(crate) fn started_at(&mut self, request: RequestId, start: SimTime) {
        let request = &mut self.requests[request];
        let started = match request.phases() {
            Phases::Both | Phases::Prompt => &mut request.prompt_start,
            Phases::Tokens => &mut request.token_start,
        };
        started.get_or_insert(start);
    }

    /// How an engine of vLLM served a request.
    pub(crate) fn served(&mut self, request: RequestId, progress: &Progress) {
        self.requests.served(request, progress);
    }

    /// A request whose prompt is done runs on now; only the first time counts.
    pub fn tokens_started(&mut self, request: RequestId) {
        let start = &mut self.requests[request].token_start;
        start.get_or_insert(self.now);
    }

    /// The prompt of a request is done and has yielded the first token. Once for each time that the
    /// request was taken in.
    #[inline]
    pub fn first_token(&mut self, request: RequestId) {
        let first = &mut self.requests[request].first_token;
        first.get_or_insert(self.now);
        self.told.events.push((request, Progressed::FirstToken));
    }

    /// The KV cache of a request can be sent: it was taken in for
    /// [`Phases::Prompt`](super::Phases::Prompt), and its first token is out. The engine does not have it
    /// any longer, but holds its cache until [`give_up_kv`](super::Engine::give_up_kv).
    pub fn kv_ready(&mut self, request: RequestId) {
        let first_token = (request, Progressed::FirstToken);
        let told = self.told.events.last_mut().filter(|it| **it == first_token);
        match told {
            Some(last) => last.1 = Progressed::PromptLeft,
            None => self.told.events.push((request, Progressed::KvReady)),
        }
    }

    /// The last token of a request is out, and the engine does not have it any longer. `released` says how
    /// many bytes of KV cache it gave back.
    #[inline]
    pub fn completed(&mut self, request: RequestId, released: u64) {
        let completed = Progressed::Completed { released };
        self.told.events.push((request, completed));
    }

    /// Counts processed prompt tokens and generated tokens.
    pub fn processed(&mut self, prompt_tokens: u64, output_tokens: u64) {
        self.told.prompt_tokens += prompt_tokens;
        self.told.output_tokens += output_tokens;
    }

    /// Counts times between two tokens of a request, each of `seconds`: what the run reports as ITL. An engine
    /// that does not tell them has none.
    pub fn token_gaps(&mut self, seconds: f64, count: u64) {
        self.told.gaps.record_progression(seconds, 0.0, 1, count);
    }

    /// Counts those of some requests in successive steps.
    #[inline]
    pub(crate) fn token_gaps_of_steps(&mut self, of: &TokenGaps) {
        let gaps = &mut self.told.gaps;
        gaps.record_progression(of.first, of.growth, of.steps, of.requests);
    }
}
