//! How figures read in the texts and tables of a page.

use crate::report::words::grouped;

/// Stands for a figure that is not there.
pub(super) const NONE: &str = "–";

/// Three digits that count, thousands set apart: `0.0123`, `4.56`, `105.7`, `11,716`.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        0.0 => 0,
        ..0.000_1 => return format!("{value:.1e}"),
        ..0.001 => 6,
        ..0.01 => 5,
        ..0.1 => 4,
        ..1.0 => 3,
        ..10.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    let text = format!("{size:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole
        .parse::<u64>()
        .map_or_else(|_| whole.to_owned(), grouped);
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// `$105.70`, `$11,716`.
pub(super) fn dollars(value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "−" } else { "" };
    let cents = (size * 100.0).round();
    if size >= 1000.0 || cents >= 100_000.0 {
        return format!("{sign}${}", grouped(size.round() as u64));
    }
    format!("{sign}${:.2}", cents / 100.0)
}

/// A share as percent, with as many nines as it takes: `94.1 %`, `99.97 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let from_all = (100.0 - percent).abs();
    if percent == 0.0 || from_all == 0.0 {
        return format!("{percent:.0} %");
    }
    let decimals = match from_all.min(percent.abs()) {
        ..0.01 => 4,
        ..0.1 => 3,
        ..1.0 => 2,
        _ => 1,
    };
    format!("{percent:.decimals$} %")
}

/// A length of time in the unit that suits it: `350 ms`, `1.5 s`, `80 min`, `7 days`.
pub(super) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    // Whole minutes, hours and days are told as such; others only where there are two or more.
    let suits = |unit: f64| size >= unit * if size % unit == 0.0 { 1.0 } else { 2.0 };
    let (value, unit) = match size {
        0.0 => return "0 s".to_owned(),
        _ if size == 86_400.0 => return "1 day".to_owned(),
        _ if suits(86_400.0) => (seconds / 86_400.0, "days"),
        _ if suits(3600.0) => (seconds / 3600.0, "h"),
        _ if suits(60.0) => (seconds / 60.0, "min"),
        1.0.. => (seconds, "s"),
        0.001.. => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    let decimals = match value.abs() {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let scale = 10_f64.powi(decimals);
    format!("{} {unit}", number((value * scale).round() / scale))
}

/// An instant of a run in its two largest units: `2 d 4 h`, `15 min 30 s`.
pub(super) fn instant(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{} s", number(seconds));
    }
    let mut rest = seconds.round() as u64;
    let mut parts = Vec::new();
    for (unit, name) in [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")] {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    parts.join(" ")
}

/// What there is of an optional figure.
pub(super) fn or_none(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| NONE.to_owned())
}

/// A count and its noun: `1 request`, `1,200 requests`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_like_numbers() {
        for (value, text) in [
            (0.0, "0"),
            (0.012_345, "0.0123"),
            (0.5, "0.5"),
            (4.0, "4"),
            (9.108, "9.11"),
            (105.7, "105.7"),
            (999.96, "1,000"),
            (11_716.3, "11,716"),
            (-2.5, "−2.5"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn money_has_cents_where_they_matter() {
        for (value, text) in [
            (0.0, "$0.00"),
            (105.7, "$105.70"),
            (999.999, "$1,000"),
            (11_716.3, "$11,716"),
            (-12.0, "−$12.00"),
        ] {
            assert_eq!(dollars(value), text);
        }
    }

    #[test]
    fn shares_have_the_digits_that_tell_them_from_all_and_nothing() {
        for (share, text) in [
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.9413, "94.1 %"),
            (0.9957, "99.57 %"),
            (0.999_66, "99.966 %"),
            (0.004, "0.40 %"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn time_is_in_a_unit_that_suits_it() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.35, "350 ms"),
            (0.0522, "52.2 ms"),
            (8.084, "8.08 s"),
            (90.0, "90 s"),
            (60.0, "1 min"),
            (4800.0, "80 min"),
            (3600.0, "1 h"),
            (86_400.0, "1 day"),
            (604_800.0, "7 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (seconds, text) in [
            (5.0, "5 s"),
            (930.0, "15 min 30 s"),
            (7200.0, "2 h"),
            (187_200.0, "2 d 4 h"),
        ] {
            assert_eq!(instant(seconds), text);
        }
    }
}
