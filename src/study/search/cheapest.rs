//! The cheapest of random settings that meets the limits: successive halving (Jamieson and Talwalkar,
//! 2016).

use super::verdict::{self, figure_of};
use super::{Answer, Settings, StudyError, Trial};
use crate::random::Stream;
use crate::study::sweep::{Range, latin_hypercube};

/// Runs all samples with two seeds, the better half with twice as many, and so on; the last are run until
/// the intervals settle whether they meet the limits.
pub(super) fn find(
    trial: &mut Trial<'_>,
    samples: u32,
    ranges: &[Range],
    by: &str,
) -> Result<Answer, StudyError> {
    let mut random = Stream::new(trial.file.seed, "search");
    let mut left: Vec<Settings> = latin_hypercube(samples, ranges, &mut random);
    let mut seeds = 2;
    while left.len() > FINALISTS {
        trial.run(&left, seeds)?;
        sort(trial, &mut left, by)?;
        left.truncate(left.len().div_ceil(2).max(FINALISTS));
        seeds = (seeds * 2).min(trial.file.most_replications as usize);
    }
    for settings in &left {
        trial.judge(settings)?;
    }
    sort(trial, &mut left, by)?;
    let judged = |trial: &Trial<'_>, it: &Settings| {
        verdict::judge(&trial.file.meets, trial.evaluator.of(it))
    };
    let answer = left.iter().find(|it| verdict::meets(&judged(trial, it)));
    // The cheapest setting of all, if it is another, shows which limits it misses.
    let mut all = trial.tried.clone();
    all.sort_by(|one, other| {
        let value = |it: &Settings| figure_of(by, trial.evaluator.of(it)).map(|it| it.mean);
        let [one, other] = [one, other].map(|it| value(it).unwrap_or(f64::INFINITY));
        one.total_cmp(&other)
    });
    let cheapest = all.first().filter(|it| Some(*it) != answer);
    let missed = cheapest.map(|it| judged(trial, it)).unwrap_or_default();
    let binding = missed.iter().filter(|it| !it.meets);
    Ok(Answer {
        sure: answer.is_some_and(|it| verdict::is_settled(&judged(trial, it))),
        settings: answer.cloned(),
        binding: binding.map(|it| it.limit.clone()).collect(),
        monotone: None,
    })
}

/// The settings that are run until it is settled how they stand.
const FINALISTS: usize = 3;

/// Those that meet the limits first, by what is to be small; then the others, by how many limits they miss.
fn sort(trial: &Trial<'_>, left: &mut [Settings], by: &str) -> Result<(), StudyError> {
    let mut keys = Vec::new();
    for settings in &*left {
        let runs = trial.evaluator.of(settings);
        let Some(figure) = figure_of(by, runs) else {
            return Err(StudyError::Input(format!(
                "find.Cheapest.by: no figure `{by}` is known of every run; summary.json has the names"
            )));
        };
        let verdicts = verdict::judge(&trial.file.meets, runs);
        let missed = verdicts.iter().filter(|it| !it.meets).count();
        keys.push((missed, figure.mean, settings.clone()));
    }
    keys.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    for (place, (.., settings)) in left.iter_mut().zip(keys) {
        *place = settings;
    }
    Ok(())
}
