//! `docs/SCENARIO.md` has every option with its type, unit and default, from the schema that checks
//! scenario files.

use fleetsim::catalog::{Model, Processor, Profile, Sku};
use fleetsim::scenario::json_schema;
use schemars::{JsonSchema, schema_for};
use serde_json::Value as Json;

use crate::pages;
use crate::schema::{Reference, fields};

const PAGE: &str = "docs/SCENARIO.md";

#[test]
fn the_reference_is_what_the_schema_says() {
    pages::assert_generated(PAGE, "options", &options(&json_schema()));
    let catalog = [
        entry::<Sku>("skus"),
        entry::<Processor>("processors"),
        entry::<Model>("models"),
        entry::<Profile>("profiles"),
    ];
    pages::assert_generated(PAGE, "catalog entries", &catalog.concat());
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

/// A section for the entries of one list of a catalog file.
fn entry<T: JsonSchema>(list: &str) -> String {
    let schema = schema_for!(T).to_value();
    let about = schema["description"].as_str().unwrap_or_default();
    format!("### `{list}`\n\n{about}\n\n{}\n", fields(&schema))
}
