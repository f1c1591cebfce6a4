use std::ops::Range;

use super::path::{Path, Step};

/// A value in a RON text.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its bytes in the text.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// What is written there.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bool(bool),
    Number(Number),
    Text(String),
    /// A character or bytes, which nothing of ours takes.
    Other,
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Term(Term),
}

/// A number as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// Saturates at the ends of `i128`.
    Integer(i128),
    /// In base 2, 8 or 16; an integer only.
    Radix(i128),
    /// `inf`, `NaN` and what overflows included.
    Float(f64),
}

/// Something with a name, with parentheses, or with both: a struct, a tuple, an enum variant.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) name: Option<String>,
    /// Where its parenthesis opens, or its end when it has none.
    pub(crate) open: usize,
    pub(crate) body: Body,
}

/// What a term holds.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// No parentheses.
    Unit,
    /// Values without names; also empty parentheses.
    Tuple(Vec<Node>),
    /// Values with names, at least one.
    Fields(Vec<Field>),
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) name_span: Range<usize>,
    pub(crate) node: Node,
}

impl Term {
    /// The variant of an enum that it names: `None` for `r#None`, too.
    pub(crate) fn variant(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        Some(name.strip_prefix("r#").unwrap_or(name))
    }
}

impl Node {
    /// Whether it is `None`.
    pub(crate) fn is_none(&self) -> bool {
        matches!(&self.value,
            Value::Term(Term { name: Some(name), body: Body::Unit, .. }) if name == "None")
    }

    /// The value inside `Some(..)`, if that is written.
    pub(crate) fn inside_some(&self) -> Option<&Self> {
        match &self.value {
            Value::Term(Term {
                name: Some(name),
                body: Body::Tuple(items),
                ..
            }) if name == "Some" && items.len() == 1 => Some(&items[0]),
            _ => None,
        }
    }

    /// The value inside `Some(..)`, or the node itself.
    pub(crate) fn some(&self) -> &Self {
        self.inside_some().unwrap_or(self)
    }

    /// What to point at when something is missing inside: the name or the first bracket.
    pub(crate) fn head(&self) -> Range<usize> {
        let first = self.span.start + 1;
        let end = match &self.value {
            Value::Term(term) => term.open.max(first),
            Value::List(_) | Value::Map(_) => first,
            _ => self.span.end,
        };
        self.span.start..end
    }

    /// The node one step away, if there is one.
    pub(crate) fn step(&self, step: &Step) -> Option<&Self> {
        match (&self.some().value, step) {
            (Value::List(items), Step::Index(index)) => items.get(*index),
            (Value::Term(term), step) => match (&term.body, step) {
                (Body::Tuple(items), Step::Index(index)) => items.get(*index),
                (Body::Fields(fields), Step::Field(name)) => {
                    let field = fields.iter().find(|field| field.name == *name)?;
                    Some(&field.node)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Follows a path as far as it goes: the last node there is, and the steps that remain.
    pub(crate) fn follow<'a>(&self, path: &'a Path) -> (&Self, &'a [Step]) {
        let mut node = self;
        for (index, step) in path.0.iter().enumerate() {
            match node.step(step) {
                Some(next) => node = next,
                None => return (node, &path.0[index..]),
            }
        }
        (node, &[])
    }
}
