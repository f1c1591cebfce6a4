use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::parameters::{FEW, Parameter, all, changed};
use super::{Fitted, Target, least_squares};
use crate::catalog::{Catalog, Coefficients, Layer, Parallelism};
use crate::measured::StepRow;
use crate::serving::{BatchShape, Roofline, StepModel};

/// With fewer points than this, four numbers are fitted.
const ENOUGH: usize = 12;
/// Up to this number of points each is left out in turn; beyond it, a third at once.
const LEAVE_ONE_OUT: usize = 30;
/// How much a number away from where it was costs, beside squared relative errors.
const RIDGE: f64 = 0.03;

/// A measured step and the model that prices it.
struct Point {
    /// The place of its model.
    model: usize,
    shape: BatchShape,
    seconds: f64,
    held_out: Option<bool>,
}

/// A set for each combination of model, GPU, engine and precision in step times.
pub(super) fn fit(rows: &[StepRow], catalog: &Catalog) -> Vec<Result<Fitted, String>> {
    let mut groups: BTreeMap<Target, Vec<&StepRow>> = BTreeMap::new();
    let mut fits = Vec::new();
    for row in rows {
        match Target::new(&row.model, &row.gpu, &row.engine, &row.precision) {
            Ok(target) => groups.entry(target).or_default().push(row),
            Err(reason) if fits.iter().all(|it| it != &Err(reason.clone())) => {
                fits.push(Err(reason));
            }
            Err(_) => {}
        }
    }
    for (target, rows) in groups {
        fits.push(of_group(&target, &rows, catalog));
    }
    fits
}

fn of_group(target: &Target, rows: &[&StepRow], catalog: &Catalog) -> Result<Fitted, String> {
    let model = target.model(catalog)?;
    let mut places: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    let mut models: Vec<Roofline> = Vec::new();
    for row in rows {
        if let Entry::Vacant(place) = places.entry((row.tp, row.dp)) {
            let parallelism = Parallelism {
                tensor: row.tp,
                data: row.dp,
            };
            let (gpu, engine, precision) = (&target.gpu, &target.engine, target.precision);
            let roofline = Roofline::new(
                catalog,
                model,
                gpu,
                engine,
                precision,
                parallelism,
                Layer::Generic,
            );
            place.insert(models.len());
            models.push(roofline.map_err(|error| error.to_string())?);
        }
    }
    let points: Vec<Point> = rows
        .iter()
        .map(|row| {
            let model = places[&(row.tp, row.dp)];
            Point {
                model,
                shape: BatchShape::measured(row, models[model].window()),
                seconds: row.ms / 1e3,
                held_out: row.held_out,
            }
        })
        .collect();
    let Some(first) = models.first() else {
        return Err(format!("{}: no points", target.model));
    };
    let from = *first.coefficients();
    let most = rows.iter().map(|row| row.tp).max().unwrap_or(1);
    let parameters = match points.len() {
        ..ENOUGH => FEW.to_vec(),
        _ => all(model, most),
    };
    let (before, after, how) = left_out(&models, &points, &from, &parameters);
    let fitting: Vec<&Point> = points
        .iter()
        .filter(|it| it.held_out != Some(true))
        .collect();
    let values = solve(&models, &fitting, &from, &parameters);
    Ok(Fitted {
        set: target.set(catalog, values, after),
        method: format!(
            "{} numbers fitted on {} step times, {how}",
            parameters.len(),
            fitting.len()
        ),
        points: points.len(),
        before_percent: before,
        after_percent: after,
        from: first.layer().to_string(),
    })
}

/// The mean error in per cent of points that were left out: with what there was, and fitted on the
/// others.
fn left_out(
    models: &[Roofline],
    points: &[Point],
    from: &Coefficients,
    parameters: &[Parameter],
) -> (f64, f64, &'static str) {
    let said = points.iter().any(|it| it.held_out == Some(true));
    let (folds, how): (Vec<Vec<usize>>, _) = if said {
        let held = (0..points.len()).filter(|&it| points[it].held_out == Some(true));
        (vec![held.collect()], "checked on those held out")
    } else if points.len() <= LEAVE_ONE_OUT {
        let alone = (0..points.len()).map(|it| vec![it]);
        (alone.collect(), "checked by leaving out one at a time")
    } else {
        let third = (0..points.len()).filter(|it| it % 3 == 2);
        (vec![third.collect()], "checked on every third, left out")
    };
    let (mut before, mut after, mut count) = (0.0, 0.0, 0.0);
    for fold in folds {
        let others: Vec<&Point> = (0..points.len())
            .filter(|it| !fold.contains(it))
            .map(|it| &points[it])
            .collect();
        let values = solve(models, &others, from, parameters);
        let [old, new] = [from, &values].map(|values| with(models, values));
        for &place in &fold {
            let point = &points[place];
            before += error(&old[point.model], point);
            after += error(&new[point.model], point);
            count += 1.0;
        }
    }
    (before / count, after / count, how)
}

/// The models with other coefficients.
fn with(models: &[Roofline], values: &Coefficients) -> Vec<Roofline> {
    let other = |model: &Roofline| model.clone().with_coefficients(*values);
    models.iter().map(other).collect()
}

fn error(model: &Roofline, point: &Point) -> f64 {
    (model.seconds(&point.shape) / point.seconds - 1.0).abs() * 100.0
}

fn solve(
    models: &[Roofline],
    points: &[&Point],
    from: &Coefficients,
    parameters: &[Parameter],
) -> Coefficients {
    let residuals = |numbers: &[f64]| -> Vec<f64> {
        let models = with(models, &changed(from, parameters, numbers));
        points
            .iter()
            .map(|point| libm::log(models[point.model].seconds(&point.shape) / point.seconds))
            .collect()
    };
    let numbers = least_squares::fit(parameters.len(), RIDGE, residuals);
    changed(from, parameters, &numbers)
}
