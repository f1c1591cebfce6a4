//! Figures as people read them, in every report.

#[cfg(feature = "cli")]
use crate::observe::PercentileSummary;
use crate::observe::SloSummary;
use crate::scenario::Slo;

/// What the figures of all applications together are under.
pub(super) const ALL: &str = "all applications";

pub(super) fn limits(slo: &Slo) -> Option<String> {
    let limits: Vec<_> = [("TTFT", slo.ttft), ("TBT", slo.tbt), ("E2E", slo.e2e)]
        .into_iter()
        .filter_map(|(name, limit)| Some(format!("{name} ≤ {} s", limit?)))
        .collect();
    (!limits.is_empty()).then(|| limits.join(", "))
}

/// Every limit of an objective, those of percentiles behind those of each request.
pub(super) fn objective(slo: &SloSummary) -> Option<String> {
    let percentiles = slo.percentiles.iter().map(|of| {
        let metric = of.metric.to_uppercase();
        format!("{metric} {} ≤ {} s", percentile(of.percentile), of.limit_s)
    });
    let limits: Vec<_> = limits(&slo.limits).into_iter().chain(percentiles).collect();
    (!limits.is_empty()).then(|| limits.join(", "))
}

/// The name of a percentile, such as p95 or p99.9.
pub(super) fn percentile(percent: f64) -> String {
    format!("p{percent}")
}

/// What the percentiles of a metric are in a table: names and values.
#[cfg(feature = "cli")]
pub(super) fn percentiles(
    rows: &[PercentileSummary],
    metric: fn(&PercentileSummary) -> Option<f64>,
) -> Vec<String> {
    let values = rows.iter().map(metric);
    let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    values.map(text).collect()
}

/// Rounded to four significant digits or so, thousands grouped.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        ..0.001 => return format!("{value:.2e}"),
        ..0.01 => 5,
        ..1.0 => 4,
        ..10.0 => 3,
        ..100.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    if decimals == 0 && value >= 0.0 {
        return grouped(value.round() as u64);
    }
    format!("{value:.decimals$}")
}

pub(super) fn percentage(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A count with its thousands set apart.
pub(crate) fn grouped(count: impl Into<u64>) -> String {
    let digits = count.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_leading_digits() {
        for (value, text) in [
            (0.0, "0"),
            (2.5e-6, "2.50e-6"),
            (0.001_234, "0.00123"),
            (0.012_345, "0.0123"),
            (1.5, "1.500"),
            (12.345, "12.35"),
            (1234.5, "1,235"),
            (1.234_567e7, "12,345,670"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
