//! What comes next in a series of equally spaced values.

mod any;
mod arima;

use std::collections::VecDeque;
use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::SimDuration;

pub use any::AnyForecaster;
pub use arima::Arima;

/// Learns from a series of equally spaced values, and says what comes next.
///
/// ```
/// use fleetsim::autoscale::forecast::{Forecaster, Method};
/// use fleetsim::time::SimDuration;
///
/// let trend = Method::Holt { level: 1.0, trend: 1.0 };
/// let mut forecaster = trend.forecaster(SimDuration::saturating(60.0));
/// (1..5).for_each(|minute| forecaster.observe(10.0 * f64::from(minute)));
/// assert_eq!(forecaster.forecast(2), Some(60.0));
/// ```
pub trait Forecaster: CloneForecaster + Debug + Send + Sync {
    /// The next value of the series.
    fn observe(&mut self, value: f64);

    /// The value `steps` after the last one (1 is the next); none before anything was observed.
    fn forecast(&self, steps: usize) -> Option<f64>;
}

/// Forecasters can be copied, so that a run can be forked. Every forecaster that is `Clone` has it.
pub trait CloneForecaster {
    /// A copy.
    fn clone_boxed(&self) -> Box<dyn Forecaster>;
}

impl<F: Forecaster + Clone + 'static> CloneForecaster for F {
    fn clone_boxed(&self) -> Box<dyn Forecaster> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Forecaster> {
    fn clone(&self) -> Self {
        (**self).clone_boxed()
    }
}

/// The forecasters that come with fleetsim.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Method {
    /// What was last, again.
    Last,
    /// What was a season ago; before a season has passed, what was last.
    SeasonalNaive {
        /// Seconds. Default 86,400, a day.
        #[serde(default = "day")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        season: SimDuration,
    },
    /// A level and a trend, followed by a Kalman filter.
    Kalman {
        /// How much the level moves by itself, as a variance. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 0))]
        level: f64,
        /// How much the trend moves by itself, as a variance. Default 0.1.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0))]
        trend: f64,
        /// How much a value is off, as a variance. Default 10.
        #[serde(default = "ten")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        noise: f64,
        /// Values before the filter is believed; until then the last value counts. Default 5.
        #[serde(default = "five")]
        warm_up: u32,
        /// Whether the filter follows log(1 + value). Default false.
        #[serde(default)]
        log: bool,
    },
    /// The mean of all logarithms, or a first-order autoregression, as the first five values ask for.
    Arima {
        /// Whether it follows log(1 + value). Default false.
        #[serde(default)]
        log: bool,
    },
    /// A level and a trend, smoothed exponentially.
    Holt {
        /// Weight of the latest value in the level. Default 0.5.
        #[serde(default = "half")]
        #[schemars(range(min = 0, max = 1))]
        level: f64,
        /// Weight of the latest change in the trend. Default 0.1.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0, max = 1))]
        trend: f64,
    },
    /// A level, a trend and a season that is added to them; `Holt` before a season has passed.
    HoltWinters {
        /// Weight of the latest value in the level. Default 0.5.
        #[serde(default = "half")]
        #[schemars(range(min = 0, max = 1))]
        level: f64,
        /// Weight of the latest change in the trend. Default 0.1.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0, max = 1))]
        trend: f64,
        /// Weight of the latest value in the season. Default 0.1.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0, max = 1))]
        seasonal: f64,
        /// Seconds. Default 86,400, a day.
        #[serde(default = "day")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        season: SimDuration,
    },
}

fn day() -> SimDuration {
    SimDuration::saturating(86_400.0)
}

fn one() -> f64 {
    1.0
}

fn ten() -> f64 {
    10.0
}

fn five() -> u32 {
    5
}

fn half() -> f64 {
    0.5
}

fn tenth() -> f64 {
    0.1
}

