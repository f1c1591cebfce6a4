//! What users were promised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::SimDuration;

/// What users were promised: limits of each request, and of percentiles of a run.
///
/// A request meets the objective when it keeps within every limit given, those of percentiles too. A
/// limit of a percentile is in addition met or missed by the run: `P95(1.5)` is met when 95 % of the
/// requests took 1.5 s at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    /// The longest time to first token. Default: no limit.
    pub ttft: Option<Limit>,
    /// The longest mean time between tokens. Default: no limit.
    pub tbt: Option<Limit>,
    /// The longest time from arrival to the last token. Default: no limit.
    pub e2e: Option<Limit>,
}

/// A limit in seconds; a number alone is the limit of each request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("plain" = "Each"))]
pub enum Limit {
    /// No request takes longer.
    Each(SimDuration),
    /// Half of the requests take no longer.
    P50(SimDuration),
    /// 75 % of the requests take no longer.
    P75(SimDuration),
    /// 90 % of the requests take no longer.
    P90(SimDuration),
    /// 95 % of the requests take no longer.
    P95(SimDuration),
    /// 99 % of the requests take no longer.
    P99(SimDuration),
    /// 99.9 % of the requests take no longer.
    P999(SimDuration),
}

impl Limit {
    /// The limit itself, whichever requests it is for.
    #[must_use]
    pub const fn duration(self) -> SimDuration {
        match self {
            Self::Each(limit)
            | Self::P50(limit)
            | Self::P75(limit)
            | Self::P90(limit)
            | Self::P95(limit)
            | Self::P99(limit)
            | Self::P999(limit) => limit,
        }
    }

    /// The per cent of the requests that it is for; `None` for each request.
    #[must_use]
    pub const fn percentile(self) -> Option<f64> {
        Some(match self {
            Self::Each(_) => return None,
            Self::P50(_) => 50.0,
            Self::P75(_) => 75.0,
            Self::P90(_) => 90.0,
            Self::P95(_) => 95.0,
            Self::P99(_) => 99.0,
            Self::P999(_) => 99.9,
        })
    }
}

/// Limits in seconds of each request, as policies and the capacity model take them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slo {
    /// The longest time to first token. `None`: no limit.
    pub ttft: Option<SimDuration>,
    /// The longest mean time between tokens. `None`: no limit.
    pub tbt: Option<SimDuration>,
    /// The longest time from arrival to the last token. `None`: no limit.
    pub e2e: Option<SimDuration>,
}

impl Objective {
    /// Every limit as if it were one of each request.
    ///
    /// Policies and the capacity model go by it: they keep percentiles by keeping each request.
    #[must_use]
    pub fn limits(&self) -> Slo {
        self.map(|limit| Some(limit.duration()))
    }

    /// The limits of each request alone.
    #[must_use]
    pub fn of_each(&self) -> Slo {
        self.map(|limit| limit.percentile().is_none().then(|| limit.duration()))
    }

    /// The limits by metric: TTFT, TBT, E2E.
    #[must_use]
    pub const fn by_metric(&self) -> [Option<Limit>; 3] {
        [self.ttft, self.tbt, self.e2e]
    }

    fn map(&self, of: impl Fn(Limit) -> Option<SimDuration>) -> Slo {
        Slo {
            ttft: self.ttft.and_then(&of),
            tbt: self.tbt.and_then(&of),
            e2e: self.e2e.and_then(&of),
        }
    }
}

impl From<Slo> for Objective {
    fn from(slo: Slo) -> Self {
        Self {
            ttft: slo.ttft.map(Limit::Each),
            tbt: slo.tbt.map(Limit::Each),
            e2e: slo.e2e.map(Limit::Each),
        }
    }
}
