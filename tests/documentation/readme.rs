//! The README's commands, table, scenario and error message.

use std::num::NonZero;

use fleetsim::autoscale::PolicyRegistry;
use fleetsim::catalog::Catalog;
use fleetsim::report::{comparison_table, summary_table};
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;
use fleetsim::study::Contest;

use crate::pages::{self, PAGES, blocks};
use crate::quickstart;

const README: &str = "README.md";
const START: &str = "docs/START.md";

#[test]
fn the_first_shell_block_is_the_first_run_and_the_tests() {
    let readme = pages::read(README);
    let first: Vec<_> = blocks(&readme, "sh")[0].lines().collect();
    let run = format!("cargo run --release -- run {}", quickstart::FILE);
    assert_eq!(first, [run.as_str(), "cargo test"]);
}

#[test]
fn the_table_is_what_the_quickstart_prints() {
    let (summary, _) = quickstart::run(&[]);
    let table = format!("```text\n{}\n```\n", summary_table(&summary));
    pages::assert_generated(README, "what quickstart prints", &table);
}

#[test]
fn the_comparison_is_what_the_command_prints() {
    let readme = pages::read(README);
    let command = blocks(&readme, "sh").into_iter();
    let command = command.flat_map(str::lines);
    let mut command = command.filter_map(|line| line.strip_prefix("fleetsim compare "));
    let (file, terms) = command
        .next()
        .and_then(|rest| rest.split_once(" --policies '"))
        .expect("the README has such a command");
    let scenario = CheckedScenario::load(&pages::path(file), &[])
        .unwrap_or_else(|problems| panic!("{problems}"));
    let policies = PolicyRegistry::built_in();
    let contest = Contest::new(&scenario, &policies, terms.trim_end_matches('\''))
        .unwrap_or_else(|problems| panic!("{problems}"));
    let comparison = contest.run(NonZero::<usize>::MIN, &());
    let table = format!("```text\n{}\n```\n", comparison_table(&comparison));
    pages::assert_generated(README, "what compare prints", &table);
}

#[test]
fn every_scenario_and_catalog_in_the_pages_is_good() {
    let mut count = 0;
    for page in PAGES {
        let text = pages::read(page);
        for block in blocks(&text, "ron") {
            if !block.contains("applications:") {
                let catalog = Catalog::built_in().add_ron(page, block);
                catalog.unwrap_or_else(|problems| panic!("{problems}"));
                continue;
            }
            let scenario = CheckedScenario::from_ron(block, &pages::path("scenarios"))
                .unwrap_or_else(|problems| panic!("{page}: {problems}"));
            let mut simulation = Simulation::new(&scenario).unwrap();
            while simulation.tick().unwrap() {}
            let summary = simulation.finish().record.summarise();
            assert!(summary.applications[0].requests.completed > 0, "{page}");
            count += 1;
        }
    }
    assert!(count > 0, "the README has a scenario");
}

#[test]
fn wrong_scenarios_are_told_so_as_the_first_page_says() {
    let readme = pages::read(README);
    let scenario = blocks(&readme, "ron")[0];
    let wrong = scenario
        .replace("spin_up", "spinup")
        .replace("OnIdle", "Idle");
    let problems = CheckedScenario::from_ron(&wrong, ".".as_ref()).unwrap_err();
    let said = problems.to_string().replace("<scenario>", "evening.ron");
    let said = format!("```text\n{}\n```\n", said.trim_end());
    pages::assert_generated(START, "what check says", &said);
}
