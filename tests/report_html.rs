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
    assert_eq!(page.matches("default-src 'none'").count(), 1);
    // The one address is the name of the format of drawings.
    let page = page.replace("\"http://www.w3.org/2000/svg\"", "");
    for loads in [
        "http://", "https://", "src=", "href=\"", "@import", "fetch(", "import(",
    ] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(page.contains(COMMAND));
}

/// The chart of this title.
fn chart(page: &str, title: &str) -> Value {
    let found = charts(page).into_iter().find(|it| it["title"] == title);
    found.unwrap_or_else(|| panic!("{title}"))
}

/// The series of this name on a chart: the points that have a value.
fn series(chart: &Value, name: &str) -> Vec<(f64, f64)> {
    let all = chart["series"].as_array().unwrap();
    let of = all.iter().find(|it| it["name"] == name).unwrap();
    let [x, y] = ["x", "y"].map(|axis| of[axis].as_array().unwrap());
    let both = x.iter().zip(y);
    both.filter_map(|(x, y)| Some((x.as_f64()?, y.as_f64()?)))
        .collect()
}

/// The value that holds at a second.
fn at(series: &[(f64, f64)], second: f64) -> f64 {
    let before = series.iter().rfind(|(x, _)| *x <= second);
    before.unwrap().1
}

#[test]
fn every_chart_has_its_place_and_its_data() {
    let page = report(&scenario("chat", 600));
    let charts = charts(&page);
    let titles: Vec<_> = charts
        .iter()
        .map(|it| it["title"].as_str().unwrap())
        .collect();
    assert_eq!(
        titles,
        [
            "SLO met",
            "Cost",
            "Demand and capacity",
            "Mixed instances",
            "Time to first token",
            "Time between tokens",
            "Where requests are",
            "How busy Mixed instances are",
            "How long requests took",
        ]
    );
    for chart in &charts {
        let id = chart["id"].as_str().unwrap();
        assert_eq!(page.matches(&format!("<figure id=\"{id}\"")).count(), 1);
        let all = chart["series"].as_array().unwrap();
        assert!(!all.is_empty(), "{id}");
        for series in all.iter().filter(|it| it["y"].is_array()) {
            let [x, y] = ["x", "y"].map(|axis| series[axis].as_array().unwrap().len());
            assert!(x > 0 && x == y, "{id}: {series}");
        }
    }
}

#[test]
fn what_was_scaled_is_marked_and_listed_with_its_reason() {
    let page = report(&scenario("chat", 600));
    let instances = chart(&page, "Mixed instances");
    let marks = instances["series"].as_array().unwrap().iter();
    let begun: Vec<_> = marks
        .filter(|it| it["name"] == "start-up begun")
        .flat_map(|it| it["texts"].as_array().unwrap())
        .map(|text| text.as_str().unwrap())
        .collect();
    assert!(
        begun.contains(&"5 s: start-up begun, instance 1\nscripted"),
        "{begun:?}"
    );
    assert!(
        begun.iter().any(|text| text.contains("\nThreshold: ")),
        "{begun:?}"
    );
    let (_, table) = page.split_once("Scaling decisions, and why").unwrap();
    let (table, _) = table.split_once("</table>").unwrap();
    let rows: Vec<_> = table.split("<tr>").skip(2).collect();
    assert!(
        rows[0].contains(">5 s<") && rows[0].contains(">scripted<"),
        "{}",
        rows[0]
    );
    let decided = rows.iter().filter(|it| it.contains(">Threshold<"));
    assert!(decided.count() > 0, "{rows:?}");
    assert!(
        page.contains("an instance became active"),
        "events in plain words"
    );
    assert!(!page.contains("scale_up_start"));
}

/// Fcfs at one request a second an instance, of which there is one; 2 a second arrive from 100 s on.
const OVERLOAD: &str = r#"(
    name: "overload",
    end: 300,
    fleet: [(sku: "dgx-h100", count: 1)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        performance: Constant(prompt_time: 0.5, token_time: 0.05),
        instances: [(role: Mixed, engine: Fcfs, start: AllServers)],
        slo: (ttft: 5),
        workload: Synthetic(
            arrivals: Constant(rate: 0.5),
            shape: Piecewise([(0, 1), (100, 4)]),
            prompt_tokens: Constant(100),
            output_tokens: Constant(11),
        ),
    )],
)"#;

fn overloaded() -> String {
    report(&CheckedScenario::from_ron(OVERLOAD, ".".as_ref()).unwrap())
}

