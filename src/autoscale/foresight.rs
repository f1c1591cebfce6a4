//! What can be said of a policy before anything runs: that it can never do its work, or never will.

use super::CapacityModel;
use super::any_policy::AnyPolicy;
use super::policies::Metric;
use crate::scenario::{self, CheckedScenario, KvMemory, Problem};
use crate::warning::Warning;

/// Why a policy can never do its work for an application, and what to do about it.
pub(super) fn misfit(
    policy: &dyn AnyPolicy,
    of: &scenario::Application,
) -> Option<(String, &'static str)> {
    let name = policy.name();
    let has = |role| of.instances.iter().any(|template| template.role == role);
    if let Some(role) = policy.names().into_iter().find(|&role| !has(role)) {
        let message = format!(
            "the policy {name} needs `{role:?}` instances, and there is no template of that role"
        );
        return Some((message, "add one to `instances`, or choose another policy"));
    }
    for template in &of.instances {
        let role = template.role;
        let Some(measures) = policy.measures(role) else {
            continue;
        };
        if measures.is_empty() {
            let message = format!("the policy {name} has no metric for `{role:?}` instances");
            return Some((message, "give it one, or leave the role out of a metric"));
        }
        // Of an engine that is not built in, its limits are not known here.
        let unlimited = !matches!(template.engine, scenario::Engine::Named(_))
            && template.engine.limits().memory == KvMemory::Unlimited;
        let share = measures.iter().find(|it| it.metric.is_share_of_memory());
        if let (true, Some(share)) = (unlimited, share) {
            let message = format!(
                "the policy {name} goes by the metric {} of `{role:?}` instances, and their engine \
                 has no limit of memory",
                share.metric
            );
            return Some((
                message,
                "choose another engine, or a policy that counts requests",
            ));
        }
    }
    None
}

/// Why no SKU can be chosen by the objective of an application.
pub(super) fn no_sku_meets(checked: &CheckedScenario, application: usize) -> Option<Problem> {
    let of = &checked.scenario().applications[application];
    let scenario::SkuChoice::CheapestThatMeets { load, .. } = of.actuator.sku else {
        return None;
    };
    let role = CapacityModel::new(checked, application).hopeless()?;
    let message = format!(
        "on no SKU of the fleet `{role:?}` instances keep the objective at a load of {load}, by their step times"
    );
    let path = format!("applications[{application}].actuator.sku");
    let problem = checked.problem_at(&path, message);
    Some(problem.help("loosen the `slo`, lower the `load`, add a SKU, or choose otherwise"))
}

/// Warns of a policy that takes no decision before the end.
pub(super) fn never_decides(
    policy: &dyn AnyPolicy,
    checked: &CheckedScenario,
    application: usize,
) -> Option<Warning> {
    let scenario = checked.scenario();
    let (end, of) = (scenario.end?, &scenario.applications[application]);
    let (interval, delay) = (
        policy.interval().seconds(),
        of.signals.scrape_delay.seconds(),
    );
    let first = interval * (delay / interval).ceil().max(1.0);
    if first <= end.seconds() {
        return None;
    }
    let late = delay > interval;
    let path = format!("applications[{application}]");
    let path = match late {
        true => format!("{path}.signals.scrape_delay"),
        false => format!("{path}.autoscaler"),
    };
    let message = format!(
        "the policy {} takes its first decision at {first} s, after the end at {} s",
        policy.name(),
        end.seconds()
    );
    Some(checked.warning_at("no_decision", &path, message))
}

/// Warns of metrics that cannot exceed their targets.
pub(super) fn never_exceeded(
    policy: &dyn AnyPolicy,
    checked: &CheckedScenario,
    application: usize,
) -> Vec<Warning> {
    let of = &checked.scenario().applications[application];
    let path = format!("applications[{application}].autoscaler");
    let mut warnings = Vec::new();
    for template in &of.instances {
        let batch = template.engine.limits().requests;
        for measure in policy.measures(template.role).unwrap_or_default() {
            let most = match measure.metric {
                Metric::Running => batch.map(f64::from),
                Metric::Memory | Metric::Kv | Metric::Busy => Some(1.0),
                _ => None,
            };
            if let (Some(most), Some(target)) = (most, measure.target)
                && target >= most
            {
                let message = format!(
                    "{} is at most {most} on a `{:?}` instance and never exceeds its target of \
                     {target}: nothing is ever added",
                    measure.metric, template.role
                );
                warnings.push(checked.warning_at("target_out_of_reach", &path, message));
            }
        }
    }
    warnings
}
