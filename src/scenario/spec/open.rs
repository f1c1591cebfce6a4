//! Engines, schedulers and step times that are not built in: scenarios name them, a registry knows them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use ron::value::RawValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

/// A term such as `Mine(size: 4)`, not yet read.
///
/// Every text is kept once, for the life of the program, so that what is made of terms is plain data to
/// copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(&'static str);

static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl Term {
    /// The term of a RON text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = texts.get(text) {
            return Self(kept);
        }
        let kept: &'static str = Box::leak(text.into());
        texts.insert(kept);
        Self(kept)
    }

    /// As it was written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.0
    }

    /// What stands before the parenthesis.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(self.0)
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self::new(&text))
    }
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_ron(self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
}

/// What stands before the parenthesis of a term.
pub(super) fn name_of(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Reads and writes an enum whose last variant, `Named`, is any term that is not one of the others: by that name
/// the reader of documents knows it.
macro_rules! open_enum {
    ($kind:ident) => {
        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::deserialize(from)
            }
        }

        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Named(term) => serde::Serialize::serialize(term, to),
                    _ => Self::serialize(self, to),
                }
            }
        }
    };
}

pub(super) use open_enum;

/// What scenarios can name that is not built in, for the check of their text.
#[derive(Clone, Debug, Default)]
pub struct OpenTerms {
    terms: Vec<OpenTerm>,
}

#[derive(Clone, Debug)]
struct OpenTerm {
    /// The type that it is a variant of.
    of: &'static str,
    name: &'static str,
    summary: &'static str,
    schema: Json,
}

impl OpenTerms {
    /// Adds a variant of `Engine`, `Scheduler` or `Performance`, with the schema of its parameters.
    pub fn add(
        &mut self,
        of: &'static str,
        name: &'static str,
        summary: &'static str,
        schema: Json,
    ) {
        self.terms.push(OpenTerm {
            of,
            name,
            summary,
            schema,
        });
    }

    /// Adds the terms to the schema of a scenario.
    pub fn extend(&self, scenario: &mut Json) {
        for term in &self.terms {
            let mut definitions = Map::new();
            let mut schema = own_definitions(term.schema.clone(), term.name, &mut definitions);
            // Without parameters the name alone will do.
            if schema["type"] == "object" && schema["properties"].is_null() {
                schema["properties"] = json!({});
            }
            let variant = json!({
                "type": "object",
                "description": term.summary,
                "properties": { term.name: schema },
                "required": [term.name],
                "additionalProperties": false,
            });
            if let Some(variants) = scenario["$defs"][term.of]["oneOf"].as_array_mut() {
                variants.push(variant);
            }
            if let Some(all) = scenario["$defs"].as_object_mut() {
                all.extend(definitions);
            }
        }
    }
}

/// A schema whose own definitions get its name before their own, and stand among `definitions`, so that
/// two schemas never mean the same one.
pub(crate) fn own_definitions(
    mut schema: Json,
    name: &str,
    definitions: &mut Map<String, Json>,
) -> Json {
    rename_references(&mut schema, name);
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("$schema");
        let own = fields.remove("$defs");
        for (definition, schema) in own.as_ref().and_then(Json::as_object).into_iter().flatten() {
            definitions.insert(format!("{name}.{definition}"), schema.clone());
        }
    }
    schema
}

/// Puts a name before the definitions that a schema refers to.
fn rename_references(schema: &mut Json, name: &str) {
    match schema {
        Json::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Json::String(target) if key == "$ref" => {
                        *target = target.replace("#/$defs/", &format!("#/$defs/{name}."));
                    }
                    _ => rename_references(value, name),
                }
            }
        }
        Json::Array(items) => items
            .iter_mut()
            .for_each(|item| rename_references(item, name)),
        _ => {}
    }
}
