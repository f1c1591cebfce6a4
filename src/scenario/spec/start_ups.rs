//! Start-ups with figures of a source, to be named as a [`Stage::Preset`].

use super::{Stage, WeightSource};
use crate::catalog::GIB;
use crate::random::Delay;
use crate::time::SimDuration;

/// A list of stages with its source.
#[derive(Clone, Copy, Debug)]
pub struct StartUpPreset {
    /// What a scenario calls it.
    pub name: &'static str,
    /// Where its figures are from.
    pub source: &'static str,
    stages: fn() -> Vec<Stage>,
}

impl StartUpPreset {
    /// Every preset.
    pub const ALL: [Self; 8] = [
        Self {
            name: "tensorfuse-l40s",
            source: "Llama-3.1-8B on an L40S, step by step, with vLLM: \
                tensorfuse.io/docs/blogs/reducing_gpu_cold_start (294 s; 82 s with caches)",
            stages: tensorfuse,
        },
        Self {
            name: "deepseek-h20",
            source: "a field case of DeepSeek-V4-Flash on 8 H20: image of 14.29 GB in 127 s, 156 GiB of weights in \
                6 min, 23 min in all, 7 min 40 s to 11 min with both on the node",
            stages: deepseek,
        },
        Self {
            name: "serverless-llm-disk",
            source: "130 GB of weights at 5 GB/s from a local disk: ServerlessLLM, arXiv 2401.14351",
            stages: serverless_llm,
        },
        Self {
            name: "sage-serve-vm",
            source: "a new VM in 155 s: the code of SageServe",
            stages: || vec![Stage::Provision(constant(155.0))],
        },
        Self {
            name: "blis",
            source: "a whole instance in 240 +- 30 s: the demo of BLIS",
            stages: || {
                vec![Stage::StartEngine {
                    time: Delay::Normal {
                        mean: seconds(240.0),
                        std: seconds(30.0),
                    },
                    cached: None,
                }]
            },
        },
        Self {
            name: "llm-d-pod",
            source: "a pod in 2 to 7 min: the documentation of llm-d's workload variant autoscaler",
            stages: || {
                vec![Stage::StartEngine {
                    time: uniform(120.0, 420.0),
                    cached: None,
                }]
            },
        },
        Self {
            name: "spheron-8b",
            source: "an 8B model: image in 4 to 8 min where it is not on the node, graphs in 12 s, warm-up in 5 s: \
                a table of spheron's",
            stages: || spheron(12.0, 5.0),
        },
        Self {
            name: "spheron-70b",
            source: "a 70B model: image in 4 to 8 min where it is not on the node, graphs in 30 s, warm-up in 10 s: \
                a table of spheron's",
            stages: || spheron(30.0, 10.0),
        },
    ];

    /// Its stages.
    #[must_use]
    pub fn stages(&self) -> Vec<Stage> {
        (self.stages)()
    }
}

/// The preset of this name.
pub(crate) fn find(name: &str) -> Option<&'static StartUpPreset> {
    const ALL: &[StartUpPreset] = &StartUpPreset::ALL;
    ALL.iter().find(|it| it.name == name)
}

const fn seconds(seconds: f64) -> SimDuration {
    SimDuration::saturating(seconds)
}

const fn constant(length: f64) -> Delay {
    Delay::Constant(seconds(length))
}

const fn uniform(min: f64, max: f64) -> Delay {
    Delay::Uniform {
        min: seconds(min),
        max: seconds(max),
    }
}

/// GiB/s at which these bytes take this long.
fn rate(bytes: f64, seconds: f64) -> f64 {
    bytes / GIB / seconds
}

/// Weights of 16.06 GB (8.03 billion parameters of two bytes): fetched in 61 s, loaded in 33 s.
fn tensorfuse() -> Vec<Stage> {
    let weights = 16.06e9;
    vec![
        Stage::LoadWeights {
            source: WeightSource::Remote,
            bandwidth_gib_per_s: rate(weights, 61.0),
            each_gib_per_s: None,
        },
        Stage::StartEngine {
            time: constant(94.0),
            cached: Some(constant(34.0)),
        },
        Stage::LoadWeights {
            source: WeightSource::Disk,
            bandwidth_gib_per_s: rate(weights, 33.0),
            each_gib_per_s: None,
        },
        // Dynamo takes 10 s both times; the compiler 42 s, and 13 s with its cache.
        Stage::Compile {
            time: constant(52.0),
            cached: Some(constant(23.0)),
        },
        Stage::CaptureGraphs {
            time: constant(54.0),
            cached: Some(constant(7.0)),
        },
    ]
}

/// What is not said of a stage is the rest of the 23 minutes.
fn deepseek() -> Vec<Stage> {
    vec![
        Stage::PullImage {
            bytes: 14_290_000_000,
            bandwidth_gib_per_s: rate(14.29e9, 127.0),
            each_gib_per_s: None,
            image: "deepseek-h20".to_owned(),
        },
        Stage::LoadWeights {
            source: WeightSource::Remote,
            bandwidth_gib_per_s: 156.0 / 360.0,
            each_gib_per_s: None,
        },
        Stage::StartEngine {
            time: constant(23.0 * 60.0 - 127.0 - 360.0),
            cached: Some(uniform(460.0, 660.0)),
        },
    ]
}

fn serverless_llm() -> Vec<Stage> {
    vec![Stage::LoadWeights {
        source: WeightSource::Disk,
        bandwidth_gib_per_s: rate(5e9, 1.0),
        each_gib_per_s: None,
    }]
}

/// The image is a time and not bytes: the table gives no size.
fn spheron(graphs: f64, warm_up: f64) -> Vec<Stage> {
    vec![
        Stage::Boot(uniform(240.0, 480.0)),
        Stage::CaptureGraphs {
            time: constant(graphs),
            cached: None,
        },
        Stage::WarmUp(constant(warm_up)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_takes_as_long_as_its_source_says() {
        let alone = |name, weights: f64| {
            let preset = [Stage::Preset(String::from(name))];
            Stage::alone(&preset, weights as u64, Delay::mean).seconds()
        };
        let near = |found: f64, told: f64| assert!((found - told).abs() < 0.01, "{found} {told}");
        near(alone("tensorfuse-l40s", 16.06e9), 294.0);
        near(alone("deepseek-h20", 156.0 * GIB), 1380.0);
        near(alone("serverless-llm-disk", 130e9), 26.0);
        near(alone("sage-serve-vm", 1.0), 155.0);
        near(alone("blis", 1.0), 240.0);
        near(alone("llm-d-pod", 1.0), 270.0);
        near(alone("spheron-70b", 1.0), 400.0);
        assert!(find("spheron-8b").is_some() && find("spheron").is_none());
    }
}
