//! The smallest whole number that meets the limits.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;

use super::verdict::{Verdict, is_settled, meets};
use super::{Answer, StudyError, Trial};

/// Bisects, then checks that numbers above the answer meet the limits, too, and numbers below it do not.
/// Where that is not so, every number up to the answer is tried.
pub(super) fn find(
    trial: &mut Trial<'_>,
    path: &str,
    range: RangeInclusive<u32>,
    value: &str,
) -> Result<Answer, StudyError> {
    let settings = |number: u32| {
        vec![format!(
            "{path}={}",
            value.replace("{}", &number.to_string())
        )]
    };
    let mut seen: BTreeMap<u32, Vec<Verdict>> = BTreeMap::new();
    let mut judge = |number: u32, seen: &mut BTreeMap<u32, Vec<Verdict>>| {
        let verdicts = match seen.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(trial.judge(&settings(number))?),
        };
        Ok::<bool, StudyError>(meets(verdicts))
    };
    let (from, to) = (*range.start(), *range.end());
    if judge(to, &mut seen)? {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            match judge(middle, &mut seen)? {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        for probe in probes(from, high, to) {
            judge(probe, &mut seen)?;
        }
    }
    let monotone = is_monotone(&seen);
    if !monotone && let Some(best) = smallest(&seen) {
        for number in from..best {
            if judge(number, &mut seen)? {
                break;
            }
        }
    }
    let answer = smallest(&seen);
    let below = answer.and_then(|it| it.checked_sub(1)).unwrap_or(to);
    let missed = seen.get(&below).filter(|it| !meets(it));
    let binding = missed.into_iter().flatten().filter(|it| !it.meets);
    Ok(Answer {
        sure: [answer, Some(below).filter(|it| *it >= from)]
            .into_iter()
            .flatten()
            .all(|it| seen.get(&it).is_some_and(|it| is_settled(it))),
        settings: answer.map(settings),
        binding: binding.map(|it| it.limit.clone()).collect(),
        monotone: Some(monotone),
    })
}

/// Numbers on both sides of an answer.
fn probes(from: u32, answer: u32, to: u32) -> Vec<u32> {
    let below = answer.checked_sub(1).filter(|it| *it >= from);
    let far_below = below.map(|it| from + (it - from) / 2);
    let above = answer.checked_add(1).filter(|it| *it <= to);
    let far_above = above.map(|it| it + (to - it) / 2);
    let probes = [below, far_below, above, far_above];
    probes.into_iter().flatten().collect()
}

fn smallest(seen: &BTreeMap<u32, Vec<Verdict>>) -> Option<u32> {
    let mut all = seen.iter();
    all.find(|(_, verdicts)| meets(verdicts))
        .map(|(number, _)| *number)
}

/// Whether every number above the smallest that meets the limits meets them, too, of those tried.
fn is_monotone(seen: &BTreeMap<u32, Vec<Verdict>>) -> bool {
    let met = seen.values().map(|it| meets(it));
    met.skip_while(|met| !met).all(|met| met)
}
