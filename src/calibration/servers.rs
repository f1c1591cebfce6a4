use std::collections::BTreeMap;

use super::parameters::{REPLAY, REPLAY_OF_RANKS, changed, slowed};
use super::{Fitted, Target, simplex};
use crate::catalog::{Catalog, Coefficients, Layer};
use crate::measured::Replay;
use crate::serving::Roofline;
use crate::validation::{Measurements, Options, Rerun, replayed, step_together, validate};

/// One factor on all step times for each combination of model, GPU, engine and precision among means of
/// servers: the median of measured ÷ simulated, of TPOT or else of E2E.
pub(super) fn fit_rows(
    measurements: &Measurements,
    catalog: &Catalog,
) -> Vec<Result<Fitted, String>> {
    let of = Measurements {
        rows: measurements.rows.clone(),
        ..Measurements::default()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        layer: Layer::Auto,
        threads,
    };
    let mut groups: BTreeMap<Target, Vec<f64>> = BTreeMap::new();
    let mut fits = Vec::new();
    for validated in validate(&of, catalog, options) {
        let row = &validated.row;
        let target = Target::new(&row.model, &row.gpu, &row.engine, &row.precision);
        let error = validated.result.and_then(|it| {
            let error = it.errors.tpot.or(it.errors.e2e);
            error.ok_or_else(|| "neither TPOT nor E2E was measured".to_owned())
        });
        match (target, error) {
            (Ok(target), Ok(error)) => groups.entry(target).or_default().push(1.0 + error),
            (Err(reason), _) | (_, Err(reason)) => {
                fits.push(Err(format!("{}: {reason}", row.id)));
            }
        }
    }
    for (target, ratios) in groups {
        fits.push(of_servers(&target, &ratios, catalog));
    }
    fits
}

/// `ratios` are simulated ÷ measured.
fn of_servers(target: &Target, ratios: &[f64], catalog: &Catalog) -> Result<Fitted, String> {
    let model = target.model(catalog)?;
    let chosen = catalog
        .coefficients(
            model,
            &target.gpu,
            &target.engine,
            target.precision,
            Layer::Auto,
        )
        .ok_or_else(|| format!("{}: no coefficients to begin with", target.model))?;
    let factor = 1.0 / median(ratios.to_vec());
    let errors = |factor: &dyn Fn(usize) -> f64| {
        let sum: f64 = (0..ratios.len())
            .map(|it| (ratios[it] * factor(it) - 1.0).abs())
            .sum();
        sum / ratios.len() as f64 * 100.0
    };
    // With one row, nothing is left to check the factor on.
    let of_others = |left_out: usize| {
        let mut others = ratios.to_vec();
        others.remove(left_out);
        match others.is_empty() {
            true => 1.0,
            false => 1.0 / median(others),
        }
    };
    let (before, after) = (errors(&|_| 1.0), errors(&of_others));
    Ok(Fitted {
        set: target.set(catalog, slowed(&chosen.values, factor), after),
        method: format!(
            "all times × {factor:.3}, from {} servers, checked by leaving out one at a time",
            ratios.len()
        ),
        points: ratios.len(),
        before_percent: before,
        after_percent: after,
        from: chosen.layer.to_string(),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    crate::measured::quantile(&values, 0.5)
}

/// Three numbers for each run, from the first half of its requests: factors on operations and on
/// bandwidths, and a time for each step. Ranks that step together have a fourth, a factor on their links.
pub(super) fn fit_replays(
    measurements: &Measurements,
    catalog: &Catalog,
) -> Vec<Result<Fitted, String>> {
    let replays = measurements.replays.iter();
    replays.map(|replay| of_replay(replay, catalog)).collect()
}

fn of_replay(replay: &Replay, catalog: &Catalog) -> Result<Fitted, String> {
    const MOST: usize = 150;
    let together = step_together(replay);
    let parameters: &[_] = match together {
        true => &REPLAY_OF_RANKS,
        false => &REPLAY,
    };
    let evaluations = if together { 130 } else { 70 };
    let target = Target::new(
        &replay.model,
        &replay.gpu,
        &replay.engine,
        &replay.precision,
    )?;
    let rerun = std::cell::RefCell::new(Rerun::new(replay, catalog)?);
    let (from, layer, real) = {
        let rerun = rerun.borrow();
        let step: &Roofline = rerun.step();
        (*step.coefficients(), step.layer().to_string(), rerun.real())
    };
    let half = MOST.min(real.len() / 2);
    if half == 0 {
        return Err(format!("{}: too few requests", replay.id));
    }
    let rerun_with = |values: Coefficients| rerun.borrow_mut().simulated(values);
    let square = |ratio: f64| {
        let log = libm::log(ratio);
        log * log
    };
    let loss = |numbers: &[f64]| -> f64 {
        let Ok(times) = rerun_with(changed(&from, parameters, numbers)) else {
            return f64::INFINITY;
        };
        let pairs = || times.iter().zip(&real).take(half);
        let between: f64 = pairs()
            .filter(|(_, real)| real.1 > 0.0)
            .map(|(it, real)| square(it.1 / real.1))
            .sum();
        // Fifths of a second more: a first token after milliseconds is no measure of a step.
        let first: f64 = pairs()
            .map(|(it, real)| square((it.0 + 0.2) / (real.0 + 0.2)))
            .sum();
        let ridge: f64 = numbers.iter().map(|it| it * it).sum();
        (between + 0.3 * first) / half as f64 + 0.01 * ridge
    };
    let mut start = vec![
        vec![0.0, 0.0, 0.3],
        vec![0.15, 0.0, 0.3],
        vec![0.0, 0.1, 0.3],
        vec![0.0, 0.0, 2.0],
    ];
    if together {
        // The exchange reaches less of the link than an all-reduce: the fit begins there.
        start.iter_mut().for_each(|it| it.push(-0.5));
        start.push(vec![0.0, 0.0, 0.3, -1.0]);
    }
    let numbers = simplex::minimise(loss, start, evaluations);
    let values = changed(&from, parameters, &numbers);
    let before = error(&rerun_with(from)?[half..], &real[half..], replay);
    let after = error(&rerun_with(values)?[half..], &real[half..], replay);
    let link = match numbers.get(3) {
        Some(&number) => format!(", link × {:.3}", libm::exp(number)),
        None => String::new(),
    };
    Ok(Fitted {
        set: target.set(catalog, values, after),
        method: format!(
            "flops × {:.3}, bandwidths × {:.3}, {:+.3} ms a step{link}, from the first {half} requests of {}, \
             checked on the mean E2E of the others",
            libm::exp(numbers[0]),
            libm::exp(numbers[1]),
            numbers[2],
            replay.id
        ),
        points: real.len(),
        before_percent: before,
        after_percent: after,
        from: layer,
    })
}

/// The error of the mean time to the last token, in per cent.
fn error(simulated: &[(f64, f64)], real: &[(f64, f64)], replay: &Replay) -> f64 {
    let requests = replayed(replay);
    let outputs = requests.iter().skip(requests.len() - real.len());
    let (mut ours, mut theirs) = (0.0, 0.0);
    for ((a, b), of) in simulated.iter().zip(real).zip(outputs) {
        let steps = f64::from(of.output_tokens.saturating_sub(1));
        ours += a.0 + a.1 * steps;
        theirs += b.0 + b.1 * steps;
    }
    (ours / theirs - 1.0).abs() * 100.0
}
