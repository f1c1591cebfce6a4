use super::tree::Number;

/// `inf` and `NaN`, which RON takes for numbers.
pub(super) fn special_float(word: &str) -> Option<f64> {
    match word {
        "inf" | "inff32" | "inff64" => Some(f64::INFINITY),
        "NaN" | "NaNf32" | "NaNf64" => Some(f64::NAN),
        _ => None,
    }
}

/// A number in any notation that RON has.
pub(super) fn parse_number(literal: &str) -> Option<Number> {
    const INTEGERS: [&str; 10] = [
        "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128",
    ];
    const FLOATS: [&str; 2] = ["f32", "f64"];

    let negative = literal.starts_with('-');
    let unsigned = literal.trim_start_matches(['+', '-']);
    if literal.len() - unsigned.len() > 1 {
        return None;
    }
    let sign = |magnitude: i128| if negative { -magnitude } else { magnitude };
    if let Some(float) = special_float(unsigned) {
        return Some(Number::Float(if negative { -float } else { float }));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            let digits = strip_suffix(digits, &INTEGERS).replace('_', "");
            let magnitude = whole(&digits, radix)?;
            return Some(Number::Radix(sign(magnitude)));
        }
    }
    let digits = strip_suffix(unsigned, &INTEGERS);
    if let Some(magnitude) = whole(&digits.replace('_', ""), 10) {
        return Some(Number::Integer(sign(magnitude)));
    }
    let float = strip_suffix(unsigned, &FLOATS).replace('_', "");
    let is_float = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !float.chars().all(is_float) {
        return None;
    }
    let magnitude: f64 = float.parse().ok()?;
    Some(Number::Float(if negative { -magnitude } else { magnitude }))
}

fn strip_suffix<'a>(literal: &'a str, suffixes: &[&str]) -> &'a str {
    suffixes
        .iter()
        .find_map(|suffix| literal.strip_suffix(suffix))
        .unwrap_or(literal)
}

/// Digits as a number, saturating.
fn whole(digits: &str, radix: u32) -> Option<i128> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(i128::from_str_radix(digits, radix).unwrap_or(i128::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_notation() {
        for (literal, number) in [
            ("12", Number::Integer(12)),
            ("-1_000", Number::Integer(-1000)),
            ("7u32", Number::Integer(7)),
            ("0xff", Number::Radix(255)),
            ("0b1_01u8", Number::Radix(5)),
            ("+.5", Number::Float(0.5)),
            ("5.", Number::Float(5.0)),
            ("1e-3f64", Number::Float(0.001)),
            ("1e400", Number::Float(f64::INFINITY)),
            ("-inf", Number::Float(f64::NEG_INFINITY)),
            ("9".repeat(60).as_str(), Number::Integer(i128::MAX)),
        ] {
            assert_eq!(parse_number(literal), Some(number), "{literal}");
        }
        for bad in ["10s", "0x", "1.2.3", "--1", "1e", "0b2", "1ms", "-"] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
    }
}
