//! What report.html is made of, whatever it looks like.
#![cfg(feature = "html")]
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::convert::Infallible;

use fleetsim::report::RunReport;
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;
use serde_json::Value;

const COMMAND: &str = "fleetsim run surge.ron";

/// A small service with a policy, whose application goes by this name.
fn scenario(name: &str, requests: u32) -> CheckedScenario {
    let name = serde_json::to_string(name).unwrap();
    let text = format!(
        r#"(
            name: "<b>surge",
            fleet: [(sku: "dgx-h100", count: 1, limit: 4)],
            applications: [(
                name: {name},
                model: "llama2-70b",
                instances: [(role: Mixed, start: AllServers)],
                autoscaler: Threshold(interval: 10.0, up: 0.5),
                slo: (ttft: 1.0, tbt: 0.1),
                workload: Synthetic(
                    arrivals: Poisson(rate: 20.0),
                    prompt_tokens: Constant(1000),
                    output_tokens: Constant(100),
                    requests: {requests},
                ),
            )],
            actions: [(at: 5.0, action: ScaleUpFull(application: {name}, role: Mixed))],
        )"#
    );
    CheckedScenario::from_ron(&text, ".".as_ref()).unwrap()
}

fn report(checked: &CheckedScenario) -> String {
    let mut simulation = Simulation::new(checked).unwrap();
    let mut report = RunReport::new(checked, COMMAND);
    let ran = simulation.run(|simulation, news| {
        report.see(simulation, &news);
        Ok::<_, Infallible>(())
    });
    ran.unwrap().unwrap();
    let finished = simulation.finish();
    report.page(&finished, &finished.record.summarise())
}

/// The page without plotly's script.
fn own(page: &str) -> String {
    let (before, rest) = page
        .split_once("<script type=\"text/javascript\">")
        .unwrap();
    let (_, after) = rest.split_once("</script>").unwrap();
    format!("{before}{after}")
}

fn charts(page: &str) -> Vec<Value> {
    let (_, rest) = page
        .split_once("<script type=\"application/json\" id=\"charts\">")
        .unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_page_is_one_file_that_loads_nothing() {
    let page = report(&scenario("chat", 600));
    assert_eq!(page.matches("plotly.js v").count(), 1);
    assert_eq!(page.matches("default-src 'none'").count(), 1);
    let own = own(&page);
    for loads in ["http://", "https://", "src=", "href=", "@import", "url("] {
        assert!(!own.contains(loads), "{loads}");
    }
    assert!(own.contains(COMMAND));
}

#[test]
fn every_chart_has_its_place_and_its_data() {
    let page = report(&scenario("chat", 600));
    let charts = charts(&page);
    assert_eq!(charts.len(), 8);
    for chart in &charts {
        let id = chart["id"].as_str().unwrap();
        assert_eq!(page.matches(&format!("<div id=\"{id}\"")).count(), 1);
        let traces = chart["data"].as_array().unwrap();
        assert!(!traces.is_empty(), "{id}");
        for trace in traces {
            let [x, y] = ["x", "y"].map(|axis| trace[axis].as_array().unwrap().len());
            assert!(x > 0 && x == y, "{id}: {trace}");
        }
    }
}

#[test]
fn what_was_scaled_is_marked_with_its_reason() {
    let page = report(&scenario("chat", 600));
    let charts = charts(&page);
    let traces = charts.iter().flat_map(|it| it["data"].as_array().unwrap());
    let begun: Vec<_> = traces
        .filter(|trace| trace["name"] == "start-up begun")
        .flat_map(|trace| trace["hovertext"].as_array().unwrap())
        .map(|text| text.as_str().unwrap())
        .collect();
    assert!(
        begun.contains(&"5 s: start-up begun, instance_1<br>scripted"),
        "{begun:?}"
    );
    assert!(
        begun.iter().any(|text| text.contains("Threshold: ")),
        "{begun:?}"
    );
}

#[test]
fn names_are_shown_and_not_read_as_markup() {
    let page = report(&scenario("</script><script>alert('x')</script>&", 20));
    assert!(!page.contains("<script>alert") && !page.contains("<b>"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"));
    assert_eq!(page.matches("</script>").count(), 3);
    charts(&page);
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let checked = scenario("chat", 200);
    assert!(report(&checked) == report(&checked));
}

#[test]
fn a_run_without_a_request_has_a_page() {
    let page = report(&scenario("chat", 0));
    assert_eq!(charts(&page).len(), 8);
    assert!(page.contains("0 completed, 0 in flight, 0 waiting, 0 rejected"));
}

#[test]
fn a_longer_run_makes_no_larger_page() {
    let own_bytes = |requests| own(&report(&scenario("chat", requests))).len();
    let (shorter, longer) = (own_bytes(2_000), own_bytes(40_000));
    assert!(longer < 600_000, "{longer} after {shorter}");
}