#[test]
fn an_unhappy_end_does_not_look_like_a_recovery() {
    let page = overloaded();
    let latency = chart(&page, "Time to first token");
    let p50 = series(&latency, "p50");
    // By 300 s those that arrived in the first 200 s are served: 50 + 150 a second's worth. A request that
    // arrives t seconds after 100 s waits t seconds, so none after about 200 s has its first token.
    let last = p50.last().unwrap().0;
    assert!((190.0..=206.0).contains(&last), "{last}");
    let rising: Vec<_> = p50.iter().filter(|(x, _)| *x > 110.0).collect();
    assert!(rising.is_sorted_by(|a, b| a.1 < b.1), "{rising:?}");
    let waits = series(&latency, "waits for at least");
    assert!(waits.iter().all(|(x, y)| (x + y - 300.0).abs() < 1e-3));
    let band = latency["series"].as_array().unwrap().iter();
    let band = band.filter(|it| it["kind"] == "band").count();
    assert_eq!(band, 1);
    let met = chart(&page, "SLO met");
    assert_eq!(at(&series(&met, "not over at the end"), 290.0), 100.0);
    assert_eq!(at(&series(&met, "met"), 50.0), 100.0);
    assert_eq!(at(&series(&met, "met"), 290.0), 0.0);
}

#[test]
fn what_broke_is_marked_on_what_users_got() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/zone_outage.ron");
    let overrides = ["end=1500".to_owned()];
    let checked = CheckedScenario::load(path.as_ref(), &overrides).unwrap();
    let met = chart(&report(&checked), "SLO met");
    let mut all = met["series"].as_array().unwrap().iter();
    let faults = all.find(|it| it["name"] == "fault").unwrap();
    assert_eq!(faults["x"].as_array().unwrap().len(), 1);
    let told = faults["texts"][0].as_str().unwrap();
    assert!(
        told.contains("zone outage of a") && told.contains("servers lost"),
        "{told}"
    );
}

#[test]
fn demand_and_capacity_are_in_requests_a_second() {
    let page = overloaded();
    let demand = chart(&page, "Demand and capacity");
    // One request at a time, 0.5 s for its prompt and 10 × 0.05 s for the other tokens.
    let capacity = series(&demand, "capacity");
    assert!(
        capacity.iter().all(|(_, y)| (y - 1.0).abs() < 0.01),
        "{capacity:?}"
    );
    let asked = series(&demand, "demand");
    let mean = |from: f64, to: f64| {
        let within = asked.iter().filter(|(x, _)| (from..to).contains(x));
        let values: Vec<_> = within.map(|(_, y)| *y).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    assert!((mean(0.0, 95.0) - 0.5).abs() < 0.03, "{}", mean(0.0, 95.0));
    assert!((mean(105.0, 295.0) - 2.0).abs() < 0.05);
}

#[test]
fn several_skus_are_told_apart() {
    let text = OVERLOAD.replace(
        r#"(sku: "dgx-h100", count: 1)"#,
        r#"(sku: "dgx-h100", count: 1), (sku: "dgx-a100", count: 1)"#,
    );
    let page = report(&CheckedScenario::from_ron(&text, ".".as_ref()).unwrap());
    for (title, names) in [
        ("Cost", ["dgx-h100", "dgx-a100"]),
        (
            "Demand and capacity",
            ["capacity on dgx-h100", "capacity on dgx-a100"],
        ),
        ("Mixed instances", ["dgx-h100", "dgx-a100"]),
    ] {
        for name in names {
            assert!(!series(&chart(&page, title), name).is_empty(), "{title}");
        }
    }
}

#[test]
fn names_are_shown_and_not_read_as_markup() {
    let page = report(&scenario("</script><script>alert('x')</script>&", 20));
    assert!(!page.contains("<script>alert") && !page.contains("<b>"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"));
    assert_eq!(page.matches("</script>").count(), 2);
    charts(&page);
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let checked = scenario("chat", 200);
    assert!(report(&checked) == report(&checked));
}

#[test]
fn a_run_without_a_request_has_a_page_without_empty_charts() {
    let page = report(&scenario("chat", 0));
    let charts = charts(&page);
    let titles: Vec<_> = charts
        .iter()
        .map(|it| it["title"].as_str().unwrap())
        .collect();
    assert!(!titles.contains(&"SLO met"), "{titles:?}");
    assert!(titles.contains(&"Cost") && titles.contains(&"Mixed instances"));
    assert!(page.contains("0 completed, 0 in flight, 0 waiting, 0 rejected"));
}

#[test]
fn a_page_is_small_and_a_longer_run_makes_it_no_larger() {
    let bytes = |requests| report(&scenario("chat", requests)).len();
    let (shorter, longer) = (bytes(2_000), bytes(40_000));
    assert!(longer < 400_000, "{longer} after {shorter}");
}
