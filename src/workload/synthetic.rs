//! Makes requests up.

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::lengths::Sampler;
use super::shape::Inverse;
use crate::random::Stream;
use crate::scenario::{Arrivals, Lengths, Shape};
use crate::time::SimTime;

/// A generator without an end, save where the shape's factor stays zero.
///
/// The n-th arrival is where the expected number of arrivals, rate × S(t), reaches the sum of n
/// gaps with mean 1 (see [`super::shape`] for S). Time zero is not an arrival. Gaps, prompt lengths
/// and output lengths come from streams of their own, so none depends on the choice of another.
pub(super) struct Synthetic {
    rate: f64,
    gaps: Gaps,
    inverse: Inverse,
    prompt_tokens: (Sampler, Stream),
    output_tokens: (Sampler, Stream),
    stream: Stream,
    /// The sum of the gaps so far, in expected arrivals.
    expected: f64,
    reached: SimTime,
    next_id: u64,
}

/// Gaps between arrivals, in units of their mean.
enum Gaps {
    Exponential,
    Gamma { shape: f64 },
    One,
}

impl Synthetic {
    pub(super) fn new(
        arrivals: Arrivals,
        shape: &Shape,
        prompt_tokens: &Lengths,
        output_tokens: &Lengths,
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
        Ok(Self {
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
        Some(Ok(Arrival {
            id,
            time,
            prompt_tokens: draw(&mut self.prompt_tokens),
            output_tokens: draw(&mut self.output_tokens),
            details: None,
        }))
    }
}
