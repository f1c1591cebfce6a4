//! The step model `Roofline` against cases computed elsewhere, and runs of it against single steps.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use fleetsim::catalog::{Catalog, Layer, MemoryUse, Parallelism, Precision};
use fleetsim::serving::{BatchShape, Roofline, StepModel, Steps};
use proptest::prelude::*;

mod shared;

type Row = BTreeMap<String, String>;

fn table(path: &Path) -> Vec<Row> {
    let mut rows = csv::Reader::from_path(path).unwrap();
    rows.deserialize().map(Result::unwrap).collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}"))
}

fn layer(name: &str) -> Layer {
    match name {
        "auto" => Layer::Auto,
        "kernel" => Layer::Kernel,
        "generic" => Layer::Generic,
        "global" => Layer::Global,
        other => panic!("{other}"),
    }
}

fn parallelism(row: &Row) -> Parallelism {
    Parallelism {
        tensor: row["tp"].parse().unwrap(),
        data: row["dp"].parse().unwrap(),
    }
}

fn shape(row: &Row, window: Option<u64>) -> BatchShape {
    let mut shape = BatchShape::default();
    for chunk in row["prefill"].split(';').filter(|it| !it.is_empty()) {
        let (done, new) = chunk.split_once('+').unwrap();
        shape.add_chunk(done.parse().unwrap(), new.parse().unwrap(), window);
    }
    shape.decodes = row["decode_seqs"].parse().unwrap();
    // The table counts what a request finds in the cache, a shape also the token that it adds.
    shape.decode_context = row["decode_context_sum"].parse::<u64>().unwrap() + shape.decodes;
    shape
}

/// Compares each term of each case: those without powers exactly, the others to 1e-14.
fn compare(path: &Path) -> usize {
    let catalog = Catalog::built_in();
    let rows = table(path);
    for row in &rows {
        let id = &row["id"];
        let model = &catalog.models[&row["model"]];
        let precision: Precision = row["precision"].parse().unwrap();
        let parallelism = parallelism(row);
        let roofline = Roofline::new(
            &catalog,
            model,
            &row["gpu"],
            &row["engine"],
            precision,
            parallelism,
            layer(&row["layer"]),
        )
        .unwrap();
        assert_eq!(roofline.layer().to_string(), row["layer_used"], "{id}");
        let shape = shape(row, roofline.window());
        let terms = roofline.terms(&shape);
        for (column, value) in [
            ("gemm", terms.gemm),
            ("weights", terms.weights),
            ("expert_flops", terms.expert_flops),
            ("expert_weights", terms.expert_weights),
            ("attention", terms.attention),
            ("kv", terms.kv),
            ("reduce", terms.reduce),
            ("small", terms.small),
            ("layers", terms.layers),
            ("moe_layers", terms.moe_layers),
            ("step", terms.step),
            ("sequences", terms.sequences),
        ] {
            let expected = number(row, column);
            // The weights of experts contain the coverage, and so a power.
            let exact = column != "expert_weights";
            let close = (value - expected).abs() <= 1e-14 * expected;
            assert!(value == expected || (!exact && close), "{column} of {id}");
        }
        for (column, value) in [
            ("dense", terms.dense),
            ("coverage", terms.coverage),
            ("experts", terms.experts),
            ("total", terms.total),
            ("total", roofline.seconds(&shape)),
            // A second time, now that the powers are kept.
            ("total", roofline.seconds(&shape)),
        ] {
            let expected = number(row, column);
            let error = (value - expected).abs();
            assert!(error <= 1e-14 * expected, "{column} of {id}: {value:e}");
        }
        let memory = catalog.processors[&row["gpu"]].memory_bytes;
        let tokens = model.kv_tokens(memory, precision, parallelism, 2, MemoryUse::default());
        assert_eq!(tokens.unwrap() as f64, number(row, "kv_tokens"), "{id}");
        let weights = model.weights_on_one(precision, parallelism).unwrap();
        assert_eq!(weights, number(row, "weight_bytes"), "{id}");
    }
    rows.len()
}

