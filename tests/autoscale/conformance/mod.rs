//! Every policy beside its original: decisions of the originals' own code, run under a virtual clock,
//! against those of the policies here, through the same signals as in a run.
//!
//! A sample of the vectors is in `tests/golden/policies`. Where the folder of reference cases is there, all
//! of them are run. The page of the policies in `docs` says where the vectors come from.

mod aibrix;
mod carried_over;
mod dynamo;
mod keda;
mod knative;
mod kubernetes;
mod llm_d;
mod ray_serve;
mod sage_serve;
mod table;

use std::collections::BTreeMap;

use fleetsim::autoscale::{
    Completion, Desire, DesiredInstances, InstanceCounts, RoleSnapshot, Signals, Snapshot,
};
use fleetsim::serving::Role;
use fleetsim::time::{SimDuration, SimTime};

use crate::support::{at, seconds};
pub(crate) use table::{Row, Table, cases, sources};

/// The page of the policies names each.
#[test]
fn every_policy_is_on_the_page() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/POLICIES.md");
    let page = std::fs::read_to_string(path).unwrap();
    for policy in fleetsim::autoscale::PolicyRegistry::built_in().policies() {
        assert!(
            page.contains(&format!("`{}`", policy.name())),
            "{}",
            policy.name()
        );
    }
}

/// Vectors begin this late, so that a window can lie before the first; a power of two, so that
/// differences of times are those of the vectors.
const ORIGIN: f64 = 1_048_576.0;

/// Seconds over which totals are measured: whole millionths of a unit a second are whole tokens.
const SPAN: f64 = 1_000_000.0;

pub(crate) fn instant(of_vector: f64) -> SimTime {
    at(ORIGIN + of_vector)
}

/// A number of at most six decimals, in whole millionths.
pub(crate) fn millionths(number: f64) -> u64 {
    let millionths = (number * SPAN).round();
    assert!(
        (millionths / SPAN - number).abs() <= 1e-12 * number.abs(),
        "{number}"
    );
    millionths as u64
}

/// What is seen at an instant, [`SPAN`] after nothing at all.
pub(crate) fn seen(now: SimTime, roles: Vec<RoleSnapshot>) -> Signals {
    seen_with(now, roles, Snapshot::default(), &[])
}

/// The same, with what the snapshot has besides roles and with requests that were just completed.
pub(crate) fn seen_with(
    now: SimTime,
    roles: Vec<RoleSnapshot>,
    snapshot: Snapshot,
    completions: &[Completion],
) -> Signals {
    let mut signals = Signals::new(seconds(SPAN), SimDuration::ZERO);
    signals.scrape(Snapshot {
        time: at(now.seconds() - SPAN),
        roles: roles.iter().map(|it| RoleSnapshot::new(it.role)).collect(),
        ..Snapshot::default()
    });
    signals.scrape(Snapshot {
        time: now,
        roles,
        ..snapshot
    });
    for &completion in completions {
        signals.complete(completion);
    }
    assert!(signals.look(now));
    signals
}

/// Counts of the instant of a decision.
pub(crate) fn counts(role: Role, starting: u32, active: u32, draining: u32) -> InstanceCounts {
    InstanceCounts {
        role,
        starting: vec![SimTime::MAX; starting as usize],
        active,
        draining,
        variants: Vec::new(),
    }
}

/// How many of a role are wanted where there are `current`.
pub(crate) fn wanted(desired: &DesiredInstances, role: Role, current: u32) -> u32 {
    match desired.of(role).map_or(Desire::Keep, |it| it.0) {
        Desire::Keep => current,
        Desire::Exactly(count) => count,
        Desire::Change(by) => current.saturating_add_signed(by),
    }
}

/// How the decisions of a policy compare with those of its original.
pub(crate) struct Tally {
    policy: &'static str,
    equal: usize,
    by_choice: BTreeMap<&'static str, usize>,
    otherwise: Vec<String>,
}

impl Tally {
    pub(crate) fn new(policy: &'static str) -> Self {
        Self {
            policy,
            equal: 0,
            by_choice: BTreeMap::new(),
            otherwise: Vec::new(),
        }
    }

    /// One decision, and that of the original. True if they are equal.
    pub(crate) fn compare<T: PartialEq + std::fmt::Debug>(
        &mut self,
        vector: &dyn std::fmt::Debug,
        ours: T,
        theirs: T,
    ) -> bool {
        let equal = ours == theirs;
        if equal {
            self.equal += 1;
        } else {
            let line = format!("{vector:?}: {ours:?} and not {theirs:?}");
            self.otherwise.push(line);
        }
        equal
    }

    /// One decision that differs, or cannot be asked for, and the reason.
    pub(crate) fn by_choice(&mut self, reason: &'static str) {
        *self.by_choice.entry(reason).or_default() += 1;
    }

    /// Says what came of it; none may differ otherwise.
    #[allow(clippy::print_stdout, reason = "the tally is what the test is for")]
    pub(crate) fn finish(self) {
        let chosen: usize = self.by_choice.values().sum();
        let all = self.equal + chosen + self.otherwise.len();
        println!(
            "{}: {all} vectors, {} equal, {chosen} by choice, {} otherwise",
            self.policy,
            self.equal,
            self.otherwise.len()
        );
        for (reason, count) in &self.by_choice {
            println!("  {count}: {reason}");
        }
        let first: Vec<_> = self.otherwise.iter().take(8).collect();
        assert!(first.is_empty(), "{}: {first:#?}", self.policy);
        assert!(self.equal > 0, "{} was not compared", self.policy);
    }
}
