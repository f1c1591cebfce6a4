//! RON text in, typed data out, with everything that is wrong at its place.
//!
//! ron itself stops at the first structural error, has no places for values, and accepts `inf`,
//! `NaN` and `1e400`. So a text is parsed once into a small tree with a span on every node, the
//! tree is compared with the JSON Schema of the type, all of it, and only then does ron read it.

mod diagnostics;
mod lexer;
mod nearest;
mod number;
mod outline;
mod overrides;
mod parser;
mod path;
mod schema;
mod source;
mod tree;

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

pub use diagnostics::{Diagnostics, Position, Problem};
pub(crate) use nearest::suggest;
pub(crate) use source::Source;

use path::Path;
use schema::Fix;
use source::{Insert, offset_of};
use tree::{Node, Value};

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
    let text = match options().to_string(value) {
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

pub(crate) fn options() -> ron::Options {
    ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME)
}

fn schema_of<T: JsonSchema>() -> Json {
    schemars::schema_for!(T).to_value()
}

/// A RON text and what is where in it.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    source: Source,
    root: Node,
}

impl Document {
    /// Parses a text; wrong syntax is all that can be wrong yet.
    pub(crate) fn parse(source: Source) -> Result<Self, Vec<Problem>> {
        match parser::parse(source.text()) {
            Ok(root) => Ok(Self { source, root }),
            Err(errors) => Err(errors
                .into_iter()
                .map(|error| Problem {
                    help: error.help,
                    ..Problem::new("", error.message).at(source.place(&error.span))
                })
                .collect()),
        }
    }

    /// The text as it stands, overrides applied.
    pub(crate) fn text(&self) -> &str {
        self.source.text()
    }

    /// Reads the text as a `T`: the value as far as it can be understood, and what is wrong.
    /// Without a value there is at least one problem.
    pub(crate) fn read<T: DeserializeOwned + JsonSchema>(&self) -> (Option<T>, Vec<Problem>) {
        self.read_as(&schema_of::<T>())
    }

    /// The same by another schema than that of `T`.
    pub(crate) fn read_as<T: DeserializeOwned>(&self, schema: &Json) -> (Option<T>, Vec<Problem>) {
        self.read_node(&self.root, "", 0..self.text().len(), schema)
    }

    /// Reads the value at a path as a `T`; none where the text has none.
    pub(crate) fn read_at<T: DeserializeOwned + JsonSchema>(
        &self,
        path: &str,
    ) -> Result<Option<T>, Vec<Problem>> {
        let steps: Path = path.parse().unwrap_or_default();
        let (node, []) = self.root.follow(&steps) else {
            return Ok(None);
        };
        let node = node.some();
        match self.read_node(node, path, node.span.clone(), &schema_of::<T>()) {
            (value, problems) if problems.is_empty() => Ok(value),
            (_, problems) => Err(problems),
        }
    }

    fn read_node<T: DeserializeOwned>(
        &self,
        node: &Node,
        path: &str,
        range: Range<usize>,
        schema: &Json,
    ) -> (Option<T>, Vec<Problem>) {
        let (mut problems, fixes) = self.check(node, path, schema);
        let fixed = self.fixed(fixes);
        let behind = self.text().len() - range.end;
        let text = &fixed.text()[range.start..fixed.text().len() - behind];
        match options().from_str(text) {
            Ok(value) => (Some(value), problems),
            Err(error) => {
                if problems.is_empty() {
                    let message = error.code.to_string();
                    let at = error.span.start;
                    let at = range.start + offset_of(text, at.line, at.col);
                    problems.push(Problem::new("", message).at(fixed.place(&(at..at))));
                }
                (None, problems)
            }
        }
    }

    fn check(&self, node: &Node, path: &str, schema: &Json) -> (Vec<Problem>, Vec<Fix>) {
        let checked = schema::check(self.text(), node, path, schema);
        let findings = checked.findings.into_iter();
        let problems = findings
            .map(|finding| Problem {
                help: finding.help,
                ..Problem::new(finding.path, finding.message).at(self.source.place(&finding.span))
            })
            .collect();
        (problems, checked.fixes)
    }

    fn fixed(&self, fixes: Vec<Fix>) -> Source {
        let mut edits: Vec<_> = fixes
            .into_iter()
            .map(|fix| match fix {
                Fix::Drop(range) => (range, ""),
                Fix::AddParentheses(at) => (at..at, "()"),
            })
            .collect();
        edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        let mut source = self.source.clone();
        for (range, text) in edits {
            source.replace(range, &[Insert::Glue(0, text)]);
        }
        source
    }

    /// Adds problems that were found later, except where something is known to be wrong already.
    pub(crate) fn add(&self, problems: &mut Vec<Problem>, later: Vec<Problem>) {
        let known = problems.len();
        for problem in later {
            let problem = self.place(problem);
            if !problems[..known]
                .iter()
                .any(|known| known.is_beside(&problem))
            {
                problems.push(problem);
            }
        }
    }

    /// Gives a problem its place, by its path: that of the value or, where a default is at
    /// fault, of what it is missing in.
    pub(crate) fn place(&self, problem: Problem) -> Problem {
        let path: Path = problem.path.parse().unwrap_or_default();
        let (node, rest) = self.root.follow(&path);
        let span = match rest {
            [] => node.span.clone(),
            _ => node.head(),
        };
        problem.at(self.source.place(&span))
    }
}