#[test]
fn every_term_of_the_committed_cases_is_as_computed_elsewhere() {
    assert_eq!(compare(Path::new("tests/golden/step_cases.csv")), 300);
}

#[test]
fn every_term_of_all_cases_is_as_computed_elsewhere() {
    if let Some(shared) = shared::directory() {
        assert!(compare(&shared.join("reference/step_cases.csv")) >= 3_000);
    }
}

/// The models and processors that runs are tried on: dense, experts, windows, latent attention.
const TRIED: [(&str, &str, u32); 6] = [
    ("llama-3.1-8b", "h100-sxm", 1),
    ("llama-3.1-70b", "a100-80gb-sxm", 4),
    ("gpt-oss-120b", "h100-sxm", 1),
    ("gpt-oss-20b", "b200-sxm", 2),
    ("deepseek-v3", "h200-sxm", 8),
    ("qwen3-30b-a3b", "rtx-pro-6000", 1),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// However a run is cut, every step is as long as priced alone, and so is their sum.
    #[test]
    fn a_run_of_decode_steps_is_exact(
        tried in 0..TRIED.len(),
        decodes in 1u64..400,
        mean in 1u64..4_000,
        count in 1u64..3_000,
        minimum in prop_oneof![Just(0.0), 0.001..0.05],
    ) {
        let (model, processor, tensor) = TRIED[tried];
        let catalog = Catalog::built_in();
        let parallelism = Parallelism::tensor(tensor);
        let roofline = Roofline::of(&catalog, model, processor, "vllm", parallelism)
            .unwrap()
            .with_minimum(minimum);
        let first = BatchShape {
            decodes,
            decode_context: decodes * mean + decodes / 2,
            ..BatchShape::default()
        };
        let (mut done, mut pieces) = (0, 0);
        while done < count {
            let start = first.after_decodes(done);
            let (steps, lengths) = roofline.decode_run(&start, count - done);
            prop_assert!(steps >= 1 && steps <= count - done);
            let mut sum = 0.0;
            for n in 0..steps {
                let alone = roofline.seconds(&start.after_decodes(n));
                prop_assert!((lengths.length(n) / alone - 1.0).abs() < 1e-14, "step {}", n);
                sum += alone;
            }
            prop_assert!((lengths.total(steps) / sum - 1.0).abs() < 1e-12);
            done += steps;
            pieces += 1;
        }
        prop_assert!(pieces <= 4, "{} pieces", pieces);
    }
}

#[test]
fn a_step_is_never_shorter_than_the_minimum_and_an_empty_one_takes_no_time() {
    let catalog = Catalog::built_in();
    let one = Parallelism::tensor(1);
    let roofline = Roofline::of(&catalog, "llama-3.2-1b", "b200-sxm", "vllm", one).unwrap();
    let slow = roofline.clone().with_minimum(0.0025);
    let mut shape = BatchShape::default();
    assert_eq!(roofline.seconds(&shape), 0.0);
    assert_eq!(slow.seconds(&shape), 0.0);
    shape.add_decode(100);
    assert!(roofline.seconds(&shape) < 0.0025);
    assert_eq!(slow.seconds(&shape), 0.0025);
    assert_eq!(slow.decode_run(&shape, 10), (10, Steps::constant(0.0025)));
}

