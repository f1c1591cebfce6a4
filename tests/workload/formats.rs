//! BurstGPT and Mooncake traces, compressed files, formats told by the first line, and writers.

use std::io::Write as _;
use std::path::Path;

use fleetsim::scenario::TraceFormat::{self, Azure, BurstGpt, Mooncake, Splitwise};
use fleetsim::scenario::{TimeUnit, Workload};
use fleetsim::time::SimTime;
use fleetsim::workload::{Arrival, Packing, TraceStatistics, TraceStream, TraceWriter};
use proptest::prelude::*;

use super::traces::shared_traces;
use super::{HEADER, all, drain, drain_text, ids, seconds, trace};

const BURST: &str = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n";

fn lengths(arrivals: &[Arrival]) -> Vec<(u32, u32)> {
    let lengths = arrivals
        .iter()
        .map(|it| (it.prompt_tokens, it.output_tokens));
    lengths.collect()
}

#[test]
fn burst_gpt_rows_that_failed_are_left_out_and_counted() {
    let good = "5,1,2.5,ChatGPT,472,18,490,Conversation log\n\
                45.5,,3,GPT-4,1087,230,1317,API log\n";
    let with_fails = good.replacen(
        '\n',
        "\n7,2,0,ChatGPT,0,0,0,API log\n9,,0,GPT-4,5,0,5,x\n",
        1,
    );
    let (arrivals, error) = drain_text(format!("{BURST}{with_fails}"), BurstGpt);
    assert_eq!(error, None);
    assert_eq!(seconds(&arrivals), [0.0, 40.5]);
    assert_eq!(lengths(&arrivals), [(472, 18), (1087, 230)]);
    assert_eq!(drain_text(format!("{BURST}{good}"), BurstGpt).0, arrivals);

    let text = format!("{BURST}{with_fails}").into_bytes();
    let mut stream =
        TraceStream::read(Path::new("burst.csv"), std::io::Cursor::new(text), None).unwrap();
    assert_eq!((stream.by_ref().count(), stream.left_out()), (2, 2));
}

#[test]
fn burst_gpt_files_without_sessions_are_read() {
    let text = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                5,ChatGPT,472,18,490,Conversation log\n";
    let (arrivals, error) = drain_text(text, BurstGpt);
    assert_eq!(error, None);
    assert_eq!(lengths(&arrivals), [(472, 18)]);
}

#[test]
fn mooncake_times_are_exact_milliseconds_from_the_first_row() {
    let text = "{\"timestamp\": 100, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n\
                \n{\"output_length\":3, \"timestamp\":127,\"input_length\":9}\r\n\
                {\"timestamp\": 3.5e3, \"input_length\": 1, \"output_length\": 1, \"more\": {\"a\": null}}";
    let (arrivals, error) = drain_text(text, Mooncake);
    assert_eq!(error, None);
    assert_eq!(seconds(&arrivals), [0.0, 0.127 - 0.1, 3.4]);
    assert_eq!(lengths(&arrivals), [(6758, 500), (9, 3), (1, 1)]);
    assert_eq!(ids(&arrivals), [0, 1, 2]);
}

