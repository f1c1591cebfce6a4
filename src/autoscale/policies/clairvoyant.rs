use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::round_up;
use super::saved::saved_whole;
use crate::autoscale::capacity::{arrivals_in_bins, bin};
use crate::autoscale::{
    Amount, CapacityModel, DesiredInstances, InvalidParameter, Policy, Signals,
};
use crate::scenario::{self, CheckedScenario, Diagnostics};
use crate::serving::Role;
use crate::time::SimDuration;

/// As many instances as the requests that are going to arrive will need: a plan that knows the
/// workload.
///
/// The workload is read once beforehand, and counted in bins of one interval. What the requests of a
/// window need, by the [capacity model](crate::autoscale::capacity), is needed from its begin to its
/// end, and a window begins with every bin. At each decision a role gets the most that is needed from
/// now until an instance ordered at the next decision would be active. That orders each instance just
/// in time, and it drains exactly those that pay: one that is not needed for a time `g` costs `g` to
/// keep, and a start-up `s` to replace in time. For `g ≤ s` keeping is no dearer, and then it is needed
/// within `s` and stays; for `g > s` it goes.
///
/// It is a plan that can be carried out, with the actuator and the start-up times of every other
/// policy, and not a bound: chance within a window, the lengths of single requests and the first
/// start-up are beyond it. For a bound on cost see
/// [`CostBound`](crate::autoscale::capacity::CostBound).
///
/// | | |
/// |---|---|
/// | inputs | the workload itself; the longest usual start-up time |
/// | window | `window`, of arrivals to come |
/// | current | not used |
/// | rounding | up |
/// | first decision | one interval after the start |
///
/// Source: fleetsim's own; other policies are compared with it.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clairvoyant {
    /// Seconds between decisions, and of a bin. Default 10.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// Seconds of arrivals that are served together. Default 30: about as long as a request stays, so
    /// that what arrived in it is there together.
    #[schemars(range(min = 0.001))]
    pub window: SimDuration,
    /// Share of its capacity to which an instance is to be used. Default 0.8: of the requests of
    /// `scenarios/day_night.ron`, 98.8 % then get what was promised; with 0.9 it is 87.5 %, for 8 % less,
    /// and with 0.7 it is 99.2 %, for 14 % more.
    #[schemars(range(min = 0.01, max = 1))]
    pub utilisation: f64,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100,000: as many as it takes.
    pub max: u32,
    /// What the window that begins with a bin needs, for bins in which anything arrives.
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    needs: BTreeMap<u64, Vec<(Role, f64)>>,
}

impl Default for Clairvoyant {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(10.0),
            window: SimDuration::saturating(30.0),
            utilisation: 0.8,
            min: 1,
            max: 100_000,
            needs: BTreeMap::new(),
        }
    }
}

impl Policy for Clairvoyant {
    const NAME: &'static str = "Clairvoyant";
    const SUMMARY: &'static str = "what the requests to come will need, just in time";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        self.bounds().check()
    }

    /// Reads the workload. What cannot be read ends the run itself, too, and is not reported here.
    fn prepare(
        &mut self,
        checked: &CheckedScenario,
        application: usize,
    ) -> Result<(), Diagnostics> {
        let of = checked.scenario().applications.get(application);
        if of.is_some_and(scenario::Application::has_host) {
            let path = format!("applications[{application}].autoscaler");
            let message = "the policy Clairvoyant plans for the requests to come, and those of a host are not known";
            let problem = checked.problem_at(&path, message);
            return Err(problem.help("choose another policy").into());
        }
        let bins = arrivals_in_bins(checked, application, self.interval).unwrap_or_default();
        let capacity = CapacityModel::new(checked, application);
        let length = self.bins(self.window);
        self.needs = bins
            .keys()
            .map(|&first| {
                let mut arrived = Amount::default();
                let window = bins.range(first..first.saturating_add(length));
                window.for_each(|(_, bin)| arrived += *bin);
                let demand = arrived.over(self.interval * length as f64);
                let needed = |role| (role, capacity.needed(role, &demand, self.utilisation));
                (first, capacity.roles().map(needed).collect())
            })
            .collect();
        Ok(())
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let now = bin(signals.now(), self.interval);
        for of in signals.roles() {
            let start_up = signals.capacity().start_up(of.role).longest;
            let ahead = self.bins(start_up + self.interval);
            let first = now.saturating_sub(self.bins(self.window) - 1);
            let windows = self.needs.range(first..=now.saturating_add(ahead));
            let of_role = windows.flat_map(|(_, needs)| needs);
            let needs = of_role.filter(|(role, _)| *role == of.role);
            let needed = needs.fold(0.0, |most, (_, needed)| f64::max(most, *needed));
            let until = (now + ahead) as f64 * self.interval.seconds();
            let reason = format!("{needed:.2} instances needed by {until} s");
            let count = self.bounds().clamp(round_up(needed));
            desired.exactly(of.role, count, reason);
        }
    }
}

impl Clairvoyant {
    /// Bins that a time spans, at least 1.
    fn bins(&self, time: SimDuration) -> u64 {
        ((time.seconds() / self.interval.seconds() - 1e-9).ceil() as u64).max(1)
    }
}