#[test]
fn ranks_that_step_together_wait_for_the_longest_and_exchange_tokens() {
    let catalog = Catalog::built_in();
    let of = |model: &str, data| {
        let parallelism = Parallelism { tensor: 1, data };
        Roofline::of(&catalog, model, "rtx-pro-6000", "vllm", parallelism).unwrap()
    };
    let decode = |requests: u64| BatchShape {
        decodes: requests,
        decode_context: requests * 1_000,
        ..BatchShape::default()
    };
    let mut prompt = BatchShape::default();
    prompt.add_chunk(0, 2_048, None);
    let two = of("qwen3-30b-a3b", 2);
    // Ranks that are alike take as long as each by itself, and the exchange: 48 layers, twice the latency and
    // 2 · 32 tokens of 2,048 numbers of two bytes, half of them elsewhere.
    let alike = two.seconds_of_ranks(&[decode(32), decode(32)]);
    let values = two.coefficients();
    let bytes = 0.5 * 2.0 * 32.0 * 2_048.0 * 2.0;
    let exchange = 48.0 * 2.0 * (values.s_per_allreduce + bytes / 64e9 / values.link);
    let apart = alike - two.seconds(&decode(32));
    assert!((apart / exchange - 1.0).abs() < 1e-9, "{apart} {exchange}");
    // One with a prompt holds the other up, and one without work still steps along.
    let held_up = two.seconds_of_ranks(&[decode(32), prompt]);
    assert!(held_up > 2.0 * alike, "{held_up} {alike}");
    assert!(two.seconds_of_ranks(&[decode(32), BatchShape::default()]) < alike);
    assert_eq!(two.seconds_of_ranks(&[BatchShape::default(); 2]), 0.0);
    // One alone exchanges nothing.
    let one = of("qwen3-30b-a3b", 1);
    let alone = one.seconds_of_ranks(&[decode(32)]);
    assert!((alone / one.seconds(&decode(32)) - 1.0).abs() < 1e-12);
}

#[test]
fn an_all_reduce_between_machines_goes_over_links_and_network() {
    let catalog = Catalog::built_in();
    let of = |tensor, machines| {
        let parallelism = Parallelism::tensor(tensor);
        let model = Roofline::of(&catalog, "llama-3.3-70b", "h100-sxm", "vllm", parallelism);
        model.unwrap().across(machines, 400e9)
    };
    let mut shape = BatchShape::default();
    shape.add_chunk(0, 1_000, None);
    // 80 layers, two all-reduces each, of 1,000 tokens of 8,192 numbers of two bytes. Eight processors of a
    // machine send 2 · 7/8 of that over links of 450 GB/s, two machines 2 · 1/2 over the network.
    let two = of(16, 2);
    let values = two.coefficients();
    let bytes = 1_000.0 * 8_192.0 * 2.0;
    let within = values.s_per_allreduce + 1.75 * bytes / 450e9 / values.link;
    let between = values.s_per_allreduce + bytes / 400e9 / values.link;
    let reduce = two.terms(&shape).reduce;
    let expected = 2.0 * 80.0 * (within + between);
    assert!(
        (reduce / expected - 1.0).abs() < 1e-12,
        "{reduce} {expected}"
    );
    // One processor a machine has no links to use.
    let apart = of(2, 2).terms(&shape).reduce;
    let expected = 2.0 * 80.0 * between;
    assert!((apart / expected - 1.0).abs() < 1e-12, "{apart} {expected}");
    // On one machine nothing changes, to the bit.
    let (one, plain) = (
        of(8, 1),
        Roofline::of(
            &catalog,
            "llama-3.3-70b",
            "h100-sxm",
            "vllm",
            Parallelism::tensor(8),
        ),
    );
    assert_eq!(one.terms(&shape), plain.unwrap().terms(&shape));
    assert_eq!(two.error_percent(), None);
    assert!(
        two.to_string()
            .ends_with("over 2 machines: error not known")
    );
}

