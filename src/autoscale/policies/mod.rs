//! The policies that come with fleetsim, one file each, and how each reads its definition.
//!
//! `autoscaler: None`, or no `autoscaler` at all, is the policy that does nothing.
//!
//! In all of them, the current number of instances is that of those that start up or are active, and a
//! desired number is kept within the policy's `min` and `max` before the actuator's own limits apply.
//! The first decision is one interval after the start.

mod clairvoyant;
mod dynamo_sla;
mod forecast;
mod hetero_scale;
mod hpa_gpu;
mod independent_tps;
mod latency_based;
mod periodic;
mod pure_latency;
mod threshold;
mod token_velocity;

pub use clairvoyant::Clairvoyant;
pub use dynamo_sla::DynamoSla;
pub use forecast::Forecast;
pub use hetero_scale::HeteroScale;
pub use hpa_gpu::HpaGpu;
pub use independent_tps::IndependentTps;
pub use latency_based::{LatencyBased, Metric};
pub use periodic::{Counts, Period, Periodic};
pub use pure_latency::PureLatency;
pub use threshold::Threshold;
pub use token_velocity::TokenVelocity;

use super::{InvalidParameter, PolicyRegistry};

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
        .register::<DynamoSla>()
        .register::<TokenVelocity>()
        .register::<Forecast>()
        .register::<Clairvoyant>();
}

/// Rounds a number of instances up; what a product of decimal fractions is too much by does not count.
fn round_up(instances: f64) -> u32 {
    (instances - 1e-9).ceil() as u32
}

fn check_limits(min: u32, max: u32) -> Result<(), InvalidParameter> {
    if min <= max {
        return Ok(());
    }
    Err(InvalidParameter {
        field: "max",
        message: format!("at most {max} instances are fewer than at least {min}"),
    })
}
