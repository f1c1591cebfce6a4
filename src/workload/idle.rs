//! Long stretches of a trace without any request: times of two kinds mixed, or a wrong time zero.

use std::path::Path;

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::open::open_named;
use super::own::NamedFormat;
use crate::scenario::{Origin, Workload};
use crate::time::{SimDuration, SimTime};

/// Shorter stretches are never taken for a mistake.
const DAY: SimDuration = SimDuration::saturating(86_400.0);

/// A stretch is long compared with the rest of the trace where it is this many times as long.
const TIMES: f64 = 10.0;

/// Refuses a trace that is read with [`Origin::Zero`] and whose first request comes later than a day and
/// than ten times the trace's length: time zero is not the one that was meant.
///
/// # Errors
/// The refusal, which names the ways out; or the trace cannot be opened.
pub fn check_origin(
    spec: &Workload,
    directory: &Path,
    application: &str,
    named: Option<&NamedFormat>,
) -> Result<(), WorkloadError> {
    let Workload::Trace {
        path,
        format,
        origin,
        ..
    } = spec
    else {
        return Ok(());
    };
    if origin.unwrap_or(format.default_origin()) == Origin::First {
        return Ok(());
    }
    // As it was recorded it draws nothing: the seed does not count.
    let recorded = spec.recorded();
    let spec = recorded.as_ref().unwrap_or(spec);
    let arrivals = open_named(spec, directory, 0, application, named)?;
    let mut arrivals = arrivals.map_while(Result::ok);
    let Some(Arrival { time, .. }) = arrivals.next() else {
        return Ok(());
    };
    if time <= SimTime::ZERO + DAY {
        return Ok(());
    }
    let last = arrivals.last().map_or(time, |arrival| arrival.time);
    let length = last - time;
    if time.seconds() <= length.seconds() * TIMES {
        return Ok(());
    }
    let message = format!(
        "the first request comes {time} s after time zero, and all of them within {length} s; count time from \
         the first row with `origin: First`, or from an instant of yours with a `window` that begins \
         there"
    );
    Err(WorkloadError::in_file(directory.join(path), message))
}

/// A stretch without requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdleStretch {
    /// The last arrival before it.
    pub from: SimTime,
    /// The first arrival after it.
    pub to: SimTime,
}

/// The longest stretch between two arrivals, if it is longer than a day and than ten times the rest.
///
/// # Errors
/// The first error of the arrivals.
pub fn longest_idle(
    arrivals: impl IntoIterator<Item = Result<Arrival, WorkloadError>>,
) -> Result<Option<IdleStretch>, WorkloadError> {
    let mut first = None;
    let mut last = SimTime::ZERO;
    let mut longest: Option<IdleStretch> = None;
    for arrival in arrivals {
        let to = arrival?.time;
        let from = if first.is_some() { last } else { to };
        first.get_or_insert(to);
        if longest.is_none_or(|it| to - from > it.to - it.from) {
            longest = Some(IdleStretch { from, to });
        }
        last = to;
    }
    let all = first.map_or(SimDuration::ZERO, |first| last - first);
    Ok(longest.filter(|it| {
        let idle = it.to - it.from;
        idle > DAY && idle.seconds() > (all.seconds() - idle.seconds()) * TIMES
    }))
}
