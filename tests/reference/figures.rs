//! The figures of every request of a case: as measured, and as fleetsim has them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use fleetsim::fleet::ScalingEvent;
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::{Outcome, RequestRecord};
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;

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
        Err(format!("differences of up to {largest:e} s\n{wrong}"))
    }
}
