use clap::Args;
use serde_json::{Map, Value as Json, json};

use super::shell::{Failure, print};
use crate::autoscale::{HOST, PolicyRegistry};
use crate::scenario::{json_schema, own_definitions};

/// Print the JSON Schema of a scenario, for editors
///
/// RON's structs are objects in it; a variant with a payload is an object with one field, its name.
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let Self {} = self;
        let mut schema = json_schema();
        policies.serving().terms().extend(&mut schema);
        let mut schema = with_policies(schema, policies);
        accept_plain(&mut schema);
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|error| Failure::Running(format!("cannot write the schema: {error}")))?;
        print(&(text + "\n"))
    }
}

/// Allows the payload of a `plain` variant alone: its name may be left out.
fn accept_plain(scenario: &mut Json) {
    let definitions = scenario["$defs"].as_object_mut().into_iter().flatten();
    for (_, schema) in definitions {
        let Some(name) = schema["plain"].as_str().map(str::to_owned) else {
            continue;
        };
        let variants = schema["oneOf"].as_array().into_iter().flatten();
        let mut payloads = variants.filter_map(|variant| variant["properties"].get(&name));
        let payload = payloads.next().cloned();
        if let (Some(payload), Some(fields)) = (payload, schema.as_object_mut()) {
            fields.remove("plain");
            let named = json!({ "oneOf": fields.remove("oneOf") });
            fields.insert("anyOf".to_owned(), json!([payload, named]));
        }
    }
}

/// The schema of a scenario whose `autoscaler` is one of the policies.
///
/// What a policy defines for itself gets the policy's name before its own, so that two policies
/// never mean the same definition.
fn with_policies(mut scenario: Json, registry: &PolicyRegistry) -> Json {
    let mut definitions = Map::new();
    let mut terms = vec![json!({ "const": "None", "description": "Leaves the fleet as it is." })];
    terms.push(
        json!({ "const": HOST, "description": "The program that embeds the fleet scales it." }),
    );
    for policy in registry.policies() {
        let name = policy.name();
        let schema = own_definitions(policy.schema(), name, &mut definitions);
        terms.push(json!({ "const": name, "description": policy.summary() }));
        terms.push(json!({
            "type": "object",
            "description": policy.summary(),
            "properties": { name: schema },
            "required": [name],
            "additionalProperties": false,
        }));
    }
    let autoscaler = &mut scenario["$defs"]["Application"]["properties"]["autoscaler"];
    let description = autoscaler["description"].take();
    *autoscaler = json!({ "description": description, "default": null, "anyOf": terms });
    if let Some(all) = scenario["$defs"].as_object_mut() {
        all.extend(definitions);
    }
    scenario
}