impl Method {
    /// A forecaster of a series with a value every `interval`.
    #[must_use]
    pub fn forecaster(self, interval: SimDuration) -> AnyForecaster {
        let steps = |season: SimDuration| {
            let steps = (season.seconds() / interval.seconds()).round();
            (steps as usize).max(1)
        };
        match self {
            Self::Last => AnyForecaster::SeasonalNaive(SeasonalNaive::new(1)),
            Self::SeasonalNaive { season } => {
                AnyForecaster::SeasonalNaive(SeasonalNaive::new(steps(season)))
            }
            Self::Kalman {
                level,
                trend,
                noise,
                warm_up,
                log,
            } => AnyForecaster::Kalman(Kalman::new([level, trend], noise, warm_up, log)),
            Self::Arima { log } => AnyForecaster::Arima(Arima::new(log)),
            Self::Holt { level, trend } => AnyForecaster::Holt(Holt::new(level, trend)),
            Self::HoltWinters {
                level,
                trend,
                seasonal,
                season,
            } => {
                AnyForecaster::HoltWinters(HoltWinters::new(level, trend, seasonal, steps(season)))
            }
        }
    }
}

/// A Kalman filter of a level and a trend, as that of Dynamo's planner.
///
/// The level grows by the trend with each value, and both move by themselves with given variances; a value
/// is the level with noise. Before the first value that is not 0, zeros are passed over. The forecast is never
/// negative, and before `warm_up` values it is the last value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kalman {
    drift: [f64; 2],
    noise: f64,
    warm_up: u32,
    log: bool,
    seen: u32,
    last: f64,
    state: Option<Estimate>,
}

/// A level and a trend, and the covariance of their errors.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Estimate {
    level: f64,
    trend: f64,
    covariance: [[f64; 2]; 2],
}

impl Kalman {
    /// With the variances by which level and trend move, that of the noise, the values before the filter is
    /// believed, and whether it follows log(1 + value).
    #[must_use]
    pub const fn new(drift: [f64; 2], noise: f64, warm_up: u32, log: bool) -> Self {
        Self {
            drift,
            noise,
            warm_up,
            log,
            seen: 0,
            last: 0.0,
            state: None,
        }
    }

    /// The estimate one value later, before that is known.
    fn next(&self, of: Estimate) -> Estimate {
        let [[a, b], [c, d]] = of.covariance;
        Estimate {
            level: of.level + of.trend,
            trend: of.trend,
            covariance: [
                [a + b + c + d + self.drift[0], b + d],
                [c + d, d + self.drift[1]],
            ],
        }
    }
}

impl Forecaster for Kalman {
    fn observe(&mut self, value: f64) {
        let value = if value.is_nan() { 0.0 } else { value };
        if value == 0.0 && self.seen == 0 {
            return;
        }
        self.seen = self.seen.saturating_add(1);
        self.last = value;
        let value = match self.log {
            true => libm::log1p(value.max(0.0)),
            false => value,
        };
        self.state = Some(match self.state {
            None => Estimate {
                level: value,
                trend: 0.0,
                covariance: [[1000.0, 0.0], [0.0, 1000.0]],
            },
            Some(before) => {
                let next = self.next(before);
                let [[a, b], [c, d]] = next.covariance;
                let spread = a + self.noise;
                let (of_level, of_trend) = (a / spread, c / spread);
                let surprise = value - next.level;
                Estimate {
                    level: next.level + of_level * surprise,
                    trend: next.trend + of_trend * surprise,
                    covariance: [
                        [(1.0 - of_level) * a, (1.0 - of_level) * b],
                        [c - of_trend * a, d - of_trend * b],
                    ],
                }
            }
        });
    }

    fn forecast(&self, steps: usize) -> Option<f64> {
        let Some(state) = self.state.filter(|_| self.seen >= self.warm_up) else {
            return Some(self.last);
        };
        let expected = state.level + steps as f64 * state.trend;
        let expected = match self.log {
            true => libm::expm1(expected),
            false => expected,
        };
        Some(expected.max(0.0))
    }
}

/// What was a season ago; before a whole season has passed, what was last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeasonalNaive {
    season: usize,
    /// The last season, the oldest first.
    values: VecDeque<f64>,
}

impl SeasonalNaive {
    /// With a season of `season` values, at least 1.
    #[must_use]
    pub fn new(season: usize) -> Self {
        Self {
            season: season.max(1),
            values: VecDeque::new(),
        }
    }
}

