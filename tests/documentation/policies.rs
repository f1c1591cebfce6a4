//! `docs/POLICIES.md` has every policy with its rule, its source and its parameters, from where `fleetsim
//! list policies` has them, and what it decides in a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fleetsim::autoscale::{Decision, PolicyKind, PolicyRegistry};
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;
use serde_json::Value as Json;

use crate::pages;
use crate::schema::{fields, variants};

const PAGE: &str = "docs/POLICIES.md";

/// The run that the examples are of: its rate triples after five minutes and halves after fifteen.
const RUN: &str = r#"(
    name: "example", seed: 1, end: 1800.0,
    fleet: [(sku: "dgx-h100", count: 4, limit: 12, provision_delay: Constant(30.0))],
    applications: [(
        name: "chat", model: "llama2-70b",
        SERVES
        scaling: (scale_up_delay: 60.0, drain: OnIdle),
        slo: (ttft: 1.0, tbt: 0.1),
        autoscaler: POLICY,
        workload: Synthetic(
            arrivals: Poisson(rate: 8.0),
            shape: Piecewise([(0, 1), (300, 3), (900, 0.5)]),
            prompt_tokens: LogNormal(median: 1000, sigma: 0.5),
            output_tokens: Geometric(mean: 150),
        ),
    )],
)"#;

/// Who serves: instances for both phases, or some for each.
const MIXED: &str = "instances: [(role: Mixed, start: Servers(4))],";
const SPLIT: &str = "scheduler: KvTokenJsq(transfer_gib_per_s: 200.0), \
                     instances: [(role: Prompt, start: Servers(2)), (role: Token, start: Servers(2))],";

/// Decisions of a role that an example shows.
const SHOWN: usize = 4;

/// Terms for policies that with their defaults decide nothing in half an hour.
const TERMS: [(&str, &str); 6] = [
    ("LatencyBased", "LatencyBased(target: 0.08)"),
    ("Periodic", "Periodic(interval: 60)"),
    (
        "SageServeLtI",
        "SageServeLtI(interval: 15, plan_interval: 300)",
    ),
    (
        "SageServeLtU",
        "SageServeLtU(interval: 15, plan_interval: 300, up: 0.3)",
    ),
    (
        "SageServeLtUa",
        "SageServeLtUa(interval: 15, plan_interval: 300, up: 0.3)",
    ),
    ("DynamoSla", "DynamoSla(interval: 60)"),
];
#[test]
fn each_policy_is_there_with_its_parameters_and_an_example() {
    let registry = PolicyRegistry::built_in();
    let mut page = Page::default();
    for policy in registry.policies() {
        page.policy(policy, &registry);
    }
    pages::assert_generated(PAGE, "policies", &page.finish());
}

/// The generated part of the page.
#[derive(Default)]
struct Page {
    text: String,
    /// Types of parameters, each as its policies have it.
    types: BTreeMap<String, Json>,
}

impl Page {
    fn policy(&mut self, policy: &PolicyKind, registry: &PolicyRegistry) {
        let schema = policy.schema();
        let name = policy.name();
        let about = plain(schema["description"].as_str().unwrap_or_default());
        for part in ["| inputs |", "| first decision |", "\nSource: "] {
            assert!(
                about.contains(part),
                "the documentation of {name} has no {part}"
            );
        }
        for (kind, schema) in schema["$defs"].as_object().into_iter().flatten() {
            if registry.policies().any(|it| it.name() == kind) {
                // It has a section of its own.
                continue;
            }
            let known = self.types.insert(kind.clone(), schema.clone());
            assert!(
                known.is_none_or(|known| known == *schema),
                "two policies mean different types by {kind}"
            );
        }
        let _ = write!(
            self.text,
            "### {name}\n\n{}.\n\n{about}\n\n{}\n",
            sentence(policy.summary()),
            fields(&schema)
        );
        self.example(name, registry);
    }