#[test]
fn measured_all_reduces_take_the_place_of_fitted_ones() {
    let catalog = Catalog::built_in();
    let of = |processor: &str, tensor| {
        let model = &catalog.models["llama-3.1-8b"];
        let parallelism = Parallelism::tensor(tensor);
        let precision = "bf16".parse().unwrap();
        Roofline::new(
            &catalog,
            model,
            processor,
            "vllm",
            precision,
            parallelism,
            Layer::Generic,
        )
        .unwrap()
    };
    let mut shape = BatchShape::default();
    shape.add_chunk(0, 256, None);
    let fitted = of("l40s", 8);
    let measured = fitted.clone().with_measured_all_reduce(&catalog).unwrap();
    // 256 tokens of 4,096 numbers are the million that took 2.62 ms on eight L40S; two in each of 32 layers.
    let terms = measured.terms(&shape);
    assert!(
        (terms.reduce / (64.0 * 2.62e-3) - 1.0).abs() < 1e-9,
        "{}",
        terms.reduce
    );
    assert_eq!(measured.seconds(&shape), terms.total);
    let more = terms.reduce - fitted.terms(&shape).reduce;
    assert!((terms.total - fitted.seconds(&shape) - more).abs() < 1e-12);
    // One GPU has nobody to reduce with, and of an H100 no times are in the catalog.
    let alone = of("l40s", 1);
    let same = alone.clone().with_measured_all_reduce(&catalog).unwrap();
    assert_eq!(same.seconds(&shape), alone.seconds(&shape));
    let missing = of("h100-sxm", 8).with_measured_all_reduce(&catalog);
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("between 8 `h100-sxm`")
    );
}

/// What the page on the step model's accuracy says of all-reduces: measured ones are better on PCIe, with the
/// coefficients for any model.
#[test]
fn measured_all_reduces_are_better_without_nvlink() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let catalog = Catalog::built_in();
    let mut models = BTreeMap::new();
    let mut errors: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    for row in table(&shared.join("reference/measured/steps_kernel_sums.csv")) {
        let gpu = match row["gpu"].as_str() {
            "l40s" => "l40s",
            "rtx-pro-6000" => "rtx-pro-6000",
            _ => continue,
        };
        if row["held_out"] != "1" || row["kind"] == "mixed" || row["tp"] == "1" {
            continue;
        }
        let key = (
            gpu,
            row["model"].clone(),
            row["precision"].clone(),
            row["tp"].clone(),
        );
        let (fitted, measured) = models.entry(key).or_insert_with(|| {
            let fitted = Roofline::new(
                &catalog,
                &catalog.models[&row["model"]],
                gpu,
                &row["engine"],
                row["precision"].parse().unwrap(),
                Parallelism::tensor(row["tp"].parse().unwrap()),
                Layer::Generic,
            )
            .unwrap();
            let measured = fitted.clone().with_measured_all_reduce(&catalog).unwrap();
            (fitted, measured)
        });
        let shape = kernel_shape(&row, fitted.window());
        let error = |of: &Roofline| (of.seconds(&shape) * 1e3 / number(&row, "ms") - 1.0).abs();
        let sums = errors.entry(gpu).or_default();
        let more = [1.0, error(fitted), error(measured)];
        sums.iter_mut()
            .zip(more)
            .for_each(|(sum, more)| *sum += more);
    }
    for (gpu, least) in [("l40s", 1.9), ("rtx-pro-6000", 1.4)] {
        let [_, fitted, measured] = errors[gpu];
        assert!(fitted > least * measured, "{gpu}: {:?}", errors[gpu]);
    }
}

