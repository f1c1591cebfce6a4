//! The step model `Table`: at its knots, between them, beyond them, and in runs.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use fleetsim::catalog::{Catalog, Parallelism};
use fleetsim::serving::{BatchShape, NoTable, Roofline, StepModel, Table};
use proptest::prelude::*;

fn roofline(model: &str) -> Roofline {
    let catalog = Catalog::built_in();
    Roofline::of(&catalog, model, "h100-sxm", "vllm", Parallelism::tensor(1)).unwrap()
}

/// Requests that decode, and the tokens that each finds in the KV cache.
fn decode(requests: u64, context: u64) -> BatchShape {
    BatchShape {
        decodes: requests,
        decode_context: requests * (context + 1),
        ..BatchShape::default()
    }
}

fn prompt(tokens: u64) -> BatchShape {
    let mut shape = BatchShape::default();
    shape.add_chunk(0, tokens, None);
    shape
}

/// Knots that are half as long again as the roofline says, so that both can be told apart.
fn table(model: &str) -> (Roofline, Table) {
    let roofline = roofline(model);
    let mut measured = Vec::new();
    for requests in [1, 8, 64] {
        for context in [128, 1_024, 4_096] {
            let shape = decode(requests, context);
            measured.push((shape, 1.5 * roofline.seconds(&shape)));
        }
    }
    for tokens in [256, 2_048, 8_192] {
        let shape = prompt(tokens);
        measured.push((shape, 1.5 * roofline.seconds(&shape)));
    }
    let table = Table::new(roofline.clone(), measured).unwrap();
    (roofline, table)
}

fn close(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-12
}

#[test]
fn a_step_that_was_measured_takes_what_was_measured() {
    let (roofline, table) = table("llama-3.1-8b");
    for shape in [decode(1, 128), decode(8, 1_024), decode(64, 4_096)] {
        assert!(close(table.seconds(&shape), 1.5 * roofline.seconds(&shape)));
    }
    for shape in [prompt(256), prompt(8_192)] {
        assert!(close(table.seconds(&shape), 1.5 * roofline.seconds(&shape)));
    }
    assert_eq!(table.seconds(&BatchShape::default()), 0.0);
}

#[test]
fn between_two_knots_a_step_lies_between_theirs() {
    let (_, table) = table("llama-3.1-8b");
    let of = |requests, context| table.seconds(&decode(requests, context));
    assert!(close(of(8, 576), (of(8, 128) + of(8, 1_024)) / 2.0));
    // Between two numbers of requests: the same tokens of all contexts together.
    let middle = BatchShape {
        decodes: 36,
        decode_context: 36 + 8_192,
        ..BatchShape::default()
    };
    let ends = [decode(8, 1_024), decode(64, 128)].map(|it| table.seconds(&it));
    assert!(close(table.seconds(&middle), (ends[0] + ends[1]) / 2.0));
    let prompts = [256, 1_152, 2_048].map(|it| table.seconds(&prompt(it)));
    assert!(prompts[0] < prompts[1] && prompts[1] < prompts[2]);
}

#[test]
fn beyond_the_last_knot_a_step_grows_as_the_roofline_does() {
    let (roofline, table) = table("llama-3.1-8b");
    for (knot, beyond) in [
        (decode(64, 4_096), decode(64, 50_000)),
        (decode(1, 128), decode(1, 1)),
        (
            decode(64, 128),
            BatchShape {
                decodes: 200,
                decode_context: 200 + 64 * 128,
                ..BatchShape::default()
            },
        ),
    ] {
        let more = table.seconds(&beyond) - table.seconds(&knot);
        let expected = roofline.seconds(&beyond) - roofline.seconds(&knot);
        assert!((more / expected - 1.0).abs() < 1e-9, "{more} {expected}");
    }
}

#[test]
fn a_mixed_step_is_off_the_roofline_as_its_parts_are() {
    let (roofline, table) = table("llama-3.1-8b");
    let mut mixed = decode(8, 1_024);
    mixed.add_chunk(0, 2_048, None);
    assert!(close(table.seconds(&mixed), 1.5 * roofline.seconds(&mixed)));
}

#[test]
fn what_makes_no_table_is_refused() {
    let of = |measured: Vec<(BatchShape, f64)>| Table::new(roofline("llama-3.1-8b"), measured);
    assert_eq!(of(vec![]).unwrap_err(), NoTable::NoKnots);
    for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            of(vec![(decode(1, 1), seconds)]).unwrap_err(),
            NoTable::NoTime
        );
    }
}

proptest! {
    /// However a run is cut, every step is as long as interpolated alone.
    #[test]
    fn a_run_of_decode_steps_is_exact(
        windowed in any::<bool>(),
        decodes in 1u64..200,
        mean in 1u64..6_000,
        count in 1u64..2_000,
    ) {
        let (_, table) = table(if windowed { "gpt-oss-20b" } else { "llama-3.1-8b" });
        let first = decode(decodes, mean);
        let mut done = 0;
        while done < count {
            let start = first.after_decodes(done);
            let (steps, lengths) = table.decode_run(&start, count - done);
            prop_assert!(steps >= 1 && steps <= count - done);
            for n in 0..steps {
                let alone = table.seconds(&start.after_decodes(n));
                prop_assert!((lengths.length(n) / alone - 1.0).abs() < 1e-11, "step {}", n);
            }
            done += steps;
        }
    }
}
