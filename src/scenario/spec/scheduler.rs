//! Which instance serves a request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::open::{Term, open_enum};

/// Which instance serves a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(remote = "Scheduler")]
pub enum Scheduler {
    /// Instances in turn. Needs `Mixed` instances.
    RoundRobin,
    /// Any instance, equally likely. Needs `Mixed` instances.
    Random,
    /// The instance with the fewest requests. Needs `Mixed` instances.
    Jsq,
    /// The instance with the fewest pending tokens. Needs `Mixed` instances.
    #[default]
    TokenJsq,
    /// A prompt and a token instance, each in turn. Needs `Prompt` and `Token` instances.
    KvRoundRobin {
        /// Bandwidth of a KV-cache transfer in GiB/s. Default 200, InfiniBand in Splitwise.
        #[serde(default = "default_transfer")]
        #[schemars(range(min = 1e-6))]
        transfer_gib_per_s: f64,
    },
    /// A prompt and a token instance, each with the fewest requests.
    KvJsq {
        /// Bandwidth of a KV-cache transfer in GiB/s. Default 200.
        #[serde(default = "default_transfer")]
        #[schemars(range(min = 1e-6))]
        transfer_gib_per_s: f64,
    },
    /// A prompt and a token instance by pending tokens, as the reference counts them.
    KvTokenJsq {
        /// Bandwidth of a KV-cache transfer in GiB/s. Default 200.
        #[serde(default = "default_transfer")]
        #[schemars(range(min = 1e-6))]
        transfer_gib_per_s: f64,
    },
    /// Prompt, token and mixed pools that lend each other instances.
    MixedPool {
        /// A prompt queue longer than this many tokens borrows. Default 8192, as in Splitwise.
        #[serde(default = "default_prompt_max_pending_tokens")]
        prompt_max_pending_tokens: u64,
        /// Bandwidth of a KV-cache transfer in GiB/s. Default 200.
        #[serde(default = "default_transfer")]
        #[schemars(range(min = 1e-6))]
        transfer_gib_per_s: f64,
    },
    /// One that is not built in, by its name in a registry.
    #[schemars(skip)]
    Named(Term),
}

open_enum!(Scheduler);

fn default_transfer() -> f64 {
    200.0
}

fn default_prompt_max_pending_tokens() -> u64 {
    8192
}

impl Scheduler {
    /// Bandwidth of KV-cache transfers in GiB/s, where it pairs instances that may differ.
    #[must_use]
    pub const fn transfer_gib_per_s(&self) -> Option<f64> {
        match *self {
            Self::RoundRobin | Self::Random | Self::Jsq | Self::TokenJsq | Self::Named(_) => None,
            Self::KvRoundRobin { transfer_gib_per_s }
            | Self::KvJsq { transfer_gib_per_s }
            | Self::KvTokenJsq { transfer_gib_per_s }
            | Self::MixedPool {
                transfer_gib_per_s, ..
            } => Some(transfer_gib_per_s),
        }
    }

    /// Whether a prompt goes to a `Prompt` instance and its tokens to a `Token` instance, always.
    #[must_use]
    pub const fn pairs_prompt_and_token(&self) -> bool {
        matches!(
            self,
            Self::KvRoundRobin { .. } | Self::KvJsq { .. } | Self::KvTokenJsq { .. }
        )
    }
}
