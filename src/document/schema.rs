use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value as Json;

use super::deserializer::Names;
use super::lexer::shown;
use super::nearest::{nearest, suggest};
use super::outline::{
    Optional, example_of_fields, integer_range, kind_name, optional, plain_variant, property_names,
    strings, variants,
};
use super::tree::{Body, Field, Node, Number, Term, Value};

/// A disagreement between a tree and a schema.
pub(super) struct Finding {
    pub(super) span: Range<usize>,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// What a check found.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) findings: Vec<Finding>,
    pub(super) names: Names,
}

/// Compares a tree with the JSON Schema of the type that it stands for.
pub(super) fn check(text: &str, node: &Node, path: &str, schema: &Json) -> Checked {
    let mut checker = Checker {
        text,
        root: schema,
        path: path.to_owned(),
        checked: Checked::default(),
    };
    let title = schema["title"].as_str();
    checker.node(node, schema, title);
    checker.checked
}

/// Findings after which a text is wrong through and through, such as a file of another kind.
const MOST_FINDINGS: usize = 1_000;

/// Whole numbers from here on may have overflowed.
const MOST: u128 = i128::MAX as u128;

struct Checker<'a> {
    text: &'a str,
    root: &'a Json,
    path: String,
    checked: Checked,
}

impl<'a> Checker<'a> {
    fn report(&mut self, span: &Range<usize>, message: impl Into<String>, help: Option<String>) {
        let (message, help) = match self.checked.findings.len() {
            ..MOST_FINDINGS => (message.into(), help),
            MOST_FINDINGS => ("what is wrong from here on is not listed".to_owned(), None),
            _ => return,
        };
        self.checked.findings.push(Finding {
            span: span.clone(),
            path: self.path.clone(),
            message,
            help,
        });
    }

    fn expected(&mut self, node: &Node, what: &str, help: Option<String>) {
        let message = format!("expected {what}, found {}", self.describe(node));
        self.report(&node.span, message, help);
    }

