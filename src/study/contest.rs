use std::num::NonZero;
use std::sync::OnceLock;

use super::contender::{Contender, applications, contenders};
use super::flapping::Directions;
use super::provision::{self, Needs};
use super::runner::Missed;
use super::side_by_side::{caught, side_by_side};
use super::{Bound, Comparison, Figures, Follower, Skipped, Standing, judge};
use crate::autoscale::PolicyRegistry;
use crate::autoscale::capacity::CostBound;
use crate::scenario::{CheckedScenario, Diagnostics};
use crate::simulation::Simulation;

/// A scenario and the policies that are to be compared on it.
///
/// The policies take over the applications that have an autoscaler in the scenario or, where none has
/// one, all of them. The figures are of every application of the scenario.
#[derive(Clone, Debug)]
pub struct Contest<'a> {
    scenario: &'a CheckedScenario,
    registry: &'a PolicyRegistry,
    contenders: Vec<Contender>,
    /// What is known from before, by contender.
    known: Vec<Option<Known>>,
    skipped: Vec<Skipped>,
}

/// A contender's run in figures, and its active instances: see [`Standing::active`].
type Known = (Figures, Vec<Vec<f64>>);

impl<'a> Contest<'a> {
    /// A contest between the policies in a list such as `None, HpaGpu, wide: HeteroScale(max: 50)`, where a
    /// policy may have a name before it. `all` stands for `None` and every policy of the registry that can
    /// serve the scenario with its defaults and is not in the list by name; those that cannot are skipped, for
    /// a reason.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong with the list, each at its place in its term.
    pub fn new(
        scenario: &'a CheckedScenario,
        registry: &'a PolicyRegistry,
        policies: &str,
    ) -> Result<Self, Diagnostics> {
        let (contenders, skipped) = contenders(scenario, registry, policies)?;
        Ok(Self {
            scenario,
            registry,
            known: vec![None; contenders.len()],
            contenders,
            skipped,
        })
    }

    /// Takes the figures of contenders over from a comparison of the same scenario (by its hash), seed
    /// and version; those are not run again. Returns their number.
    pub fn resume(&mut self, earlier: &Comparison) -> usize {
        let same = earlier.hash == self.scenario.hash()
            && earlier.seed == self.scenario.scenario().seed
            && earlier.fleetsim_version == env!("CARGO_PKG_VERSION");
        if !same {
            return 0;
        }
        for (contender, known) in self.contenders.iter().zip(&mut self.known) {
            let mut standings = earlier.contenders.iter();
            let before = standings.find(|it| it.policy == contender.policy);
            *known = before.and_then(|it| Some((it.figures.clone()?, it.active.clone())));
        }
        self.known.iter().flatten().count()
    }

    /// Whether the contender at a position has figures already.
    #[must_use]
    pub fn is_known(&self, position: usize) -> bool {
        self.known.get(position).is_some_and(Option::is_some)
    }

