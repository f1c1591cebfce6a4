//! The benchmarks run and say what they measured. How fast is for nobody to assert.

use std::process::Command;

fn bench(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
        .arg("bench")
        .args(arguments)
        .output()
        .expect("cargo built it");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("the table is text")
}

#[test]
fn a_small_fleet_is_measured_and_fits_a_terminal() {
    let text = bench(&["small", "--requests", "2000", "--servers", "4"]);
    for line in [
        "small TokenJsq, 70 %",
        "small MixedPool, 70 %",
        "small overloaded, 120 %",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    assert!(text.contains("4 servers, 2,000 requests"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn engines_of_vllm_are_measured_with_and_without_the_prefix_cache() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.jsonl");
    let line = r#"{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}"#;
    std::fs::write(&trace, format!("{line}\n{line}\n")).unwrap();
    let trace = trace.to_str().unwrap();
    let text = bench(&[
        "vllm",
        "--requests",
        "500",
        "--servers",
        "3",
        "--trace",
        trace,
    ]);
    for line in [
        "vllm 3, 70 %",
        "vllm 3 cached, 70 %",
        "vllm conversation hour",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn step_models_are_measured_on_the_same_work() {
    let text = bench(&["step-models", "--requests", "600", "--servers", "24"]);
    for line in ["steps Linear 24", "steps Roofline 24", "Roofline takes "] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn every_scheduler_and_a_swing_of_the_fleet_can_be_measured() {
    for (scheduler, _) in fleetsim::bench::SCHEDULERS {
        let few = ["huge", "--requests", "300", "--servers", "10"];
        let text = bench(&[&few[..], &["--scheduler", scheduler]].concat());
        assert!(text.contains(&format!("huge {scheduler}, 56 %")), "{text}");
    }
}

#[test]
fn a_scheduler_that_is_not_there_is_refused_with_those_that_are() {
    let output = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
        .args(["bench", "small", "--scheduler", "Fastest"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("TokenJsq"), "{message}");
}
