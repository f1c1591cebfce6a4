//! Points from bins.

use super::bins::{Bins, Merge};
use crate::report::html::chart::Value;

/// Values that hold over their bins up to the end of the run, and none where a bin has none.
pub(super) fn held<T: Default + Merge>(
    bins: &Bins<T>,
    end: f64,
    value: impl Fn(&T) -> Value,
) -> Vec<(f64, Value)> {
    let mut points = Vec::new();
    // The end of the bin before, and its value.
    let mut before: (f64, Value) = (0.0, None);
    for (start, bin) in bins.iter() {
        let value = value(bin);
        if value.is_none() && before.1.is_some() {
            points.push((start, before.1));
        }
        points.push((start, value));
        before = ((start + bins.width()).min(end), value);
    }
    if before.1.is_some() {
        points.push(before);
    }
    points
}

/// Values in the middle of their bins.
pub(super) fn in_the_middle<T: Default + Merge>(
    bins: &Bins<T>,
    end: f64,
    value: impl Fn(&T) -> Value,
) -> Vec<(f64, Value)> {
    let middle = |start: f64| (start + (start + bins.width()).min(end).max(start)) / 2.0;
    bins.iter()
        .map(|(start, bin)| (middle(start), value(bin)))
        .collect()
}

/// Seconds of a bin that the run got to.
pub(super) fn passed(start: f64, width: f64, end: f64) -> f64 {
    let passed = (end - start).min(width);
    if passed > 0.0 { passed } else { width }
}