impl Forecaster for SeasonalNaive {
    fn observe(&mut self, value: f64) {
        if self.values.len() == self.season {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    fn forecast(&self, steps: usize) -> Option<f64> {
        if self.values.len() < self.season {
            return self.values.back().copied();
        }
        let ahead = (steps.max(1) - 1) % self.season;
        self.values.get(ahead).copied()
    }
}

/// Holt's linear trend: `l' = α·y + (1 − α)(l + b)`, `b' = β(l' − l) + (1 − β)·b`, forecast `l + h·b`.
///
/// The first value is the first level, with no trend (Holt 1957; Hyndman and Athanasopoulos,
/// "Forecasting: Principles and Practice", section 8.2).
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Holt {
    alpha: f64,
    beta: f64,
    state: Option<(f64, f64)>,
}

impl Holt {
    /// With the weights of the latest value in the level and of the latest change in the trend.
    #[must_use]
    pub const fn new(alpha: f64, beta: f64) -> Self {
        Self {
            alpha,
            beta,
            state: None,
        }
    }
}

impl Forecaster for Holt {
    fn observe(&mut self, value: f64) {
        self.state = Some(match self.state {
            None => (value, 0.0),
            Some((level, trend)) => smooth(self.alpha, self.beta, level, trend, value),
        });
    }

    fn forecast(&self, steps: usize) -> Option<f64> {
        let (level, trend) = self.state?;
        Some(level + steps as f64 * trend)
    }
}

/// Holt and Winters' method with an additive season of `m` values: with `s` the season's value of `m`
/// steps ago, `l' = α(y − s) + (1 − α)(l + b)`, `b' = β(l' − l) + (1 − β)·b`,
/// `s' = γ(y − l − b) + (1 − γ)·s`, forecast `l + h·b + s`.
///
/// When a whole season has been seen, its mean is the level, each value's distance from it the season,
/// and there is no trend; until then it is [`Holt`] (Winters 1960; Hyndman and Athanasopoulos, section
/// 8.3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HoltWinters {
    gamma: f64,
    first: Holt,
    level: f64,
    trend: f64,
    season: usize,
    /// In the first season its values; then what the season adds, the next step first.
    seasonal: VecDeque<f64>,
}

impl HoltWinters {
    /// With the weights of the latest value in the level, of the latest change in the trend and of the
    /// latest value in the season of at least 1 value.
    #[must_use]
    pub fn new(alpha: f64, beta: f64, gamma: f64, season: usize) -> Self {
        Self {
            gamma,
            first: Holt::new(alpha, beta),
            level: 0.0,
            trend: 0.0,
            season: season.max(1),
            seasonal: VecDeque::new(),
        }
    }
}

impl Forecaster for HoltWinters {
    fn observe(&mut self, value: f64) {
        if self.seasonal.len() < self.season {
            self.first.observe(value);
            self.seasonal.push_back(value);
            if self.seasonal.len() == self.season {
                self.level = self.seasonal.iter().sum::<f64>() / self.season as f64;
                let level = self.level;
                self.seasonal.iter_mut().for_each(|it| *it -= level);
            }
        } else if let Some(seasonal) = self.seasonal.pop_front() {
            let (level, trend) = (self.level, self.trend);
            let Holt { alpha, beta, .. } = self.first;
            (self.level, self.trend) = smooth(alpha, beta, level, trend, value - seasonal);
            let latest = self.gamma * (value - level - trend) + (1.0 - self.gamma) * seasonal;
            self.seasonal.push_back(latest);
        }
    }

    fn forecast(&self, steps: usize) -> Option<f64> {
        if self.seasonal.len() < self.season {
            return self.first.forecast(steps);
        }
        let ahead = (steps.max(1) - 1) % self.season;
        let seasonal = self.seasonal.get(ahead)?;
        Some(self.level + steps as f64 * self.trend + seasonal)
    }
}

/// The level and the trend after one more value.
fn smooth(alpha: f64, beta: f64, level: f64, trend: f64, value: f64) -> (f64, f64) {
    let next = alpha * value + (1.0 - alpha) * (level + trend);
    (next, beta * (next - level) + (1.0 - beta) * trend)
}
