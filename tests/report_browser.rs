//! Pages as the binary writes them, in a browser where there is one: every chart is drawn, nothing is said on
//! the console, texts and lines have contrast in light and in dark, and nothing overflows, on a wide screen
//! and on a narrow one.
#![cfg(feature = "html")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use binary::fleetsim;

mod binary;

/// Pixels that a wide screen has, and a narrow one.
const WIDTHS: [u32; 2] = [1400, 420];

const MEASURE: &str = include_str!("browser/measure.js");

/// Two applications, one with a policy.
const SCENARIO: &str = r#"(
    name: "shared",
    end: 120,
    fleet: [(sku: "dgx-h100", count: 3, limit: 6)],
    applications: [
        (
            name: "chat",
            model: "llama2-70b",
            scheduler: MixedPool(),
            instances: [(role: Prompt, start: Servers(1)), (role: Token, start: Servers(1))],
            autoscaler: HeteroScale(min: 1, max: 4),
            slo: (ttft: 2, tbt: 0.1),
            workload: Synthetic(
                arrivals: Poisson(rate: 4),
                prompt_tokens: Constant(1000),
                output_tokens: Geometric(mean: 100),
            ),
        ),
        (
            name: "code",
            model: "llama2-70b",
            instances: [(role: Mixed, start: Servers(1))],
            workload: Synthetic(
                arrivals: Poisson(rate: 4),
                prompt_tokens: Constant(1500),
                output_tokens: Geometric(mean: 20),
            ),
        ),
    ],
)"#;

/// What is in a page once its script has run, and what that said. Says so where there is no browser; a test
/// that needs it is then skipped.
#[allow(clippy::print_stdout, reason = "a test that is skipped says why")]
fn opened(page: &Path) -> Option<(String, Vec<String>)> {
    let profile = tempfile::tempdir().unwrap();
    let ran = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--virtual-time-budget=8000",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output();
    let output = match ran {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: there is no chromium here");
            return None;
        }
        ran => ran.unwrap(),
    };
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(dom.contains("</html>"), "the browser gave up: {log}");
    let said = log.lines().filter(|line| line.contains("CONSOLE"));
    Some((dom, said.map(str::to_owned).collect()))
}

/// Loads a page in a frame of some width, and shows what is measured in it.
fn framed(page: &str, width: u32) -> String {
    format!(
        r#"<!DOCTYPE html><html><body><iframe src="{page}" style="width:{width}px;height:20000px;border:0"></iframe>
        <script>addEventListener("message", (event) => {{
            const shown = document.createElement("pre");
            shown.textContent = "measured" + JSON.stringify(event.data) + "measured";
            document.body.append(shown);
        }});</script></body></html>"#
    )
}

/// Every chart of a page is drawn, nothing is said on the console, and there is nothing to find fault with, on
/// wide screens and on narrow ones.
fn shown_well(page: &Path, charts: u64) {
    let text = fs::read_to_string(page).unwrap();
    let measuring = text.replace("</body>", &format!("<script>{MEASURE}</script></body>"));
    let folder = page.parent().unwrap();
    fs::write(folder.join("measuring.html"), measuring).unwrap();
    for width in WIDTHS {
        let frame = folder.join("frame.html");
        fs::write(&frame, framed("measuring.html", width)).unwrap();
        let Some((dom, said)) = opened(&frame) else {
            return;
        };
        assert_eq!(said, Vec::<String>::new());
        let measured = dom.split("measured").nth(3).unwrap_or_default();
        let measured = measured
            .replace("&amp;", "&")
            .replace("&lt;", "<")
            .replace("&gt;", ">");
        let measured: Value = serde_json::from_str(&measured)
            .unwrap_or_else(|error| panic!("{error}: {measured}\n{dom}"));
        assert_eq!(measured["problems"], Value::Array(Vec::new()), "at {width}");
        assert_eq!(measured["charts"], charts, "at {width}");
        assert_eq!(measured["drawn"], charts, "at {width}");
    }
}

