//! What a JSON Schema, as schemars writes it for Rust types, says about their RON.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// What an optional schema is when it is something.
pub(super) enum Optional<'a> {
    Type(&'a str),
    Reference(&'a Json),
}

/// What a schema is when it is not null, if it may be null.
pub(super) fn optional(schema: &Json) -> Option<Optional<'_>> {
    let is_null = |schema: &&Json| schema["type"] == "null";
    if let Some(any) = schema["anyOf"].as_array() {
        any.iter().find(is_null)?;
        return any.iter().find(|of| !is_null(of)).map(Optional::Reference);
    }
    strings(&schema["type"]).find(|kind| *kind == "null")?;
    strings(&schema["type"])
        .find(|kind| *kind != "null")
        .map(Optional::Type)
}

/// The texts of a list, if it is one.
pub(super) fn strings(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}

/// The fields that there may be.
pub(super) fn property_names(schema: &Json) -> impl Iterator<Item = &str> {
    let properties = schema["properties"].as_object();
    properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
}

/// The variants of an enum and what each holds.
pub(super) fn variants(schema: &Json) -> BTreeMap<&str, Option<&Json>> {
    let mut variants = BTreeMap::new();
    let one = std::slice::from_ref(schema);
    for variant in schema["oneOf"].as_array().map_or(one, Vec::as_slice) {
        variants.extend(strings(&variant["enum"]).map(|name| (name, None)));
        variants.extend(variant["const"].as_str().map(|name| (name, None)));
        let properties = variant["properties"].as_object().into_iter().flatten();
        variants.extend(properties.map(|(name, payload)| (name.as_str(), Some(payload))));
    }
    variants
}

/// The variant that a value without a name stands for, and what it holds: a schema names it as `plain`.
pub(super) fn plain_variant(schema: &Json) -> Option<(&str, &Json)> {
    let name = schema["plain"].as_str()?;
    Some((name, (*variants(schema).get(name)?)?))
}

/// Required fields, or a few that there are, as they would be written.
pub(super) fn example_of_fields(schema: &Json) -> String {
    let mut names: Vec<&str> = strings(&schema["required"]).collect();
    if names.is_empty() {
        names = property_names(schema).take(2).collect();
    }
    let fields = names.iter().map(|name| format!("{name}: .."));
    fields.collect::<Vec<_>>().join(", ")
}

/// What kind of value a schema asks for.
pub(super) fn kind_name(schema: &Json) -> &'static str {
    match schema["type"].as_str() {
        Some("string") => "a text",
        Some("number") => "a number",
        Some("integer") => "a whole number",
        Some("array") => "a list",
        _ => "a value",
    }
}

/// The least and the greatest integer that a schema allows.
pub(super) fn integer_range(schema: &Json) -> (i128, i128) {
    let (low, high) = match schema["format"].as_str() {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint" | "uint64") => (0, u64::MAX.into()),
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    let bound = |key: &str| schema[key].as_f64().map(|bound| bound as i128);
    let low = bound("minimum").map_or(low, |bound| bound.max(low));
    let high = bound("maximum").map_or(high, |bound| bound.min(high));
    (low, high)
}
