//! Forecasters against the numbers of others.

use fleetsim::autoscale::forecast::{Forecaster, Holt, HoltWinters, Method, SeasonalNaive};

use crate::support::*;

const SERIES: [f64; 14] = [
    30.0, 42.0, 55.0, 38.0, 33.0, 47.0, 58.0, 40.0, 36.0, 49.0, 64.0, 45.0, 41.0, 52.0,
];

/// What it expected of each value beforehand, and of those after the last.
fn run(forecaster: &mut dyn Forecaster, ahead: usize) -> (Vec<Option<f64>>, Vec<f64>) {
    let mut expected = Vec::new();
    for value in SERIES {
        expected.push(forecaster.forecast(1));
        forecaster.observe(value);
    }
    let ahead = (1..=ahead).map(|step| forecaster.forecast(step).unwrap());
    (expected, ahead.collect())
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-12 * expected,
            "{found}, not {expected}"
        );
    }
}

#[test]
fn the_last_season_comes_again() {
    let (expected, ahead) = run(&mut SeasonalNaive::new(4), 6);
    assert_eq!(expected[0], None);
    assert_eq!(
        expected[3],
        Some(55.0),
        "what was last, before a season has passed"
    );
    assert_eq!(expected[4], Some(30.0));
    assert_eq!(ahead, [64.0, 45.0, 41.0, 52.0, 64.0, 45.0]);
    let last = &mut Method::Last.forecaster(seconds(1.0));
    assert_eq!(run(last, 3).1, [52.0; 3]);
    let season = seconds(40.0);
    let minutes = &mut Method::SeasonalNaive { season }.forecaster(seconds(10.0));
    assert_eq!(run(minutes, 2).1, [64.0, 45.0]);
}

/// statsmodels 0.15.0: `Holt(y, initialization_method="known", initial_level=30, initial_trend=0)
/// .fit(smoothing_level=0.5, smoothing_trend=0.1, optimized=False)`, `fittedvalues` and `forecast(5)`.
#[test]
fn holt_agrees_with_statsmodels() {
    let (expected, ahead) = run(&mut Holt::new(0.5, 0.1), 5);
    let expected: Vec<f64> = expected.into_iter().flatten().collect();
    near(
        &expected,
        &[
            30.0,
            36.6,
            47.32,
            43.714,
            38.8753,
            43.862185000000004,
            52.562518250000004,
            47.28455896250001,
            42.081351370625,
            46.32568000615625,
            56.83156032361406,
            51.99292246616227,
            47.023957414128255,
        ],
    );
    near(
        &ahead,
        &[
            50.28827701740484,
            51.06457532774555,
            51.84087363808626,
            52.617171948426964,
            53.39347025876768,
        ],
    );
}

/// statsmodels 0.15.0: `ExponentialSmoothing(y[4:], trend="add", seasonal="add", seasonal_periods=4,
/// initialization_method="known", initial_level=y[:4].mean(), initial_trend=0,
/// initial_seasonal=y[:4] - y[:4].mean()).fit(smoothing_level=0.5, smoothing_trend=0.1,
/// smoothing_seasonal=0.2, optimized=False)`, `fittedvalues` and `forecast(3)`. Its forecasts of whole
/// seasons ahead leave the last value of the season out, so they are not compared.
#[test]
fn holt_winters_agrees_with_statsmodels() {
    let (expected, ahead) = run(&mut HoltWinters::new(0.5, 0.1, 0.2, 4), 6);
    let expected: Vec<f64> = expected.into_iter().flatten().skip(3).collect();
    near(
        &expected,
        &[
            30.0,
            43.65,
            58.642500000000005,
            41.60662500000001,
            33.60835625000001,
            47.1988040625,
            60.715587765624996,
            45.743875228906255,
            39.31330394910157,
            52.73460979924415,
        ],
    );
    near(
        &ahead[..3],
        &[65.45476505622821, 48.045599460803125, 42.520684363995215],
    );
    near(
        &[ahead[4] - ahead[0], ahead[5] - ahead[1]],
        &[67.81203264515283 - 65.45476505622821; 2],
    );
}
