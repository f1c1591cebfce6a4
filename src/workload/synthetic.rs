//! Makes requests up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arrival::Arrival;
use super::calendar;
use super::details::Details;
use super::error::WorkloadError;
use super::lengths::Sampler;
use super::shape::Inverse;
use crate::random::Stream;
use crate::scenario::{Arrivals, Lengths, Shape, SystemPrompts};
use crate::time::SimTime;

/// A generator without an end, save where the shape's factor stays zero.
///
/// The n-th arrival is where the expected number of arrivals, rate × S(t), reaches the sum of n
/// gaps with mean 1 (see [`super::shape`] for S). Time zero is not an arrival. Gaps, prompt lengths
/// and output lengths come from streams of their own, so none depends on the choice of another.
#[derive(Clone)]
pub(super) struct Synthetic {
    rate: f64,
    gaps: Gaps,
    inverse: Inverse,
    prompt_tokens: (Sampler, Stream),
    output_tokens: (Sampler, Stream),
    /// Tokens of a system prompt, and what they are for each.
    system_prompts: Option<(u32, Vec<Arc<Details>>, Stream)>,
    stream: Stream,
    /// The sum of the gaps so far, in expected arrivals.
    expected: f64,
    reached: SimTime,
    next_id: u64,
}

/// Gaps between arrivals, in units of their mean.
#[derive(Clone, Copy)]
enum Gaps {
    Exponential,
    Gamma { shape: f64 },
    One,
}

/// Where a generator stands.
#[derive(Serialize, Deserialize)]
pub(super) struct Place {
    inverse: Option<calendar::Place>,
    prompt_tokens: Stream,
    output_tokens: Stream,
    system_prompts: Option<Stream>,
    stream: Stream,
    expected: f64,
    reached: SimTime,
    next_id: u64,
}

impl Synthetic {
    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        Place {
            inverse: self.inverse.place(),
            prompt_tokens: self.prompt_tokens.1.clone(),
            output_tokens: self.output_tokens.1.clone(),
            system_prompts: self.system_prompts.as_ref().map(|(.., it)| it.clone()),
            stream: self.stream.clone(),
            expected: self.expected,
            reached: self.reached,
            next_id: self.next_id,
        }
    }

    /// Goes on there.
    pub(super) fn go_on_at(&mut self, place: Place) {
        let Place {
            inverse,
            prompt_tokens,
            output_tokens,
            system_prompts,
            stream,
            expected,
            reached,
            next_id,
        } = place;
        self.inverse.go_on_at(inverse);
        self.prompt_tokens.1 = prompt_tokens;
        self.output_tokens.1 = output_tokens;
        if let (Some((.., own)), Some(stream)) = (&mut self.system_prompts, system_prompts) {
            *own = stream;
        }
        self.stream = stream;
        (self.expected, self.reached, self.next_id) = (expected, reached, next_id);
    }

    pub(super) fn new(
        arrivals: Arrivals,
        shape: &Shape,
        prompt_tokens: &Lengths,
        output_tokens: &Lengths,
        system_prompts: Option<SystemPrompts>,
        stream: impl Fn(&str) -> Stream,
    ) -> Result<Self, WorkloadError> {
        let (rate, gaps) = match arrivals {
            Arrivals::Poisson { rate } => (rate, Gaps::Exponential),
            Arrivals::Constant { rate } => (rate, Gaps::One),
            Arrivals::Gamma { rate, cv } => {
                let shape = 1.0 / (cv * cv);
                let holds = cv > 0.0 && shape > 0.0 && shape.is_finite();
                WorkloadError::unless(holds, "cv", cv, "a number above 0")?;
                (rate, Gaps::Gamma { shape })
            }
        };
        let holds = rate > 0.0 && rate.is_finite();
        WorkloadError::unless(holds, "rate", rate, "requests a second, above 0")?;
        let lengths = |lengths, field: &str| -> Result<_, WorkloadError> {
            Ok((Sampler::new(lengths, field)?, stream(field)))
        };
        let system_prompts = system_prompts.map(|SystemPrompts { count, tokens }| {
            let details = |number| {
                Arc::new(Details {
                    prefix_blocks: [number].into(),
                    block_tokens: tokens,
                    ..Details::default()
                })
            };
            let all = (0..u64::from(count.max(1))).map(details).collect();
            (tokens, all, stream("system_prompts"))
        });
        Ok(Self {
            system_prompts,
            rate,
            gaps,
            inverse: Inverse::new(shape)?,
            prompt_tokens: lengths(prompt_tokens, "prompt_tokens")?,
            output_tokens: lengths(output_tokens, "output_tokens")?,
            stream: stream("arrivals"),
            expected: 0.0,
            reached: SimTime::ZERO,
            next_id: 0,
        })
    }

    fn next_time(&mut self) -> Option<SimTime> {
        self.expected += match self.gaps {
            Gaps::Exponential => self.stream.exponential(),
            Gaps::Gamma { shape } => self.stream.gamma(shape),
            Gaps::One => 1.0,
        };
        let time = self.inverse.time(self.expected / self.rate)?;
        // The inverse is exact to some last digits only; time never goes back.
        self.reached = self.reached.max(SimTime::new(time).ok()?);
        Some(self.reached)
    }
}

impl Iterator for Synthetic {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let time = self.next_time()?;
        let draw = |(sampler, stream): &mut (Sampler, Stream)| sampler.draw(stream);
        let id = self.next_id;
        self.next_id += 1;
        let mut prompt_tokens = draw(&mut self.prompt_tokens);
        let mut details = None;
        if let Some((tokens, all, stream)) = &mut self.system_prompts {
            prompt_tokens = prompt_tokens.saturating_add(*tokens);
            let number = if all.len() > 1 {
                stream.below(all.len())
            } else {
                0
            };
            details = Some(Arc::clone(&all[number]));
        }
        Some(Ok(Arrival {
            details,
            id,
            time,
            prompt_tokens,
            output_tokens: draw(&mut self.output_tokens),
        }))
    }
}
