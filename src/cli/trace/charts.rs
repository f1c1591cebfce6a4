//! Charts of characters, for a terminal of 100 columns or any text file.

use std::fmt::Write as _;

use crate::workload::{LengthBin, RateBin};

/// Lines of the chart over time.
const HEIGHT: usize = 8;
/// Columns of the chart over time.
const WIDTH: usize = 84;
/// Columns of a bar beside a length.
const BAR: usize = 26;
/// Eighths of a character, from below and from the left.
const RISING: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const GROWING: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// The rate over time, up to the last arrival.
pub(super) fn rate_chart(bins: &[RateBin], last: f64) -> String {
    let Some(first) = bins.first() else {
        return String::new();
    };
    let columns = bins.len().min(WIDTH);
    let rates: Vec<f64> = (0..columns)
        .map(|column| {
            let stretch = &bins[column * bins.len() / columns..(column + 1) * bins.len() / columns];
            let requests: u64 = stretch.iter().map(|bin| bin.requests).sum();
            let length: f64 = stretch.iter().map(|bin| bin.length_s).sum();
            requests as f64 / length
        })
        .collect();
    let most = rates.iter().copied().fold(0.0, f64::max);
    let mut text = String::new();
    for line in (0..HEIGHT).rev() {
        let label = match line {
            line if line + 1 == HEIGHT => figure(Some(most)),
            0 => "0".to_owned(),
            _ => String::new(),
        };
        let _ = write!(text, "  {label:>8} │");
        let row: String = rates
            .iter()
            .map(|rate| RISING[eighths(rate / most * HEIGHT as f64 - line as f64)])
            .collect();
        let _ = writeln!(text, "{}", row.trim_end());
    }
    let _ = writeln!(text, "           └{}", "─".repeat(columns));
    let (from, to) = (
        format!("{} s", figure(Some(first.from_s))),
        format!("{} s", figure(Some(last))),
    );
    let gap = (columns + 1).saturating_sub(from.chars().count() + to.chars().count());
    let _ = writeln!(text, "           {from}{}{to}", " ".repeat(gap.max(2)));
    text
}

/// Two histograms side by side: each bar is as long as its share of the largest.
pub(super) fn lengths_chart(prompts: &[LengthBin], outputs: &[LengthBin]) -> String {
    let mut starts: Vec<(u32, u32)> = prompts
        .iter()
        .chain(outputs)
        .map(|bin| (bin.from, bin.to))
        .collect();
    starts.sort_unstable();
    starts.dedup();
    let blank = " ".repeat(BAR);
    let mut text = format!(
        "  {:>17}  {:>8} {blank}   {:>8}\n",
        "tokens", "prompts", "outputs"
    );
    for (from, to) in starts {
        let range = if from == to {
            from.to_string()
        } else {
            format!("{from} to {to}")
        };
        let prompts = bar(prompts, from);
        let outputs = bar(outputs, from);
        let line = format!("  {range:>17}  {prompts}   {outputs}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The count of a bin and its bar.
fn bar(bins: &[LengthBin], from: u32) -> String {
    let most = bins.iter().map(|bin| bin.requests).max().unwrap_or(0);
    let found = bins.iter().find(|bin| bin.from == from);
    let requests = found.map_or(0, |bin| bin.requests);
    let length = requests as f64 / most.max(1) as f64 * BAR as f64;
    let bar: String = (0..BAR)
        .map(|column| GROWING[eighths(length - column as f64)])
        .collect();
    format!("{requests:>8} {bar}")
}

/// How much of a character is filled; a little is never nothing.
fn eighths(part: f64) -> usize {
    if part <= 0.0 {
        return 0;
    }
    ((part * 8.0).round() as usize).clamp(1, 8)
}

/// Four figures or, of a larger number, all before the point.
pub(super) fn figure(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    let places = match value {
        v if v == v.trunc() || v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        v if v >= 0.1 => 3,
        _ => 5,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_are_as_high_and_wide_as_their_figures() {
        let bins: Vec<RateBin> = (0..3)
            .map(|at| RateBin {
                from_s: f64::from(at),
                length_s: 1.0,
                requests: [4, 0, 2][at as usize],
            })
            .collect();
        let chart = rate_chart(&bins, 2.5);
        let lines: Vec<&str> = chart.lines().collect();
        assert_eq!(lines[0], "         4 │█");
        assert_eq!(lines[4], "           │█ █");
        assert_eq!(lines[7], "         0 │█ █");

        let bin = |from, requests| LengthBin {
            from,
            to: 2 * from - 1,
            requests,
        };
        let chart = lengths_chart(&[bin(1, 8), bin(2, 4)], &[bin(2, 1)]);
        let full = |line: usize| chart.lines().nth(line).unwrap().matches('█').count();
        assert_eq!((full(1), full(2)), (BAR, BAR / 2 + BAR));
        assert!(chart.lines().all(|line| line.chars().count() <= 100));
    }
}
