use crate::time::SimTime;

/// An engine cannot be removed while it has work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the engine still has {assigned} requests: close it and wait until it is idle, or withdraw it"
)]
pub struct EngineBusy {
    /// Requests assigned to it.
    pub assigned: u64,
}

/// Why a request that a host hands over is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It has no prompt.
    #[error("request {id} has prompt_tokens 0: a request has at least 1 token of prompt")]
    NoPromptTokens {
        /// The request's number.
        id: u64,
    },
    /// It asks for nothing.
    #[error(
        "request {id} has output_tokens 0: a request asks for at least 1 token; ask for 1 to have its prompt processed alone"
    )]
    NoOutputTokens {
        /// The request's number.
        id: u64,
    },
    /// It would arrive in the past.
    #[error(
        "request {id} cannot arrive at {arrival} s: the endpoint has served up to {served} s already"
    )]
    Late {
        /// The request's number.
        id: u64,
        /// When it was to arrive.
        arrival: SimTime,
        /// Up to when has been served.
        served: SimTime,
    },
    /// Another request with the same number is to come or has not ended.
    #[error("request {id} is there already: a number is free again once its request has ended")]
    IdInUse {
        /// The number.
        id: u64,
    },
}
