//! Where requests come from: traces, generators, and what a scenario makes of them.

// Helpers are tests too, to clippy.
#![cfg(test)]

mod bad_rows;
mod calendar;
mod formats;
mod limits;
mod order;
mod requests;
mod resample;
#[path = "../shared/mod.rs"]
mod shared;
mod synthetic;
mod time;
mod traces;
mod users;

use std::path::{Path, PathBuf};

use fleetsim::scenario::{TraceFormat, Workload};
use fleetsim::workload::{Arrival, WorkloadError, open};

const HEADER: &str =
    "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n";

/// A trace with every option at its default.
fn trace(path: impl Into<PathBuf>, format: TraceFormat) -> Workload {
    Workload::Trace {
        path: path.into(),
        format,
        origin: None,
        unit: None,
        reorder_window: 10_000,
        repeat: 1,
        rate_scale: 1.0,
        window: None,
        resample: None,
        requests: None,
    }
}

/// The arrivals up to the end or to the first error, which must be the end too.
fn drain(spec: &Workload, directory: &Path) -> (Vec<Arrival>, Option<WorkloadError>) {
    let mut stream = match open(spec, directory, 42, "chat") {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut arrivals = Vec::new();
    for item in stream.by_ref() {
        match item {
            Ok(arrival) => arrivals.push(arrival),
            Err(error) => {
                assert_eq!(stream.next(), None, "something comes after {error}");
                return (arrivals, Some(error));
            }
        }
    }
    assert_eq!(stream.next(), None, "something comes after the end");
    (arrivals, None)
}

fn all(spec: &Workload, directory: &Path) -> Vec<Arrival> {
    let (arrivals, error) = drain(spec, directory);
    assert_eq!(error, None);
    arrivals
}

/// Writes `text` to `trace.csv` in a directory of its own and reads it.
fn drain_text(
    text: impl AsRef<[u8]>,
    format: TraceFormat,
) -> (Vec<Arrival>, Option<WorkloadError>) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("trace.csv"), text).unwrap();
    drain(&trace("trace.csv", format), directory.path())
}

/// A Splitwise trace with these times, numbered in the order of the file.
fn splitwise<'a>(times: impl IntoIterator<Item = &'a f64>) -> String {
    let rows = times.into_iter().enumerate();
    let rows = rows.map(|(id, time)| format!("{id},2,0,{time},1,10,5\n"));
    HEADER
        .chars()
        .chain(rows.flat_map(|row| row.chars().collect::<Vec<_>>()))
        .collect()
}

fn seconds(arrivals: &[Arrival]) -> Vec<f64> {
    arrivals
        .iter()
        .map(|arrival| arrival.time.seconds())
        .collect()
}

fn ids(arrivals: &[Arrival]) -> Vec<u64> {
    arrivals.iter().map(|arrival| arrival.id).collect()
}
