//! `fleetsim trace`, `schema`, `completions` and `man`, as a user runs them.

// Helpers are tests too, to clippy.
#![cfg(test)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value as Json;

use binary::fleetsim;

mod binary;
mod shared;

const SUBCOMMANDS: [&str; 9] = [
    "run",
    "compare",
    "check",
    "bench",
    "list",
    "trace",
    "schema",
    "completions",
    "man",
];
const WORKLOAD: &str = "Synthetic(arrivals: Poisson(rate: 4.0), prompt_tokens: Constant(100), \
                        output_tokens: Geometric(mean: 20.0), requests: 500)";
const BURST: &str = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                     5,GPT-4,472,18,490,API log\n7,GPT-4,0,0,0,API log\n9.5,GPT-4,30,2,32,API log\n";

fn run_in(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = fleetsim(arguments);
    command.current_dir(directory).output().unwrap()
}

/// What a command that succeeds prints.
#[track_caller]
fn done(arguments: &[&str], directory: &Path) -> String {
    let output = run_in(directory, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command says that fails with `status`.
#[track_caller]
fn failed(arguments: &[&str], directory: &Path, status: i32) -> String {
    let output = run_in(directory, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(status),
        "{arguments:?}: {errors}"
    );
    errors
}

fn directory_with(name: &str, content: impl AsRef<[u8]>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(name), content).unwrap();
    directory
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

#[test]
fn stats_are_shown_as_text_and_as_json() {
    let directory = directory_with("burst.csv", BURST);
    let text = done(&["trace", "stats", "burst.csv"], directory.path());
    assert!(
        text.starts_with("burst.csv: 2 requests (BurstGpt)\n"),
        "{text}"
    );
    assert!(
        text.contains("left out    1 rows without response tokens"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no colours: {text}");
    let json = done(
        &["trace", "stats", "burst.csv", "--output", "json"],
        directory.path(),
    );
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(json["requests"], 2);
    assert_eq!(json["left_out"], 1);
    assert_eq!(json["gaps"]["mean_s"], 4.5);
    assert_eq!(json["prompt_tokens"]["mean"], 251.0);
}

#[test]
fn stats_read_the_published_traces() {
    let Some(shared) = shared::directory() else {
        return;
    };
    for (file, requests) in [
        ("azure_llm_2023_conv.csv", 19_366),
        ("azure_llm_2023_code.csv", 8_819),
        ("mooncake_conversation.jsonl", 12_031),
        ("mooncake_synthetic.jsonl", 3_993),
    ] {
        let text = done(&["trace", "stats", file], &shared.join("traces"));
        assert!(
            text.starts_with(&format!("{file}: {requests} requests (")),
            "{text}"
        );
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{longest:?}\n{text}");
    }
}

#[test]
fn what_is_wrong_with_a_trace_is_told_with_its_place() {
    let directory = directory_with("burst.csv", BURST.replace("9.5", "x"));
    for arguments in [
        &["trace", "stats", "burst.csv"][..],
        &[
            "trace",
            "convert",
            "burst.csv",
            "--to",
            "Azure",
            "--out",
            "out.csv",
        ],
    ] {
        let errors = failed(arguments, directory.path(), 2);
        assert!(
            errors.contains("burst.csv:4:1: `x` is not a time"),
            "{errors}"
        );
    }
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 1, "no half a trace is left behind");
    let errors = failed(&["trace", "stats", "none.csv"], directory.path(), 2);
    assert!(
        errors.contains("none.csv: cannot open the trace"),
        "{errors}"
    );
    failed(
        &["trace", "stats", "burst.csv", "--format", "Oracle"],
        directory.path(),
        2,
    );
    let errors = failed(
        &["trace", "stats", "burst.csv", "--format", "azure"],
        directory.path(),
        2,
    );
    assert!(errors.contains("no column `TIMESTAMP`"), "{errors}");
}

#[test]
fn a_trace_goes_through_every_format_and_comes_back() {
    let directory = directory_with("burst.csv", BURST);
    let here = directory.path();
    let convert = |from: &str, to: &str, out: &str| {
        done(&["trace", "convert", from, "--to", to, "--out", out], here)
    };
    let first = ["trace", "convert", "burst.csv", "--to", "Splitwise"];
    let first = done(&[&first[..], &["--out", "first.csv"]].concat(), here);
    assert_eq!(first, "", "the file has it all");
    convert("first.csv", "Mooncake", "a.jsonl.gz");
    convert("a.jsonl.gz", "Azure", "b.csv.zst");
    convert("b.csv.zst", "BurstGpt", "c.csv");
    let last = done(&["trace", "convert", "c.csv", "--to", "splitwise"], here);
    let first = std::fs::read_to_string(here.join("first.csv")).unwrap();
    assert_eq!(last, first);
    assert!(
        first.ends_with("0,2,0,0,1,472,18\n1,2,0,4.5,1,30,2\n"),
        "{first}"
    );
}

#[test]
fn a_part_of_a_trace_is_cut_out_and_scaled() {
    let directory = directory_with("burst.csv", BURST);
    let options = [
        "--origin",
        "zero",
        "--until",
        "9",
        "--rate-scale",
        "2",
        "--limit",
        "9",
    ];
    let text = [
        &["trace", "convert", "burst.csv", "--to", "BurstGpt"][..],
        &options,
    ]
    .concat();
    let text = done(&text, directory.path());
    assert!(text.ends_with("Log Type\n2.5,,,,472,18,490,\n"), "{text}");
    let errors = failed(
        &[
            "trace",
            "convert",
            "burst.csv",
            "--to",
            "Azure",
            "--rate-scale",
            "0",
        ],
        directory.path(),
        2,
    );
    assert!(
        errors.contains("`rate_scale` is 0.0; expected a number above 0"),
        "{errors}"
    );
}

#[test]
fn nothing_is_replaced_unless_asked_to() {
    let directory = directory_with("trace.csv", BURST);
    let here = directory.path();
    let convert = [
        "trace",
        "convert",
        "trace.csv",
        "--to",
        "BurstGpt",
        "--out",
        "trace.csv",
    ];
    let errors = failed(&convert, here, 2);
    assert!(
        errors.contains("trace.csv: the file is there already; pass --overwrite"),
        "{errors}"
    );
    // Into itself: what is read is not gone before it is read.
    done(&[&convert[..], &["--overwrite"]].concat(), here);
    let text = std::fs::read_to_string(here.join("trace.csv")).unwrap();
    assert!(
        text.ends_with("0,,,,472,18,490,\n4.5,,,,30,2,32,\n"),
        "{text}"
    );
    let nowhere = [
        "trace",
        "convert",
        "trace.csv",
        "--to",
        "Azure",
        "--out",
        "no/where.csv",
    ];
    let errors = failed(&nowhere, here, 1);
    assert!(errors.contains("no/where.csv: cannot write"), "{errors}");
}

#[test]
fn standard_input_and_output_are_a_dash() {
    let mut child = fleetsim(["trace", "convert", "-", "--to", "Mooncake", "--out", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(BURST.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    let errors = String::from_utf8(output.stderr).unwrap();
    let told = "1 rows without response tokens";
    assert!(errors.contains(told), "{errors}");
}

#[test]
fn generated_traces_are_the_same_for_the_same_seed() {
    let directory = tempfile::tempdir().unwrap();
    let generate = |seed: &str| {
        let arguments = ["trace", "generate", "--workload", WORKLOAD, "--seed", seed];
        done(&arguments, directory.path())
    };
    assert_eq!(generate("7"), generate("7"));
    assert_ne!(generate("7"), generate("8"));
    assert_eq!(generate("7").lines().count(), 501);
    let endless = WORKLOAD.replace(", requests: 500", "");
    let errors = failed(
        &["trace", "generate", "--workload", &endless],
        directory.path(),
        2,
    );
    assert!(errors.contains("never ends"), "{errors}");
    let ended = ["trace", "generate", "--workload", &endless, "--limit", "3"];
    assert_eq!(done(&ended, directory.path()).lines().count(), 4);
    let wrong = WORKLOAD.replace("rate", "rat");
    let errors = failed(
        &["trace", "generate", "--workload", &wrong],
        directory.path(),
        2,
    );
    assert!(errors.contains("did you mean `rate`?"), "{errors}");
}

#[test]
fn a_generated_trace_runs_as_the_scenario_that_it_is_from() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let quickstart = scenarios().join("quickstart.ron");
    let quickstart = quickstart.to_str().unwrap();
    done(
        &[
            "trace",
            "generate",
            "--scenario",
            quickstart,
            "--out",
            "t.csv.gz",
        ],
        here,
    );
    let text = std::fs::read_to_string(quickstart).unwrap();
    let at = text.find("workload: ").unwrap() + "workload: ".len();
    let mut depth = 0;
    let length = text[at..].find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ')' && depth == 0
    });
    let length = length.unwrap() + 1;
    let trace = "Trace(path: \"t.csv.gz\", format: Splitwise)";
    let replayed = format!("{}{trace}{}", &text[..at], &text[at + length..]);
    std::fs::write(here.join("replayed.ron"), replayed).unwrap();
    done(&["check", "replayed.ron"], here);
    done(
        &["run", "replayed.ron", "--out", "replayed", "--quiet"],
        here,
    );
    done(&["run", quickstart, "--out", "original", "--quiet"], here);
    let requests =
        |results: &str| std::fs::read_to_string(here.join(results).join("requests.csv")).unwrap();
    assert_eq!(requests("replayed"), requests("original"));
}

#[test]
fn rows_that_are_left_out_of_a_run_are_told() {
    let directory = directory_with("burst.csv", BURST);
    let scenario = r#"(
        name: "burst",
        fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "chat",
            model: "llama2-70b",
            instances: [(role: Mixed, start: AllServers)],
            workload: Trace(path: "burst.csv", format: BurstGpt, repeat: 3),
        )],
    )"#;
    std::fs::write(directory.path().join("burst.ron"), scenario).unwrap();
    let output = run_in(directory.path(), &["run", "burst.ron"]);
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        errors
            .matches("burst.csv: rows without response tokens")
            .count(),
        1,
        "{errors}"
    );
}

