//! Cases measured on the reference simulator: a folder with `scenario.ron`, its `trace.csv`, the
//! figures of every request in `expected.csv`, and where the fleet is scaled `expected_scaling.csv`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fleetsim::fleet::ScalingEvent;
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::{Outcome, RequestRecord};
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;

/// The fork on which scaling was measured cuts runs short with a tolerance of its own, in seconds.
const SCALING_TOLERANCE: f64 = 1e-4;

const SECONDS: [&str; 5] = ["queue_s", "ttft_s", "tbt_s", "e2e_s", "second_token_s"];
const INSTANCES: [&str; 2] = ["prompt_instance", "token_instance"];

/// The figures of a request, in the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    seconds: [f64; 5],
    instances: [u64; 2],
}

impl Figures {
    /// Those of a request that ran, if it did.
    fn of(record: &RequestRecord) -> Option<Self> {
        let seconds = [
            record.queue()?,
            record.ttft()?,
            record.tbt()?,
            record.e2e()?,
            record.second_token()?,
        ];
        Some(Self {
            seconds: seconds.map(f64::from),
            instances: [record.prompt_instance?, record.token_instance?],
        })
    }
}

/// Figures by request.
pub(crate) type Expected = BTreeMap<u64, Figures>;

/// What fleetsim makes of a case.
pub(crate) struct Run {
    pub(crate) requests: Vec<RequestRecord>,
    pub(crate) scaling: Vec<ScalingEvent>,
}

/// Runs `scenario.ron` in `folder` to its end.
pub(crate) fn run(folder: &Path) -> Run {
    let checked = CheckedScenario::load(&folder.join("scenario.ron"), &[])
        .unwrap_or_else(|problems| panic!("{problems}"));
    let mut simulation = Simulation::new(&checked).unwrap();
    while simulation.tick().unwrap() {}
    let finished = simulation.finish();
    assert_eq!(finished.record.stopped, None, "{}", folder.display());
    Run {
        requests: finished
            .rows
            .requests
            .into_iter()
            .map(|row| row.1)
            .collect(),
        scaling: finished.scaling,
    }
}

/// Reads figures as `expected.csv` has them.
pub(crate) fn read_figures(path: &Path) -> Expected {
    let read = |row: csv::StringRecord, columns: &csv::StringRecord| {
        let cell = |name: &str| {
            let place = columns.iter().position(|column| column == name);
            place.map_or_else(
                || panic!("{}: no {name}", path.display()),
                |at| row[at].to_owned(),
            )
        };
        let figures = Figures {
            seconds: SECONDS.map(|name| {
                SimDuration::new(cell(name).parse().unwrap())
                    .unwrap()
                    .into()
            }),
            instances: INSTANCES.map(|name| cell(name).parse().unwrap()),
        };
        (cell("request_id").parse().unwrap(), figures)
    };
    let mut reader = csv::Reader::from_path(path).unwrap();
    let columns = reader.headers().unwrap().clone();
    reader
        .records()
        .map(|row| read(row.unwrap(), &columns))
        .collect()
}

/// Compares every request of a run with what is expected of it, and the other way round. Returns the
/// largest difference in seconds.
///
/// # Errors
/// What differs: instances, or seconds by more than the tolerance.
pub(crate) fn compare<'a>(
    requests: impl IntoIterator<Item = &'a RequestRecord>,
    expected: &Expected,
    tolerance: f64,
) -> Result<f64, String> {
    let mut largest = 0.0_f64;
    let mut wrong = String::new();
    let mut missing: BTreeMap<_, _> = expected.iter().collect();
    for record in requests {
        let id = record.id;
        let (ours, theirs) = (Figures::of(record), missing.remove(&id));
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if record.outcome == Outcome::Completed => {
                let difference = ours
                    .seconds
                    .iter()
                    .zip(theirs.seconds)
                    .map(|(ours, theirs)| (ours - theirs).abs())
                    .fold(0.0, f64::max);
                largest = largest.max(difference);
                if difference > tolerance || ours.instances != theirs.instances {
                    let _ = writeln!(
                        wrong,
                        "request {id}:\n  {ours:?} but\n  {theirs:?} expected"
                    );
                }
            }
            (_, Some(_)) => {
                let _ = writeln!(
                    wrong,
                    "request {id} was not completed: {:?}",
                    record.outcome
                );
            }
            (_, None) => {
                let _ = writeln!(wrong, "request {id} was not expected, or came twice");
            }
        }
    }
    for id in missing.keys() {
        let _ = writeln!(wrong, "request {id} never came");
    }
    if wrong.is_empty() {
        Ok(largest)
    } else {
        Err(wrong)
    }
}

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
