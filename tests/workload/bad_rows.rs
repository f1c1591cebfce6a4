//! Every bad row is refused with its exact place; nothing in a file can panic.

use fleetsim::scenario::TraceFormat::{self, Azure, BurstGpt, Mooncake, Splitwise};
use proptest::prelude::*;

use super::{HEADER, drain, drain_text, trace};

const TOKENS: &str = "expected a whole number from 1 to 4294967295";
const SECONDS: &str = "expected a finite number of seconds, not negative";

/// Asserts on the error of a file: its place, its words, and the rows that come before it.
#[track_caller]
fn refused(text: &[u8], format: TraceFormat, place: &str, words: &[&str], before: usize) {
    let (arrivals, error) = drain_text(text, format);
    let error = error.expect("an error").to_string();
    let (_, found) = error.split_once("trace.csv:").expect("the file");
    assert!(found.starts_with(&format!("{place} ")), "{error}");
    for word in words {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(arrivals.len(), before, "{error}");
}

#[test]
fn a_bad_cell_of_a_splitwise_row_is_named() {
    let good = "0,2,0,0.5,1,10,5";
    let time = |cell: &str| (format!("1,2,0,{cell},1,10,5"), "3:7:");
    let prompt = |cell: &str| (format!("1,2,0,0.5,1,{cell},5"), "3:13:");
    for ((row, place), words) in [
        (prompt("abc"), ["`abc` is not a number of tokens", TOKENS]),
        (prompt("0"), ["`0` is not a number of tokens", TOKENS]),
        (prompt("-1"), ["`-1`", TOKENS]),
        (prompt("374.0"), ["`374.0`", TOKENS]),
        (prompt("4294967296"), ["`4294967296`", TOKENS]),
        (prompt(""), ["`prompt_size` is empty", TOKENS]),
        (prompt("\"\""), ["`prompt_size` is empty", TOKENS]),
        (prompt("1\t2"), ["`1\\t2`", TOKENS]),
        (time("-0.25"), ["`-0.25` is not a time", SECONDS]),
        (time("NaN"), ["`NaN`", SECONDS]),
        (time("inf"), ["`inf`", SECONDS]),
        (time("1e400"), ["`1e400`", SECONDS]),
        (time("1_0"), ["`1_0`", "(column `arrival_timestamp`)"]),
        (
            (format!("-1{}", &good[1..]), "3:1:"),
            ["`-1` is not a request number", "from 0 to"],
        ),
        (
            ("1,2,0,0.5,1,10,  x".into(), "3:18:"),
            ["`x`", "(column `token_size`)"],
        ),
        (("1,ä,日本,0.5,1,x,5".into(), "3:14:"), ["`x`", TOKENS]),
        (
            ("1,2,0,0.5,1".into(), "3:12:"),
            ["the row has 5 cells", "the header has 7"],
        ),
        (
            ("1,2,0,0,5,1,10,5".into(), "3:16:"),
            ["the row has 8 cells", "the header has 7"],
        ),
        (
            ("1,\"2,0,0.5,1,10,5".into(), "3:3:"),
            ["a quote is opened here", "never closed"],
        ),
    ] {
        for end in ["\n", "\r\n"] {
            let text = [HEADER.trim_end(), good, &row].join(end);
            refused(text.as_bytes(), Splitwise, place, &words, 1);
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let text = [HEADER.as_bytes(), b"0,2,0,0.5,1,\xff\xfe,5\n"].concat();
    refused(
        &text,
        Splitwise,
        "2:13:",
        &["`\u{fffd}\u{fffd}`", TOKENS],
        0,
    );
}

#[test]
fn lines_are_counted_over_empty_lines_and_quoted_ones() {
    let text = "request_id,note,arrival_timestamp,prompt_size,token_size\r\n\r\n\r\n\
                0,\"a\r\nb, c\",x,1,1\r\n";
    refused(
        text.as_bytes(),
        Splitwise,
        "5:7:",
        &["`x` is not a time"],
        0,
    );
}

#[test]
fn long_cells_are_cut_short_and_long_rows_refused() {
    let row = format!("0,2,0,{},1,10,5", "x".repeat(1000));
    let text = format!("{HEADER}{row}");
    let shown = format!("`{}…`", "x".repeat(40));
    refused(text.as_bytes(), Splitwise, "2:7:", &[&shown], 0);
    for (first, filler) in [("", "x"), ("", ","), ("\"", "x"), ("\"", "\n"), ("", "\"")] {
        let text = format!("{HEADER}{first}{}", filler.repeat(3 << 20));
        let (_, error) = drain_text(text, Splitwise);
        assert_eq!(error.expect("an error").line(), Some(2));
    }
}

#[test]
fn a_bad_cell_of_an_azure_row_is_named() {
    let expected = "expected `YYYY-MM-DD HH:MM:SS` in UTC with up to 9 decimals";
    for (row, place, words) in [
        (
            "2023-11-16 18:15:50,0,44",
            "3:21:",
            ["`0` is not a number of tokens", TOKENS],
        ),
        (
            "2023-11-16 18:15:50,44,",
            "3:24:",
            ["`GeneratedTokens` is empty", TOKENS],
        ),
        (
            "2023-11-31 18:15:50,1,44",
            "3:1:",
            ["is not a date and time", expected],
        ),
        (
            "12.5,1,44",
            "3:1:",
            ["`12.5` is not a date and time", expected],
        ),
    ] {
        let first = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44";
        refused(
            format!("{first}\n{row}").as_bytes(),
            Azure,
            place,
            &words,
            1,
        );
    }
}

#[test]
fn a_bad_file_is_refused_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let (_, error) = drain(&trace("none.csv", Splitwise), directory.path());
    let error = error.expect("an error").to_string();
    assert!(error.contains("none.csv: cannot open the trace"), "{error}");

    refused(
        b"",
        Splitwise,
        "",
        &["the file is empty", "request_id,arrival_timestamp"],
        0,
    );
    refused(
        b"TIMESTAMP,ContextTokens,GeneratedTokens\n",
        Splitwise,
        "1:1:",
        &[
            "no column `request_id`",
            "the columns are TIMESTAMP, ContextTokens, GeneratedTokens",
        ],
        0,
    );
    let twice = b"TIMESTAMP,ContextTokens,ContextTokens,GeneratedTokens\n";
    refused(
        twice,
        Azure,
        "1:25:",
        &["a second column `ContextTokens`"],
        0,
    );
    let (_, error) = drain(&trace(".", Splitwise), directory.path());
    assert!(error.is_some(), "a directory is not a trace");
}

/// Text that is nearly a trace.
fn nearly_a_trace() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b",",
        b"\n",
        b"\r\n",
        b"\"",
        b"0,2,0,0.5,1,10,5\n",
        b"2023-11-16 18:15:46.6805900",
        b"\n2023-11-16T18:15:46Z,1,1",
        b"-1",
        b"1e999",
        b"7",
        b"{\"timestamp\": 7, \"input_length\": 0",
        b", \"output_length\": 5.5}",
        b"\xff\x00",
        " ä ".as_bytes(),
    ];
    let piece = proptest::sample::select(PIECES);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in nearly_a_trace(), noise in any::<Vec<u8>>()) {
        for (format, header) in [
            (Splitwise, HEADER),
            (Azure, "TIMESTAMP,ContextTokens,GeneratedTokens\n"),
            (BurstGpt, "Timestamp,Request tokens,Response tokens\n"),
            (Mooncake, "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1}\n"),
        ] {
            drain_text([header.as_bytes(), &bytes].concat(), format);
            drain_text([&noise, &bytes[..]].concat(), format);
            drain_text([b"\x28\xB5\x2F\xFD", &noise[..]].concat(), format);
            drain_text([b"\x1F\x8B", &noise[..]].concat(), format);
        }
    }
}
