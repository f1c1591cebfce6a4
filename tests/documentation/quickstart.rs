//! `scenarios/quickstart.ron` tells a story in its comments, with figures.

use fleetsim::observe::Summary;
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::{Outcome, RequestRecord};
use fleetsim::simulation::Simulation;

use crate::pages;

pub(crate) const FILE: &str = "scenarios/quickstart.ron";

/// Runs it to its end.
pub(crate) fn run(overrides: &[&str]) -> (Summary, Vec<RequestRecord>) {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let scenario = CheckedScenario::load(&pages::path(FILE), &overrides)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let mut simulation = Simulation::new(&scenario).expect("its workload is generated");
    while simulation.tick().expect("its intervals are not zero") {}
    let finished = simulation.finish();
    let records = finished.rows.requests.into_iter().map(|(_, record)| record);
    (finished.record.summarise(), records.collect())
}

fn attainment(summary: &Summary) -> String {
    let share = summary.applications[0].slo.attainment;
    format!("{:.2} %", share.expect("requests ended") * 100.0)
}

/// A line of the story: what users felt who arrived between two instants.
fn line(records: &[RequestRecord], from: f64, to: f64, servers: &str) -> String {
    let arrived: Vec<_> = records
        .iter()
        .filter(|it| (from..to).contains(&it.arrival.seconds()))
        .collect();
    let done = arrived.iter().filter(|it| it.outcome == Outcome::Completed);
    let waits: Vec<_> = done
        .filter_map(|it| Some((it.ttft()?.seconds(), it.tbt()?.seconds())))
        .collect();
    let met = waits
        .iter()
        .filter(|(ttft, tbt)| *ttft <= 1.0 && *tbt <= 0.1);
    let share = format!("{:.2} %", met.count() as f64 / waits.len() as f64 * 100.0);
    let slowest = waits.iter().map(|(ttft, _)| *ttft).fold(0.0, f64::max);
    let (thousands, rest) = (arrived.len() / 1000, arrived.len() % 1000);
    format!(
        "//{from:>11}{to:>8}{servers:>10}{:>11}{share:>10}{slowest:>20.2} s\n",
        format!("{thousands},{rest:03}")
    )
}

#[test]
fn the_story_of_the_quickstart_is_true() {
    let text = pages::read(FILE);
    let (summary, records) = run(&[]);
    for (from, to, servers) in [
        (0.0, 900.0, "2"),
        (900.0, 1020.0, "2"),
        (1020.0, 2100.0, "4"),
        (2100.0, 3600.0, "4→2"),
    ] {
        let line = line(&records, from, to, servers);
        assert!(text.contains(&line), "{FILE} should say\n{line}");
    }
    let sooner = run(&["fleet[0].provision_delay=Constant(0.0)"]).0;
    let foreseen = run(&["actions[0].at=810", "actions[1].at=810"]).0;
    for (figure, after) in [
        (attainment(&summary), "All in all "),
        (attainment(&sooner), "Constant(0.0)'            "),
        (attainment(&foreseen), "actions[1].at=810'       "),
    ] {
        let said = format!("{after}{figure}");
        assert!(text.contains(&said), "{FILE} should say {said}");
    }

    let requests = &summary.applications[0].requests;
    assert_eq!(requests.arrived, requests.completed + requests.in_flight);
    assert_eq!(requests.restarted + requests.evicted, 0);
    let healed = records
        .iter()
        .filter(|it| (1050.0..1200.0).contains(&it.arrival.seconds()));
    let waits: Vec<_> = healed.map(|it| it.ttft().unwrap().seconds()).collect();
    let met = waits.iter().filter(|ttft| **ttft <= 1.0).count();
    assert!(met * 100 > waits.len() * 99, "{met} of {}", waits.len());
}