    /// The contenders as they were written, in order, with the names that they were given.
    pub fn contenders(&self) -> impl Iterator<Item = String> + '_ {
        self.contenders.iter().map(Contender::written)
    }

    /// The terms of the contenders' policies, in order.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.contenders.iter().map(|it| it.policy.as_str())
    }

    /// What the contenders are called, in order: see [`Standing::label`].
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.contenders.iter().map(|it| it.label.as_str())
    }

    /// Runs every contender that has no figures yet, at most `jobs` at once. One that fails, or panics,
    /// leaves the others as they are. When the follower stops it, contenders that are not done are missing.
    #[must_use]
    pub fn run(&self, jobs: NonZero<usize>, follower: &dyn Follower) -> Comparison {
        let taken_over = applications(self.scenario);
        let needs = provision::needs(self.scenario, &taken_over);
        let count = self.contenders.len();
        let done: Vec<OnceLock<Standing>> = vec![OnceLock::new(); count];
        let lower_bound = OnceLock::new();
        // After the bound from the last to the first: in `all` the planners are the last, and a run that takes
        // long, as one in which a planner lets requests pile up, had better not begin when the others are over.
        side_by_side(jobs, count + 1, |turn| {
            if turn == 0 {
                // Each place is filled once.
                _ = lower_bound.set(bound(self.scenario));
            } else {
                let position = count - turn;
                if let Some(standing) = self.stand(position, needs.as_ref(), follower) {
                    _ = done[position].set(standing);
                }
            }
            true
        });
        let scenario = self.scenario.scenario();
        let labels = self.contenders.iter().zip(&done);
        let missing = labels.filter(|(_, done)| done.get().is_none());
        let missing: Vec<_> = missing.map(|(it, _)| it.written()).collect();
        let mut comparison = Comparison {
            scenario: scenario.name.clone(),
            hash: self.scenario.hash().to_owned(),
            seed: scenario.seed,
            fleetsim_version: env!("CARGO_PKG_VERSION").to_owned(),
            applications: taken_over
                .iter()
                .map(|index| scenario.applications[*index].name.clone())
                .collect(),
            slo: agreed(
                taken_over
                    .iter()
                    .map(|index| scenario.applications[*index].slo),
            ),
            needs: needs.map(Needs::into_roles).unwrap_or_default(),
            basis: None,
            lower_bound: lower_bound.into_inner().flatten(),
            contenders: done.into_iter().filter_map(OnceLock::into_inner).collect(),
            skipped: self.skipped.clone(),
            partial: !missing.is_empty(),
            missing,
            replicated: None,
        };
        judge::judge(&mut comparison);
        comparison
    }

    /// How the contender at a position did; none where it was stopped.
    fn stand(
        &self,
        position: usize,
        needs: Option<&Needs>,
        follower: &dyn Follower,
    ) -> Option<Standing> {
        let contender = &self.contenders[position];
        let standing =
            |result| Standing::new(contender.policy.clone(), contender.label.clone(), result);
        if let Some(known) = &self.known[position] {
            return Some(standing(Ok(known.clone())));
        }
        if follower.stops() {
            return None;
        }
        let run = || self.figures(position, needs, follower);
        match caught(run, Missed::Failed) {
            Ok(known) => Some(standing(Ok(known))),
            Err(Missed::Failed(error)) => Some(standing(Err(error))),
            Err(Missed::Stopped) => None,
        }
    }

    fn figures(
        &self,
        position: usize,
        needs: Option<&Needs>,
        follower: &dyn Follower,
    ) -> Result<Known, Missed> {
        let scenario = &self.contenders[position].scenario;
        let watch = follower.begin(position, scenario);
        let mut watch = watch.map_err(Missed::Failed)?;
        let simulation = Simulation::with_policies(scenario, self.registry);
        let mut simulation = simulation.map_err(|error| Missed::Failed(error.to_string()))?;
        let mut directions = Directions::default();
        let ran = simulation.run(|simulation, news| {
            directions.note(&news.decisions);
            watch.see(simulation, &news).map_err(Missed::Failed)?;
            if follower.stops() {
                return Err(Missed::Stopped);
            }
            Ok(())
        });
        let ran = match ran {
            Err(Missed::Stopped) => {
                simulation.stop("interrupted");
                let ended = watch.end(&simulation.finish());
                ended.map_err(Missed::Failed)?;
                return Err(Missed::Stopped);
            }
            ran => ran?,
        };
        let end = simulation.now();
        let finished = simulation.finish();
        let ledger = &finished.ledger;
        let short = needs.map(|needs| needs.under_provisioned(ledger, end));
        let active = needs.map(|needs| needs.active(ledger, end));
        watch.end(&finished).map_err(Missed::Failed)?;
        ran.map_err(|error| Missed::Failed(error.to_string()))?;
        match finished.record.stopped {
            Some(reason) => Err(Missed::Failed(reason)),
            None => Ok((
                Figures::new(&finished.record, directions, short),
                active.unwrap_or_default(),
            )),
        }
    }
}

/// What all of them are, if they are alike.
fn agreed<T: PartialEq>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.all(|it| it == first).then_some(first)
}

/// The bounds of all applications together.
fn bound(scenario: &CheckedScenario) -> Option<Bound> {
    if !scenario.regions().is_empty() {
        // It knows nothing of requests that are served elsewhere.
        return None;
    }
    let nothing = Bound {
        gpu_hours: 0.0,
        cost: Some(0.0),
    };
    (0..scenario.scenario().applications.len()).try_fold(nothing, |sum, index| {
        let of = CostBound::of_application(scenario, index).ok()?;
        Some(Bound {
            gpu_hours: sum.gpu_hours + of.gpu_hours,
            cost: sum.cost.zip(of.cost).map(|(sum, of)| sum + of),
        })
    })
}
