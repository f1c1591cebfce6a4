//! Which instant is time zero, and what times count: one rule for every format.

use std::path::Path;

use fleetsim::scenario::TraceFormat::{self, Azure, BurstGpt, Mooncake, Splitwise};
use fleetsim::scenario::{Origin, TimeUnit, Workload};
use fleetsim::workload::{TraceReading, check_origin, longest_idle};

use super::{HEADER, drain, seconds, trace};

const FORMATS: [TraceFormat; 5] = [Splitwise, Azure, BurstGpt, Mooncake, TraceFormat::REQUESTS];

/// Rows at 3.5, 2.25 and 4 s in a format's own times, whole milliseconds where the unit is that.
fn rows(format: TraceFormat, unit: TimeUnit) -> String {
    let times = [3.5, 2.25, 4.0];
    let number = |time: f64| match unit {
        TimeUnit::Seconds => time.to_string(),
        TimeUnit::Milliseconds => (time * 1000.0).to_string(),
    };
    let row = |time: f64| match format {
        Splitwise => format!("0,2,0,{},1,10,5\n", number(time)),
        BurstGpt => format!("{},10,5\n", number(time)),
        Mooncake => format!(
            "{{\"timestamp\": {}, \"input_length\": 10, \"output_length\": 5}}\n",
            number(time)
        ),
        TraceFormat::Requests { .. } => format!("{time},10,5\n"),
        Azure => format!("1970-01-01 00:00:0{time:.2},10,5\n"),
        TraceFormat::Named(_) => unreachable!(),
    };
    let header = match format {
        Splitwise => HEADER,
        BurstGpt => "Timestamp,Request tokens,Response tokens\n",
        Azure => "TIMESTAMP,ContextTokens,GeneratedTokens\n",
        TraceFormat::Requests { .. } => "arrival_s,prompt_tokens,output_tokens\n",
        Mooncake | TraceFormat::Named(_) => "",
    };
    let rows: String = times.into_iter().map(row).collect();
    format!("{header}{rows}")
}

/// The arrivals of a text, or what is wrong with it.
fn read(
    text: &str,
    format: TraceFormat,
    said_origin: Option<Origin>,
    said_unit: Option<TimeUnit>,
) -> Result<Vec<f64>, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("trace"), text).unwrap();
    let mut spec = trace("trace", format);
    if let Workload::Trace { origin, unit, .. } = &mut spec {
        (*origin, *unit) = (said_origin, said_unit);
    }
    if let Err(error) = check_origin(&spec, directory.path(), "chat", None) {
        return Err(error.to_string());
    }
    match drain(&spec, directory.path()) {
        (arrivals, None) => Ok(seconds(&arrivals)),
        (_, Some(error)) => Err(error.to_string()),
    }
}

#[test]
fn every_format_takes_every_origin_and_unit_that_it_has_room_for() {
    let origins = [None, Some(Origin::First), Some(Origin::Zero)];
    let units = [None, Some(TimeUnit::Seconds), Some(TimeUnit::Milliseconds)];
    let (from_zero, from_first) = ([2.25, 3.5, 4.0], [0.0, 1.25, 1.75]);
    for format in FORMATS {
        for origin in origins {
            for unit in units {
                let case = format!("{format:?} {origin:?} {unit:?}");
                let usual = match format {
                    Mooncake => TimeUnit::Milliseconds,
                    _ => TimeUnit::Seconds,
                };
                let text = rows(format, unit.unwrap_or(usual));
                let found = read(&text, format, origin, unit);
                if matches!(format, Azure | TraceFormat::Requests { .. }) && unit.is_some() {
                    let error = found.expect_err(&case);
                    assert!(error.contains("have a unit of their own"), "{error}");
                    continue;
                }
                // What is written relative begins at zero, what has a clock at its first row.
                let zero = match (format, origin) {
                    (Splitwise | TraceFormat::Requests { .. }, None) | (_, Some(Origin::Zero)) => {
                        true
                    }
                    (_, None | Some(Origin::First)) => false,
                };
                let expected = if zero { from_zero } else { from_first };
                assert_eq!(found.expect(&case), expected, "{case}");
            }
        }
    }
}

#[test]
fn the_same_rows_in_another_unit_are_a_thousand_times_as_far_apart() {
    for format in [Splitwise, BurstGpt, Mooncake] {
        let text = rows(format, TimeUnit::Milliseconds);
        let first = Some(Origin::First);
        let seconds = read(&text, format, first, Some(TimeUnit::Seconds)).unwrap();
        assert_eq!(seconds, [0.0, 1250.0, 1750.0], "{format:?}");
    }
}

