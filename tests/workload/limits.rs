//! Windows, scales, caps and repeats.

use fleetsim::scenario::{TraceFormat::Splitwise, Workload};
use fleetsim::time::SimTime;
use fleetsim::workload::{Arrival, WorkloadError};

use super::{HEADER, drain, ids, seconds, splitwise};

struct Options {
    passes: u32,
    scale: f64,
    part: Option<(f64, f64)>,
    cap: Option<u64>,
}

const PLAIN: Options = Options {
    passes: 1,
    scale: 1.0,
    part: None,
    cap: None,
};

fn read(text: &str, options: &Options) -> (Vec<Arrival>, Option<WorkloadError>) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("trace.csv"), text).unwrap();
    let time = |seconds| SimTime::new(seconds).unwrap();
    let spec = Workload::Trace {
        path: "trace.csv".into(),
        format: Splitwise,
        origin: None,
        unit: None,
        reorder_window: 10,
        repeat: options.passes,
        rate_scale: options.scale,
        window: options.part.map(|(from, to)| (time(from), time(to))),
        resample: None,
        requests: options.cap,
    };
    drain(&spec, directory.path())
}

fn arrivals(text: &str, options: &Options) -> Vec<Arrival> {
    let (arrivals, error) = read(text, options);
    assert_eq!(error, None);
    arrivals
}

#[test]
fn without_limits_times_keep_their_bits() {
    let times = [
        0.1,
        0.30000000000000004,
        4.315579,
        1e-300,
        5e-324,
        123456789.12345679,
    ];
    let mut want = times;
    want.sort_by(f64::total_cmp);
    assert_eq!(seconds(&arrivals(&splitwise(&times), &PLAIN)), want);
}

#[test]
fn a_window_keeps_its_start_leaves_its_end_and_moves_time_zero() {
    let text = splitwise(&[0.5, 1.0, 2.25, 3.0, 4.0]);
    let part = Some((1.0, 3.0));
    let got = arrivals(&text, &Options { part, ..PLAIN });
    assert_eq!(seconds(&got), [0.0, 1.25]);
    assert_eq!(ids(&got), [1, 2]);
    // Scaled after it is cut.
    let got = arrivals(
        &text,
        &Options {
            part,
            scale: 0.5,
            ..PLAIN
        },
    );
    assert_eq!(seconds(&got), [0.0, 2.5]);
    // Nothing beyond the window is needed.
    let text = text + "5,2,0,oops,1,1,1\n";
    assert_eq!(arrivals(&text, &Options { part, ..PLAIN }).len(), 2);
}

#[test]
fn a_scale_divides_times_and_a_cap_ends_the_stream() {
    let text = splitwise(&[0.0, 1.0, 3.0]) + "3,2,0,oops,1,1,1\n";
    let got = arrivals(
        &text,
        &Options {
            scale: 4.0,
            cap: Some(3),
            ..PLAIN
        },
    );
    assert_eq!(seconds(&got), [0.0, 0.25, 0.75]);
    assert!(
        arrivals(
            &text,
            &Options {
                cap: Some(0),
                ..PLAIN
            }
        )
        .is_empty()
    );
    let (_, error) = read(
        &text,
        &Options {
            cap: Some(4),
            ..PLAIN
        },
    );
    assert_eq!(error.expect("an error").line(), Some(5));
}

#[test]
fn repeats_follow_a_mean_gap_apart_and_number_on() {
    let text = splitwise(&[0.0, 1.0, 4.0, 6.0]);
    let got = arrivals(&text, &Options { passes: 3, ..PLAIN });
    let want = [
        0.0, 1.0, 4.0, 6.0, 8.0, 9.0, 12.0, 14.0, 16.0, 17.0, 20.0, 22.0,
    ];
    assert_eq!(seconds(&got), want);
    assert!(ids(&got).into_iter().eq(0..12));
    // A window is cut out of the whole.
    let part = Some((6.0, 9.0));
    let got = arrivals(
        &text,
        &Options {
            passes: 3,
            part,
            ..PLAIN
        },
    );
    assert_eq!((seconds(&got), ids(&got)), (vec![0.0, 2.0], vec![3, 4]));
}

#[test]
fn repeats_of_little_and_of_nothing_end() {
    let passes = u32::MAX;
    assert!(arrivals(HEADER, &Options { passes, ..PLAIN }).is_empty());
    let got = arrivals(&splitwise(&[5.0]), &Options { passes: 3, ..PLAIN });
    assert_eq!(seconds(&got), [5.0, 10.0, 15.0]);
    let got = arrivals(
        &splitwise(&[0.1, 0.1]),
        &Options {
            passes,
            cap: Some(10_000),
            ..PLAIN
        },
    );
    assert!(seconds(&got).is_sorted());
}

#[test]
fn repeats_that_run_out_of_numbers_are_refused() {
    let text = format!("{HEADER}{},2,0,1.0,1,1,1\n", u64::MAX - 1);
    let (got, error) = read(&text, &Options { passes: 2, ..PLAIN });
    assert_eq!(got.len(), 1);
    assert!(
        error
            .expect("an error")
            .to_string()
            .contains("runs out of request numbers")
    );
}

#[test]
fn limits_out_of_range_are_refused() {
    let text = splitwise(&[0.0]);
    for (options, words) in [
        (Options { passes: 0, ..PLAIN }, "`repeat` is 0"),
        (
            Options {
                scale: 0.0,
                ..PLAIN
            },
            "`rate_scale` is 0",
        ),
        (
            Options {
                scale: f64::NAN,
                ..PLAIN
            },
            "`rate_scale` is NaN",
        ),
        (
            Options {
                part: Some((2.0, 2.0)),
                ..PLAIN
            },
            "`window` is (2s, 2s)",
        ),
    ] {
        let (_, error) = read(&text, &options);
        let error = error.expect("an error").to_string();
        assert!(error.contains(words), "{error}");
    }
}
