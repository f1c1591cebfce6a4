//! Numbers out of the bytes of a cell, exactly or not at all.

use crate::scenario::TimeUnit;

const POWERS_OF_TEN: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// A whole number of decimal digits alone; `None` for anything else or beyond `u64`.
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // No number of 19 digits overflows.
        value = if text.len() < 20 {
            value * 10 + u64::from(digit)
        } else {
            value.checked_mul(10)?.checked_add(u64::from(digit))?
        };
    }
    (!text.is_empty()).then_some(value)
}

/// The `f64` nearest to a decimal number, as Python's `float` and every other correct reader
/// gives it; `None` for what is not a number. May be infinite or not a number when the text says
/// so.
pub(super) fn decimal(text: &[u8]) -> Option<f64> {
    plain_decimal(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

/// A time as the nearest number of seconds; `None` for what is no finite number of 0 or more.
///
/// Of milliseconds the decimal point moves before rounding.
pub(super) fn seconds(text: &[u8], unit: TimeUnit) -> Option<f64> {
    let seconds = match unit {
        TimeUnit::Seconds => decimal(text),
        TimeUnit::Milliseconds if text.iter().any(|byte| matches!(byte, b'e' | b'E')) => {
            decimal(text).map(|milliseconds| milliseconds / 1e3)
        }
        TimeUnit::Milliseconds if text.is_empty() => None,
        TimeUnit::Milliseconds => decimal(&[text, b"e-3"].concat()),
    };
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    // No negative zero.
    seconds.map(|seconds| seconds + 0.0)
}

/// At most 15 digits with or without a point: then digits and power of ten are both exact, so
/// that their quotient is rounded only once.
fn plain_decimal(text: &[u8]) -> Option<f64> {
    let mut digits = 0_u64;
    let mut point = None;
    for (at, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            digits = digits * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
        if at > 15 {
            return None;
        }
    }
    let count = text.len() - usize::from(point.is_some());
    if count == 0 || count > 15 {
        return None;
    }
    let fraction = point.map_or(0, |point| text.len() - point - 1);
    Some(digits as f64 / POWERS_OF_TEN[fraction])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_digits_are_whole_numbers() {
        assert_eq!(whole(b"007"), Some(7));
        assert_eq!(whole(b"18446744073709551615"), Some(u64::MAX));
        for bad in [
            "",
            "18446744073709551616",
            "-1",
            "+1",
            "1.0",
            "1 ",
            "٣",
            "1_0",
        ] {
            assert_eq!(whole(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_a_decimal_is_refused() {
        for bad in ["", ".", "1.2.3", "1,5", "abc", "0x1p3", "1e", "--1"] {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(decimal(b"\xff"), None);
        assert_eq!(decimal(b"5."), Some(5.0));
        assert_eq!(decimal(b".5"), Some(0.5));
        assert_eq!(decimal(b"1e400"), Some(f64::INFINITY));
    }

    proptest! {
        #[test]
        fn decimals_are_correctly_rounded(text in "[0-9]{0,12}\\.?[0-9]{0,12}(e-?[0-9]{1,2})?") {
            let want = text.parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(decimal(text.as_bytes()).map(f64::to_bits), want);
        }
    }
}
