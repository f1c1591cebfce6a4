//! What an instance goes through until it is up, in stages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::start_ups;
use crate::catalog::GIB;
use crate::random::Delay;
use crate::time::SimDuration;

/// A stage of a start-up. Stages follow one another; what is on the server already is passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Stage {
    /// The server is allocated: once a server, never again on one that was there at time zero.
    Provision(Delay),
    /// The server boots: once a server, never again on one that was there at time zero.
    Boot(Delay),
    /// The image is pulled from a registry onto the server, where it stays.
    PullImage {
        /// Bytes of the image. Required.
        #[schemars(range(min = 1))]
        bytes: u64,
        /// GiB/s that the registry gives to all who pull at once; they share it equally. Stages with equal figures
        /// share one registry, also those of other applications. Required.
        #[schemars(extend("exclusiveMinimum" = 0))]
        bandwidth_gib_per_s: f64,
        /// The most GiB/s of one server. Default: no limit but the registry's.
        #[serde(default)]
        #[schemars(extend("exclusiveMinimum" = 0))]
        each_gib_per_s: Option<f64>,
        /// Its name: a server needs each image once. Default "engine", one for all applications.
        #[serde(default = "default_image")]
        image: String,
    },
    /// The weights of the model are copied; from a source that is not the disk they stay on the server.
    LoadWeights {
        /// Where from, and so where to. Required.
        source: WeightSource,
        /// GiB/s of the source, shared equally by all who load from it at once. Required.
        #[schemars(extend("exclusiveMinimum" = 0))]
        bandwidth_gib_per_s: f64,
        /// The most GiB/s of one load. Default: no limit but the source's.
        #[serde(default)]
        #[schemars(extend("exclusiveMinimum" = 0))]
        each_gib_per_s: Option<f64>,
    },
    /// The engine's process starts: imports, workers, memory.
    StartEngine {
        /// The first time on a server. Required.
        time: Delay,
        /// Each later time there. Default: as long.
        #[serde(default)]
        cached: Option<Delay>,
    },
    /// Kernels are compiled; they stay on the server, for the same template.
    Compile {
        /// The first time on a server. Required.
        time: Delay,
        /// Each later time there. Default: none, nothing is left to compile.
        #[serde(default)]
        cached: Option<Delay>,
    },
    /// The engine records the launches of its kernels in graphs.
    CaptureGraphs {
        /// The first time on a server. Required.
        time: Delay,
        /// Each later time there. Default: as long, graphs are in the memory of a process.
        #[serde(default)]
        cached: Option<Delay>,
    },
    /// Requests of the engine's own, before it takes those of users: for this long.
    WarmUp(Delay),
    /// The same as a number of requests, one after another, each with its prompt in one step: as long as the step times of
    /// the instance say, at its own pace.
    WarmUpRequests {
        /// How many. Required.
        #[schemars(range(min = 1))]
        requests: u32,
        /// Tokens of the prompt of each. Required.
        #[schemars(range(min = 1))]
        prompt_tokens: u32,
        /// Tokens that each asks for. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 1))]
        output_tokens: u32,
    },
    /// Stages with figures of a source, by name: see [start-ups with sources](#start-ups-with-sources).
    Preset(String),
}

/// Where weights are loaded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WeightSource {
    /// A store that the fleet shares, onto the server's disk. Passed over where they are there.
    Remote,
    /// The server's own disk, into the memory of the processors. Instances of a server share it.
    Disk,
    /// The disk of another server that has them, that with the fewest loads, onto the server's own. Passed over
    /// where they are there, and where no other server has them: `Remote` comes next in the list.
    Peer,
}

