//! What the readers and the writer make of good files.

use std::path::PathBuf;

use fleetsim::scenario::TraceFormat::{Azure, Splitwise};
use fleetsim::time::SimTime;
use fleetsim::workload::{Arrival, WorkloadError, write_splitwise};
use proptest::prelude::*;

use super::{HEADER, all, drain_text, ids, seconds, trace};

/// The folder of published traces, which are not part of this repository.
pub(crate) fn shared_traces() -> Option<PathBuf> {
    super::shared::directory().map(|shared| shared.join("traces"))
}

#[test]
fn the_published_azure_traces_are_read_to_the_last_row() {
    let Some(directory) = shared_traces() else {
        return;
    };
    for (file, rows, first, last) in [
        (
            "azure_llm_2023_conv.csv",
            19_366,
            (374, 44),
            (183, 3501.721937),
        ),
        (
            "azure_llm_2023_code.csv",
            8_819,
            (4808, 10),
            (173, 3435.948056),
        ),
    ] {
        let arrivals = all(&trace(file, Azure), &directory);
        assert_eq!(arrivals.len(), rows, "{file}");
        assert_eq!(arrivals[0].time, SimTime::ZERO);
        assert_eq!(
            (arrivals[0].prompt_tokens, arrivals[0].output_tokens),
            first
        );
        assert!(arrivals.iter().map(|arrival| arrival.id).eq(0..rows as u64));
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.time));
        let end = &arrivals[rows - 1];
        assert_eq!((end.output_tokens, end.time.seconds()), last, "{file}");
    }
}

#[test]
fn azure_times_are_exact_differences_from_the_first_row() {
    let text = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
                2023-12-31 23:59:59.9799600,374,44\r\n\
                2024-01-01T00:00:00,396,109\r\n\
                2024-01-01 00:00:00.979960001Z,879,55\r\n\
                2024-03-01 00:00:00.5+00:00,91,16";
    let (arrivals, error) = drain_text(text, Azure);
    assert_eq!(error, None);
    let march = 60.0 * 86_400.0 + 0.52004;
    assert_eq!(seconds(&arrivals), [0.0, 0.02004, 1.000000001, march]);
    assert_eq!(ids(&arrivals), [0, 1, 2, 3]);
}

#[test]
fn columns_are_found_by_name_among_others() {
    let text = "\u{feff}token_size,note, prompt_size ,\"request_id\",arrival_timestamp\n\
                5,\"one, \"\"two\"\"\nthree\", 10 ,7,\"1.5\"\n\n\
                6,5\" disk,11,8,2.5\n";
    let (arrivals, error) = drain_text(text, Splitwise);
    assert_eq!(error, None);
    let row = |id, time, prompt_tokens, output_tokens| Arrival {
        id,
        time: SimTime::new(time).unwrap(),
        prompt_tokens,
        output_tokens,
        details: None,
    };
    assert_eq!(arrivals, [row(7, 1.5, 10, 5), row(8, 2.5, 11, 6)]);
}

#[test]
fn negative_zero_is_zero() {
    let (arrivals, _) = drain_text(format!("{HEADER}0,2,0,-0.0,1,1,1\n"), Splitwise);
    assert!(arrivals[0].time.seconds().is_sign_positive());
}

#[test]
fn a_trace_without_rows_has_no_arrivals() {
    assert_eq!(drain_text(HEADER, Splitwise), (vec![], None));
}

#[test]
fn the_writer_passes_errors_on() {
    let broken = WorkloadError::new("broken");
    let result = write_splitwise(Vec::new(), [Err(broken.clone())]);
    assert_eq!(result, Err(broken));

    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = write_splitwise(Full, []).unwrap_err();
    assert!(error.to_string().starts_with("cannot write the trace: "));
}

proptest! {
    #[test]
    fn what_is_written_reads_back_bit_for_bit(
        mut times in proptest::collection::vec((0_u64..f64::MAX.to_bits()).prop_map(f64::from_bits), 0..50),
        tokens in (1..=u32::MAX, 1..=u32::MAX),
    ) {
        times.sort_by(f64::total_cmp);
        let arrivals: Vec<_> = times
            .iter()
            .zip((0..=u64::MAX).rev())
            .map(|(time, id)| Arrival {
                id,
                time: SimTime::new(*time).unwrap(),
                prompt_tokens: tokens.0,
                output_tokens: tokens.1, details: None })
            .collect();
        let mut text = Vec::new();
        let written = write_splitwise(&mut text, arrivals.iter().cloned().map(Ok));
        prop_assert_eq!(written, Ok(arrivals.len() as u64));
        prop_assert_eq!(drain_text(text, Splitwise), (arrivals, None));
    }
}
