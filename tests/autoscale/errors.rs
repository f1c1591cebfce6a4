//! What is wrong with a policy is said at its place.

use std::sync::Arc;

use fleetsim::catalog::Catalog;
use fleetsim::scenario::{CheckedScenario, Diagnostics};

use crate::support::*;

const FLEET: &str = r#"(sku: "dgx-h100", count: 2)"#;

fn problems(fields: &str) -> String {
    let checked = scenario(FLEET, fields);
    let wrong = checked.and_then(|checked| registry().check(&checked));
    wrong
        .as_ref()
        .err()
        .map(Diagnostics::to_string)
        .unwrap_or_default()
}

#[test]
fn an_unknown_policy_is_reported_with_the_nearest_name() {
    assert_eq!(
        problems("autoscaler: HeteroScal(max: 5)"),
        "<scenario>:10:21: error: unknown policy `HeteroScal`\n\
         10 |         autoscaler: HeteroScal(max: 5),\n   \
            |                     ^^^^^^^^^^^^^^^^^^\n\
         help: did you mean `HeteroScale`?"
    );
}

#[test]
fn parameters_are_checked_like_the_scenario_itself() {
    for (fields, expected) in [
        (
            "autoscaler: Threshold(uo: 0.9)",
            "<scenario>:10:31: error: unknown field `uo`",
        ),
        (
            "autoscaler: Threshold(up: \"a\")",
            "<scenario>:10:35: error: expected a number",
        ),
        (
            "autoscaler: Threshold(interval: 0)",
            "<scenario>:10:41: error: expected at least 0.001",
        ),
        (
            "autoscaler: Threshold(min: 5, max: 4)",
            "<scenario>:10:44: error: at most 4 instances",
        ),
        (
            "autoscaler: Threshold(up: 0.2)",
            "error: 0.3 is above `up`, 0.2",
        ),
        (
            "autoscaler: HeteroScale",
            "the policy HeteroScale needs `Prompt` instances",
        ),
        (
            "actuator: (mixed: (max: 0))",
            "error: at most 0 instances are fewer than at least 1",
        ),
        (
            "actuator: (sku: Named(\"dgx\"))",
            "error: unknown SKU of the fleet `dgx`",
        ),
    ] {
        let found = problems(fields);
        assert!(found.contains(expected), "{fields}: {found}");
    }
    for fine in [
        "autoscaler: None",
        "autoscaler: Threshold",
        "autoscaler: Threshold()",
        "autoscaler: Periodic(periods: [(from: 22, to: 6, instances: (mixed: 3))])",
        "actuator: (mixed: (min: 0, max: 0))",
    ] {
        assert_eq!(problems(fine), "", "{fine}");
    }
}

#[test]
fn choices_by_price_need_prices() {
    let mut catalog = Catalog::built_in();
    let sku = catalog.skus.get_mut("dgx-h100").unwrap();
    Arc::make_mut(sku).price_per_hour = None;
    for (fields, expected) in [
        (
            "actuator: (sku: Cheapest)",
            "actuator.sku: Cheapest needs prices, and `dgx-h100` has none",
        ),
        (
            "actuator: (victim: Costliest)",
            "actuator.victim: Costliest needs prices",
        ),
    ] {
        let priced = scenario(FLEET, fields).unwrap().scenario().clone();
        let wrong = CheckedScenario::new(priced, catalog.clone(), ".").unwrap_err();
        assert!(wrong.to_string().contains(expected), "{fields}: {wrong}");
    }
}
