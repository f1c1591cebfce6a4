//! Named, seeded streams of random numbers, the same on every platform.
//!
//! Each consumer draws from a stream of its own, found by name, so adding a consumer never shifts
//! what another draws. Transcendental functions come from `libm`, not from the platform.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::SimDuration;

/// A stream of random numbers.
///
/// ```
/// use fleetsim::random::Stream;
/// let mut one = Stream::new(42, "arrivals/chat");
/// let mut two = Stream::new(42, "arrivals/chat");
/// assert_eq!(one.uniform(), two.uniform());
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream called `name` under `seed`.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        // FNV-1a, 64 bits, then the length: names are short and chosen by us.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        key[8..16].copy_from_slice(&hash.to_le_bytes());
        key[16..24].copy_from_slice(&(name.len() as u64).to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in the open interval (0, 1), with 52 random bits.
    pub fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 12) as f64 + 0.5) * (1.0 / 4_503_599_627_370_496.0)
    }

    /// Uniform among `0..n` (Lemire's multiply-shift); zero when `n` is zero.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Exponential with mean 1, by inversion.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Standard normal (Box–Muller, the cosine branch).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Gamma with the given shape and mean 1 (Marsaglia and Tsang, 2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = libm::pow(self.uniform(), 1.0 / shape);
            return self.gamma(shape + 1.0) * (shape + 1.0) / shape * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / libm::sqrt(9.0 * d);
        loop {
            let x = self.normal();
            let v = 1.0 + c * x;
            if v <= 0.0 {
                continue;
            }
            let v = v * v * v;
            if libm::log(self.uniform()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
                return d * v / shape;
            }
        }
    }
}

/// How long something takes: a duration, or a distribution of durations, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Delay {
    /// Always the same.
    Constant(SimDuration),
    /// Equally likely anywhere between `min` and `max`.
    Uniform {
        /// The shortest, in seconds.
        min: SimDuration,
        /// The longest, in seconds.
        max: SimDuration,
    },
    /// Normal, cut at zero.
    Normal {
        /// The mean, in seconds.
        mean: SimDuration,
        /// The standard deviation, in seconds.
        std: SimDuration,
    },
    /// Exponential with this mean.
    Exponential {
        /// The mean, in seconds.
        mean: SimDuration,
    },
}

impl Delay {
    /// No time at all.
    pub const ZERO: Self = Self::Constant(SimDuration::ZERO);

    /// The mean; of a normal one, that before it is cut at zero.
    #[must_use]
    pub fn mean(&self) -> SimDuration {
        match *self {
            Self::Constant(mean) | Self::Normal { mean, .. } | Self::Exponential { mean } => mean,
            Self::Uniform { min, max } => (min + max) * 0.5,
        }
    }

    /// What it hardly ever exceeds: once in a thousand times, or never.
    #[must_use]
    pub fn longest(&self) -> SimDuration {
        match *self {
            Self::Constant(longest) | Self::Uniform { max: longest, .. } => longest,
            Self::Normal { mean, std } => mean + std * 3.09,
            Self::Exponential { mean } => mean * 6.91,
        }
    }

    /// Draws one duration. A constant draws nothing from the stream.
    pub fn draw(&self, stream: &mut Stream) -> SimDuration {
        match *self {
            Self::Constant(duration) => duration,
            Self::Uniform { min, max } => {
                let (min, max) = (min.seconds(), max.seconds());
                SimDuration::saturating(min + (max - min) * stream.uniform())
            }
            Self::Normal { mean, std } => {
                SimDuration::saturating(mean.seconds() + std.seconds() * stream.normal())
            }
            Self::Exponential { mean } => mean * stream.exponential(),
        }
    }
}

impl Default for Delay {
    fn default() -> Self {
        Self::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(n: usize, mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let values: Vec<f64> = (0..n).map(|_| draw()).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64;
        (mean, variance)
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = Stream::new(1, "test");
        let near = |got: (f64, f64), want: (f64, f64)| {
            assert!(
                (got.0 - want.0).abs() < 0.02 && (got.1 - want.1).abs() < 0.05,
                "{got:?}"
            );
        };
        near(
            mean_and_variance(100_000, || stream.uniform()),
            (0.5, 1.0 / 12.0),
        );
        near(
            mean_and_variance(100_000, || stream.exponential()),
            (1.0, 1.0),
        );
        near(mean_and_variance(100_000, || stream.normal()), (0.0, 1.0));
        near(
            mean_and_variance(100_000, || stream.gamma(4.0)),
            (1.0, 0.25),
        );
        near(mean_and_variance(200_000, || stream.gamma(0.5)), (1.0, 2.0));
    }

    #[test]
    fn a_delay_is_its_mean_on_average_and_hardly_ever_longer_than_its_longest() {
        let seconds = SimDuration::saturating;
        for delay in [
            Delay::Constant(seconds(3.0)),
            Delay::Uniform {
                min: seconds(2.0),
                max: seconds(5.0),
            },
            Delay::Normal {
                mean: seconds(9.0),
                std: seconds(1.0),
            },
            Delay::Exponential { mean: seconds(4.0) },
        ] {
            let mut stream = Stream::new(1, "delay");
            let drawn: Vec<SimDuration> = (0..100_000).map(|_| delay.draw(&mut stream)).collect();
            let longer = drawn.iter().filter(|it| **it > delay.longest()).count();
            assert!(longer < 130, "{delay:?}: {longer}");
            let mean = drawn.iter().map(|it| it.seconds()).sum::<f64>() / drawn.len() as f64;
            assert!((mean - delay.mean().seconds()).abs() < 0.05, "{delay:?}");
        }
    }

    #[test]
    fn streams_differ_by_name_and_by_seed() {
        let first = |seed, name| Stream::new(seed, name).uniform().to_bits();
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
    }
}
