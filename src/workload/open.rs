use std::path::Path;

use super::arrival::ArrivalStream;
use super::error::WorkloadError;
use super::limits::Limits;
use super::own::NamedFormat;
use super::place::Opened;
use super::repeat::Passes;
use super::resample::{Bootstrap, Thinned};
use super::synthetic::Synthetic;
use super::trace::{Trace, TraceReading};
use super::users::Users;
use crate::random::Stream;
use crate::scenario::Workload;

/// Opens an application's workload. Paths are relative to `directory`.
///
/// A generator draws from the random streams `workload/<application>/arrivals`,
/// `…/prompt_tokens` and `…/output_tokens` under `seed`; a trace draws nothing unless it is resampled,
/// and then from `…/blocks` and `…/kept`. Of a closed loop the
/// stream has the first request of each user: the others come as requests end ([`Users`]).
///
/// ```
/// use fleetsim::scenario::{Arrivals, Lengths, Shape, Workload};
/// let spec = Workload::Synthetic {
///     arrivals: Arrivals::Constant { rate: 4.0 },
///     shape: Shape::Constant,
///     prompt_tokens: Lengths::Constant(100),
///     output_tokens: Lengths::Geometric { mean: 20.0 },
///     system_prompts: None,
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
    open_named(spec, directory, seed, application, None)
}

/// As [`open`], with the format of a trace that is not built in.
///
/// # Errors
/// As [`open`].
pub fn open_named(
    spec: &Workload,
    directory: &Path,
    seed: u64,
    application: &str,
    named: Option<&NamedFormat>,
) -> Result<ArrivalStream, WorkloadError> {
    let stream = |what: &str| Stream::new(seed, &format!("workload/{application}/{what}"));
    match &*spec.generator() {
        Workload::Trace {
            path,
            format,
            origin,
            unit,
            reorder_window,
            repeat,
            rate_scale,
            window,
            resample,
            requests,
        } => {
            let path = directory.join(path);
            let reading = TraceReading {
                format: Some(*format),
                named: named.cloned(),
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
            let Some(resample) = resample else {
                let trace = limits.apply(Passes::new(trace, *repeat)?)?;
                return Ok(Box::new(Opened::Trace(trace)));
            };
            // What is within the window is made anew, then made faster or slower.
            let in_window = Limits {
                window: *window,
                ..Limits::default()
            };
            let limits = Limits {
                window: None,
                ..limits
            };
            let Some(block) = resample.block else {
                let rows = in_window.apply(Passes::new(trace, *repeat)?)?;
                let rows = Thinned::new(rows, resample.keep, stream("kept"))?;
                return Ok(Box::new(Opened::Kept(limits.apply(rows)?)));
            };
            let rows = in_window.apply(Passes::new(trace, 1)?)?;
            let length = window.map(|(from, to)| to - from);
            let blocks = Bootstrap::new(rows, block, length, *repeat, stream("blocks"))?;
            let rows = Thinned::new(blocks, resample.keep, stream("kept"))?;
            Ok(Box::new(Opened::Blocks(limits.apply(rows)?)))
        }
        Workload::Synthetic {
            arrivals,
            shape,
            prompt_tokens,
            output_tokens,
            system_prompts,
            rate_scale,
            window,
            requests,
        } => {
            let limits = Limits {
                window: *window,
                rate_scale: *rate_scale,
                requests: *requests,
            };
            let generator = Synthetic::new(
                *arrivals,
                shape,
                prompt_tokens,
                output_tokens,
                *system_prompts,
                stream,
            )?;
            Ok(Box::new(Opened::Generated(limits.apply(generator)?)))
        }
        // A generator stands for it.
        Workload::Planned { .. } | Workload::Host => Ok(Box::new(std::iter::empty())),
        // What comes later depends on when these end: `Users` says it to the endpoint.
        Workload::Users { .. } => match Users::new(spec, seed, application)? {
            Some(users) => Ok(users.known()),
            None => Ok(Box::new(std::iter::empty())),
        },
    }
}
