//! fleetsim beside the reference behaviour written as a program (`oracle.py`), on random scenarios and
//! traces: every request equal to the last bit, on the same instances, and the same scaling log.
//!
//! `FLEETSIM_DIFFERENTIAL_CASES` sets how many cases there are, `FLEETSIM_DIFFERENTIAL_SEED` the seed of
//! the first. The folder of a case that differs is kept.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "../reference/figures.rs"]
mod figures;
mod generate;
mod oracle;
#[path = "../shared/mod.rs"]
mod shared;

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

use fleetsim::fleet::{FleetsExt, Roster, Service};
use fleetsim::report::{CsvWriter, Requests, Scaling};
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;
use fleetsim::time::SimTime;

use figures::{Run, compare, read_figures};
use generate::Case;
use oracle::{Answer, Oracle};

/// How long the oracle may think about a case that should end, and about one in which memory
/// deadlocked: there it may try to send a KV cache for ever.
const PATIENCE: Duration = Duration::from_secs(120);
const LITTLE_PATIENCE: Duration = Duration::from_secs(3);

/// What came of a case that fleetsim and the oracle agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Agreement {
    Equal,
    /// Memory deadlocked, on both sides, and both agree up to there.
    EqualUntilDeadlock,
    /// The same, but a later arrival let the oracle go on.
    EqualUntilStall,
    /// Memory deadlocked, and the oracle never ended.
    OracleHung,
    /// Memory deadlocked, and the oracle ended with an error.
    OracleFailed,
    /// The oracle left requests unserved without a deadlock; those that it served are equal.
    OracleStranded,
}

#[test]
#[allow(clippy::print_stdout, reason = "the seed and the tally are the result")]
fn random_cases_agree_with_the_oracle() {
    let Some(oracle) = shared::directory().and_then(|shared| Oracle::find(&shared)) else {
        return;
    };
    let (cases, seed) = (setting("CASES", 60), setting("SEED", 1));
    println!("{cases} cases from seed {seed}");
    let mut tally = BTreeMap::<Agreement, u64>::new();
    let mut wrong = String::new();
    for seed in seed..seed + cases {
        let folder = tempfile::Builder::new()
            .prefix(&format!("differential-{seed}-"))
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let case = Case::new(seed);
        let judged = catch_unwind(|| judge(&oracle, &case, folder.path()));
        match judged.unwrap_or_else(|_| Err("panicked, as said above".to_owned())) {
            Ok(agreement) => {
                if agreement != Agreement::Equal {
                    println!("seed {seed}: {agreement:?}");
                }
                *tally.entry(agreement).or_default() += 1;
            }
            Err(difference) => {
                let difference: String = difference.chars().take(2_000).collect();
                let kept = folder.keep();
                let problem = format!("seed {seed}, in {}:\n{difference}\n", kept.display());
                println!("{problem}");
                wrong += &problem;
            }
        }
    }
    println!("{tally:?}");
    assert!(wrong.is_empty(), "{wrong}");
    let equal = tally.get(&Agreement::Equal).copied().unwrap_or(0);
    assert!(
        cases < 20 || equal * 2 >= cases,
        "most cases are outside the reference's domain: {tally:?}"
    );
}

fn setting(name: &str, default: u64) -> u64 {
    let name = format!("FLEETSIM_DIFFERENTIAL_{name}");
    std::env::var(&name).map_or(default, |value| {
        let number = value.parse();
        number.unwrap_or_else(|_| panic!("{name}={value} is not a whole number"))
    })
}

/// Runs a case on both sides and compares.
fn judge(oracle: &Oracle, case: &Case, folder: &Path) -> Result<Agreement, String> {
    fs::write(folder.join("scenario.ron"), &case.scenario).unwrap();
    fs::write(folder.join("trace.csv"), &case.trace).unwrap();
    let figures = folder.join("expected.csv");
    let question = oracle.ask(folder, &figures);
    let run = figures::run(folder);
    let deadlocked = run.requests.iter().any(|request| request.restarts > 0);
    let patience = if deadlocked {
        LITTLE_PATIENCE
    } else {
        PATIENCE
    };
    match question.answer(patience) {
        Answer::Hung if deadlocked => return Ok(Agreement::OracleHung),
        Answer::Hung => return Err(format!("the oracle is not done in {PATIENCE:?}")),
        Answer::Failed(_) if deadlocked => return Ok(Agreement::OracleFailed),
        Answer::Failed(error) => return Err(error),
        Answer::Done => {}
    }
    let mut expected = read_figures(&figures);
    let recovered = expected.len() == run.requests.len();
    if deadlocked {
        let until = first_eviction(folder);
        let before = |end: Option<SimTime>| end.is_some_and(|end| end <= until);
        let undisturbed: Vec<_> = run
            .requests
            .iter()
            .filter(|request| before(request.end))
            .collect();
        expected.retain(|id, _| undisturbed.iter().any(|request| request.id == *id));
        let agreement = if recovered {
            Agreement::EqualUntilStall
        } else {
            Agreement::EqualUntilDeadlock
        };
        return compare(undisturbed, &expected, 0.0).map(|_| agreement);
    }
    if !recovered {
        let served = run.requests.iter();
        let served = served.filter(|request| expected.contains_key(&request.id));
        return compare(served, &expected, 0.0).map(|_| Agreement::OracleStranded);
    }
    compare(&run.requests, &expected, 0.0)?;
    if case.scripted {
        let ours = folder.join("ours");
        write_as_expected(case, &run, &ours);
        oracle.check(&ours)?;
    }
    Ok(Agreement::Equal)
}

/// An instant before the first eviction, and at most half a second before.
fn first_eviction(folder: &Path) -> SimTime {
    let overrides = ["max_tick=0.5".to_owned()];
    let checked = CheckedScenario::load(&folder.join("scenario.ron"), &overrides).unwrap();
    let mut simulation = Simulation::new(&checked).unwrap();
    let application = simulation.world().fleet::<Roster>().applications()[0];
    loop {
        let before = simulation.now();
        let more = simulation.tick().unwrap();
        let service = simulation.world().get::<Service>(application).unwrap();
        if service.counts().evicted > 0 {
            return before;
        }
        assert!(more, "something was evicted without max_tick");
    }
}

/// Writes what fleetsim made of a case as the figures that the oracle is to be checked against.
fn write_as_expected(case: &Case, run: &Run, folder: &Path) {
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("scenario.ron"), &case.scenario).unwrap();
    fs::write(folder.join("trace.csv"), &case.trace).unwrap();
    let create = |name| {
        let path = folder.join(name);
        (fs::File::create(&path).unwrap(), path)
    };
    let (file, path) = create("expected.csv");
    let mut requests = CsvWriter::<Requests, _>::new(file, path).unwrap();
    for request in &run.requests {
        requests.write(("app", request)).unwrap();
    }
    requests.finish().unwrap();
    let (file, path) = create("expected_scaling.csv");
    let mut scaling = CsvWriter::<Scaling, _>::new(file, path).unwrap();
    for event in &run.scaling {
        scaling.write(event).unwrap();
    }
    scaling.finish().unwrap();
}
