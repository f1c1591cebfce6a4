use super::{Skipped, names};
use crate::autoscale::PolicyRegistry;
use crate::document::items;
use crate::scenario::{CheckedScenario, Diagnostics, Problem};

/// Stands for every policy that there is, in a list of policies.
const ALL: &str = "all";

/// No policy at all: the fleet stays as it is.
const NONE: &str = "None";

/// A policy that takes part.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    /// Its term as it was written.
    pub(super) policy: String,
    /// The name that it was given.
    pub(super) name: Option<String>,
    /// What it is called: its name, or what tells it from the others.
    pub(super) label: String,
    /// The scenario with that policy.
    pub(super) scenario: CheckedScenario,
}

/// Positions of the applications that are compared: those that have an autoscaler or, where none has,
/// all.
pub(super) fn applications(scenario: &CheckedScenario) -> Vec<usize> {
    let all = &scenario.scenario().applications;
    let scaled = |index: &usize| all[*index].autoscaler.is_some();
    match all.iter().any(|of| of.autoscaler.is_some()) {
        true => (0..all.len()).filter(scaled).collect(),
        false => (0..all.len()).collect(),
    }
}

/// The contenders that a list names, in its order, and those of `all` that cannot take part.
pub(super) fn contenders(
    scenario: &CheckedScenario,
    registry: &PolicyRegistry,
    policies: &str,
) -> Result<(Vec<Contender>, Vec<Skipped>), Diagnostics> {
    let applications = applications(scenario);
    let (policies, names) = names::split(policies);
    let enter = |term: &str, name: Option<&String>| -> Result<Contender, Diagnostics> {
        let changed = scenario.with_policy(&applications, term)?;
        registry.check(&changed)?;
        Ok(Contender {
            policy: term.to_owned(),
            name: name.cloned(),
            label: String::new(),
            scenario: changed,
        })
    };
    let terms = items("policies", &policies)?;
    let (mut entered, mut skipped, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (position, term) in terms.iter().enumerate() {
        let name = names.get(position).and_then(Option::as_ref);
        let before = names.iter().take(position);
        if name.is_some() && before.into_iter().any(|it| it.as_ref() == name) {
            let name = name.map_or("", String::as_str);
            let message = format!("two policies have the name `{name}`");
            problems.push(problem(&message, "give each its own"));
        }
        if term == ALL {
            let names = registry.policies().map(|policy| policy.name());
            for name in [NONE].into_iter().chain(names) {
                if terms.iter().any(|term| term == name) {
                    continue;
                }
                match enter(name, None) {
                    Ok(contender) => entered.push(contender),
                    Err(wrong) => skipped.push(Skipped {
                        policy: name.to_owned(),
                        reason: wrong.problems()[0].message.clone(),
                    }),
                }
            }
        } else if terms[..position].contains(term) {
            problems.push(problem(&format!("`{term}` is named twice"), "name it once"));
        } else {
            match enter(term, name) {
                Ok(contender) => entered.push(contender),
                Err(wrong) => problems.extend(wrong.into_problems()),
            }
        }
    }
    if entered.is_empty() && problems.is_empty() {
        let help = "name some, such as `None, HpaGpu, HeteroScale(max: 50)`, or `all`";
        problems.push(problem("there is no policy to compare", help));
    }
    let terms: Vec<&str> = entered.iter().map(|it| it.policy.as_str()).collect();
    let labels = names::tell_apart(&terms);
    for (contender, label) in entered.iter_mut().zip(labels) {
        contender.label = contender.name.clone().unwrap_or(label);
    }
    if problems.is_empty() {
        Ok((entered, skipped))
    } else {
        Err(Diagnostics::new(problems))
    }
}

impl Contender {
    /// As it was written, with its name.
    pub(super) fn written(&self) -> String {
        match &self.name {
            Some(name) => format!("{name:?}: {}", self.policy),
            None => self.policy.clone(),
        }
    }
}

fn problem(message: &str, help: &str) -> Problem {
    Problem::new("policies", message).help(help)
}