    fn source(&self, node: &Node) -> Cow<'a, str> {
        shown(&self.text[node.span.clone()])
    }

    fn describe(&self, node: &Node) -> String {
        match &node.value {
            Value::Bool(_) | Value::Number(_) => format!("`{}`", self.source(node)),
            Value::Text(text) if text.len() <= 40 => format!("the text {text:?}"),
            Value::Text(_) => "a text".to_owned(),
            Value::Other => "a character".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Term(Term { name, body, .. }) => match (name, body) {
                (Some(name), Body::Unit) => format!("`{}`", shown(name)),
                (Some(name), _) => format!("`{}(..)`", shown(name)),
                (None, Body::Fields(_)) => "a struct".to_owned(),
                (None, _) => "a tuple".to_owned(),
            },
        }
    }

    /// Walks into a field or an item and back, while findings are still listed.
    fn within(&mut self, step: &str, walk: impl FnOnce(&mut Self)) {
        if self.checked.findings.len() > MOST_FINDINGS {
            return;
        }
        let length = self.path.len();
        self.path.push_str(step);
        walk(self);
        self.path.truncate(length);
    }

    /// Follows a reference; the name is that of the definition.
    fn resolve(&self, schema: &'a Json) -> (&'a Json, Option<&'a str>) {
        match schema["$ref"].as_str().and_then(|at| at.strip_prefix('#')) {
            Some(pointer) => (
                self.root.pointer(pointer).unwrap_or(&Json::Null),
                pointer.rsplit('/').next(),
            ),
            None => (schema, None),
        }
    }

    fn node(&mut self, node: &Node, schema: &'a Json, name: Option<&'a str>) {
        let (schema, referenced) = self.resolve(schema);
        let name = referenced.or(name);
        if let Some(of) = optional(schema) {
            return match (node.is_none(), of) {
                (true, _) => {}
                (false, Optional::Reference(schema)) => self.node(node.some(), schema, name),
                (false, Optional::Type(kind)) => self.typed(node.some(), schema, kind, name),
            };
        }
        if schema["oneOf"].is_array() || schema["enum"].is_array() || schema["const"].is_string() {
            return self.variant(node, schema);
        }
        if let Some(kind) = schema["type"].as_str() {
            self.typed(node, schema, kind, name);
        }
    }

    fn typed(&mut self, node: &Node, schema: &'a Json, kind: &str, name: Option<&'a str>) {
        match kind {
            "object" => self.structure(node, schema, name),
            "array" if schema["prefixItems"].is_array() => self.tuple(node, schema),
            "array" => self.list(node, schema),
            "string" => self.string(node, schema),
            "integer" => self.integer(node, schema),
            "number" => self.number(node, schema),
            "boolean" if !matches!(node.value, Value::Bool(_)) => {
                self.expected(node, "true or false", None);
            }
            _ => {}
        }
    }

    fn structure(&mut self, node: &Node, schema: &'a Json, name: Option<&str>) {
        let Value::Term(term) = &node.value else {
            let example = example_of_fields(schema);
            return self.expected(node, "a struct", Some(format!("write ({example})")));
        };
        if let (Some(found), Some(name)) = (&term.name, name)
            && found != name
        {
            let help = format!("leave the name out, or write {name}");
            return self.expected(node, "a struct", Some(help));
        }
        self.fields(node, &term.body, schema);
    }

    /// The fields of a struct or of an enum's variant.
    fn fields(&mut self, node: &Node, body: &Body, schema: &'a Json) {
        let fields: &[Field] = match body {
            Body::Fields(fields) => fields,
            Body::Tuple(items) if items.is_empty() => &[],
            Body::Tuple(items) => {
                let help = format!("write them as ({})", example_of_fields(schema));
                return self.report(&items[0].span, "the fields need their names", Some(help));
            }
            Body::Unit => &[],
        };
        let mut seen = BTreeSet::new();
        let mut meant = BTreeSet::new();
        for field in fields {
            let step = match self.path.is_empty() {
                true => shown(&field.name).into_owned(),
                false => format!(".{}", shown(&field.name)),
            };
            let known = schema["properties"].get(&field.name);
            let first = seen.insert(field.name.as_str());
            self.within(&step, |checker| match known {
                _ if !first => {
                    let message = format!("the field `{}` is given twice", field.name);
                    let help = Some("keep one of the two".to_owned());
                    checker.report(&field.name_span, message, help);
                }
                Some(known) => checker.node(&field.node, known, None),
                None if schema["additionalProperties"] == false => {
                    let message = format!("unknown field `{}`", shown(&field.name));
                    meant.extend(nearest(&field.name, property_names(schema)));
                    let help = suggest(&field.name, property_names(schema), "the fields are");
                    checker.report(&field.name_span, message, help);
                }
                None => {}
            });
        }
        for required in strings(&schema["required"]) {
            // A field that is there under a wrong name is not missing, too.
            if !seen.contains(required) && !meant.contains(required) {
                let about = schema["properties"][required]["description"].as_str();
                let about = about.unwrap_or_default().lines().next().unwrap_or_default();
                let help = format!("add {required}: .. ({about})").replace(" ()", "");
                let message = format!("the field `{required}` is missing");
                self.report(&node.head(), message, Some(help));
            }
        }
    }

    fn variant(&mut self, node: &Node, schema: &'a Json) {
        let variants = variants(schema);
        let names = || variants.keys().copied();
        let (name, body) = match &node.value {
            Value::Term(
                term @ Term {
                    name: Some(name), ..
                },
            ) => (term.variant().unwrap_or(name), &term.body),
            _ if self.plain(node, schema) => return,
            Value::Text(text) if variants.contains_key(text.as_str()) => {
                let help = format!("write {text} without quotes");
                return self.expected(node, "a name", Some(help));
            }
            _ => {
                let list = names().collect::<Vec<_>>().join(", ");
                return self.expected(node, &format!("one of {list}"), None);
            }
        };
        let Some(payload) = variants.get(name) else {
            let help = suggest(name, names(), "the variants are");
            return self.report(
                &node.head(),
                format!("unknown variant `{}`", shown(name)),
                help,
            );
        };
        match (payload, body) {
            (None, Body::Unit) => {}
            (None, _) => {
                let message = format!("`{name}` takes nothing in parentheses");
                self.report(&node.span, message, Some(format!("write {name}")));
            }
            (Some(payload), body) if payload["properties"].is_object() => {
                self.fields(node, body, payload);
            }
            (Some(payload), Body::Tuple(items)) if items.len() == 1 => {
                self.within("[0]", |checker| checker.node(&items[0], payload, None));
            }
            (Some(payload), _) => {
                let message = format!("`{name}` takes one value in parentheses");
                let what = kind_name(self.resolve(payload).0);
                let help = format!("write {name}(..) with {what} inside");
                self.report(&node.span, message, Some(help));
            }
        }
    }

    /// Checks a value that says no variant, where one of them may be left out: its number or its fields.
    fn plain(&mut self, node: &Node, schema: &'a Json) -> bool {
        let Some((name, payload)) = plain_variant(schema) else {
            return false;
        };
        match &node.value {
            Value::Number(_) if !payload["properties"].is_object() => {
                self.node(node, payload, None);
            }
            Value::Term(Term {
                name: None,
                body: body @ Body::Fields(_),
                ..
            }) if payload["properties"].is_object() => {
                self.fields(node, body, payload);
            }
            _ => return false,
        }
        let span = (node.span.start, node.span.end);
        self.checked.names.insert(span, name.to_owned());
        true
    }

    fn tuple(&mut self, node: &Node, schema: &'a Json) {
        let items = schema["prefixItems"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let places = vec![".."; items.len()].join(", ");
        match &node.value {
            Value::Term(Term {
                name: None,
                body: Body::Tuple(values),
                ..
            }) => {
                if values.len() != items.len() {
                    let message =
                        format!("expected {} values, found {}", items.len(), values.len());
                    return self.report(&node.span, message, Some(format!("write ({places})")));
                }
                for (index, (value, schema)) in values.iter().zip(items).enumerate() {
                    self.within(&format!("[{index}]"), |checker| {
                        checker.node(value, schema, None);
                    });
                }
            }
            _ => {
                let help = Some(format!("write ({places}), in parentheses"));
                self.expected(node, &format!("{} values", items.len()), help);
            }
        }
    }

    fn list(&mut self, node: &Node, schema: &'a Json) {
        let Value::List(items) = &node.value else {
            return self.expected(
                node,
                "a list",
                Some("write [.., ..], in brackets".to_owned()),
            );
        };
        if let Some(min) = schema["minItems"].as_u64()
            && (items.len() as u64) < min
        {
            let message = format!(
                "expected at least {min} in this list, found {}",
                items.len()
            );
            self.report(&node.span, message, None);
        }
        for (index, item) in items.iter().enumerate() {
            self.within(&format!("[{index}]"), |checker| {
                checker.node(item, &schema["items"], None);
            });
        }
    }

    fn string(&mut self, node: &Node, schema: &Json) {
        match &node.value {
            Value::Text(text) => {
                if let Some(min) = schema["minLength"].as_u64()
                    && (text.chars().count() as u64) < min
                {
                    self.report(&node.span, "the text is empty", None);
                }
            }
            Value::Term(Term {
                name: Some(_),
                body: Body::Unit,
                ..
            }) => {
                let help = format!("put it into quotes: \"{}\"", self.source(node));
                self.expected(node, "a text", Some(help));
            }
            _ => self.expected(node, "a text in quotes", None),
        }
    }

    fn integer(&mut self, node: &Node, schema: &Json) {
        match node.value {
            Value::Number(Number::Integer(value) | Number::Radix(value)) => {
                let (low, high) = integer_range(schema);
                if value < low {
                    self.report(
                        &node.span,
                        format!("expected at least {low}, found `{}`", self.source(node)),
                        None,
                    );
                } else if value > high {
                    self.report(
                        &node.span,
                        format!("expected at most {high}, found `{}`", self.source(node)),
                        None,
                    );
                }
            }
            Value::Number(Number::Float(value)) if value.fract() == 0.0 && value.abs() < 1e15 => {
                self.expected(node, "a whole number", Some(format!("write {value}")));
            }
            _ => self.expected(node, "a whole number", None),
        }
    }

    fn number(&mut self, node: &Node, schema: &Json) {
        let value = match node.value {
            Value::Number(Number::Integer(value)) if value.unsigned_abs() < MOST => value as f64,
            Value::Number(Number::Radix(value)) => {
                let help = Some(format!("write {value}"));
                return self.expected(node, "a number in decimal notation", help);
            }
            Value::Number(Number::Float(value)) if value.is_finite() => value,
            Value::Number(_) => {
                let help = "there is no infinity here; a field that is optional may be left out"
                    .to_owned();
                return self.expected(node, "a finite number", Some(help));
            }
            _ => return self.expected(node, "a number", None),
        };
        let source = self.source(node);
        let bound = |key: &str| schema[key].as_f64();
        let message = match (
            bound("minimum"),
            bound("maximum"),
            bound("exclusiveMinimum"),
        ) {
            (Some(min), ..) if value < min => format!("expected at least {min}, found `{source}`"),
            (_, Some(max), _) if value > max => format!("expected at most {max}, found `{source}`"),
            (.., Some(min)) if value <= min => {
                format!("expected more than {min}, found `{source}`")
            }
            _ => return,
        };
        self.report(&node.span, message, None);
    }
}
