//! fleetsim's own format, and what a prefix cache could serve.

use std::path::Path;

use fleetsim::scenario::TraceFormat::{self, Mooncake};
use fleetsim::time::SimTime;
use fleetsim::workload::{
    Arrival, Details, PrefixStatistics, TraceReading, TraceStatistics, TraceStream, TraceWriter,
};
use proptest::prelude::*;

use super::{drain_text, ids, seconds};

const SMALL: TraceFormat = TraceFormat::Requests { block_tokens: 4 };

fn names(arrivals: &[Arrival]) -> Vec<Option<&str>> {
    let details = arrivals.iter().map(|it| it.details.as_deref());
    details.map(|it| it?.name.as_deref()).collect()
}

#[test]
fn columns_come_in_any_order_and_most_may_be_left_out() {
    let text = "priority,output_tokens,arrival_s,note,prefix_blocks,prompt_tokens,session\n\
                -2,5,0.5,x,7 8  9,10,\"a, b\"\n,6,1.5,,,11,\n";
    let (arrivals, error) = drain_text(text, SMALL);
    assert_eq!(error, None);
    assert_eq!(
        (seconds(&arrivals), ids(&arrivals)),
        (vec![0.5, 1.5], vec![0, 1])
    );
    let details = arrivals[0].details.as_deref().unwrap();
    let expected = Details {
        name: None,
        session: Some("a, b".into()),
        priority: -2,
        prefix_blocks: [7, 8, 9].into(),
        block_tokens: 4,
        journey: None,
    };
    assert_eq!(details, &expected);
    assert_eq!(arrivals[1].details, None);

    let least = "arrival_s,prompt_tokens,output_tokens\n3,10,5\n";
    let (arrivals, error) = drain_text(least, TraceFormat::REQUESTS);
    assert_eq!((error, arrivals.len()), (None, 1));
    assert_eq!(seconds(&arrivals), [3.0], "times are relative");
}

#[test]
fn ids_keep_their_text() {
    let read = |ids: &[&str]| {
        let rows = ids.iter().map(|id| format!("{id},0,1,1\n"));
        let rows: String = rows.collect();
        let text = format!("request_id,arrival_s,prompt_tokens,output_tokens\n{rows}");
        let (arrivals, error) = drain_text(text, TraceFormat::REQUESTS);
        assert_eq!(error, None);
        arrivals
    };
    let numbers = read(&["17", "4", "5"]);
    assert_eq!(ids(&numbers), [17, 4, 5]);
    assert_eq!(names(&numbers), [None, None, None]);
    let texts = read(&["chatcmpl-1", "007", "5", ""]);
    assert_eq!(ids(&texts), [0, 1, 2, 3]);
    assert_eq!(
        names(&texts),
        [Some("chatcmpl-1"), Some("007"), Some("5"), None]
    );
    let mixed = read(&["0", "x", "1"]);
    assert_eq!(names(&mixed), [None, Some("x"), None]);
    let mut distinct = ids(&mixed);
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 3);
}

#[test]
fn rows_of_other_applications_are_passed_over() {
    let text =
        "arrival_s,prompt_tokens,output_tokens,application\n1,1,1,chat\n2,2,2,code\n3,3,3,\n";
    // The helper reads for the application `chat`.
    let (arrivals, error) = drain_text(text, TraceFormat::REQUESTS);
    assert_eq!((error, seconds(&arrivals)), (None, vec![1.0, 3.0]));
    let all = TraceStream::read(Path::new("t"), text.as_bytes(), None).unwrap();
    assert_eq!(all.format(), TraceFormat::REQUESTS);
    assert_eq!(all.count(), 3);

    let (arrivals, error) = drain_text(
        text[..text.len() - 7].replace("chat", "talk"),
        TraceFormat::REQUESTS,
    );
    let error = error.expect("none is left").to_string();
    assert!(arrivals.is_empty());
    assert!(
        error.contains("no row is of the application `chat`"),
        "{error}"
    );
    assert!(error.contains("`talk`"), "{error}");
}

#[test]
fn bad_cells_are_refused_at_their_place() {
    let header = "arrival_s,prompt_tokens,output_tokens,priority,prefix_blocks";
    for (row, place, words) in [
        ("0,1,1,high,", "2:7:", "`high` is not a priority"),
        ("0,1,1,1.5,", "2:7:", "`1.5` is not a priority"),
        ("0,1,1,,1 x 2", "2:8:", "`1 x 2` is not a list of block ids"),
        ("0,1,1,,-1", "2:8:", "not a list of block ids"),
        ("-1,1,1,,", "2:1:", "`-1` is not a time"),
        ("0,0,1,,", "2:3:", "`0` is not a number of tokens"),
        ("0,1,1,", "2:7:", "the row has 4 cells"),
    ] {
        let (_, error) = drain_text(format!("{header}\n{row}\n"), SMALL);
        let error = error.expect("an error").to_string();
        assert!(error.contains(&format!("trace.csv:{place} ")), "{error}");
        assert!(error.contains(words), "{error}");
    }
    let (_, error) = drain_text("arrival_s,prompt_tokens\n", SMALL);
    let error = error.expect("an error").to_string();
    assert!(error.contains("no column `output_tokens`"), "{error}");
}

