//! Where requests come from: trace readers and generators, all streaming.
//!
//! [`open`] turns a scenario's [`Workload`] into an [`ArrivalStream`]. A trace goes through a reader
//! for its format, a bounded window that puts it in order of time, and as many passes as asked
//! for; a generator draws from random streams of its own. Either is then cut to a window of time,
//! scaled, and cut to a number of requests. Memory does not grow with the length of a workload.

mod azure;
mod burst_gpt;
mod details;
mod error;
mod guess;
mod idle;
mod lengths;
mod limits;
mod lines;
mod mooncake;
mod numbers;
#[cfg(feature = "compression")]
mod packing;
mod prefixes;
mod reorder;
mod repeat;
mod requests;
mod row;
mod shape;
mod source;
mod splitwise;
mod statistics;
mod synthetic;
mod table;
mod timestamp;
mod trace;
#[cfg(feature = "compression")]
mod unpack;
mod write;

use std::path::Path;
use std::sync::Arc;

use crate::random::Stream;
use crate::scenario::Workload;
use crate::time::SimTime;

pub use details::Details;
pub use error::WorkloadError;
pub use idle::{IdleStretch, check_origin, longest_idle};
pub use limits::{Limited, Limits};
#[cfg(feature = "compression")]
pub use packing::{Packer, Packing};
pub use prefixes::PrefixStatistics;
pub use statistics::{
    GapStatistics, LengthBin, LengthStatistics, RateBin, RateStatistics, TraceStatistics,
};
pub use trace::{TraceReading, TraceStream};
pub use write::{TraceWriter, write_splitwise};

use repeat::Passes;
use synthetic::Synthetic;
use trace::Trace;

/// One request as it arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// The trace's own number for it, or its position in the workload.
    pub id: u64,
    /// When it arrives.
    pub time: SimTime,
    /// Tokens of its prompt, at least 1.
    pub prompt_tokens: u32,
    /// Tokens that it asks for, at least 1.
    pub output_tokens: u32,
    /// What only few workloads say: session, priority, what its tokens are.
    pub details: Option<Arc<Details>>,
}

/// A source of requests in order of arrival; the first error ends it.
pub type ArrivalStream = Box<dyn Iterator<Item = Result<Arrival, WorkloadError>> + Send + Sync>;

/// Opens an application's workload. Paths are relative to `directory`.
///
/// A generator draws from the random streams `workload/<application>/arrivals`,
/// `…/prompt_tokens` and `…/output_tokens` under `seed`; a trace draws nothing.
///
/// ```
/// use fleetsim::scenario::{Arrivals, Lengths, Shape, Workload};
/// let spec = Workload::Synthetic {
///     arrivals: Arrivals::Constant { rate: 4.0 },
///     shape: Shape::Constant,
///     prompt_tokens: Lengths::Constant(100),
///     output_tokens: Lengths::Geometric { mean: 20.0 },
///     rate_scale: 1.0,
///     window: None,
///     requests: Some(3),
/// };
/// let arrivals = fleetsim::workload::open(&spec, ".".as_ref(), 42, "chat")?;
/// let times: Result<Vec<_>, _> = arrivals.map(|a| a.map(|a| a.time.seconds())).collect();
/// assert_eq!(times?, [0.25, 0.5, 0.75]);
/// # Ok::<(), fleetsim::workload::WorkloadError>(())
/// ```
///
/// # Errors
/// The trace cannot be opened or lacks a column, or a parameter is out of its range. A bad row
/// further down comes as an item of the stream, after the rows above it, and ends it.
pub fn open(
    spec: &Workload,
    directory: &Path,
    seed: u64,
    application: &str,
) -> Result<ArrivalStream, WorkloadError> {
    match spec {
        Workload::Trace {
            path,
            format,
            origin,
            unit,
            reorder_window,
            repeat,
            rate_scale,
            window,
            requests,
        } => {
            let path = directory.join(path);
            let reading = TraceReading {
                format: Some(*format),
                origin: *origin,
                unit: *unit,
                reorder_window: *reorder_window,
                application: Some(application.to_owned()),
            };
            let limits = Limits {
                window: *window,
                rate_scale: *rate_scale,
                requests: *requests,
            };
            let trace = Trace { path, reading };
            Ok(Box::new(limits.apply(Passes::new(trace, *repeat)?)?))
        }
        Workload::Synthetic {
            arrivals,
            shape,
            prompt_tokens,
            output_tokens,
            rate_scale,
            window,
            requests,
        } => {
            let stream = |what: &str| Stream::new(seed, &format!("workload/{application}/{what}"));
            let limits = Limits {
                window: *window,
                rate_scale: *rate_scale,
                requests: *requests,
            };
            let generator = Synthetic::new(*arrivals, shape, prompt_tokens, output_tokens, stream)?;
            Ok(Box::new(limits.apply(generator)?))
        }
    }
}
