use serde::Serialize;

/// The colours of a chart, by what they stand for.
///
/// `assets/html/style.css` has the property of that name, once for light pages and once for dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Colour {
    Met,
    Missed,
    Rejected,
    Unfinished,
    Demand,
    Limit,
    Bound,
    Active,
    Draining,
    Starting,
    GivenUp,
    Lost,
    Running,
    Queued,
    Waiting,
    P50,
    P95,
    P99,
    AtLeast,
    Ttft,
    Tbt,
    E2e,
    Memory,
    Busy,
    Kv,
    Hits,
    Frontier,
    Other,
    #[serde(rename = "series-0")]
    Series0,
    #[serde(rename = "series-1")]
    Series1,
    #[serde(rename = "series-2")]
    Series2,
    #[serde(rename = "series-3")]
    Series3,
    #[serde(rename = "series-4")]
    Series4,
    #[serde(rename = "series-5")]
    Series5,
}

impl Colour {
    /// Colours for series that have nothing but their order.
    const SERIES: [Self; 6] = [
        Self::Series0,
        Self::Series1,
        Self::Series2,
        Self::Series3,
        Self::Series4,
        Self::Series5,
    ];

    /// The colour of the series at a position; they come again when there are many.
    pub(super) const fn of_series(position: usize) -> Self {
        Self::SERIES[position % Self::SERIES.len()]
    }
}