#[test]
fn the_schema_knows_the_fields_of_every_scenario_and_the_policies() {
    let schema = done(&["schema"], &scenarios());
    let schema: Json = serde_json::from_str(&schema).unwrap();
    let files = std::fs::read_dir(scenarios()).unwrap();
    let files = files.map(|file| file.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|it| it == "ron")) {
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().filter_map(|line| line.split("//").next());
        for word in lines.flat_map(|line| line.split([' ', '(', ',', '['])) {
            let Some(field) = word.strip_suffix(':') else {
                continue;
            };
            assert!(has_field(&schema, field), "{field}");
        }
    }
    assert!(has_field(&schema, "HeteroScale"));
    // What may be written without a name.
    let alone = |definition: &str| &schema["$defs"][definition]["anyOf"][0];
    assert_eq!(alone("Limit")["type"], "number");
    assert!(alone("Workload")["properties"]["requests_per_day"].is_object());
    assert_references(&schema, &schema);
}

fn has_field(schema: &Json, name: &str) -> bool {
    match schema {
        Json::Object(fields) => {
            let own = fields.get("properties").and_then(|it| it.get(name));
            own.is_some() || fields.values().any(|it| has_field(it, name))
        }
        Json::Array(items) => items.iter().any(|it| has_field(it, name)),
        _ => false,
    }
}

/// Every reference leads to a definition.
fn assert_references(schema: &Json, all: &Json) {
    match schema {
        Json::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Json::as_str) {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(all.pointer(pointer).is_some(), "{target}");
            }
            fields.values().for_each(|it| assert_references(it, all));
        }
        Json::Array(items) => items.iter().for_each(|it| assert_references(it, all)),
        _ => {}
    }
}

#[test]
fn completions_and_the_manual_name_every_subcommand() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let mut texts: Vec<String> = ["bash", "zsh", "fish", "powershell", "elvish"]
        .map(|shell| done(&["completions", shell], here))
        .into();
    texts.push(done(&["man"], here));
    for text in texts {
        for name in SUBCOMMANDS {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
    done(&["man", "--out", "pages"], here);
    for name in SUBCOMMANDS {
        let page = here.join(format!("pages/fleetsim-{name}.1"));
        assert!(page.metadata().unwrap().len() > 0);
    }
}
