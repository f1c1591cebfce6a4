//! From a metric to a number of pods, in whole thousandths, as the replica calculator reckons.

use crate::autoscale::policies::MetricKind;

/// The pods of a role, as the calculator tells them apart.
#[derive(Clone, Copy)]
pub(super) struct Pods {
    /// Those asked for: `spec.replicas`.
    pub(super) current: u32,
    /// Those that answer.
    pub(super) measured: u32,
    /// Those that run without an answer.
    pub(super) missing: u32,
    /// Those that are not ready yet.
    pub(super) unready: u32,
    /// Those that are ready, with those that terminate.
    pub(super) ready: u32,
}

/// How far a ratio may be from 1 without a change.
#[derive(Clone, Copy)]
pub(super) struct Tolerances {
    pub(super) up: f64,
    pub(super) down: f64,
}

impl Tolerances {
    fn accept(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// A number in whole thousandths, the resolution of Kubernetes' quantities.
pub(super) fn thousandths(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

/// How many pods a metric wants; `usage` is in thousandths, the target as it is written. None if no pod
/// answers.
pub(super) fn proposal(
    kind: MetricKind,
    usage: i64,
    target: f64,
    pods: Pods,
    tolerances: Tolerances,
) -> Option<u32> {
    match kind {
        MetricKind::Pods => by_mean(&Mean::Pods(thousandths(target)), usage, pods, tolerances),
        MetricKind::Utilization => {
            let percent = (target * 100.0).round() as i64;
            by_mean(&Mean::Utilization(percent), usage, pods, tolerances)
        }
        MetricKind::Value => {
            let ratio = usage as f64 / thousandths(target) as f64;
            Some(match pods.current {
                0 => ratio.ceil() as u32,
                current if tolerances.accept(ratio) => current,
                _ => (ratio * f64::from(pods.ready)).ceil() as u32,
            })
        }
        MetricKind::AverageValue => {
            let target = thousandths(target) as f64;
            let ratio = usage as f64 / (target * f64::from(pods.current));
            Some(match tolerances.accept(ratio) {
                true => pods.current,
                false => (usage as f64 / target).ceil() as u32,
            })
        }
    }
}

/// What the mean of the pods is compared with.
enum Mean {
    /// A target in thousandths.
    Pods(i64),
    /// A target in per cent of what a pod has.
    Utilization(i64),
}

impl Mean {
    /// The mean over the pods ÷ the target; the mean is cut to its unit.
    fn ratio(&self, usage: i64, pods: u32) -> f64 {
        let pods = i64::from(pods);
        match *self {
            Self::Pods(target) => (usage / pods) as f64 / target as f64,
            Self::Utilization(percent) => (usage / (10 * pods)) as f64 / percent as f64,
        }
    }

    /// What a pod without an answer counts as where fewer are wanted, in thousandths.
    fn at_most(&self) -> i64 {
        match *self {
            Self::Pods(target) => target,
            Self::Utilization(percent) => 10 * percent.max(100),
        }
    }
}

fn by_mean(mean: &Mean, usage: i64, pods: Pods, tolerances: Tolerances) -> Option<u32> {
    if pods.measured == 0 {
        return None;
    }
    let current = pods.current;
    let ratio = mean.ratio(usage, pods.measured);
    let unready = if ratio > 1.0 { pods.unready } else { 0 };
    if unready == 0 && pods.missing == 0 {
        return Some(match tolerances.accept(ratio) {
            true => current,
            false => (ratio * f64::from(pods.measured)).ceil() as u32,
        });
    }
    let assumed = if ratio < 1.0 {
        mean.at_most() * i64::from(pods.missing)
    } else {
        0
    };
    // At exactly the target, a pod without an answer is left out.
    let missing = if ratio == 1.0 { 0 } else { pods.missing };
    let counted = pods.measured + missing + unready;
    let with_all = mean.ratio(usage + assumed, counted);
    let turned = (ratio < 1.0 && with_all > 1.0) || (ratio > 1.0 && with_all < 1.0);
    if turned || tolerances.accept(with_all) {
        return Some(current);
    }
    let wanted = (with_all * f64::from(counted)).ceil() as u32;
    let turned = (with_all < 1.0 && wanted > current) || (with_all > 1.0 && wanted < current);
    Some(if turned { current } else { wanted })
}
