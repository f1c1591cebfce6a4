//! Pages as the binary writes them, in a browser where there is one: every chart is drawn, and nothing is
//! said on the console.
#![cfg(feature = "html")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use binary::fleetsim;

mod binary;

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

/// Every chart of a page is drawn with its traces, and nothing is said on the console.
fn drawn(page: &Path, charts: usize) {
    let Some((dom, said)) = opened(page) else {
        return;
    };
    assert_eq!(said, Vec::<String>::new());
    let figures: Vec<_> = dom.split("<figure").skip(1).collect();
    assert_eq!(figures.len(), charts);
    for figure in figures {
        let title = figure.split("</h3>").next().unwrap();
        assert!(figure.contains("class=\"main-svg\""), "{title}");
        assert!(figure.contains("class=\"trace "), "{title}");
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
    let scenario = folder.path().join("scenario.ron");
    fs::write(&scenario, SCENARIO).unwrap();
    let out = folder.path().join("run");
    let mut run = fleetsim(["run", "--quiet"]);
    run.arg(&scenario).arg("--out").arg(&out);
    assert!(run.status().unwrap().success());
    // Two of latencies and one of distributions for each, three for each role, two of the fleet.
    drawn(&out.join("report.html"), 2 * 3 + 3 * 3 + 2);
}

#[test]
fn the_page_of_a_comparison_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("scenario.ron");
    fs::write(&scenario, SCENARIO).unwrap();
    let out = folder.path().join("comparison");
    let mut compare = fleetsim([
        "compare",
        "--quiet",
        "--policies",
        "None, HeteroScale, Periodic",
    ]);
    compare.arg(&scenario).arg("--out").arg(&out);
    assert!(compare.status().unwrap().success());
    drawn(&out.join("comparison.html"), 2);
}
