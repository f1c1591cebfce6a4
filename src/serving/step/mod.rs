//! How long a step of a batch takes, from what is in it: one file a model.

mod constant;
mod linear;
mod measured;
mod paced;
mod performance;
mod profile;
mod roofline;
mod steps;
mod table;

use std::fmt::Debug;

pub use constant::ConstantTime;
pub use linear::Linear;
pub use paced::Paced;
pub use performance::{Performance, PerformanceError, Priced, StepTimes};
pub use profile::{Curves, InvalidCurve};
pub use roofline::{NoRoofline, Roofline, Terms};
pub use steps::Steps;
pub use table::{NoTable, Table};

/// What one step computes, as sums over its requests.
///
/// All sums are whole numbers, so that the order in which requests are added never matters. Halves
/// would appear in [`prefill_pairs_twice`](Self::prefill_pairs_twice), which is why the sum is kept twice as large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BatchShape {
    /// Prompt tokens that the step computes.
    pub prefill_tokens: u64,
    /// Chunks of prompts that these tokens belong to: at most one a request.
    pub chunks: u64,
    /// Tokens that the chunks find in the KV cache: Σ done.
    pub prefill_context: u64,
    /// Twice Σ new · (done + new / 2) over the chunks: pairs of tokens that attend to each other.
    pub prefill_pairs_twice: u64,
    /// The same with each done + new / 2 cut at the window; 0 for a model without one.
    pub windowed_pairs_twice: u64,
    /// Σ min(done, window) over the chunks; 0 for a model without a window.
    pub windowed_context: u64,
    /// Requests that decode: one token each.
    pub decodes: u64,
    /// Tokens in the KV cache of those when the step ends, their new one included.
    pub decode_context: u64,
}

impl BatchShape {
    /// Adds a chunk of `new` prompt tokens after `done` that are in the KV cache.
    ///
    /// `window` is that of the model ([`StepModel::window`]).
    #[inline]
    pub fn add_chunk(&mut self, done: u64, new: u64, window: Option<u64>) {
        self.prefill_tokens += new;
        self.chunks += 1;
        self.prefill_context += done;
        self.prefill_pairs_twice += new * (2 * done + new);
        if let Some(window) = window {
            self.windowed_pairs_twice += new * (2 * done + new).min(2 * window);
            self.windowed_context += done.min(window);
        }
    }

    /// Adds a request that decodes and holds `context` tokens when the step ends.
    pub fn add_decode(&mut self, context: u64) {
        self.decodes += 1;
        self.decode_context += context;
    }

    /// Tokens that the step computes.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.prefill_tokens + self.decodes
    }

    /// Tokens in the KV cache of all requests of the step when it ends.
    #[must_use]
    pub const fn context(&self) -> u64 {
        self.prefill_context + self.prefill_tokens + self.decode_context
    }

    /// The shape of the `n`th decode step after this one, if nothing joins, leaves or is prefilled.
    #[must_use]
    pub const fn after_decodes(mut self, n: u64) -> Self {
        self.decode_context += n * self.decodes;
        self
    }
}

/// How long a step takes, in seconds.
///
/// ```
/// use fleetsim::serving::{BatchShape, StepModel};
///
/// /// Ten milliseconds, and a microsecond for each prompt token.
/// #[derive(Debug)]
/// struct Mine;
///
/// impl StepModel for Mine {
///     fn seconds(&self, shape: &BatchShape) -> f64 {
///         0.01 + shape.prefill_tokens as f64 * 1e-6
///     }
/// }
///
/// let mut shape = BatchShape::default();
/// shape.add_chunk(0, 1_000, None);
/// assert_eq!(Mine.seconds(&shape), 0.011);
/// ```
pub trait StepModel: Debug + Send + Sync {
    /// Seconds of a step: positive and finite for a shape that has tokens.
    fn seconds(&self, shape: &BatchShape) -> f64;

    /// At most `most` decode steps from `first` on in which nothing but the contexts changes: how many
    /// the answer holds for, at least 1, and their lengths.
    ///
    /// The first step is that of `first`; each request's context grows by one token a step. The
    /// default takes the steps one by one, which is right for any model.
    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        debug_assert!(most > 0);
        (1, Steps::constant(self.seconds(first)))
    }

    /// Tokens that a windowed layer attends to, for models that have such layers.
    fn window(&self) -> Option<u64> {
        None
    }
}