/// Mean absolute errors in per cent on step times composed of measured kernels.
///
/// The figures are those of the fits, to the tenth, with own sets: all held-out points, decode, prefill;
/// then mixed steps with own and with generic sets, where there are any.
#[test]
fn step_times_of_measured_kernels_are_met_as_well_as_by_the_fits() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let expected: [(&str, &str, [f64; 5]); 9] = [
        ("a100-80gb-sxm", "vllm", [5.6, 4.6, 4.3, 5.0, f64::NAN]),
        ("h100-sxm", "vllm", [10.4, 4.1, 3.6, 5.0, 8.2]),
        ("h200-sxm", "vllm", [12.3, 4.1, 3.5, 5.0, f64::NAN]),
        ("h200-sxm", "sglang", [15.1, 4.8, 4.2, 5.9, f64::NAN]),
        ("b200-sxm", "vllm", [18.0, 7.5, 7.2, 8.0, f64::NAN]),
        ("b200-sxm", "trtllm", [20.1, 5.0, 4.0, 6.7, f64::NAN]),
        ("gb200", "vllm", [18.8, 6.9, 6.1, 8.3, f64::NAN]),
        ("l40s", "vllm", [26.0, 14.2, 8.6, 23.7, f64::NAN]),
        ("rtx-pro-6000", "vllm", [8.0, 5.5, 6.0, 4.7, f64::NAN]),
    ];
    let catalog = Catalog::built_in();
    let mut models = BTreeMap::new();
    let mut errors: BTreeMap<(String, String, &str), Vec<f64>> = BTreeMap::new();
    for row in table(&shared.join("reference/measured/steps_kernel_sums.csv")) {
        let mixed = row["kind"] == "mixed";
        if row["held_out"] != "1" && !mixed {
            continue;
        }
        let key = (
            row["model"].clone(),
            row["gpu"].clone(),
            row["engine"].clone(),
            row["precision"].clone(),
            row["tp"].clone(),
        );
        let roofline = models.entry(key).or_insert_with(|| {
            Roofline::new(
                &catalog,
                &catalog.models[&row["model"]],
                &row["gpu"],
                &row["engine"],
                row["precision"].parse().unwrap(),
                Parallelism::tensor(row["tp"].parse().unwrap()),
                Layer::Kernel,
            )
            .unwrap()
        });
        let shape = kernel_shape(&row, roofline.window());
        let error = (roofline.seconds(&shape) * 1e3 / number(&row, "ms") - 1.0).abs() * 100.0;
        let mut add = |part| {
            let of = (row["gpu"].clone(), row["engine"].clone(), part);
            errors.entry(of).or_default().push(error);
        };
        match row["kind"].as_str() {
            "mixed" => add("mixed"),
            "decode" => add("decode"),
            _ => add("prefill"),
        }
        if !mixed {
            add("all");
        }
    }
    for (gpu, engine, [_, all, decode, prefill, mixed]) in expected {
        for (part, most) in [
            ("all", all),
            ("decode", decode),
            ("prefill", prefill),
            ("mixed", mixed),
        ] {
            if most.is_nan() {
                continue;
            }
            let of = &errors[&(gpu.to_owned(), engine.to_owned(), part)];
            let mean = of.iter().sum::<f64>() / of.len() as f64;
            assert!(mean < most + 0.05, "{gpu} {engine} {part}: {mean:.2} %");
        }
    }
}

/// The batch of a row of composed step times.
fn kernel_shape(row: &Row, window: Option<u64>) -> BatchShape {
    let of = |column: &str| row[column].parse().unwrap_or(0.0);
    let (tokens, done) = (of("prefill_tokens"), of("prefill_context"));
    let (sequences, context) = (of("decode_seqs") as u64, of("context"));
    let mut shape = BatchShape::default();
    let kind = row["kind"].as_str();
    if kind == "prefill_batch" {
        for _ in 0..sequences {
            shape.add_chunk(0, context as u64, window);
        }
        return shape;
    }
    if kind == "decode" || kind == "mixed" || tokens == 0.0 {
        shape.decodes = sequences;
        shape.decode_context = (sequences as f64 * (context + 1.0)) as u64;
    }
    if kind != "decode" && tokens > 0.0 {
        let chunks = match kind {
            "mixed" => (tokens / context).round().max(1.0) as u64,
            _ => 1,
        };
        for chunk in 0..chunks {
            let part = |n: u64| n * tokens as u64 / chunks;
            shape.add_chunk(done as u64, part(chunk + 1) - part(chunk), window);
        }
    }
    shape
}
