//! Traces that are not in order of time.

use fleetsim::scenario::{TraceFormat::Splitwise, Workload};
use fleetsim::workload::{Arrival, WorkloadError};
use proptest::prelude::*;

use super::{drain, ids, seconds, splitwise, trace};

fn read(times: &[f64], rows: usize) -> (Vec<Arrival>, Option<WorkloadError>) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("trace.csv"), splitwise(times)).unwrap();
    let mut spec = trace("trace.csv", Splitwise);
    if let Workload::Trace { reorder_window, .. } = &mut spec {
        *reorder_window = rows;
    }
    drain(&spec, directory.path())
}

#[test]
fn rows_out_of_order_come_in_order_and_ties_as_in_the_file() {
    let (arrivals, error) = read(&[3.5, 1.5, 2.5, 1.5, 3.5], 10_000);
    assert_eq!(error, None);
    assert_eq!(seconds(&arrivals), [1.5, 1.5, 2.5, 3.5, 3.5]);
    assert_eq!(ids(&arrivals), [1, 3, 2, 0, 4]);
}

#[test]
fn a_row_may_follow_as_many_later_ones_as_the_window_has() {
    let times = [0.0, 4.0, 5.0, 6.0, 1.75, 7.0];
    let (arrivals, error) = read(&times, 3);
    assert_eq!(error, None);
    assert_eq!(seconds(&arrivals), [0.0, 1.75, 4.0, 5.0, 6.0, 7.0]);

    let (arrivals, error) = read(&times, 2);
    let error = error.expect("an error").to_string();
    assert_eq!(seconds(&arrivals), [0.0, 4.0, 5.0, 6.0]);
    let place = "trace.csv:6:7: request 4 at 1.75 s comes 2.25 s too late: one at 4 s is";
    assert!(error.contains(place), "{error}");
    assert!(
        error.contains("raise `reorder_window`, now 2 rows, or sort the file"),
        "{error}"
    );
}

#[test]
fn the_rows_above_a_bad_one_come_whatever_the_window() {
    let directory = tempfile::tempdir().unwrap();
    let text = splitwise(&[2.0, 1.0]) + "2,2,0,oops,1,1,1\n3,2,0,0.5,1,1,1\n";
    std::fs::write(directory.path().join("trace.csv"), text).unwrap();
    let (arrivals, error) = drain(&trace("trace.csv", Splitwise), directory.path());
    assert_eq!(seconds(&arrivals), [1.0, 2.0]);
    assert_eq!(error.expect("an error").line(), Some(4));
}

proptest! {
    #[test]
    fn shuffles_within_the_window_come_out_sorted_and_complete(
        mut rows in proptest::collection::vec((0_u32..50, 0_usize..8), 0..200),
    ) {
        // A row is moved down the file by at most 7 places, so it follows at most 7 later ones.
        rows.sort_by_key(|(time, _)| *time);
        let mut moved: Vec<_> = rows.iter().enumerate().collect();
        moved.sort_by_key(|(place, (_, delay))| place + delay);
        let times: Vec<_> = moved.iter().map(|(_, (time, _))| f64::from(*time)).collect();

        let (arrivals, error) = read(&times, 7);
        prop_assert_eq!(error, None);
        let mut want: Vec<_> = times.iter().copied().zip(0_u64..).collect();
        want.sort_by(|a, b| a.0.total_cmp(&b.0));
        let got: Vec<_> = seconds(&arrivals).into_iter().zip(ids(&arrivals)).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn any_order_is_sorted_up_to_the_first_late_row(
        times in proptest::collection::vec(0_u32..1000, 0..100),
        window in 1_usize..20,
    ) {
        let times: Vec<_> = times.into_iter().map(f64::from).collect();
        let (arrivals, error) = read(&times, window);
        prop_assert!(seconds(&arrivals).is_sorted());
        // Late is a row after more than `window` later ones.
        let late = (0..times.len()).find(|row| {
            times[..*row].iter().filter(|time| **time > times[*row]).count() > window
        });
        prop_assert_eq!(arrivals.len(), late.unwrap_or(times.len()));
        prop_assert_eq!(error.and_then(|e| e.line()), late.map(|row| row as u64 + 2));
    }
}