#[test]
fn bad_rows_are_refused_at_their_place() {
    let mooncake = |row: &str| {
        let first = r#"{"timestamp": 9, "input_length": 1, "output_length": 1}"#;
        (Mooncake, format!("{first}\n{row}\n"))
    };
    let burst = |row: &str| (BurstGpt, format!("{BURST}1,,,,2,3,5,\n{row}\n"));
    for ((format, text), place, words) in [
        (burst("x,,,,1,1,2,"), "3:1:", "`x` is not a time"),
        (
            burst("2,,,,0,1,1,"),
            "3:6:",
            "`0` is not a number of tokens",
        ),
        (
            burst("2,,,,1,-1,0,"),
            "3:8:",
            "`-1` is not a number of tokens",
        ),
        (burst("2,,,,1"), "3:7:", "the row has 5 cells"),
        (mooncake("nonsense"), "2:2:", "expected an object"),
        (
            mooncake(r#"{"timestamp": 9, "input_length": 1}"#),
            "2:35:",
            "missing field `output_length`",
        ),
        (
            mooncake(r#"{"timestamp": 9, "timestamp": 9}"#),
            "2:28:",
            "duplicate field `timestamp`",
        ),
        (
            mooncake(r#"{"timestamp": -9, "input_length": 1, "output_length": 1}"#),
            "2:15:",
            "`-9` is not a time; expected a number of milliseconds",
        ),
        (
            mooncake(r#"{"timestamp": 9, "input_length": 1.5, "output_length": 1}"#),
            "2:34:",
            "`1.5` is not a number of tokens",
        ),
        (
            mooncake(r#"{"timestamp": 9, "input_length": 1, "output_length": 0}"#),
            "2:54:",
            "(field `output_length`)",
        ),
    ] {
        let (arrivals, error) = drain_text(&text, format);
        let error = error.expect("an error").to_string();
        assert!(
            error.contains(&format!("trace.csv:{place} ")),
            "{place} {error}"
        );
        assert!(error.contains(words), "{error}");
        assert_eq!(
            arrivals.len(),
            if place.starts_with('2') || format == BurstGpt {
                1
            } else {
                0
            }
        );
    }
}

fn packed(packing: Packing, text: &[u8]) -> Vec<u8> {
    let mut packer = packing.wrap(Vec::new());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

/// A trace of so many rows, and what is in it.
fn rows(count: u64) -> (Vec<u8>, Vec<Arrival>) {
    let arrivals: Vec<_> = (0..count)
        .map(|id| Arrival {
            id,
            time: SimTime::new(id as f64 * 0.37).unwrap(),
            prompt_tokens: 1 + (id * 7919 % 4000) as u32,
            output_tokens: 1 + (id * 104_729 % 700) as u32,
            details: None,
        })
        .collect();
    (written(&arrivals, Splitwise), arrivals)
}

fn written(arrivals: &[Arrival], format: TraceFormat) -> Vec<u8> {
    let mut trace = TraceWriter::new(Vec::new(), format).unwrap();
    for arrival in arrivals {
        trace.write(arrival).unwrap();
    }
    trace.finish().unwrap()
}

#[test]
fn compressed_files_read_as_the_plain_one() {
    let (text, arrivals) = rows(200_000);
    assert!(text.len() > 4 << 20, "more than one frame");
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let bytes = packed(packing, &text);
        assert_eq!(packing == Packing::Plain, bytes.len() > text.len() / 2);
        let (read, error) = drain_text(bytes, Splitwise);
        assert_eq!(error, None);
        assert!(read == arrivals, "{packing:?}");
    }
}

#[test]
fn several_members_and_skipped_frames_are_one_file() {
    let (text, arrivals) = rows(100);
    let (head, tail) = text.split_at(text.len() / 3);
    let gzip = [packed(Packing::Gzip, head), packed(Packing::Gzip, tail)].concat();
    assert_eq!(drain_text(gzip, Splitwise), (arrivals.clone(), None));
    let skipped = b"\x50\x2A\x4D\x18\x03\x00\x00\x00abc".to_vec();
    let zstd = [
        packed(Packing::Zstd, head),
        skipped,
        packed(Packing::Zstd, tail),
    ]
    .concat();
    assert_eq!(drain_text(zstd, Splitwise), (arrivals, None));
}

#[test]
fn a_compressed_file_that_is_cut_off_or_damaged_is_refused() {
    let (text, _) = rows(5_000);
    for packing in [Packing::Gzip, Packing::Zstd] {
        let good = packed(packing, &text);
        let mut damaged = good.clone();
        let last = damaged.len() - 3;
        damaged[last] ^= 0x10;
        for bytes in [&good[..good.len() / 2], &good[..good.len() - 2], &damaged] {
            let (_, error) = drain_text(bytes, Splitwise);
            let error = error.expect("an error").to_string();
            for words in [
                "trace.csv:",
                "data is damaged or cut off",
                "fetch or compress",
            ] {
                assert!(error.contains(words), "{error}");
            }
        }
    }
}

#[test]
fn a_damaged_byte_never_gives_other_rows() {
    let (text, arrivals) = rows(30);
    for packing in [Packing::Gzip, Packing::Zstd] {
        let good = packed(packing, &text);
        for at in 0..good.len() {
            for bit in [0x01, 0x10, 0x80] {
                let mut damaged = good.clone();
                damaged[at] ^= bit;
                let (read, error) = drain_text(damaged, Splitwise);
                assert!(
                    error.is_some() || read == arrivals,
                    "{packing:?}: {bit} at {at}"
                );
            }
        }
    }
}

#[test]
fn tiled_cut_and_scaled_traces_work_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let (_, arrivals) = rows(50);
    for format in [Splitwise, Azure, BurstGpt, Mooncake] {
        let bytes = packed(Packing::Zstd, &written(&arrivals, format));
        std::fs::write(directory.path().join("trace.zst"), bytes).unwrap();
        let mut spec = trace("trace.zst", format);
        let Workload::Trace {
            unit,
            repeat,
            rate_scale,
            requests,
            ..
        } = &mut spec
        else {
            unreachable!("a trace");
        };
        (*repeat, *rate_scale, *requests) = (3, 2.0, Some(120));
        *unit = (format == Mooncake).then_some(TimeUnit::Milliseconds);
        let read = all(&spec, directory.path());
        assert_eq!(read.len(), 120, "{format:?}");
        assert!(ids(&read).into_iter().eq(0..120), "{format:?}");
        let (last, first) = (read[119].time.seconds(), read[0].time.seconds());
        assert!(
            (last - first - 119.0 * 0.37 / 2.0).abs() < 1e-9,
            "{format:?}"
        );
    }
}

#[test]
fn the_first_line_tells_the_format() {
    let (_, arrivals) = rows(3);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("some trace");
    for format in [Splitwise, Azure, BurstGpt, Mooncake] {
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            std::fs::write(&file, packed(packing, &written(&arrivals, format))).unwrap();
            let stream = TraceStream::open(&file, None).unwrap();
            assert_eq!(stream.format(), format);
            assert_eq!(stream.count(), 3);
        }
    }
    for (bad, words) in [
        ("", "some trace: the file is empty"),
        ("\n\n", "some trace: the file is empty"),
        ("time,tokens\n1,2\n", "some trace:1:1: this is no header"),
    ] {
        std::fs::write(&file, bad).unwrap();
        let error = TraceStream::open(&file, None).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_published_traces_have_the_rows_that_they_should() {
    let Some(directory) = shared_traces() else {
        return;
    };
    for (file, format, rows, last) in [
        ("azure_llm_2023_conv.csv", Azure, 19_366, 3501.721937),
        ("azure_llm_2023_code.csv", Azure, 8_819, 3435.948056),
        ("mooncake_conversation.jsonl", Mooncake, 12_031, 3536.999),
        ("mooncake_synthetic.jsonl", Mooncake, 3_993, 1022.025),
    ] {
        let stream = TraceStream::open(&directory.join(file), None).unwrap();
        assert_eq!(stream.format(), format);
        let statistics = TraceStatistics::of(stream).unwrap();
        assert_eq!(statistics.requests, rows, "{file}");
        assert_eq!(statistics.last_s, Some(last), "{file}");
        assert_eq!(drain(&trace(file, format), &directory).0.len() as u64, rows);
    }
}

#[test]
fn statistics_are_what_one_computes_by_hand() {
    // Gaps 0, 1, 3, 56: mean 15, variance (225 + 196 + 144 + 1681) / 4.
    let text = format!(
        "{HEADER}0,2,0,9,1,1,10\n1,2,0,9,1,2,10\n2,2,0,10,1,3,10\n3,2,0,13,1,4,10\n4,2,0,69,1,90,10\n"
    );
    let stream = TraceStream::read(Path::new("t"), std::io::Cursor::new(text), None).unwrap();
    let found = TraceStatistics::of(stream).unwrap();
    assert_eq!((found.first_s, found.last_s), (Some(9.0), Some(69.0)));
    assert_eq!(found.gaps.mean_s, Some(15.0));
    let cv = found.gaps.cv.unwrap();
    assert!((cv - 561.5_f64.sqrt() / 15.0).abs() < 1e-15, "{cv}");
    assert_eq!(found.rate.mean_per_s, Some(1.0 / 15.0));
    assert_eq!(found.rate.peak_1s_per_s, Some(2.0));
    assert_eq!(found.rate.peak_60s_per_s, Some(4.0 / 60.0));
    let prompts = found.prompt_tokens;
    assert_eq!((prompts.total, prompts.mean), (100, Some(20.0)));
    assert_eq!(
        (prompts.min, prompts.p50, prompts.max),
        (Some(1), Some(3.0), Some(90))
    );
    // Rank 0.9 × 4 = 3.6 is between 4 and 90.
    assert!((prompts.p90.unwrap() - 55.6).abs() < 1e-12);
    let bins: Vec<_> = prompts
        .bins
        .iter()
        .map(|bin| (bin.from, bin.to, bin.requests))
        .collect();
    assert_eq!(bins[..3], [(1, 1, 1), (2, 3, 2), (4, 7, 1)]);
    assert_eq!(bins[6], (64, 127, 1));
    let over_time = &found.rate.over_time;
    assert_eq!(over_time.iter().map(|bin| bin.requests).sum::<u64>(), 5);
    assert_eq!((over_time[0].from_s, over_time[0].requests), (9.0, 2));
    assert!((1024..=2048).contains(&over_time.len()));

    let none = TraceStatistics::of(std::iter::empty()).unwrap();
    assert_eq!(
        (none.requests, none.rate.mean_per_s, none.prompt_tokens.p50),
        (0, None, None)
    );
}

proptest! {
    #[test]
    fn every_format_reads_back_what_it_can_hold(
        mut nanoseconds in proptest::collection::vec(0..1_000_000_000_000_000_u64, 0..40),
    ) {
        nanoseconds.push(0);
        nanoseconds.sort_unstable();
        let arrivals: Vec<_> = (0..).zip(&nanoseconds).map(|(id, &nanoseconds)| Arrival {
            id,
            time: SimTime::new(nanoseconds as f64 / 1e9).unwrap(),
            prompt_tokens: 1 + id as u32 * 31,
            output_tokens: 1 + id as u32 * 17, details: None }).collect();
        for format in [Splitwise, Azure, BurstGpt, Mooncake] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("t"), written(&arrivals, format)).unwrap();
            let mut spec = trace("t", format);
            if let (Mooncake, Workload::Trace { unit, .. }) = (format, &mut spec) {
                *unit = Some(TimeUnit::Milliseconds);
            }
            let (read, error) = drain(&spec, directory.path());
            prop_assert_eq!(error, None);
            prop_assert_eq!(&read, &arrivals);
        }
    }
}
