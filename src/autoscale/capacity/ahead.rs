//! The workload of an application, read ahead of the run.

use std::collections::BTreeMap;

use super::Amount;
use crate::scenario::{Application, CheckedScenario};
use crate::time::{SimDuration, SimTime};
use crate::workload::{self, Arrival, WorkloadError};

/// The requests of an application that arrive by the scenario's end; none where there is no such
/// application.
///
/// # Errors
/// As [`workload::open`]; a row that cannot be read is an item.
pub(super) fn arrivals(
    checked: &CheckedScenario,
    application: usize,
) -> Result<impl Iterator<Item = Result<Arrival, WorkloadError>>, WorkloadError> {
    let scenario = checked.scenario();
    let end = scenario.end.unwrap_or(SimTime::MAX);
    let open = |of: &Application| {
        workload::open(&of.workload, checked.directory(), scenario.seed, &of.name)
    };
    let arrivals = scenario.applications.get(application).map(open);
    let arrivals = arrivals.transpose()?.into_iter().flatten();
    Ok(arrivals.take_while(move |it| it.as_ref().map_or(true, |it| it.time <= end)))
}

/// The same, counted in bins of this length, the first of which begins at time zero. Only bins in which
/// anything arrives are there.
///
/// # Errors
/// As [`workload::open`], and of any row of a trace.
pub(crate) fn arrivals_in_bins(
    checked: &CheckedScenario,
    application: usize,
    length: SimDuration,
) -> Result<BTreeMap<u64, Amount>, WorkloadError> {
    let mut bins: BTreeMap<u64, Amount> = BTreeMap::new();
    for arrival in arrivals(checked, application)? {
        let arrival = arrival?;
        let request = Amount::one(arrival.prompt_tokens, arrival.output_tokens);
        *bins.entry(bin(arrival.time, length)).or_default() += request;
    }
    Ok(bins)
}

/// The bin of this length that an instant is in.
pub(crate) fn bin(time: SimTime, length: SimDuration) -> u64 {
    // An instant that is a whole number of lengths is in the bin that it begins.
    (time.seconds() / length.seconds() + 1e-9) as u64
}
