//! Who did well: what can only be said of contenders side by side.

use std::collections::BTreeMap;

use super::{Basis, Comparison, Figures, Interval, Measure, Regret};

/// The policy that the others' regret is relative to.
const PLAN: &str = "Clairvoyant";

/// Fills in the basis, the regrets and the frontier.
pub(super) fn judge(comparison: &mut Comparison) {
    let figures = || {
        let standings = comparison.contenders.iter();
        standings.filter_map(|it| Some((it.name(), it.figures.as_ref()?)))
    };
    if figures().next().is_none() {
        return;
    }
    let basis = match figures().all(|(_, of)| of.cost.is_some()) {
        true => Basis::Dollars,
        false => Basis::GpuHours,
    };
    let points: Vec<(f64, f64)> = figures()
        .filter_map(|(_, of)| Some((basis.of(of), of.slo_kept?)))
        .collect();
    let plan = figures().find(|(name, _)| *name == PLAN);
    let plan = plan.map(|(_, figures)| figures.clone());
    for standing in &mut comparison.contenders {
        let Some(figures) = &standing.figures else {
            continue;
        };
        standing.frontier = figures
            .slo_kept
            .map(|kept| is_best(&points, basis.of(figures), kept));
        standing.regret = plan.as_ref().map(|plan| regret(basis, plan, figures));
    }
    comparison.basis = Some(basis);
}

/// Of settings with these figures, which are on the frontier of mean cost and of how far the objective was
/// kept. `None` where either is not known.
pub(super) fn frontier<'a>(
    settings: impl Iterator<Item = &'a BTreeMap<String, Interval>>,
) -> Vec<Option<bool>> {
    let point = |figures: &BTreeMap<String, Interval>| {
        let mean = |measure: Measure| Some(figures.get(measure.name())?.mean);
        let cost = mean(Measure::Cost).or_else(|| mean(Measure::GpuHours));
        cost.zip(mean(Measure::SloKept).or_else(|| mean(Measure::Attainment)))
    };
    let places: Vec<Option<(f64, f64)>> = settings.map(point).collect();
    let points: Vec<(f64, f64)> = places.iter().copied().flatten().collect();
    let places = places.into_iter();
    places
        .map(|it| it.map(|(cost, kept)| is_best(&points, cost, kept)))
        .collect()
}

/// Whether no point is at least as good in both respects and better in one.
fn is_best(points: &[(f64, f64)], cost: f64, attainment: f64) -> bool {
    !points.iter().any(|&(other, met)| {
        other <= cost && met >= attainment && (other < cost || met > attainment)
    })
}

fn regret(basis: Basis, plan: &Figures, figures: &Figures) -> Regret {
    let more = |mine: Option<f64>, plans: Option<f64>| Some(mine? - plans?);
    let misses = |of: &Figures| i64::try_from(of.slo_misses?).ok();
    let least = basis.of(plan);
    Regret {
        cost: more(figures.cost, plan.cost),
        gpu_hours: figures.gpu_hours - plan.gpu_hours,
        relative: (least > 0.0).then(|| basis.of(figures) / least - 1.0),
        slo_misses: misses(figures)
            .zip(misses(plan))
            .map(|(mine, plans)| mine - plans),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frontier_has_who_is_beaten_by_nobody_in_both_respects() {
        let points = [
            (10.0, 0.9),
            (12.0, 0.99),
            (12.0, 0.95),
            (11.0, 0.9),
            (20.0, 0.99),
        ];
        let best = points.map(|(cost, met)| is_best(&points, cost, met));
        assert_eq!(best, [true, true, false, false, false]);
        let equals = [(10.0, 0.9), (10.0, 0.9)];
        assert!(is_best(&equals, 10.0, 0.9), "equals do not beat each other");
    }
}
