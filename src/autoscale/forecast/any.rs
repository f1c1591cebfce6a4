use serde::{Deserialize, Serialize};

use super::{Arima, Forecaster, Holt, HoltWinters, Kalman, SeasonalNaive};

/// One of the forecasters that come with fleetsim, as a [`Method`](super::Method) makes them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum AnyForecaster {
    /// What was last, or a season ago.
    SeasonalNaive(SeasonalNaive),
    /// A Kalman filter.
    Kalman(Kalman),
    /// An autoregression.
    Arima(Arima),
    /// A level and a trend.
    Holt(Holt),
    /// A level, a trend and a season.
    HoltWinters(HoltWinters),
}

impl Forecaster for AnyForecaster {
    fn observe(&mut self, value: f64) {
        match self {
            Self::SeasonalNaive(it) => it.observe(value),
            Self::Kalman(it) => it.observe(value),
            Self::Arima(it) => it.observe(value),
            Self::Holt(it) => it.observe(value),
            Self::HoltWinters(it) => it.observe(value),
        }
    }

    fn forecast(&self, steps: usize) -> Option<f64> {
        match self {
            Self::SeasonalNaive(it) => it.forecast(steps),
            Self::Kalman(it) => it.forecast(steps),
            Self::Arima(it) => it.forecast(steps),
            Self::Holt(it) => it.forecast(steps),
            Self::HoltWinters(it) => it.forecast(steps),
        }
    }
}