/// The kinds of stages, in the order in which results list them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum StageKind {
    /// From the order until the server is there and the instance has spun up.
    Allocate,
    /// [`Stage::Provision`].
    Provision,
    /// [`Stage::Boot`].
    Boot,
    /// [`Stage::PullImage`].
    PullImage,
    /// [`Stage::LoadWeights`] onto a server.
    FetchWeights,
    /// [`Stage::LoadWeights`] from its disk.
    LoadWeights,
    /// [`Stage::StartEngine`].
    StartEngine,
    /// [`Stage::Compile`].
    Compile,
    /// [`Stage::CaptureGraphs`].
    CaptureGraphs,
    /// [`Stage::WarmUp`] and [`Stage::WarmUpRequests`].
    WarmUp,
}

impl StageKind {
    /// The name in `scaling.csv` and in `summary.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allocate => "allocate",
            Self::Provision => "provision",
            Self::Boot => "boot",
            Self::PullImage => "pull_image",
            Self::FetchWeights => "fetch_weights",
            Self::LoadWeights => "load_weights",
            Self::StartEngine => "start_engine",
            Self::Compile => "compile",
            Self::CaptureGraphs => "capture_graphs",
            Self::WarmUp => "warm_up",
        }
    }
}

impl Stage {
    /// What kind it is; none of a preset, which stands for several.
    #[must_use]
    pub const fn kind(&self) -> Option<StageKind> {
        Some(match self {
            Self::Provision(_) => StageKind::Provision,
            Self::Boot(_) => StageKind::Boot,
            Self::PullImage { .. } => StageKind::PullImage,
            Self::LoadWeights {
                source: WeightSource::Disk,
                ..
            } => StageKind::LoadWeights,
            Self::LoadWeights { .. } => StageKind::FetchWeights,
            Self::StartEngine { .. } => StageKind::StartEngine,
            Self::Compile { .. } => StageKind::Compile,
            Self::CaptureGraphs { .. } => StageKind::CaptureGraphs,
            Self::WarmUp(_) | Self::WarmUpRequests { .. } => StageKind::WarmUp,
            Self::Preset(_) => return None,
        })
    }

    /// The stages of a list, with those of presets in their places; an unknown preset has none.
    #[must_use]
    pub fn expand(stages: &[Self]) -> Vec<Self> {
        let expanded = stages.iter().flat_map(|stage| match stage {
            Self::Preset(name) => start_ups::find(name).map_or_else(Vec::new, |it| it.stages()),
            stage => vec![stage.clone()],
        });
        expanded.collect()
    }

    /// How long stages take where nothing is cached and nobody else loads: by `length`, such as the mean of a
    /// delay. Those that need another server for a source take no
    /// time, nor do warm-ups in requests, whose length only step times say.
    #[must_use]
    pub(crate) fn alone(
        stages: &[Self],
        weights_bytes: u64,
        length: fn(&Delay) -> SimDuration,
    ) -> SimDuration {
        let of = |stage: &Self| match stage {
            Self::Provision(delay) | Self::Boot(delay) | Self::WarmUp(delay) => length(delay),
            Self::StartEngine { time, .. }
            | Self::Compile { time, .. }
            | Self::CaptureGraphs { time, .. } => length(time),
            Self::PullImage {
                bytes,
                bandwidth_gib_per_s: all,
                each_gib_per_s: each,
                ..
            } => seconds(*bytes, *all, *each),
            Self::LoadWeights {
                source: WeightSource::Remote | WeightSource::Disk,
                bandwidth_gib_per_s: all,
                each_gib_per_s: each,
            } => seconds(weights_bytes, *all, *each),
            Self::LoadWeights { .. } | Self::WarmUpRequests { .. } | Self::Preset(_) => {
                SimDuration::ZERO
            }
        };
        let stages = Self::expand(stages);
        stages.iter().map(of).fold(SimDuration::ZERO, |a, b| a + b)
    }
}

fn seconds(bytes: u64, all_gib_per_s: f64, each_gib_per_s: Option<f64>) -> SimDuration {
    let gib_per_s = each_gib_per_s.map_or(all_gib_per_s, |each| each.min(all_gib_per_s));
    SimDuration::saturating(bytes as f64 / (gib_per_s * GIB))
}

fn one() -> u32 {
    1
}

fn default_image() -> String {
    "engine".to_owned()
}