fn figures(text: &str, format: TraceFormat) -> Option<PrefixStatistics> {
    let reading = TraceReading {
        format: Some(format),
        ..TraceReading::default()
    };
    let trace = reading
        .read(Path::new("t"), std::io::Cursor::new(text.to_owned()))
        .unwrap();
    TraceStatistics::of(trace).unwrap().prefixes
}

#[test]
fn a_prefix_cache_serves_what_begins_as_something_before_did() {
    let header = "arrival_s,prompt_tokens,output_tokens,prefix_blocks\n";
    let served = |rows: &[(u32, u32, &str)]| {
        let rows = rows
            .iter()
            .map(|(prompt, output, ids)| format!("0,{prompt},{output},{ids}\n"));
        let rows: String = rows.collect();
        figures(&format!("{header}{rows}"), SMALL).map(|it| it.served_tokens)
    };
    // Blocks of 4: two whole ones, and 2 of the third.
    assert_eq!(served(&[(10, 1, "1 2 3"), (10, 1, "1 2 3")]), Some(10));
    // The same block after another is not the same beginning.
    assert_eq!(served(&[(8, 1, "1 2"), (8, 1, "9 2")]), Some(0));
    assert_eq!(served(&[(8, 1, "1 2"), (12, 1, "1 7 8")]), Some(4));
    // The answer is there, too, when the conversation goes on; but not what it did not reach.
    assert_eq!(served(&[(4, 4, "1 2"), (12, 1, "1 2 3")]), Some(8));
    assert_eq!(served(&[(4, 2, "1 2"), (12, 1, "1 2 3")]), Some(6));
    // Beyond the list nothing is like anything else.
    assert_eq!(served(&[(40, 1, "1"), (40, 1, "1")]), Some(4));
    assert_eq!(served(&[(40, 1, ""), (40, 1, "")]), None);

    let two = figures(&format!("{header}0,8,1,1 2\n0,8,1,1 2\n"), SMALL).unwrap();
    assert_eq!((two.requests, two.served_share), (2, 0.5));
}

#[test]
fn the_blocks_of_mooncake_are_of_512_tokens() {
    let row = |ids: &str| {
        format!(
            "{{\"timestamp\": 0, \"input_length\": 1000, \"output_length\": 1, \"hash_ids\": {ids}}}\n"
        )
    };
    let text = row("[4, 5]") + &row("[4, 6]") + &row("[]");
    let figures = figures(&text, Mooncake).unwrap();
    assert_eq!((figures.requests, figures.served_tokens), (2, 512));
    let (_, error) = drain_text(row("[4, \"x\"]"), Mooncake);
    let error = error.expect("an error").to_string();
    assert!(error.contains("is not a list of block ids"), "{error}");
}

fn details() -> impl Strategy<Value = Option<Details>> {
    let text = || proptest::option::of("[a-z ,\"é\\-]{1,8}");
    let ids = proptest::collection::vec(any::<u64>(), 0..4);
    (text(), any::<i16>(), ids).prop_map(|(session, priority, ids)| {
        let trimmed = session.map(|it| it.trim().to_owned());
        let details = Details {
            name: None,
            session: trimmed.filter(|it| !it.is_empty()).map(Into::into),
            priority: priority.into(),
            prefix_blocks: ids.into(),
            block_tokens: 4,
            journey: None,
        };
        (!details.is_empty()).then_some(details)
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        rows in proptest::collection::vec((0.0..1e6_f64, 1..5000_u32, 1..5000_u32, details()), 0..20),
        named in any::<bool>(),
    ) {
        let mut rows = rows;
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let arrivals: Vec<_> = (0..).zip(rows).map(|(id, (time, prompt_tokens, output_tokens, details))| {
            let name = named.then(|| format!("request \"{id}\", {time}").into());
            let details = match (details, name) {
                (None, None) => None,
                (details, name) => Some(Details { name, block_tokens: 4, ..details.unwrap_or_default() }),
            };
            Arrival {
                id,
                time: SimTime::new(time).unwrap(),
                prompt_tokens,
                output_tokens,
                details: details.map(Into::into),
            }
        }).collect();
        let mut trace = TraceWriter::new(Vec::new(), SMALL).unwrap();
        for arrival in &arrivals {
            trace.write(arrival).unwrap();
        }
        let (read, error) = drain_text(trace.finish().unwrap(), SMALL);
        prop_assert_eq!(error, None);
        prop_assert_eq!(read, arrivals);
    }
}
