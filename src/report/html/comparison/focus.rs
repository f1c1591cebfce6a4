/// The share of values, the best first, that a view is made for.
const BEST: f64 = 0.6;

/// How many times the spread of those the others may be away and still be in view.
const REACH: f64 = 3.0;

/// From and to, so that most of the values are told apart: all of them or, where a few are far beyond the
/// others on the side of `worse`, the others. `least` is a spread that is worth showing.
pub(super) fn focus(values: &[f64], worse: Worse, least: f64) -> [f64; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    if matches!(worse, Worse::Lower) {
        sorted.reverse();
    }
    let (Some(&best), count) = (sorted.first(), sorted.len()) else {
        return [0.0, 1.0];
    };
    let usual = ((BEST * count as f64).ceil() as usize).clamp(1, count) - 1;
    let spread = (sorted[usual] - best).abs().max(least);
    let reach = spread * (1.0 + REACH);
    let mut within = sorted.iter().filter(|value| (*value - best).abs() <= reach);
    let last = within.next_back().copied().unwrap_or(best);
    let room = ((last - best).abs() * 0.08).max(least / 4.0);
    [best.min(last) - room, best.max(last) + room]
}

/// On which side of the others the failures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worse {
    Lower,
    Higher,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_does_not_squeeze_the_others() {
        let [from, to] = focus(&[99.0, 98.5, 97.9, 99.4, 12.0], Worse::Lower, 0.1);
        assert!(from > 96.0 && from < 97.9 && to > 99.4, "{from} to {to}");
        let [from, to] = focus(&[10.0, 12.0, 11.0, 300.0], Worse::Higher, 0.1);
        assert!(from < 10.0 && to > 12.0 && to < 20.0, "{from} to {to}");
    }

    #[test]
    fn what_is_spread_evenly_is_shown_whole() {
        let [from, to] = focus(&[99.0, 80.0, 60.0, 40.0], Worse::Lower, 0.1);
        assert!(from < 40.0 && to > 99.0, "{from} to {to}");
        let [from, to] = focus(&[5.0], Worse::Higher, 0.5);
        assert!(from < 5.0 && to > 5.0);
    }
}
