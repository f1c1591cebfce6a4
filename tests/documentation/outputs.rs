//! `docs/OUTPUTS.md` has every file, every column and every metric.

use fleetsim::report::{
    Column, Contenders, Decisions, Exposition, Faults, Kind, Requests, ResultsDirectory, Scaling,
    Steps, Table, Timeline,
};
use fleetsim::validation::write_csv;
use serde_json::Value as Json;

use crate::pages;
use crate::quickstart;

const PAGE: &str = "docs/OUTPUTS.md";

#[test]
fn every_file_is_there() {
    let page = pages::read(PAGE);
    let files = page
        .split("## Tables")
        .next()
        .expect("there is a list of files");
    for file in ResultsDirectory::FILES {
        assert!(files.contains(&format!("`{file}`")), "{file}");
    }
}

#[test]
fn every_column_is_there_in_its_order_and_with_its_type() {
    columns::<Requests>();
    columns::<Scaling>();
    columns::<Timeline>();
    columns::<Decisions>();
    columns::<Faults>();
    columns::<Steps>();
    columns::<Contenders>();
}

fn columns<T: Table>() {
    let page = pages::read(PAGE);
    let heading = format!("### `{}.csv`\n", T::NAME);
    let section = page
        .split(&heading)
        .nth(1)
        .expect("each table has a section");
    let section = section.split("\n#").next().unwrap_or_default();
    let found: Vec<(&str, &str)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` | "))
        .filter_map(|(name, rest)| Some((name, rest.split_once(" |")?.0)))
        .collect();
    let kind = |column: &Column| match column.kind {
        Kind::Integer => "integer",
        Kind::Float => "float",
        Kind::Text => "text",
    };
    let expected: Vec<_> = T::COLUMNS.iter().map(|it| (it.name, kind(it))).collect();
    assert_eq!(found, expected, "{}", T::NAME);
}

#[test]
fn every_key_of_a_summary_is_there() {
    let page = pages::read(PAGE);
    let (summary, _) = quickstart::run(&[
        "end=100",
        "applications[0].slo=(ttft: P95(1.0), tbt: 0.1)",
        "actions[0].at=1e9",
    ]);
    assert!(
        !summary.warnings.is_empty(),
        "an action comes after the end"
    );
    let section = page
        .split("## `summary.json`")
        .nth(1)
        .expect("there is a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    each_key(
        &serde_json::to_value(&summary).expect("it is data"),
        &mut |key| {
            assert!(section.contains(&format!("`{key}`")), "{key}");
        },
    );
}

/// Names of fields; those of scaling events and of reasons are values.
fn each_key(value: &Json, see: &mut impl FnMut(&str)) {
    match value {
        Json::Object(fields) => {
            for (key, value) in fields {
                see(key);
                if !matches!(key.as_str(), "scaling_events" | "refusals" | "rejected") {
                    each_key(value, see);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| each_key(item, see)),
        _ => {}
    }
}

#[test]
fn every_column_of_a_validation_is_there() {
    let page = pages::read(PAGE);
    let section = page
        .split("## `validation.csv`")
        .nth(1)
        .expect("there is a section");
    let mut header = Vec::new();
    write_csv(&[], &mut header).expect("memory does not run out");
    let header = String::from_utf8(header).expect("it is text");
    let columns: Vec<_> = header.trim().split(',').collect();
    assert_eq!(columns.len(), 13);
    for column in columns {
        assert!(section.contains(&format!("`{column}`")), "{column}");
    }
}

#[test]
fn every_metric_is_there() {
    let mut table = String::from("\n| metric | type | content |\n|---|---|---|\n");
    for (name, kind, help) in Exposition::names() {
        table += &format!("| `{name}` | {kind} | {help} |\n");
    }
    table += "\n";
    pages::assert_generated(PAGE, "metrics", &table);
}
