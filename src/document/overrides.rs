use super::diagnostics::Problem;
use super::parser::parse;
use super::path::{Path, Step};
use super::reading::Document;
use super::source::{Insert, Place, Source};
use super::tree::{Body, Node, Term, Value};

/// What is wrong with an override, and what to do.
type Complaint = (String, String);

impl Document {
    /// Applies `PATH=VALUE`: puts RON text in the place of a value, or adds the field.
    ///
    /// # Errors
    /// Problems that name the override, not the file.
    pub(crate) fn set(&mut self, assignment: &str) -> Result<(), Vec<Problem>> {
        let (path, value) = match assignment.split_once('=') {
            Some((path, value)) => (path.trim(), value.trim()),
            None => (assignment, ""),
        };
        let name = format!("--set {path}");
        let refuse = |(message, help): Complaint| {
            let place = Place::whole(name.clone());
            vec![Problem::new("", message).help(help).at(place)]
        };
        if path.len() == assignment.len() {
            let help = "write --set PATH=VALUE, such as --set seed=7";
            return Err(refuse(("there is no `=` in it".into(), help.into())));
        }
        self.put(&name, path, value)
    }

    /// Puts RON text in the place of the value at a path, or adds the field. Problems are with `name`.
    pub(crate) fn put(&mut self, name: &str, path: &str, value: &str) -> Result<(), Vec<Problem>> {
        let refuse = |(message, help): Complaint| {
            let place = Place::whole(name.to_owned());
            vec![Problem::new("", message).help(help).at(place)]
        };
        let steps: Path = path.parse().map_err(|message| {
            let help = "a path looks like applications[0].scaling.scale_up_delay";
            refuse((message, help.into()))
        })?;
        let written = Source::new(name, value);
        let value = match parse(value) {
            Ok(node) => &value[node.span],
            Err(errors) => {
                let problem = |error: super::lexer::SyntaxError| {
                    let help = format!("values are RON; text needs quotes: '{path}=\"text\"'");
                    let place = written.place(&error.span);
                    Problem::new(path, error.message).help(help).at(place)
                };
                return Err(errors.into_iter().map(problem).collect());
            }
        };

        let (node, rest) = self.root.follow(&steps);
        let mut source = self.source.clone();
        let origin = source.add_origin(name.to_owned(), value.to_owned());
        if rest.is_empty() {
            source.replace(node.span.clone(), &[Insert::Written(origin)]);
        } else {
            let there = Path(steps.0[..steps.0.len() - rest.len()].to_vec()).to_string();
            let (at, before, after) = insertion(node, rest, &there).map_err(refuse)?;
            let inserts = [
                Insert::Glue(origin, &before),
                Insert::Written(origin),
                Insert::Glue(origin, &after),
            ];
            source.replace(at..at, &inserts);
        }
        *self = Self::parse(source)?;
        Ok(())
    }
}

/// Where the field goes that a path still lacks behind the last node that it reached, and what
/// stands before and after its value there.
fn insertion(
    node: &Node,
    rest: &[Step],
    there: &str,
) -> Result<(usize, String, String), Complaint> {
    let mut fields = Vec::new();
    for step in rest {
        match (step, &node.some().value) {
            (Step::Field(name), _) => fields.push(name.as_str()),
            (Step::Index(index), Value::List(items)) if fields.is_empty() => {
                let message = format!("there is no [{index}] in {there}: it has {}", items.len());
                return Err((message, "indices count from 0".into()));
            }
            (Step::Index(index), _) => {
                let whole = format!("{there}.{}", fields.join("."));
                let whole = whole.trim_matches('.');
                let message = format!("there is no list at {whole} to take [{index}] of");
                return Err((message, format!("set {whole} itself")));
            }
        }
    }
    let nested = fields.join(": (");
    let close = ")".repeat(fields.len() - 1);
    match &node.some().value {
        Value::Term(Term {
            open,
            body: Body::Unit,
            ..
        }) => Ok((*open, format!("({nested}: "), format!("{close})"))),
        Value::Term(Term { open, body, .. }) if !matches!(body, Body::Tuple(items) if !items.is_empty()) => {
            Ok((*open + 1, format!("{nested}: "), format!("{close}, ")))
        }
        _ => {
            let there = if there.is_empty() { "the whole" } else { there };
            let message = format!("{there} has no named fields, so no {}", fields[0]);
            Err((message, format!("set {there} itself")))
        }
    }
}
