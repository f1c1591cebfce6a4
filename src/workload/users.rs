//! A closed loop: each user sends the next request when the last has ended.

use serde::{Deserialize, Serialize};

use super::arrival::{Arrival, ArrivalStream};
use super::error::WorkloadError;
use super::lengths::Sampler;
use crate::random::{Delay, Stream};
use crate::scenario::Workload;
use crate::time::{SimDuration, SimTime};

/// Users that wait for an answer, think, and send the next request.
///
/// They all begin at time zero. Lengths and pauses come from streams of their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Users {
    users: u32,
    /// Requests that are still to come.
    left: u64,
    think: Delay,
    pauses: Stream,
    prompt_tokens: (Sampler, Stream),
    output_tokens: (Sampler, Stream),
    next_id: u64,
}

/// The least pause after a request that was refused, so that a user does not send without end at one
/// instant.
const AFTER_REFUSAL: f64 = 1.0;

impl Users {
    /// The users of an application's workload; nothing where it has none.
    ///
    /// # Errors
    /// A parameter is out of its range.
    pub fn new(
        spec: &Workload,
        seed: u64,
        application: &str,
    ) -> Result<Option<Self>, WorkloadError> {
        let Workload::Users {
            users,
            requests,
            think,
            prompt_tokens,
            output_tokens,
        } = spec
        else {
            return Ok(None);
        };
        let stream = |what: &str| Stream::new(seed, &format!("workload/{application}/{what}"));
        let lengths = |lengths, field: &str| -> Result<_, WorkloadError> {
            Ok((Sampler::new(lengths, field)?, stream(field)))
        };
        Ok(Some(Self {
            users: *users,
            left: requests.unwrap_or(u64::MAX),
            think: *think,
            pauses: stream("think"),
            prompt_tokens: lengths(prompt_tokens, "prompt_tokens")?,
            output_tokens: lengths(output_tokens, "output_tokens")?,
            next_id: 0,
        }))
    }

    /// The first request of each user, all at time zero.
    pub(crate) fn first(&mut self) -> Vec<Arrival> {
        (0..self.users)
            .map_while(|_| self.request(SimTime::ZERO))
            .collect()
    }

    /// What a user sends whose request ended, or was refused, at `now`.
    pub(crate) fn after(&mut self, now: SimTime, refused: bool) -> Option<Arrival> {
        let mut pause = self.think.draw(&mut self.pauses);
        if refused {
            pause = pause.max(SimDuration::saturating(AFTER_REFUSAL));
        }
        self.request(now + pause)
    }

    fn request(&mut self, time: SimTime) -> Option<Arrival> {
        self.left = self.left.checked_sub(1)?;
        let draw = |(sampler, stream): &mut (Sampler, Stream)| sampler.draw(stream);
        let id = self.next_id;
        self.next_id += 1;
        Some(Arrival {
            id,
            time,
            prompt_tokens: draw(&mut self.prompt_tokens),
            output_tokens: draw(&mut self.output_tokens),
            details: None,
        })
    }

    /// The requests that come in any case: the first of each user.
    pub(super) fn known(mut self) -> ArrivalStream {
        Box::new(self.first().into_iter().map(Ok))
    }
}
