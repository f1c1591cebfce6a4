//! Traces that are made anew out of one: thinned, and put together of blocks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fleetsim::scenario::{Event, Lengths, Resample, TraceFormat, Weekday, Workload};
use fleetsim::snapshot::{StateReader, StateWriter};
use fleetsim::time::{SimDuration, SimTime};
use fleetsim::workload::{Arrival, ArrivalSource, open};

use super::{HEADER, all, drain, seconds, trace};

/// A trace of pairs of requests a second apart, a pair every ten seconds. The length of a prompt is the
/// number of its row.
fn folder(rows: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut text = HEADER.to_owned();
    for row in 0..rows {
        let time = 10 * (row / 2) + row % 2;
        text += &format!("{row},0,0,{time},1,{},7\n", row + 1);
    }
    fs::write(folder.path().join("trace.csv"), text).unwrap();
    folder
}

fn resampled(keep: f64, block: Option<f64>) -> Workload {
    let mut spec = trace("trace.csv", TraceFormat::Splitwise);
    let Workload::Trace { resample, .. } = &mut spec else {
        unreachable!("it is a trace")
    };
    let block = block.map(|seconds| SimDuration::new(seconds).unwrap());
    *resample = Some(Resample { keep, block });
    spec
}

fn with_seed(spec: &Workload, folder: &Path, seed: u64) -> Vec<Arrival> {
    let stream = open(spec, folder, seed, "chat").unwrap();
    stream.map(Result::unwrap).collect()
}

#[test]
fn a_thinned_trace_keeps_its_share_and_what_it_keeps_stays() {
    let folder = folder(20_000);
    let recorded = all(&trace("trace.csv", TraceFormat::Splitwise), folder.path());
    let spec = resampled(0.3, None);
    let kept = with_seed(&spec, folder.path(), 1);
    // 4 standard deviations of a binomial count.
    let off = (kept.len() as f64 - 6000.0).abs() / (20_000.0_f64 * 0.3 * 0.7).sqrt();
    assert!(off < 4.0, "{}", kept.len());
    let mut rest = recorded.iter();
    assert!(
        kept.iter().all(|row| rest.any(|it| it == row)),
        "in order, unchanged"
    );

    assert_eq!(
        kept,
        with_seed(&spec, folder.path(), 1),
        "the same seed, the same bytes"
    );
    let other = with_seed(&spec, folder.path(), 2);
    let both = other.iter().filter(|row| kept.contains(row)).count() as f64;
    let mean = 20_000.0 * 0.09;
    assert!(
        (both - mean).abs() < 5.0 * mean.sqrt(),
        "independent: {both} in both"
    );
    assert_eq!(with_seed(&resampled(1.0, None), folder.path(), 3), recorded);
}

#[test]
fn blocks_are_stretches_of_the_trace_and_each_request_is_as_likely() {
    let folder = folder(2000);
    // 10,000 s in blocks of 95 s.
    let spec = resampled(1.0, Some(95.0));
    let mut drawn: BTreeMap<u32, usize> = BTreeMap::new();
    let mut requests = 0;
    for seed in 0..100 {
        let rows = with_seed(&spec, folder.path(), seed);
        requests += rows.len();
        let times = seconds(&rows);
        assert!(times.is_sorted() && *times.last().unwrap() < 10_006.0);
        assert!(
            rows.iter()
                .enumerate()
                .all(|(place, row)| row.id == place as u64)
        );
        for block in
            rows.chunk_by(|a, b| (seconds_of(a) / 95.0) as u64 == (seconds_of(b) / 95.0) as u64)
        {
            for pair in block.windows(2) {
                // Within a block the trace goes on as it was: the next row, as much later.
                let (one, next) = (pair[0].prompt_tokens, pair[1].prompt_tokens);
                assert_eq!(next, one % 2000 + 1);
                let gap = seconds_of(&pair[1]) - seconds_of(&pair[0]);
                let want = if one % 2 == 1 { 1.0 } else { 9.0 };
                // Where the trace begins again, its last gap is the mean one.
                let wraps = one == 2000;
                assert!((gap - want).abs() < 1e-6 || wraps, "{one}: {gap}");
            }
        }
        for row in &rows {
            *drawn.entry(row.prompt_tokens).or_default() += 1;
        }
    }
    // 2,000 in each on average; a block has 19 requests, so the count varies as 106 blocks do.
    let mean = requests as f64 / 100.0;
    assert!((mean - 2000.0).abs() < 4.0, "{mean}");
    // Each request is drawn once a trace on average.
    assert_eq!(drawn.len(), 2000);
    assert!(
        drawn.values().all(|count| (60..145).contains(count)),
        "{drawn:?}"
    );
}

fn seconds_of(row: &Arrival) -> f64 {
    row.time.seconds()
}

