use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::serving::Served;
use crate::time::{SimDuration, SimTime};
use crate::workload::{Details, Journey};

/// How a request stands when it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every token was generated.
    Completed,
    /// An instance has it.
    InFlight,
    /// It waits at the application for an instance.
    Waiting,
    /// It was turned away on arrival, or taken back later.
    Rejected(Rejection),
    /// Its instance was lost, and it did not begin again.
    Failed,
}

/// Why a request was turned away, or did not get to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// No instance that the fleet could ever have holds its KV cache.
    TooLarge,
    /// Its prompt has `max_model_len` tokens or more on each instance that the fleet could ever have.
    PromptTooLong,
    /// A host took it back, at any time after its arrival.
    Cancelled,
}

impl Rejection {
    /// The reason in one word, as in `requests.csv`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::PromptTooLong => "prompt_too_long",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What became of one request.
///
/// Instances are given by their numbers in the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The workload's number for it.
    pub id: u64,
    /// When its user sent it: when it arrived, where there are no regions.
    pub arrival: SimTime,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens that it asked for.
    pub output_tokens: u32,
    /// When its prompt first ran.
    pub prompt_start: Option<SimTime>,
    /// When its first token was generated, in the engine.
    pub first_token: Option<SimTime>,
    /// When its token phase first ran; none for a request of one output token.
    pub token_start: Option<SimTime>,
    /// When its last token was generated, or when it was taken back.
    pub end: Option<SimTime>,
    /// How much later than the engine its user has each token.
    pub frontend: SimDuration,
    /// The instance that served its prompt.
    pub prompt_instance: Option<u64>,
    /// The instance that served its tokens.
    pub token_instance: Option<u64>,
    /// How often it lost its instance or its memory and began again.
    pub restarts: u32,
    /// How it stands.
    pub outcome: Outcome,
    /// How an engine of vLLM served it, if one did.
    pub served: Served,
    /// What its workload says of it beside its lengths.
    pub details: Option<Arc<Details>>,
}

impl RequestRecord {
    /// Arrival to the first run of the prompt.
    #[must_use]
    #[inline]
    pub fn queue(&self) -> Option<SimDuration> {
        Some(self.prompt_start? - self.arrival)
    }

    /// Time to first token: arrival to the end of the prompt phase, and what the frontend takes.
    #[must_use]
    #[inline]
    pub fn ttft(&self) -> Option<SimDuration> {
        Some(self.seen(self.first_token?))
    }

    /// Arrival to the last token, and what the frontend takes.
    #[must_use]
    #[inline]
    pub fn e2e(&self) -> Option<SimDuration> {
        Some(self.seen(self.end?))
    }

    /// From the arrival until the user has what the engine had then.
    #[inline]
    fn seen(&self, token: SimTime) -> SimDuration {
        let seen = (token - self.arrival).seconds() + self.frontend.seconds();
        // Tokens go back the way that the request came.
        let back = self.journey().map_or(0.0, |it| it.one_way.seconds());
        SimDuration::saturating(seen + back)
    }

    /// Its way to the region that served it; none where there are no regions.
    #[must_use]
    pub fn journey(&self) -> Option<Journey> {
        self.details.as_ref()?.journey
    }

    /// The same as the servers see it, that know nothing of its way: it arrived when it came to them.
    #[must_use]
    pub fn without_journey(&self) -> Self {
        let mut record = self.clone();
        if let Some(journey) = self.journey() {
            record.arrival = journey.arrives();
            let details = self.details.as_deref().cloned();
            let details = details.map(|it| Details {
                journey: None,
                ..it
            });
            record.details = details.map(Arc::new);
        }
        record
    }

    /// Mean time between tokens as the reference defines it: (e2e − ttft) / output tokens.
    #[must_use]
    #[inline]
    pub fn tbt(&self) -> Option<SimDuration> {
        let decode = self.e2e()?.seconds() - self.ttft()?.seconds();
        Some(SimDuration::saturating(
            decode / f64::from(self.output_tokens),
        ))
    }

    /// End of the prompt phase to the start of the token phase.
    #[must_use]
    #[inline]
    pub fn second_token(&self) -> Option<SimDuration> {
        Some(self.token_start? - self.first_token?)
    }
}
