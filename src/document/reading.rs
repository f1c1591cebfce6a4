use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::deserializer::{Names, Reader};
use super::diagnostics::Problem;
use super::parser;
use super::path::Path;
use super::schema;
use super::source::Source;
use super::tree::Node;

pub(super) fn schema_of<T: JsonSchema>() -> Json {
    schemars::schema_for!(T).to_value()
}

/// A RON text and what is where in it.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(super) source: Source,
    pub(super) root: Node,
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
        self.read_node(&self.root, "", schema)
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
        match self.read_node(node, path, &schema_of::<T>()) {
            (value, problems) if problems.is_empty() => Ok(value),
            (_, problems) => Err(problems),
        }
    }

    fn read_node<T: DeserializeOwned>(
        &self,
        node: &Node,
        path: &str,
        schema: &Json,
    ) -> (Option<T>, Vec<Problem>) {
        let (mut problems, names) = self.check(node, path, schema);
        let reader = Reader {
            text: self.text(),
            names: &names,
            node,
        };
        match T::deserialize(reader) {
            Ok(value) => (Some(value), problems),
            Err(refusal) => {
                if problems.is_empty() {
                    let span = refusal.span.as_ref().unwrap_or(&node.span);
                    let place = self.source.place(span);
                    problems.push(Problem::new("", refusal.message).at(place));
                }
                (None, problems)
            }
        }
    }

    pub(super) fn check(&self, node: &Node, path: &str, schema: &Json) -> (Vec<Problem>, Names) {
        let checked = schema::check(self.text(), node, path, schema);
        let findings = checked.findings.into_iter();
        let problems = findings
            .map(|finding| Problem {
                help: finding.help,
                ..Problem::new(finding.path, finding.message).at(self.source.place(&finding.span))
            })
            .collect();
        (problems, checked.names)
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
