use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::shell::{Failure, print};
use crate::autoscale::PolicyRegistry;
use crate::catalog::{Catalog, Processor};
use crate::scenario::{Engine, Performance, Scheduler};

/// List what a scenario can name
#[derive(Debug, Args)]
pub(super) struct List {
    /// Of what
    #[arg(value_enum)]
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Autoscaling policies, with their parameters and defaults
    Policies,
    /// Schedulers, with their parameters and defaults
    Schedulers,
    /// The same by their other name: where requests go
    Routers,
    /// Engines, with their parameters and defaults
    Engines,
    /// Step models, a scenario's `performance`, with their parameters and defaults
    StepModels,
    /// SKUs of the built-in catalog
    Skus,
    /// Models of the built-in catalog
    Models,
    /// Performance profiles of the built-in catalog
    Profiles,
}

impl List {
    pub(super) fn execute(self, registry: &PolicyRegistry) -> Result<(), Failure> {
        let catalog = Catalog::built_in();
        print(&match self.what {
            What::Policies => policies(registry),
            What::Schedulers | What::Routers => terms::<Scheduler>(registry, "Scheduler"),
            What::Engines => terms::<Engine>(registry, "Engine"),
            What::StepModels => terms::<Performance>(registry, "Performance"),
            What::Skus => skus(&catalog),
            What::Models => models(&catalog),
            What::Profiles => profiles(&catalog),
        })
    }
}

fn policies(registry: &PolicyRegistry) -> String {
    let mut text = String::from("None\n    leaves the fleet as it is\n");
    for policy in registry.policies() {
        let _ = writeln!(text, "{}\n    {}", policy.name(), policy.summary());
        parameters(&mut text, &policy.schema());
    }
    text
}

/// The variants of an enum that scenarios name, built in or registered.
fn terms<T: JsonSchema>(registry: &PolicyRegistry, of: &str) -> String {
    let mut scenario = json!({ "$defs": { of: schemars::schema_for!(T).to_value() } });
    registry.serving().terms().extend(&mut scenario);
    let schema = &scenario["$defs"][of];
    let mut text = String::new();
    for variant in schema["oneOf"].as_array().into_iter().flatten() {
        let payload = variant["properties"].as_object();
        let Some((name, payload)) = payload.and_then(|it| it.iter().next()) else {
            entry(&mut text, variant["const"].as_str(), variant);
            continue;
        };
        entry(&mut text, Some(name), variant);
        parameters(&mut text, payload);
    }
    text
}

fn entry(text: &mut String, name: Option<&str>, schema: &Json) {
    let about = sentence(schema);
    let _ = writeln!(text, "{}\n    {about}", name.unwrap_or_default());
}

/// The fields of a struct, each with its default and what it is.
fn parameters(text: &mut String, schema: &Json) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let default = match &field["default"] {
            Json::Null => String::new(),
            value => format!(" = {}", ron(value)),
        };
        let _ = writeln!(text, "    {name}{default}\n        {}", sentence(field));
    }
}

/// A description on one line.
fn sentence(schema: &Json) -> String {
    let about = schema["description"].as_str().unwrap_or_default();
    about.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A default as it would stand in a scenario. Objects are structs; the texts are all names of
/// variants.
fn ron(value: &Json) -> String {
    match value {
        Json::Null => "None".to_owned(),
        Json::String(name) => name.clone(),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(ron).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<String> = fields.map(|(k, v)| format!("{k}: {}", ron(v))).collect();
            format!("({})", fields.join(", "))
        }
        Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

fn skus(catalog: &Catalog) -> String {
    let mut text = String::new();
    for (name, sku) in &catalog.skus {
        let price = sku.price_per_hour;
        let price = price.map_or_else(String::new, |price| format!(", ${price} an hour"));
        let (processors, kind) = (sku.processors, &sku.processor);
        let provider = sku.provider.as_ref();
        let provider = provider.map_or_else(String::new, |name| format!(", {name}"));
        let source = sku.price.as_ref().map_or_else(String::new, |of| {
            format!(" ({}, {}: {})", of.kind, of.date, of.source)
        });
        let power = catalog
            .processors
            .get(kind)
            .map_or_else(String::new, |it| power(it));
        let _ = writeln!(
            text,
            "{name}\n    {processors} × {kind}{provider}{price}{source}\n    {power}"
        );
    }
    text
}

/// What a processor draws, as far as it is known.
fn power(of: &Processor) -> String {
    let idle = match of.idle_power() {
        Some(idle) => format!("{idle} W idle"),
        None => "idle power: no source".to_owned(),
    };
    match of.step_power() {
        Some(steps) => format!(
            "a GPU: {} W in steps with prompts, {} W in others, {idle}",
            steps.prompt_w.round(),
            steps.token_w.round()
        ),
        None => format!("a GPU: power in steps not known, {idle}"),
    }
}

fn models(catalog: &Catalog) -> String {
    let mut text = String::new();
    for (name, model) in &catalog.models {
        let (weights, token) = (model.weights_bytes, model.kv_bytes_per_token());
        let parameters = model.parameters().map_or_else(String::new, |of| {
            let [total, active] = [of.total, of.active].map(|it| it as f64 / 1e9);
            format!("{total:.1} billion parameters, {active:.1} active; ")
        });
        let _ = writeln!(
            text,
            "{name}\n    {parameters}{weights} bytes of weights, {token} bytes of KV cache a token"
        );
    }
    text
}

fn profiles(catalog: &Catalog) -> String {
    let mut text = String::new();
    for (key, profile) in &catalog.profiles {
        let _ = writeln!(
            text,
            "{} on {} with tensor parallelism {}\n    {} knots of prompts, {} of tokens",
            key.model,
            key.processor,
            key.tensor_parallelism,
            profile.prompt.len(),
            profile.token.len()
        );
    }
    text
}
