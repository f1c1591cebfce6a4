//! `docs/SCENARIO.md` has every option with its type, unit and default, from the schema that checks
//! scenario files.

use fleetsim::catalog::{CoefficientSet, Model, Processor, Profile, Sku};
use fleetsim::scenario::{StageKind, StartUpPreset, json_schema};
use schemars::{JsonSchema, schema_for};
use serde_json::Value as Json;

use crate::pages;
use crate::schema::Reference;

const PAGE: &str = "docs/SCENARIO.md";

#[test]
fn the_reference_is_what_the_schema_says() {
    pages::assert_generated(PAGE, "options", &options(&json_schema()));
    pages::assert_generated(PAGE, "catalog entries", &catalog());
}

#[test]
fn start_ups_are_listed_with_their_sources() {
    let mut table = String::from("| preset | stages | source |\n|---|---|---|\n");
    for preset in StartUpPreset::ALL {
        let stages = preset.stages();
        let names = stages
            .iter()
            .filter_map(|it| it.kind().map(StageKind::name));
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        let (name, source) = (preset.name, preset.source);
        table += &format!("| `{name}` | {} | {source} |\n", names.join(", "));
    }
    pages::assert_generated(PAGE, "start-ups", &table);
}

/// A section for each type, in the order in which they are met.
fn options(schema: &Json) -> String {
    let mut reference = Reference::default();
    reference.section("Scenario", schema);
    while let Some(name) = reference.next() {
        reference.section(&name, &schema["$defs"][&name]);
    }
    reference.text
}

/// A section for the entries of each list of a catalog file, then one for each type in them.
fn catalog() -> String {
    let mut reference = Reference::default();
    let mut types = serde_json::Map::new();
    for (list, schema) in [
        ("`skus`", schema::<Sku>()),
        ("`processors`", schema::<Processor>()),
        ("`models`", schema::<Model>()),
        ("`profiles`", schema::<Profile>()),
        ("`coefficients`", schema::<CoefficientSet>()),
    ] {
        reference.section(list, &schema);
        types.extend(schema["$defs"].as_object().cloned().unwrap_or_default());
    }
    while let Some(name) = reference.next() {
        reference.section(&name, &types[&name]);
    }
    reference.text
}

fn schema<T: JsonSchema>() -> Json {
    schema_for!(T).to_value()
}
