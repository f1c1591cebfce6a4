//! Dates and times of day, as exact nanoseconds.

use super::numbers::whole;

const DAYS_BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_IN_MONTH: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The start of the year 1970, as [`nanoseconds`] counts.
pub(super) const NANOSECONDS_TO_1970: i128 = 719_162 * 86_400 * 1_000_000_000;

/// Reads `2023-11-16 18:17:03.9799600` as nanoseconds since the start of the year 1.
///
/// The separator may be `T`, the fraction of a second may have up to 9 digits or be missing, and
/// `Z` or `+00:00` may follow. `None` for anything else; leap seconds do not exist.
pub(super) fn nanoseconds(text: &[u8]) -> Option<i128> {
    let (text, fraction) = text.split_at_checked(19)?;
    let separated = matches!(
        (text[4], text[7], text[10], text[13], text[16]),
        (b'-', b'-', b' ' | b'T', b':', b':')
    );
    if !separated {
        return None;
    }
    let days = days(
        whole(&text[..4])?,
        whole(&text[5..7])?,
        whole(&text[8..10])?,
    )?;
    let hour = whole(&text[11..13]).filter(|hour| *hour < 24)?;
    let minute = whole(&text[14..16]).filter(|minute| *minute < 60)?;
    let second = whole(&text[17..]).filter(|second| *second < 60)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(fraction_of_second(fraction)?))
}

/// Seconds since the start of the year 1970 of a date, or of a date and time in UTC.
///
/// ```
/// use fleetsim::workload::seconds_since_1970;
/// assert_eq!(seconds_since_1970("2026-01-05T08:00:00.5Z"), Some(1_767_600_000.5));
/// assert_eq!(seconds_since_1970("1970-01-02"), Some(86_400.0));
/// assert_eq!(seconds_since_1970("yesterday"), None);
/// ```
#[must_use]
pub fn seconds_since_1970(text: &str) -> Option<f64> {
    let text = match text.len() {
        10 => format!("{text}T00:00:00"),
        _ => text.to_owned(),
    };
    let nanoseconds = nanoseconds(text.as_bytes())? - NANOSECONDS_TO_1970;
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    Some(seconds as f64 + rest as f64 / 1e9)
}

/// Days from the first day of the year 1 to a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let before = year.checked_sub(1)?;
    let divides = |by: u64| year.is_multiple_of(by);
    let leap_year = divides(4) && (!divides(100) || divides(400));
    let month = usize::try_from(month.checked_sub(1)?).ok()?;
    let longest = DAYS_IN_MONTH.get(month)? + u64::from(leap_year && month == 1);
    if day == 0 || day > longest {
        return None;
    }
    let leap_days = before / 4 - before / 100 + before / 400 + u64::from(leap_year && month > 1);
    Some(before * 365 + leap_days + DAYS_BEFORE_MONTH[month] + day - 1)
}

/// The nanoseconds that `.98Z` and its like stand for.
fn fraction_of_second(text: &[u8]) -> Option<u64> {
    let zone = text
        .strip_suffix(b"Z")
        .or_else(|| text.strip_suffix(b"+00:00"));
    let text = zone.unwrap_or(text);
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(b".").filter(|digits| digits.len() <= 9)?;
    (digits.len()..9).try_fold(whole(digits)?, |value, _| value.checked_mul(10))
}

/// The date and time these seconds after the start of the year 1970, as [`nanoseconds`] reads it;
/// `None` beyond the year 9999.
pub(super) fn after_1970(seconds: f64) -> Option<String> {
    const SECOND: u64 = 1_000_000_000;
    const LAST_YEAR: u64 = 9_999;
    // Apart, because a product with the whole seconds would round to more than a nanosecond.
    let whole = seconds.floor();
    let nanoseconds = libm::round((seconds - whole) * 1e9) as u64;
    let seconds = (whole as u64).checked_add(nanoseconds / SECOND)?;
    let fraction = nanoseconds % SECOND;
    let (mut day, second) = (seconds / 86_400 + days(1970, 1, 1)?, seconds % 86_400);
    if day > days(LAST_YEAR, 12, 31)? {
        return None;
    }
    // Never too late: no year has more days.
    let mut year = day / 366 + 1;
    while days(year + 1, 1, 1)? <= day {
        year += 1;
    }
    let month = (1..=12)
        .rev()
        .find(|month| days(year, *month, 1).is_some_and(|first| first <= day))?;
    day -= days(year, month, 1)?;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some(format!(
        "{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02}.{fraction:09}",
        day + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(from: &str, to: &str) -> i128 {
        nanoseconds(to.as_bytes()).unwrap() - nanoseconds(from.as_bytes()).unwrap()
    }

    #[test]
    fn differences_are_exact_over_leap_days_and_centuries() {
        const DAY: i128 = 86_400_000_000_000;
        let midnight = |date| format!("{date} 00:00:00");
        for (from, to, days) in [
            ("1970-01-01", "2000-01-01", 10_957),
            ("2000-02-28", "2000-03-01", 2),
            ("1900-02-28", "1900-03-01", 1),
            ("2023-12-31", "2024-12-31", 366),
            ("0001-01-01", "9999-12-31", 3_652_058),
        ] {
            assert_eq!(
                between(&midnight(from), &midnight(to)),
                days * DAY,
                "{from} {to}"
            );
        }
        let (from, to) = (
            "2023-11-16 23:59:59.9799600",
            "2023-11-17T00:00:00.000000001Z",
        );
        assert_eq!(between(from, to), 20_040_001);
        assert_eq!(
            between("2023-11-16 18:17:03", "2023-11-16 18:17:03.5+00:00"),
            500_000_000
        );
    }

    #[test]
    fn dates_are_written_as_they_are_read() {
        let origin = nanoseconds(b"1970-01-01 00:00:00").unwrap();
        assert_eq!(origin, NANOSECONDS_TO_1970);
        for (seconds, want) in [
            (0.0, "1970-01-01 00:00:00.000000000"),
            (59.02004, "1970-01-01 00:00:59.020040000"),
            (951_782_399.5, "2000-02-28 23:59:59.500000000"),
            (951_782_400.0, "2000-02-29 00:00:00.000000000"),
            (978_307_199.0, "2000-12-31 23:59:59.000000000"),
            (253_402_300_799.0, "9999-12-31 23:59:59.000000000"),
        ] {
            let text = after_1970(seconds).unwrap();
            assert_eq!(text, want);
            let read = nanoseconds(text.as_bytes()).unwrap() - origin;
            assert!((read as f64 / 1e9 - seconds).abs() < 1e-4, "{want}");
        }
        assert_eq!(after_1970(253_402_300_800.0), None);
        assert_eq!(after_1970(f64::MAX), None);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in [
            "",
            "2023-11-16",
            "2023-11-16 18:17",
            "2023-11-16 24:00:00",
            "2023-11-16 18:60:00",
            "2023-11-16 18:17:60",
            "2023-02-29 00:00:00",
            "2023-13-01 00:00:00",
            "2023-00-01 00:00:00",
            "2023-01-00 00:00:00",
            "0000-01-01 00:00:00",
            "2023/11/16 18:17:03",
            "2023-11-16 18:17:03.",
            "2023-11-16 18:17:03.0123456789",
            "2023-11-16 18:17:03+01:00",
            "2023-11-16 18:17:03 ",
            "2023-1é-16 18:17:0",
        ] {
            assert_eq!(nanoseconds(bad.as_bytes()), None, "{bad}");
        }
    }
}
