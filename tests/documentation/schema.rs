//! A JSON Schema, as schemars writes it, as Markdown.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::Value as Json;

const FIELDS: &str = "| option | type | default | meaning |\n|---|---|---|---|\n";
const VARIANTS: &str = "| value | type | default | meaning |\n|---|---|---|---|\n";

/// Sections of types, and the types that they mention.
#[derive(Default)]
pub(crate) struct Reference {
    pub(crate) text: String,
    mentioned: VecDeque<String>,
    seen: BTreeSet<String>,
}

impl Reference {
    /// The next type that was mentioned and has no section yet.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.mentioned.pop_front()
    }

    pub(crate) fn section(&mut self, name: &str, schema: &Json) {
        self.seen.insert(name.to_owned());
        let (about, _) = description(schema);
        let table = if schema["oneOf"].is_array() || schema["enum"].is_array() {
            variants(schema)
        } else {
            fields(schema)
        };
        let _ = write!(self.text, "### {name}\n\n{about}\n\n{table}\n");
        for found in table.split("](#").skip(1) {
            let anchor = found.split(')').next().unwrap_or_default();
            // The name as it is written before the anchor.
            let at = table.find(&format!("](#{anchor})")).unwrap_or_default();
            let name = table[..at].rsplit('[').next().unwrap_or_default();
            if self.seen.insert(name.to_owned()) {
                self.mentioned.push_back(name.to_owned());
            }
        }
    }
}

/// A row for each field of a struct: the required ones in their order, then the others by name.
pub(crate) fn fields(schema: &Json) -> String {
    format!("{FIELDS}{}", field_rows(schema, ""))
}

fn field_rows(schema: &Json, indent: &str) -> String {
    let required: Vec<&str> = texts(&schema["required"]).collect();
    let properties = schema["properties"].as_object();
    let optional = properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .filter(|name| !required.contains(name));
    let mut rows = String::new();
    for name in required.iter().copied().chain(optional) {
        let field = &schema["properties"][name];
        let (meaning, default) = description(field);
        let default = match (required.contains(&name), default) {
            (true, _) => "required".to_owned(),
            (false, Some(default)) => default,
            (false, None) => panic!("`{name}` has a default and its documentation does not say it"),
        };
        assert!(
            says(&default, &field["default"]),
            "the default of `{name}` is {}, and its documentation says: {default}",
            field["default"]
        );
        let kind = kind(field);
        let _ = writeln!(
            rows,
            "| {indent}`{name}` | {kind} | {default} | {meaning} |"
        );
    }
    rows
}

/// A row for each variant of an enum, and below it a row for each of its fields.
pub(crate) fn variants(schema: &Json) -> String {
    let mut rows = VARIANTS.to_owned();
    for name in texts(&schema["enum"]) {
        let _ = writeln!(rows, "| `{name}` | | | |");
    }
    for variant in schema["oneOf"].as_array().into_iter().flatten() {
        let (meaning, _) = description(variant);
        let names = texts(&variant["enum"]).chain(variant["const"].as_str());
        for name in names {
            let _ = writeln!(rows, "| `{name}` | | | {meaning} |");
        }
        for (name, payload) in variant["properties"].as_object().into_iter().flatten() {
            if payload["properties"].is_object() {
                let _ = writeln!(rows, "| `{name}(..)` | | | {meaning} |");
                rows += &field_rows(payload, "&emsp;");
            } else {
                let kind = kind(payload);
                let _ = writeln!(rows, "| `{name}(..)` | {kind} | required | {meaning} |");
            }
        }
    }
    rows
}

/// What a type or a field is for, and what it says about its default.
fn description(schema: &Json) -> (String, Option<String>) {
    let text = schema["description"].as_str().unwrap_or_default();
    let text = linked(&text.replace('\n', " "));
    let text = text.strip_suffix(" Required.").unwrap_or(&text);
    match text.split_once(" Default") {
        Some((meaning, default)) => {
            let default = default.trim_start_matches([':', ' ']);
            let default = default.trim_end_matches('.');
            (meaning.to_owned(), Some(default.to_owned()))
        }
        None if schema["default"].is_object() => (text.to_owned(), Some("`()`".to_owned())),
        None => (text.to_owned(), None),
    }
}

/// Whether a text says this default, as far as it is a number or a name.
fn says(text: &str, default: &Json) -> bool {
    let plain = text.replace(',', "");
    match default {
        Json::Number(number) => {
            let number = number.to_string();
            let number = number.strip_suffix(".0").unwrap_or(&number);
            plain.split([' ', ':', ';', '`']).any(|word| word == number)
        }
        Json::String(name) => plain.contains(name),
        Json::Object(variant) if variant.len() == 1 => variant.iter().all(|(name, payload)| {
            plain.contains(name) && (payload.is_object() || says_payload(&plain, payload))
        }),
        _ => true,
    }
}

fn says_payload(text: &str, payload: &Json) -> bool {
    text.contains(&format!("({payload})"))
}

/// What a value has to be.
fn kind(schema: &Json) -> String {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    if let Some(some) = alternatives.into_iter().find(|of| of["type"] != "null") {
        return kind(some);
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|at| at.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let mut types = texts(&schema["type"]).chain(schema["type"].as_str());
    let base = match types.find(|kind| *kind != "null") {
        Some("number") if schema["format"].is_null() => "seconds".to_owned(),
        Some("number") => "number".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => match schema["prefixItems"].as_array() {
            Some(items) => {
                let items: Vec<_> = items.iter().map(kind).collect();
                format!("({})", items.join(", "))
            }
            None => format!("list of {}", kind(&schema["items"])),
        },
        Some(other) => panic!("no words for {other}"),
        None => "a policy".to_owned(),
    };
    format!("{base}{}", range(schema))
}

fn range(schema: &Json) -> String {
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    match (least.filter(|least| *least != 0.0), most) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) if least < 1e-3 => format!(", {least:e} or more"),
        (Some(least), None) => format!(", {least} or more"),
        (None, Some(most)) => format!(", 0 to {most}"),
        (None, None) if schema["exclusiveMinimum"] == 0 => ", more than 0".to_owned(),
        (None, None) => String::new(),
    }
}

fn texts(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}

/// Links between Rust types as links between sections.
fn linked(text: &str) -> String {
    let mut parts = text.split("[`");
    let mut linked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("`]") {
            Some((name, rest)) => {
                let _ = write!(linked, "[{name}](#{}){rest}", name.to_lowercase());
            }
            None => {
                let _ = write!(linked, "[`{part}");
            }
        }
    }
    linked
}
