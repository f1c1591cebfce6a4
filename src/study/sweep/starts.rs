//! Runs of a sweep that share their start: alike up to the first scripted action or fault that differs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Plan;
use crate::autoscale::PolicyRegistry;
use crate::scenario::{CheckedScenario, Scenario};
use crate::study::Outcome;
use crate::study::runner::{self, Begun, Missed};
use crate::time::SimTime;

/// How much was not simulated again because runs shared their start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shared {
    /// The runs that went on from the start of another.
    pub runs: usize,
    /// Their simulated seconds up to there.
    pub saved_s: f64,
    /// The simulated seconds of all runs, shared or not.
    pub total_s: f64,
}

/// The starts that are shared, and by which runs.
pub(super) struct Starts {
    groups: Vec<Group>,
    of: BTreeMap<usize, usize>,
}

struct Group {
    /// Its runs are alike up to here, that included.
    until: SimTime,
    state: Mutex<State>,
}

struct State {
    /// The runs that have not gone on yet.
    left: usize,
    begun: Option<Arc<Begun>>,
}

/// An entry of a script: when, a fault or an action, at which place, and what.
type Entry = (SimTime, bool, usize, String);

/// A run and its script.
type Member = (usize, Vec<Entry>);

impl Starts {
    /// Those of these runs.
    pub(super) fn of(plan: &Plan, runs: &[usize], registry: &PolicyRegistry) -> Self {
        // What comes of faults is watched from the start, where there are any.
        let mut alike: BTreeMap<(Vec<String>, bool), Vec<Member>> = BTreeMap::new();
        for &run in runs {
            let (script, rest): (Vec<_>, Vec<_>) = plan
                .settings(run)
                .into_iter()
                .partition(|it| is_scripted(it));
            if !script.is_empty()
                && let Ok(checked) = plan.scenario(run, registry)
            {
                let scenario = checked.scenario();
                let members = alike.entry((rest, scenario.faults.is_empty()));
                members.or_default().push((run, entries(scenario)));
            }
        }
        let (mut groups, mut of) = (Vec::new(), BTreeMap::new());
        for members in alike.into_values().filter(|it| it.len() > 1) {
            let until = first_difference(&members).and_then(just_before);
            let Some(until) = until else { continue };
            of.extend(members.iter().map(|(run, _)| (*run, groups.len())));
            let state = State {
                left: members.len(),
                begun: None,
            };
            groups.push(Group {
                until,
                state: Mutex::new(state),
            });
        }
        Self { groups, of }
    }

    /// The runs in an order in which few starts are kept at once.
    pub(super) fn order(&self, runs: &[usize]) -> Vec<usize> {
        let mut order = runs.to_vec();
        order.sort_by_key(|run| (self.of.get(run).copied(), *run));
        order
    }

    /// What a run leaves, and the seconds of its start that were not simulated again.
    pub(super) fn run(
        &self,
        run: usize,
        scenario: &CheckedScenario,
        registry: &PolicyRegistry,
        stops: &dyn Fn() -> bool,
    ) -> Result<(Outcome, Option<f64>), Missed> {
        let Some(group) = self.of.get(&run).map(|&it| &self.groups[it]) else {
            return Ok((runner::run(scenario, registry, stops)?, None));
        };
        match group.begun(scenario, registry, stops)? {
            Some((begun, first)) => {
                let outcome = runner::go_on(&begun, scenario, registry, stops)?;
                let saved = (!first).then(|| begun.now().seconds());
                Ok((outcome, saved))
            }
            // It failed before its end. Each run says so by itself.
            None => Ok((runner::run(scenario, registry, stops)?, None)),
        }
    }
}

impl Group {
    /// The start, and whether this run is the one that simulated it. It is let go with the last run.
    fn begun(
        &self,
        scenario: &CheckedScenario,
        registry: &PolicyRegistry,
        stops: &dyn Fn() -> bool,
    ) -> Result<Option<(Arc<Begun>, bool)>, Missed> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = state.begun.is_none();
        if first {
            state.begun = match runner::begin(scenario, registry, self.until, stops) {
                Ok(begun) => Some(Arc::new(begun)),
                Err(Missed::Failed(_)) => None,
                Err(Missed::Stopped) => return Err(Missed::Stopped),
            };
        }
        state.left -= 1;
        let begun = match state.left {
            0 => state.begun.take(),
            _ => state.begun.clone(),
        };
        Ok(begun.map(|it| (it, first)))
    }
}

/// Whether `PATH=VALUE` is of the script, of which nothing is felt before its instants.
fn is_scripted(setting: &str) -> bool {
    ["actions", "faults"].iter().any(|field| {
        let rest = setting.trim_start().strip_prefix(field);
        rest.is_some_and(|rest| rest.trim_start().starts_with(['[', '=', '.']))
    })
}

/// A script in the order in which it happens.
fn entries(scenario: &Scenario) -> Vec<Entry> {
    let actions = scenario.actions.iter().enumerate();
    let actions = actions.map(|(place, it)| (it.at, true, place, format!("{:?}", it.action)));
    let faults = scenario.faults.iter().enumerate();
    let faults = faults.map(|(place, it)| (it.at, false, place, format!("{:?}", it.fault)));
    let mut entries: Vec<Entry> = actions.chain(faults).collect();
    entries.sort();
    entries
}

/// The instant of the first entry that not all of them have; none where all are alike to the end.
fn first_difference(members: &[Member]) -> Option<SimTime> {
    let (_, first) = members.first()?;
    let shared = |place: usize| {
        members
            .iter()
            .all(|(_, it)| it.get(place) == first.get(place))
    };
    let longest = members.iter().map(|(_, it)| it.len()).max()?;
    let place = (0..longest).find(|&place| !shared(place))?;
    let next = members.iter().filter_map(|(_, it)| it.get(place));
    next.map(|(at, ..)| *at).min()
}

/// The last instant before another; none before time zero.
fn just_before(at: SimTime) -> Option<SimTime> {
    (at > SimTime::ZERO).then(|| SimTime::saturating(at.seconds().next_down()))
}
