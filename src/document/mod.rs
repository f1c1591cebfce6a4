//! RON text in, typed data out, with everything that is wrong at its place.
//!
//! The `ron` crate stops at the first structural error, has no places for values, and accepts `inf`,
//! `NaN` and `1e400`. So a text is parsed once into a small tree with a span on every node, the
//! tree is compared with the JSON Schema of the type, all of it, and then read into the type.

mod deserializer;
mod diagnostics;
mod lexer;
mod nearest;
mod number;
mod outline;
mod overrides;
mod parser;
mod path;
mod position;
mod reading;
mod schema;
mod source;
mod tree;

use ron::extensions::Extensions;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

pub use diagnostics::{Diagnostics, Problem};
pub(crate) use nearest::{nearest, suggest};
pub use position::Position;
pub(crate) use reading::Document;
pub(crate) use source::Source;

use reading::schema_of;
use source::Insert;
use tree::Value;

/// Reads a RON text that stands for a `T`, strictly: unknown fields are errors, `Some` may be
/// left out, and so may the empty parentheses of a variant whose fields all have defaults.
///
/// `name` stands before the places of problems.
///
/// ```
/// #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Limits { min: u32, max: Option<u32> }
///
/// let limits: Limits = fleetsim::document::read("limits.ron", "(min: 2, max: 5)")?;
/// assert_eq!((limits.min, limits.max), (2, Some(5)));
///
/// let wrong = fleetsim::document::read::<Limits>("limits.ron", "(mim: 2)").unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "limits.ron:1:2: error: unknown field `mim`\n\
///      1 | (mim: 2)\n  \
///        |  ^^^\n\
///      help: did you mean `min`?"
/// );
/// # Ok::<(), fleetsim::document::Diagnostics>(())
/// ```
///
/// # Errors
/// [`Diagnostics`] with everything that is wrong.
pub fn read<T: DeserializeOwned + JsonSchema>(name: &str, text: &str) -> Result<T, Diagnostics> {
    let document = Document::parse(Source::new(name, text)).map_err(Diagnostics::new)?;
    let (value, problems) = document.read();
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(Diagnostics::new(problems)),
    }
}

/// A text with these values replaced, each `PATH=VALUE`; none where one cannot be.
pub(crate) fn with_values(text: &str, assignments: &[String]) -> Option<String> {
    let mut document = Document::parse(Source::new("", text)).ok()?;
    for assignment in assignments {
        document.set(assignment).ok()?;
    }
    Some(document.text().to_owned())
}

/// The values of a list without its brackets, such as `HpaGpu, HeteroScale(max: 50)`, each as it is
/// written.
pub(crate) fn items(name: &str, list: &str) -> Result<Vec<String>, Diagnostics> {
    let mut source = Source::new(name, list);
    source.replace(list.len()..list.len(), &[Insert::Glue(0, "]")]);
    source.replace(0..0, &[Insert::Glue(0, "[")]);
    let document = Document::parse(source).map_err(Diagnostics::new)?;
    let Value::List(items) = &document.root.value else {
        return Ok(Vec::new());
    };
    let written = items.iter().map(|item| &document.text()[item.span.clone()]);
    Ok(written.map(str::to_owned).collect())
}

/// Checks a value made in code as the text that it would be written as, which is returned, too.
/// The problems have paths but no places.
pub(crate) fn check<T: Serialize + JsonSchema>(value: &T) -> (String, Vec<Problem>) {
    check_as(value, &schema_of::<T>())
}

/// The same by another schema than that of `T`.
pub(crate) fn check_as<T: Serialize>(value: &T, schema: &Json) -> (String, Vec<Problem>) {
    let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
    let text = match options.to_string(value) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("it cannot be written as RON: {error}");
            return (String::new(), vec![Problem::new("", message)]);
        }
    };
    let document = match Document::parse(Source::new("", &*text)) {
        Ok(document) => document,
        Err(problems) => return (text, problems),
    };
    let (mut problems, _) = document.check(&document.root, "", schema);
    for problem in &mut problems {
        problem.position = None;
    }
    (text, problems)
}
