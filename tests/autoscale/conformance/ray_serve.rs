//! Ray Serve's policy, on the totals that its controller aggregated.

use fleetsim::autoscale::policies::{Metric, RayServe};
use fleetsim::autoscale::{Load, Policy, RoleSnapshot};
use fleetsim::serving::Role::Mixed;

use super::*;
use crate::support::{decide, role, seconds, tuned};

#[test]
fn decisions() {
    let mut tally = Tally::new("RayServe");
    for folder in sources("ray_serve") {
        for (case, steps) in cases(&folder, "decisions_cases.csv", "decisions_steps.csv") {
            let factor = |column| case.number(column).or(case.number("smoothing_factor"));
            let delay = |column| case.number(column).map(seconds);
            let mut policy = tuned(RayServe::default(), |it| {
                it.metric = Metric::OutputTokensPerS;
                it.target_ongoing_requests = case.real("target_ongoing_requests");
                it.upscaling_factor = factor("upscaling_factor").unwrap_or(1.0);
                it.downscaling_factor = factor("downscaling_factor").unwrap_or(1.0);
                it.upscale_delay = seconds(case.real("upscale_delay_s"));
                it.downscale_delay = seconds(case.real("downscale_delay_s"));
                it.downscale_to_zero_delay = delay("downscale_to_zero_delay_s");
                it.min = case.whole("min_replicas");
                it.max = case.whole("max_replicas");
            });
            assert!(policy.check().is_ok(), "{case:?}");
            let mut before = None;
            for step in steps {
                let (running, target) = (step.whole("running"), step.whole("target_before"));
                let total = step.real("total_requests");
                if !total.is_finite() || total < 0.0 {
                    tally.by_choice("a number of requests is finite and not negative");
                    break;
                }
                if before.is_some_and(|before| before != target) {
                    tally.by_choice("nobody else sets what a policy asked for");
                    break;
                }
                let of = RoleSnapshot {
                    output_tokens: millionths(total),
                    ..role(Mixed, running, Load::ZERO)
                };
                let now = instant(step.real("t_s"));
                let mut signals = seen(now, vec![of]);
                // What was asked for and does not run starts up.
                let starting = target.saturating_sub(running);
                signals.count(counts(Mixed, starting, running, 0));
                let desired = decide(&mut policy, &signals);
                let ours = wanted(&desired, Mixed, target);
                tally.compare(&step, ours, step.whole("answer"));
                before = Some(step.whole("answer"));
            }
        }
    }
    tally.finish();
}