#[test]
fn a_mooncake_file_that_may_be_in_seconds_needs_its_unit() {
    let row = |time: &str, more: &str| {
        format!("{{\"timestamp\": {time}, \"input_length\": 1, \"output_length\": 1{more}}}\n")
    };
    for (text, place, doubt) in [
        (
            row("0", "") + &row("61.102", ""),
            "2:15:",
            "`61.102` has a fraction",
        ),
        (
            row("0", ", \"chat_id\": 5"),
            "1:15:",
            "this row has a `chat_id`",
        ),
        (
            row("0", ", \"parent_chat_id\": -1"),
            "1:15:",
            "`parent_chat_id`",
        ),
        (row("0", ", \"turn\": 1"), "1:15:", "this row has a `turn`"),
    ] {
        let error = read(&text, Mooncake, None, None).expect_err("in doubt");
        for words in [place, doubt, "unit: Seconds", "unit: Milliseconds"] {
            assert!(error.contains(words), "{error}");
        }
        for unit in [TimeUnit::Seconds, TimeUnit::Milliseconds] {
            read(&text, Mooncake, None, Some(unit)).expect("it was said");
        }
    }
    // Floats that are whole are what some writers make of whole milliseconds.
    let whole = row("0.0", "") + &row("27000.0", "");
    assert_eq!(read(&whole, Mooncake, None, None).unwrap(), [0.0, 27.0]);
}

#[test]
fn time_zero_is_the_earliest_row_of_the_window_and_a_later_one_is_refused() {
    let times = ["58.9", "58.1", "59.0", "58.0"];
    let rows: String = times
        .iter()
        .map(|time| format!("2023-11-16 18:15:{time}00000,10,5\n"))
        .collect();
    let text = format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{rows}");
    let all = read(&text, Azure, None, None).unwrap();
    assert_eq!(all.len(), 4);
    assert!(all[0] == 0.0 && (all[3] - 1.0).abs() < 1e-12);

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("trace"), &text).unwrap();
    let mut spec = trace("trace", Azure);
    if let Workload::Trace { reorder_window, .. } = &mut spec {
        *reorder_window = 1;
    }
    let (arrivals, error) = drain(&spec, directory.path());
    assert_eq!(arrivals.len(), 3);
    let error = error.expect("too late").to_string();
    assert!(
        error.contains("trace:5:1:") && error.contains("too late"),
        "{error}"
    );
}

#[test]
fn a_first_request_far_from_zero_is_refused_and_both_ways_out_work() {
    let epoch = 1.7e9;
    let text = |first: f64| {
        format!(
            "{HEADER}0,2,0,{first},1,10,5\n1,2,0,{},1,10,5\n",
            first + 60.0
        )
    };
    let error = read(&text(epoch), Splitwise, None, None).expect_err("56 years");
    for words in ["1700000000 s", "within 60 s", "origin: First", "window"] {
        assert!(error.contains(words), "{error}");
    }
    let first = read(&text(epoch), Splitwise, Some(Origin::First), None);
    assert_eq!(first.unwrap(), [0.0, 60.0]);

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("trace"), text(epoch)).unwrap();
    let mut spec = trace("trace", Splitwise);
    if let Workload::Trace { window, .. } = &mut spec {
        let at = |seconds| fleetsim::time::SimTime::saturating(seconds);
        *window = Some((at(epoch - 5.0), at(epoch + 100.0)));
    }
    assert_eq!(check_origin(&spec, directory.path(), "chat", None), Ok(()));
    let (arrivals, error) = drain(&spec, directory.path());
    assert_eq!((seconds(&arrivals), error), (vec![5.0, 65.0], None));

    // A day, or a tenth of the trace, is not far.
    for (first, length, refused) in [
        (86_400.0, 0.0, false),
        (86_401.0, 8_000.0, true),
        (86_401.0, 8_641.0, false),
    ] {
        let last = first + length;
        let text = format!("{HEADER}0,2,0,{first},1,10,5\n1,2,0,{last},1,10,5\n");
        let found = read(&text, Splitwise, None, None);
        assert_eq!(found.is_err(), refused, "{first} {length}");
    }
}

#[test]
fn idle_years_in_the_middle_of_a_trace_are_found() {
    let find = |times: &[f64]| {
        let rows: String = times.iter().map(|time| format!("{time},10,5\n")).collect();
        let text = format!("Timestamp,Request tokens,Response tokens\n{rows}");
        let reading = TraceReading::default();
        let rows = reading
            .read(Path::new("t"), std::io::Cursor::new(text))
            .unwrap();
        longest_idle(rows).unwrap()
    };
    let found = find(&[5.0, 6.0, 1.7e9, 1.7e9 + 3.0]).expect("56 years");
    assert_eq!(
        (found.from.seconds(), found.to.seconds()),
        (1.0, 1.7e9 - 5.0)
    );
    // Nights and weekends are no mistake, nor is a trace without rows or with one.
    assert_eq!(find(&[0.0, 1.0, 80_000.0, 80_001.0]), None);
    assert_eq!(find(&[0.0, 86_400.0 * 3.0, 86_400.0 * 6.0]), None);
    assert_eq!(find(&[]), None);
    assert_eq!(find(&[1e9]), None);
}
