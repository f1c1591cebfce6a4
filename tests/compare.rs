//! Contests through the library: a contender that fails, several applications.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::num::NonZero;

use bevy_ecs::component::Component;
use fleetsim::autoscale::{DesiredInstances, Policy, PolicyRegistry, Signals};
use fleetsim::scenario::CheckedScenario;
use fleetsim::study::{Contest, Follower, Watch};
use fleetsim::time::SimDuration;
use schemars::JsonSchema;
use serde::Deserialize;

/// Panics at its second decision.
#[derive(Component, Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Broken {
    #[serde(skip)]
    decided: bool,
}

impl Policy for Broken {
    const NAME: &'static str = "Broken";
    const SUMMARY: &'static str = "fails";

    fn interval(&self) -> SimDuration {
        SimDuration::saturating(10.0)
    }

    fn decide(&mut self, _: &Signals, _: &mut DesiredInstances) {
        assert!(!self.decided, "no second decision");
        self.decided = true;
    }
}

fn scenario(one: &str, other: &str) -> CheckedScenario {
    let application = |name: &str, fields: &str| {
        format!(
            r#"(
            name: "{name}",
            model: "llama2-70b",
            instances: [(role: Mixed, start: Servers(1))],
            {fields}
            workload: Synthetic(
                arrivals: Constant(rate: 2),
                prompt_tokens: Constant(500),
                output_tokens: Constant(50),
                requests: 100,
            ),
        )"#
        )
    };
    let text = format!(
        r#"(
        name: "two",
        fleet: [(sku: "dgx-h100", count: 2, limit: 5)],
        applications: [{}, {}],
    )"#,
        application("one", one),
        application("other", other)
    );
    CheckedScenario::from_ron(&text, ".".as_ref()).unwrap()
}

const ONE: NonZero<usize> = NonZero::<usize>::MIN;

#[test]
fn a_contender_that_panics_leaves_the_others_as_they_are() {
    let mut registry = PolicyRegistry::built_in();
    registry.register::<Broken>();
    let scenario = scenario("slo: (ttft: 1),", "");
    let contest = Contest::new(&scenario, &registry, "None, Broken, Threshold").unwrap();
    let comparison = contest.run(ONE, &());
    let failed: Vec<_> = comparison.failed().collect();
    assert_eq!(failed, [("Broken", "it panicked: no second decision")]);
    let [none, broken, threshold] = &comparison.contenders[..] else {
        panic!("three contenders");
    };
    assert!(broken.figures.is_none() && broken.frontier.is_none());
    for of in [none, threshold] {
        assert_eq!(of.figures.as_ref().unwrap().completed, 200);
        assert!(of.frontier.is_some());
    }
}

#[test]
fn policies_take_over_what_is_scaled_or_everything() {
    let registry = PolicyRegistry::built_in();
    let taken = |one: &str, other: &str| {
        let scenario = scenario(one, other);
        let contest = Contest::new(&scenario, &registry, "Threshold").unwrap();
        contest.run(ONE, &()).applications
    };
    assert_eq!(taken("", ""), ["one", "other"]);
    assert_eq!(taken("", "autoscaler: HpaGpu,"), ["other"]);
}

#[test]
fn figures_are_of_all_applications_and_misses_of_those_with_an_objective() {
    let registry = PolicyRegistry::built_in();
    let first = |scenario: &CheckedScenario| {
        let contest = Contest::new(scenario, &registry, "None").unwrap();
        contest.run(ONE, &()).contenders.remove(0)
    };
    let figures = first(&scenario("slo: (ttft: 0.0001),", ""))
        .figures
        .unwrap();
    assert_eq!((figures.arrived, figures.completed), (200, 200));
    assert_eq!(figures.slo_misses, Some(100));
    assert_eq!(figures.attainment, Some(0.0));
    let none = first(&scenario("", ""));
    assert_eq!(none.frontier, None);
    let figures = none.figures.unwrap();
    assert_eq!((figures.slo_misses, figures.attainment), (None, None));
    assert_eq!(figures.flapping.per_hour, 0.0);
}

/// Refuses the contender at one position.
struct Refuse(usize);

impl Follower for Refuse {
    fn begin(&self, position: usize, _: &CheckedScenario) -> Result<Box<dyn Watch + '_>, String> {
        match position == self.0 {
            true => Err("there is no room".to_owned()),
            false => Ok(Box::new(())),
        }
    }
}

#[test]
fn a_run_that_cannot_be_followed_has_failed() {
    let registry = PolicyRegistry::built_in();
    let scenario = scenario("", "");
    let contest = Contest::new(&scenario, &registry, "None, Threshold, HpaGpu").unwrap();
    let comparison = contest.run(NonZero::new(3).unwrap(), &Refuse(1));
    let failed: Vec<_> = comparison.failed().collect();
    assert_eq!(failed, [("Threshold", "there is no room")]);
    let names: Vec<_> = comparison
        .contenders
        .iter()
        .map(|it| it.policy.as_str())
        .collect();
    assert_eq!(names, ["None", "Threshold", "HpaGpu"]);
}