#[test]
fn seeds_mean_something_and_copies_go_on_alike() {
    let folder = folder(400);
    let spec = resampled(0.9, Some(60.0));
    let one = with_seed(&spec, folder.path(), 1);
    assert_eq!(one, with_seed(&spec, folder.path(), 1));
    assert_ne!(one, with_seed(&spec, folder.path(), 2));
    let mut stream = open(&spec, folder.path(), 1, "chat").unwrap();
    assert!(stream.by_ref().take(100).all(|row| row.is_ok()));
    let copy: Vec<_> = stream.fork().map(Result::unwrap).collect();
    assert_eq!(copy, one[100..]);
    assert_eq!(stream.map(Result::unwrap).collect::<Vec<_>>(), copy);
}

#[test]
fn a_window_is_cut_out_before_and_a_repeat_makes_more_of_it() {
    let folder = folder(2000);
    let mut spec = resampled(1.0, Some(50.0));
    if let Workload::Trace {
        window,
        repeat,
        rate_scale,
        requests,
        ..
    } = &mut spec
    {
        *window = Some((SimTime::new(1000.0).unwrap(), SimTime::new(2000.0).unwrap()));
        *repeat = 3;
        *rate_scale = 2.0;
        *requests = Some(500);
    }
    let rows = with_seed(&spec, folder.path(), 5);
    assert!(
        rows.iter()
            .all(|row| (201..=400).contains(&row.prompt_tokens))
    );
    assert_eq!(rows.len(), 500);
    // 0.2 a second, twice as fast: 500 in about 1,250 s of the 1,500.
    let last = seconds_of(rows.last().unwrap());
    assert!((last - 1250.0).abs() < 50.0, "{last}");
}

#[test]
fn what_cannot_be_made_anew_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let write = |rows: &str| {
        fs::write(folder.path().join("trace.csv"), format!("{HEADER}{rows}")).unwrap();
    };
    write("1,0,0,0,1,5,5\n2,0,0,0,1,5,5\n");
    let (rows, error) = drain(&resampled(1.0, Some(10.0)), folder.path());
    assert!(rows.is_empty());
    assert!(error.unwrap().to_string().contains("at one instant"));
    // A bad row is an error with its place, though every row is read first.
    write("1,0,0,0,1,5,5\n2,0,0,x,1,5,5\n");
    let (rows, error) = drain(&resampled(1.0, Some(10.0)), folder.path());
    assert!(rows.is_empty());
    assert_eq!(error.unwrap().line(), Some(3));
    write("");
    assert_eq!(
        drain(&resampled(0.5, Some(10.0)), folder.path()),
        (Vec::new(), None)
    );
    for keep in [0.0, -1.0, 1.5, f64::NAN] {
        assert!(
            open(&resampled(keep, None), folder.path(), 1, "chat").is_err(),
            "{keep}"
        );
    }
}

/// What comes behind the first requests, from a stream that goes on from what was saved there.
fn goes_on(spec: &Workload, folder: &Path, taken: usize) -> Vec<Arrival> {
    let mut stream = open(spec, folder, 1, "chat").unwrap();
    assert!(stream.by_ref().take(taken).all(|row| row.is_ok()));
    let mut saved = StateWriter::default();
    (*stream).save(&mut saved).unwrap();
    let bytes = saved.into_bytes();
    let mut other = open(spec, folder, 1, "chat").unwrap();
    (*other).restore(&mut StateReader::new(&bytes)).unwrap();
    other.take(1000).map(Result::unwrap).collect()
}

#[test]
fn a_saved_stream_goes_on_to_the_last_bit() {
    let folder = folder(2000);
    let event = |at: f64| Event {
        at: SimTime::new(at).unwrap(),
        factor: 3.0,
        lasts: SimDuration::new(5000.0).unwrap(),
    };
    let plan = Workload::Planned {
        requests_per_day: 700.0,
        daily: (1..25).map(f64::from).collect(),
        weekly: vec![1.0, 0.0, 1.0, 2.0, 0.3, 1.0, 1.0],
        starts: Weekday::Thursday,
        begins_at: fleetsim::time::SimDuration::ZERO,
        events: vec![event(20_000.0), event(2e6)],
        cv: 2.0,
        prompt_tokens: Lengths::Geometric { mean: 50.0 },
        output_tokens: Lengths::Constant(1),
        system_prompts: None,
        rate_scale: 1.0,
        window: None,
        requests: Some(20_000),
    };
    for spec in [
        resampled(0.7, None),
        resampled(0.9, Some(60.0)),
        resampled(1.0, Some(300.0)),
        plan,
    ] {
        let whole = with_seed(&spec, folder.path(), 1);
        for taken in [0, 1, 777, 1300] {
            let rest = goes_on(&spec, folder.path(), taken);
            let end = whole.len().min(taken + 1000);
            assert_eq!(rest, whole[taken..end], "{taken} of {spec:?}");
        }
    }
}
