//! The policies that come with fleetsim, one file each, and how each reads its definition.
//!
//! `autoscaler: None`, or no `autoscaler` at all, is the policy that does nothing.
//!
//! Unless its table says otherwise, a policy's current number of instances is that of those that start
//! up or are active; a desired number is kept within the policy's `min` and `max` before the actuator's
//! own limits apply. The first decision is one interval after the start. Policies that let a scenario
//! choose what they measure share one list, [`Metric`].

mod aibrix;
mod aibrix_apa;
mod aibrix_kpa;
mod bounds;
mod carried_over;
mod chiron;
mod clairvoyant;
mod cooldowns;
mod dynamo;
mod each_role;
mod forecast;
mod hetero_scale;
mod hpa_gpu;
mod independent_tps;
mod keda;
mod knative_kpa;
mod kubernetes_hpa;
mod latency_based;
mod metric;
mod periodic;
mod pure_latency;
mod ray_serve;
mod sage_serve;
mod sage_serve_reactive;
mod saturation;
mod saturation_v1;
mod saturation_v2;
mod saved;
mod threshold;
mod token_velocity;
mod wishes;

pub use aibrix_apa::AibrixApa;
pub use aibrix_kpa::AibrixKpa;
pub use carried_over::{Idle, Rules};
pub use chiron::Chiron;
pub use clairvoyant::Clairvoyant;
pub use dynamo::{Aim, DynamoLoad, DynamoSla, Prediction, RoleReports, StepReport};
pub use forecast::Forecast;
pub use hetero_scale::HeteroScale;
pub use hpa_gpu::HpaGpu;
pub use independent_tps::IndependentTps;
pub use keda::{Cron, Fallback, FallbackBehaviour, Keda};
pub use knative_kpa::{Averaging, KnativeKpa};
pub use kubernetes_hpa::{Behaviour, KubernetesHpa, RateLimit, Select, Starting};
pub use latency_based::LatencyBased;
pub use metric::{Metric, MetricKind, MetricTarget};
pub use periodic::{Counts, Period, Periodic};
pub use pure_latency::PureLatency;
pub use ray_serve::{Aggregation, RayServe, Series};
pub use sage_serve::{SageServeLtI, SageServeLtU, SageServeLtUa, planned_change};
pub use sage_serve_reactive::SageServeReactive;
pub use saturation_v1::SaturationV1;
pub use saturation_v2::SaturationV2;
pub use threshold::Threshold;
pub use token_velocity::TokenVelocity;

use std::borrow::Cow;

use super::{DesiredInstances, InvalidParameter, PolicyRegistry, Signals};

/// Registers all of them.
pub(super) fn register(registry: &mut PolicyRegistry) {
    registry
        .register::<Threshold>()
        .register::<HeteroScale>()
        .register::<HpaGpu>()
        .register::<IndependentTps>()
        .register::<PureLatency>()
        .register::<LatencyBased>()
        .register::<Periodic>()
        .register::<KubernetesHpa>()
        .register::<Keda>()
        .register::<RayServe>()
        .register::<KnativeKpa>()
        .register::<AibrixApa>()
        .register::<AibrixKpa>()
        .register::<SaturationV1>()
        .register::<SaturationV2>()
        .register::<DynamoLoad>()
        .register::<SageServeReactive>()
        .register::<SageServeLtI>()
        .register::<SageServeLtU>()
        .register::<SageServeLtUa>()
        .register::<Chiron>()
        .register::<DynamoSla>()
        .register::<TokenVelocity>()
        .register::<Forecast>()
        .register::<Clairvoyant>();
}

/// Rounds a number of instances up; what a product of decimal fractions is too much by does not count.
fn round_up(instances: f64) -> u32 {
    (instances - 1e-9).ceil() as u32
}

/// Leaves every role as it is.
pub(super) fn keep_all(
    signals: &Signals,
    desired: &mut DesiredInstances,
    reason: impl Into<Cow<'static, str>> + Clone,
) {
    for of in signals.roles() {
        desired.keep(of.role, reason.clone());
    }
}

/// Checks that the lower end of a band, a parameter and its value, is not above the upper one.
fn check_band(lower: (&'static str, f64), upper: (&str, f64)) -> Result<(), InvalidParameter> {
    let ((field, down), (upper, up)) = (lower, upper);
    if down <= up {
        return Ok(());
    }
    Err(InvalidParameter {
        field,
        message: format!("{down} is above `{upper}`, {up}"),
    })
}
