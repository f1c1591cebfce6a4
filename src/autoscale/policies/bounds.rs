use super::{
    AibrixApa, AibrixKpa, Chiron, Clairvoyant, DynamoLoad, DynamoSla, Forecast, HeteroScale,
    HpaGpu, IndependentTps, Keda, KnativeKpa, KubernetesHpa, LatencyBased, PureLatency, RayServe,
    SageServeLtI, SageServeLtU, SageServeLtUa, SageServeReactive, SaturationV1, SaturationV2,
    Threshold, TokenVelocity,
};
use crate::autoscale::InvalidParameter;

/// The fewest and the most instances of a role that a policy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Bounds {
    /// Whether a number can be within them.
    pub(super) fn check(self) -> Result<(), InvalidParameter> {
        let Self { min, max } = self;
        if min <= max {
            return Ok(());
        }
        Err(InvalidParameter {
            field: "max",
            message: format!("at most {max} instances are fewer than at least {min}"),
        })
    }

    /// The number within them that is nearest to `count`; `max` where no number is.
    pub(super) fn clamp(self, count: u32) -> u32 {
        count.max(self.min).min(self.max)
    }

    /// The number within them that is nearest to `count`; none if that is within them itself.
    pub(super) fn beyond(self, count: u32) -> Option<u32> {
        Some(self.clamp(count)).filter(|&within| within != count)
    }
}

/// A policy with the parameters `min` and `max`.
pub(super) trait Bounded {
    /// The two parameters.
    fn bounds(&self) -> Bounds;
}

macro_rules! bounded {
    ($($policy:ty),* $(,)?) => {$(
        impl Bounded for $policy {
            fn bounds(&self) -> Bounds {
                Bounds {
                    min: self.min,
                    max: self.max,
                }
            }
        }
    )*};
}

bounded!(
    AibrixApa,
    AibrixKpa,
    Chiron,
    Clairvoyant,
    DynamoLoad,
    DynamoSla,
    Forecast,
    HeteroScale,
    HpaGpu,
    IndependentTps,
    Keda,
    KnativeKpa,
    KubernetesHpa,
    LatencyBased,
    PureLatency,
    RayServe,
    SageServeLtI,
    SageServeLtU,
    SageServeLtUa,
    SageServeReactive,
    SaturationV1,
    SaturationV2,
    Threshold,
    TokenVelocity,
);
