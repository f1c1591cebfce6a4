//! Cases measured on the reference simulator: a folder with `scenario.ron`, its `trace.csv`, the
//! figures of every request in `expected.csv`, and where the fleet is scaled `expected_scaling.csv`.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod figures;

use std::path::{Path, PathBuf};

use fleetsim::fleet::ScalingEvent;

use figures::{compare, read_figures, run};

/// The fork on which scaling was measured cuts runs short with a tolerance of its own, in seconds.
const SCALING_TOLERANCE: f64 = 1e-4;

/// Compares a scaling log, whatever the order of its lines, with `expected_scaling.csv`.
fn compare_scaling(events: &[ScalingEvent], path: &Path) -> Result<(), String> {
    let mut ours: Vec<_> = events
        .iter()
        .map(|event| {
            let line = [event.action.name(), &event.target.to_string(), event.status].join(",");
            (line, event.time.seconds())
        })
        .collect();
    let mut theirs: Vec<_> = csv::Reader::from_path(path)
        .unwrap()
        .into_records()
        .map(|row| {
            let row = row.unwrap();
            let line = [&row[1], &row[2], &row[3]].join(",");
            (line, row[0].parse::<f64>().unwrap())
        })
        .collect();
    for lines in [&mut ours, &mut theirs] {
        lines.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    }
    let same = ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(ours, theirs)| {
            ours.0 == theirs.0 && (ours.1 - theirs.1).abs() <= SCALING_TOLERANCE
        });
    same.then_some(())
        .ok_or_else(|| format!("scaling log:\n  {ours:?} but\n  {theirs:?} expected\n"))
}

/// Runs a case and compares it with what was measured: to the last bit, or where the fleet is scaled
/// within 0.1 ms and the scaling log too. Prints the largest difference.
#[allow(
    clippy::print_stdout,
    reason = "the figures are what one runs the test for"
)]
pub(crate) fn check(folder: &Path) -> Result<(), String> {
    let expected = read_figures(&folder.join("expected.csv"));
    let log = folder.join("expected_scaling.csv");
    let run = run(folder);
    let (tolerance, scaling) = if log.exists() {
        (SCALING_TOLERANCE, compare_scaling(&run.scaling, &log))
    } else {
        (0.0, Ok(()))
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let about = |problem: String| format!("{name}:\n{problem}");
    let largest = compare(&run.requests, &expected, tolerance).map_err(about)?;
    scaling.map_err(about)?;
    println!(
        "{name}: {} requests, largest difference {largest:e} s",
        expected.len()
    );
    Ok(())
}

/// Checks every case among the folders of `directory` and fails with all that is wrong. Returns their
/// names.
pub(crate) fn check_all(directory: &Path) -> Vec<String> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("scenario.ron").exists())
        .collect();
    folders.sort();
    let wrong: String = folders
        .iter()
        .filter_map(|case| check(case).err())
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
    folders
        .iter()
        .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
        .collect()
}