#[test]
fn what_a_page_says_on_the_console_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    fs::write(&page, "<html><script>missing();</script></html>").unwrap();
    if let Some((_, said)) = opened(&page) {
        let errors = said.iter().filter(|line| line.contains("missing"));
        assert_eq!(errors.count(), 1, "{said:?}");
    }
}

#[test]
fn the_report_of_several_applications_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let page = report(folder.path(), SCENARIO);
    // Two for all; for each application outcomes, two of latencies, the queue and the distributions; three for
    // each role.
    shown_well(&page, 2 + 2 * 5 + 3 * 3);
}

#[test]
fn the_page_of_a_comparison_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let policies = "None, HeteroScale, HeteroScale(min: 2), \"every hour\": Periodic";
    let page = comparison(folder.path(), policies, &[]);
    // Attainment and two of latencies, and one for each contender.
    shown_well(&page, 3 + 4);
}

/// Compares policies in a folder, and gives the page.
fn comparison(folder: &Path, policies: &str, options: &[&str]) -> PathBuf {
    let scenario = folder.join("scenario.ron");
    fs::write(&scenario, SCENARIO).unwrap();
    let out = folder.join("comparison");
    let mut compare = fleetsim(["compare", "--quiet", "--policies", policies]);
    compare.args(options).arg(&scenario).arg("--out").arg(&out);
    assert!(compare.status().unwrap().success());
    out.join("comparison.html")
}

/// Runs a scenario in a folder, and gives the page.
fn report(folder: &Path, scenario: &str) -> PathBuf {
    let file = folder.join("scenario.ron");
    fs::write(&file, scenario).unwrap();
    let out = folder.join("run");
    let mut run = fleetsim(["run", "--quiet"]);
    run.arg(&file).arg("--out").arg(&out);
    assert!(run.status().unwrap().success());
    out.join("report.html")
}

#[test]
fn the_report_of_a_week_with_two_skus_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let week = r#"(
        name: "a week", end: 604800, sample_interval: 600,
        fleet: [
            (sku: "dgx-h100", count: 1, limit: 3, provision_delay: Constant(480)),
            (sku: "dgx-a100", count: 1, limit: 3, provision_delay: Constant(480)),
        ],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: TokenJsq,
            instances: [(role: Mixed, start: AllServers)],
            autoscaler: Threshold(interval: 900, cooldown: 900, min: 1, max: 6, tokens_per_instance: 400),
            slo: (ttft: P95(1.5), tbt: 0.1),
            workload: (
                requests_per_day: 6000,
                daily: [1, 1, 1, 1, 1, 2, 3, 5, 8, 9, 9, 8, 7, 8, 9, 9, 8, 6, 5, 4, 3, 2, 2, 1],
                weekly: [5, 4, 4, 4, 4, 1, 1],
                prompt_tokens: LogNormal(median: 1000, sigma: 0.8, max: 8000),
                output_tokens: Geometric(mean: 200),
            ),
        )],
        faults: [(at: 200000, fault: InstanceCrash(instance: 0))],
    )"#;
    // Two for all; demand, instances, two of latencies, the queue, usage by SKU, the distributions.
    shown_well(&report(folder.path(), week), 2 + 7);
}

#[test]
fn the_report_of_an_overloaded_run_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let overloaded = r#"(
        name: "overloaded", end: 900,
        fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: TokenJsq,
            instances: [(role: Mixed, start: AllServers)],
            slo: (ttft: 1, tbt: 0.1),
            workload: Synthetic(
                arrivals: Poisson(rate: 20),
                prompt_tokens: LogNormal(median: 1000, sigma: 0.8, max: 8000),
                output_tokens: Geometric(mean: 200),
            ),
        )],
    )"#;
    // Two for all; demand, instances, two of latencies, the queue, usage, the distributions.
    shown_well(&report(folder.path(), overloaded), 2 + 7);
}

#[test]
fn the_page_of_five_settings_of_a_policy_is_drawn_with_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [1, 2, 3, 4, 5].map(|min| format!("HeteroScale(min: {min})"));
    let page = comparison(
        folder.path(),
        &settings.join(", "),
        &["--replications", "3"],
    );
    // Attainment and two of latencies, one over all seeds, and one for each contender.
    shown_well(&page, 3 + 1 + 5);
}
