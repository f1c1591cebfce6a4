//! The steps are those of vLLM's own scheduler.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::case::read;
use crate::shared;

/// Seconds by which a time in a run of steps may differ from its step by step sum.
const TOLERANCE: f64 = 1e-9;

fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a folder of cases");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no cases in {}", directory.display());
    paths
}

fn compare_all(directory: &Path) {
    for path in directories(directory) {
        let case = read(&path);
        case.compare(&path, true, 0.0);
        case.compare(&path, false, TOLERANCE);
    }
}

#[test]
fn golden_cases_are_equal_step_for_step() {
    compare_all(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/vllm"
    )));
}

#[test]
fn all_cases_of_the_reference_are_equal_step_for_step() {
    let Some(shared) = shared::directory() else {
        return;
    };
    compare_all(&shared.join("reference/vllm/cases"));
    compare_all(&shared.join("reference/vllm/cases_async"));
}

/// As many fresh cases as `FLEETSIM_VLLM_CASES` says of each kind, from the seed `FLEETSIM_VLLM_SEED` on.
#[test]
#[allow(clippy::print_stdout, reason = "a test that is skipped says why")]
fn fresh_random_cases_are_equal_step_for_step() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let reference = shared.join("reference/vllm");
    let number = |name: &str, default| {
        let value = std::env::var(name).ok();
        value.map_or(default, |text| text.parse::<u32>().expect(name))
    };
    let (seed, count) = (
        number("FLEETSIM_VLLM_SEED", 20_000),
        number("FLEETSIM_VLLM_CASES", 25),
    );
    let python = |arguments: &[&str]| {
        Command::new("python3")
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&reference)
            .output()
    };
    for kind in [None, Some("--async")] {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().to_str().expect("a path in UTF-8");
        let (seed, count) = (seed.to_string(), count.to_string());
        let mut arguments = vec![
            "generate.py",
            "random",
            out,
            "--seed",
            &seed,
            "--count",
            &count,
        ];
        arguments.extend(kind);
        let Ok(made) = python(&arguments) else {
            println!("skipped: no python3");
            return;
        };
        assert!(made.status.success(), "{made:?}");
        let paths = directories(folder.path());
        let mut arguments = vec!["vllm_model.py"];
        arguments.extend(paths.iter().map(|path| path.to_str().expect("UTF-8")));
        let made = python(&arguments).expect("python3 is there");
        assert!(made.status.success(), "{made:?}");
        compare_all(folder.path());
    }
}
