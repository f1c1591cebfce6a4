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
    let run = format!("cargo run -- run {}", quickstart::FILE);
    assert_eq!(first, [run.as_str(), "cargo test"]);
}

#[test]
fn the_readme_is_short() {
    let words = pages::read(README).split_whitespace().count();
    assert!(words < 1100, "{words} words");
}

/// The part of a page between its marks, without the fence.
fn part(name: &str) -> String {
    let page = pages::read(START);
    let part = page.split(&format!("<!-- {name} -->\n```text\n")).nth(1);
    let part = part.and_then(|it| it.split("```").next());
    part.expect("the page has it").to_owned()
}

#[test]
fn the_first_trace_and_the_first_plan_run_as_they_stand_there() {
    let folder = tempfile::tempdir().expect("there is room");
    std::fs::write(folder.path().join("my_trace.csv"), part("trace")).expect("there is room");
    let of_trace = part("scenario of a trace");
    let trace = "workload: Trace(path: \"my_trace.csv\", format: Requests()),";
    let plan = format!("{},", part("plan").trim_end());
    let of_plan = of_trace
        .replace(trace, &plan)
        .replacen('(', "(end: 3600,", 1);
    assert_ne!(of_plan, of_trace);
    let again = |what: &str| of_trace.replace("Requests())", &format!("Requests(), {what})"));
    let block = again("resample: (block: 2), repeat: 50");
    let keep = again("resample: (keep: 0.5), repeat: 50");
    let mut arrived = Vec::new();
    for text in [of_trace.clone(), of_plan, block, keep] {
        let scenario = CheckedScenario::from_ron(&text, folder.path());
        let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
        let mut simulation = Simulation::new(&scenario).expect("its workload can be opened");
        while simulation.tick().expect("its intervals are not zero") {}
        let summary = simulation.finish().record.summarise();
        let requests = &summary.applications[0].requests;
        assert_eq!(requests.arrived, requests.completed + requests.in_flight);
        arrived.push(requests.arrived);
    }
    let [trace, plan, block, keep] = arrived[..] else {
        panic!("four were run")
    };
    assert_eq!(trace, 3);
    // The first hour of a Monday: 40,000 × 2 ÷ 140 × 1.1 ÷ (6.7 ÷ 7), within 5 standard deviations.
    let hour: f64 = 40_000.0 * 2.0 / 140.0 * 1.1 * 7.0 / 6.7;
    assert!(
        (plan as f64 - hour).abs() < 5.0 * hour.sqrt(),
        "{plan} for {hour}"
    );
    assert!((100..200).contains(&block), "{block}");
    assert!((50..100).contains(&keep), "{keep}");
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
