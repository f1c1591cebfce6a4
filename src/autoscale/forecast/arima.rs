use serde::{Deserialize, Serialize};

use super::Forecaster;

/// Values from which the order is chosen.
const FIRST: u64 = 5;

/// An autoregressive model whose order is chosen once, as by an automatic ARIMA on a few values.
///
/// Up to the fifth value it forecasts the last one. Then a constant and a first-order autoregression with a
/// mean are compared by Akaike's criterion. If the constant is chosen, the forecast is the mean of all
/// log(1 + value), brought back: it hardly follows a series that changes later. Otherwise the autoregression is
/// fitted anew to each value, by exact maximum likelihood. Zeros before the first other value are
/// passed over, and no forecast is negative.
///
/// It stands in for the default predictor of Dynamo's planner (`auto_arima` of pmdarima, on the first five values,
/// and again on their logarithms where no order is left). Higher orders and differences are not tried,
/// and that library's updates stop after a few steps of their optimizer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arima {
    log: bool,
    series: Sums,
    logs: f64,
    last: f64,
    autoregressive: Option<bool>,
}

/// What the likelihood of a series depends on; values are counted from the first.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sums {
    count: u64,
    first: f64,
    last: f64,
    sum: f64,
    squares: f64,
    products: f64,
}

/// A first-order autoregression.
#[derive(Clone, Copy, Debug)]
struct Fit {
    phi: f64,
    mean: f64,
    log_likelihood: f64,
}

impl Arima {
    /// Whether the series is that of log(1 + value).
    #[must_use]
    pub fn new(log: bool) -> Self {
        Self {
            log,
            series: Sums::default(),
            logs: 0.0,
            last: 0.0,
            autoregressive: None,
        }
    }
}

impl Forecaster for Arima {
    fn observe(&mut self, value: f64) {
        let value = if value.is_nan() { 0.0 } else { value };
        if value == 0.0 && self.series.count == 0 {
            return;
        }
        self.last = value;
        let logarithm = libm::log1p(value.max(0.0));
        self.logs += logarithm;
        self.series.add(if self.log { logarithm } else { value });
        if self.series.count == FIRST {
            let constant = self.series.fit(0.0);
            let better = |it: Fit| 2.0 * 3.0 - 2.0 * it.log_likelihood;
            let simple = 2.0 * 2.0 - 2.0 * constant.log_likelihood;
            self.autoregressive = Some(self.series.varies() && better(self.series.best()) < simple);
        }
    }

    fn forecast(&self, steps: usize) -> Option<f64> {
        let forecast = match self.autoregressive {
            None => self.last,
            Some(false) => libm::expm1(self.logs / self.series.count as f64),
            Some(true) => {
                let Fit { phi, mean, .. } = self.series.best();
                let off = self.series.first + self.series.last - mean;
                let forecast = mean + libm::pow(phi, steps as f64) * off;
                if self.log {
                    libm::expm1(forecast)
                } else {
                    forecast
                }
            }
        };
        Some(forecast.max(0.0))
    }
}

impl Sums {
    fn add(&mut self, value: f64) {
        if self.count == 0 {
            self.first = value;
        }
        let value = value - self.first;
        self.products += value * self.last;
        self.squares += value * value;
        self.sum += value;
        self.last = value;
        self.count += 1;
    }

    fn varies(&self) -> bool {
        self.squares > 0.0
    }

    /// The most likely mean for this coefficient, and how likely it is.
    fn fit(&self, phi: f64) -> Fit {
        let count = self.count as f64;
        let weight = 1.0 - phi * phi;
        // The first value is 0 here.
        let innovations = self.sum - phi * (self.sum - self.last);
        let below = weight + (count - 1.0) * (1.0 - phi) * (1.0 - phi);
        let mean = (1.0 - phi) * innovations / below;
        let (n, last) = (count, self.last);
        let all = self.squares - 2.0 * mean * self.sum + n * mean * mean;
        let but_first = all - mean * mean;
        let but_last = all - (last - mean) * (last - mean);
        let lagged = self.products - mean * (2.0 * self.sum - last) + (n - 1.0) * mean * mean;
        let squares = weight * mean * mean + but_first - 2.0 * phi * lagged + phi * phi * but_last;
        let variance = (squares / n).max(f64::MIN_POSITIVE);
        let per_value = libm::log(2.0 * std::f64::consts::PI * variance) + 1.0;
        Fit {
            phi,
            mean: mean + self.first,
            log_likelihood: 0.5 * libm::log(weight) - 0.5 * n * per_value,
        }
    }

    /// The most likely coefficient: the best of a grid, then smaller and smaller steps from it.
    fn best(&self) -> Fit {
        let grid = (-99..=99).map(|it| self.fit(f64::from(it) / 100.0));
        let better = |a: Fit, b: Fit| {
            if b.log_likelihood > a.log_likelihood {
                b
            } else {
                a
            }
        };
        let mut best = grid.reduce(better).unwrap_or_else(|| self.fit(0.0));
        let mut step = 0.005;
        while step > 1e-9 {
            for phi in [best.phi - step, best.phi + step] {
                if phi.abs() < 0.9999 {
                    best = better(best, self.fit(phi));
                }
            }
            step /= 2.0;
        }
        best
    }
}