    /// What the policy decided in the run, and why, where it wanted a change.
    fn example(&mut self, name: &str, registry: &PolicyRegistry) {
        let term = TERMS.iter().find(|(of, _)| *of == name);
        let term = term.map_or(name, |(_, term)| term);
        let decisions = run(term, registry);
        let wished = decisions
            .iter()
            .filter(|it| it.desired != it.scaling_up + it.active);
        let mut rows = String::new();
        let mut shown: BTreeMap<_, usize> = BTreeMap::new();
        for of in wished {
            let count = shown.entry(of.role).or_default();
            *count += 1;
            if *count > SHOWN {
                continue;
            }
            let role = of.role;
            let there = match of.scaling_up {
                0 => format!("{}", of.active),
                starting => format!("{} and {starting} starting", of.active),
            };
            let _ = writeln!(
                rows,
                "| {} s | {role:?} | {there} | {} | {} |",
                of.time.seconds(),
                of.desired,
                of.reason
            );
        }
        let _ = match rows.is_empty() {
            true => writeln!(
                self.text,
                "`{term}` in the run above: {} decisions, each to stay as it is; the last because of \"{}\".\n",
                decisions.len(),
                decisions.last().map_or("", |it| &it.reason)
            ),
            false => writeln!(
                self.text,
                "`{term}` in the run above:\n\n| at | role | there are | wants | because |\n|---|---|---|---|---|\n{rows}"
            ),
        };
    }

    fn finish(mut self) -> String {
        let kinds: Vec<(String, Json)> = self.types.into_iter().collect();
        self.text += "## Types of parameters\n\n";
        for (name, schema) in kinds {
            let about = plain(schema["description"].as_str().unwrap_or_default());
            let is_enum = schema["oneOf"].is_array() || schema["enum"].is_array();
            let table = if is_enum {
                variants(&schema)
            } else {
                fields(&schema)
            };
            let _ = writeln!(self.text, "### {name}\n\n{about}\n\n{table}");
        }
        self.text
    }
}

/// Every decision of a policy in the run.
fn run(term: &str, registry: &PolicyRegistry) -> Vec<Decision> {
    let load = |serves: &str| {
        let text = RUN.replace("SERVES", serves).replace("POLICY", term);
        let checked = CheckedScenario::from_ron(&text, ".".as_ref())
            .unwrap_or_else(|problems| panic!("{problems}"));
        Simulation::with_policies(&checked, registry)
    };
    let simulation = load(MIXED).or_else(|_| load(SPLIT));
    let mut simulation = simulation.unwrap_or_else(|error| panic!("{term}: {error}"));
    let mut decisions = Vec::new();
    loop {
        let more = simulation.tick().expect("its intervals are not zero");
        decisions.append(&mut simulation.take_decisions());
        if !more {
            return decisions;
        }
    }
}

/// The text that stands on the page for the run.
#[test]
fn the_run_of_the_examples_is_on_the_page() {
    let text = RUN.replace("SERVES\n        ", &format!("{MIXED}\n        "));
    let text = text.replace("        autoscaler: POLICY,\n", "");
    pages::assert_generated(
        PAGE,
        "run of the examples",
        &format!("```ron\n{text}\n```\n"),
    );
}

/// Documentation of Rust as Markdown: without links to items.
fn plain(text: &str) -> String {
    let text = text.replace("](super::DynamoLoad)", "]");
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, link)) = rest.split_once('[') {
        plain += before;
        let Some((label, behind)) = link.split_once(']') else {
            plain.push('[');
            rest = link;
            continue;
        };
        // A link to an item goes to its name; what is no link stays.
        let target = behind.strip_prefix('(').and_then(|it| it.split_once(')'));
        match target {
            Some((target, behind)) if target.contains("::") => {
                plain += label;
                rest = behind;
            }
            _ if label.starts_with('`') => {
                plain += label;
                rest = behind;
            }
            _ => {
                plain.push('[');
                rest = link;
            }
        }
    }
    plain + rest
}

/// The first letter in upper case.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}
