use super::vllm::Progress;
use crate::time::SimTime;

/// How far a request is whose KV cache can be sent to another engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Movable {
    /// Tokens that it has beside its prompt, as the engine that has it counts: at least 1, and not all.
    pub(crate) outputs: u32,
    /// When it had the last of them, where the engine knows.
    pub(crate) last_token: Option<SimTime>,
    /// How an engine of vLLM has served it.
    pub(crate) progress: Option<Progress>,
}
