//! What one run of a study leaves.

use serde::{Deserialize, Serialize};

use super::flat::Figure;
use super::{Figures, Percentiles};

/// A run in figures: those that studies compare, and all of its summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The figures that studies compare.
    pub figures: Figures,
    /// Requests that arrived, over the time of the last arrival.
    pub offered_per_s: Option<f64>,
    /// Those of `summary.json`, each under the path to it.
    pub summary: Vec<(String, Figure)>,
}

impl Outcome {
    /// A figure by the name of its [`Measure`], or by its path in the summary; none where it is not
    /// known.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        if let Some(measure) = Measure::ALL.into_iter().find(|it| it.name() == name) {
            return measure.of(&self.figures);
        }
        let found = self.summary.iter().find(|(path, _)| path == name);
        found.and_then(|(_, figure)| figure.number())
    }
}

/// A figure that studies compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Share of the requests that met every limit of their objective.
    Attainment,
    /// How far the objective was kept: [`Figures::slo_kept`]. Only with limits of percentiles; without, it is
    /// the attainment.
    SloKept,
    /// Requests that met every limit, a second.
    Goodput,
    /// Median time to first token.
    TtftP50,
    /// 99th percentile of the time to first token.
    TtftP99,
    /// 99th percentile of the time between tokens.
    TbtP99,
    /// Dollars.
    Cost,
    /// Hours of processors.
    GpuHours,
    /// kWh.
    Energy,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Attainment,
        Self::SloKept,
        Self::Goodput,
        Self::TtftP50,
        Self::TtftP99,
        Self::TbtP99,
        Self::Cost,
        Self::GpuHours,
        Self::Energy,
    ];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attainment => "attainment",
            Self::SloKept => "slo_kept",
            Self::Goodput => "goodput_per_s",
            Self::TtftP50 => "ttft_s.p50",
            Self::TtftP99 => "ttft_s.p99",
            Self::TbtP99 => "tbt_s.p99",
            Self::Cost => "cost",
            Self::GpuHours => "gpu_hours",
            Self::Energy => "energy_kwh",
        }
    }

    /// Its value in a run; none where it is not known.
    #[must_use]
    pub fn of(self, figures: &Figures) -> Option<f64> {
        let Percentiles { p50, p99, .. } = figures.ttft_s;
        match self {
            Self::Attainment => figures.attainment,
            Self::SloKept => figures.slo_met.and(figures.slo_kept),
            Self::Goodput => figures.goodput_per_s,
            Self::TtftP50 => p50,
            Self::TtftP99 => p99,
            Self::TbtP99 => figures.tbt_s.p99,
            Self::Cost => figures.cost,
            Self::GpuHours => Some(figures.gpu_hours),
            Self::Energy => figures.energy_kwh,
        }
    }
}
