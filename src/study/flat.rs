//! A summary as one row: each figure under the path to it.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::observe::Summary;

/// A figure of a summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    /// A count.
    Integer(u64),
    /// Anything measured.
    Float(f64),
    /// A yes or no.
    Flag(bool),
    /// A name.
    Text(String),
    /// Not known.
    Unknown(()),
}

impl Figure {
    /// As a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match *self {
            Self::Integer(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Flag(_) | Self::Text(_) | Self::Unknown(()) => None,
        }
    }
}

/// What is no figure of the run.
const LEFT_OUT: [&str; 6] = [
    "scenario",
    "hash",
    "seed",
    "fleetsim_version",
    "warnings",
    "step_times",
];

/// The fields that name an element of a list.
const NAMES: [&str; 5] = ["name", "role", "sku", "metric", "option"];

/// The figures of a summary, in its order, each with the path to it, such as `chat.metrics.ttft_s.p99`.
/// Elements of lists go by their names.
///
/// # Errors
/// When the summary cannot be written as JSON.
pub fn flat(summary: &Summary) -> Result<Vec<(String, Figure)>, serde_json::Error> {
    let tree: Tree = serde_json::from_str(&serde_json::to_string(summary)?)?;
    let mut figures = Vec::new();
    tree.flatten(&mut Vec::new(), &mut figures);
    Ok(figures)
}

/// JSON whose fields stand in the order in which they were written.
enum Tree {
    Fields(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Figure(Figure),
}

impl Tree {
    fn flatten(self, path: &mut Vec<String>, figures: &mut Vec<(String, Figure)>) {
        match self {
            Self::Figure(figure) => figures.push((path.join("."), figure)),
            Self::Fields(fields) => {
                for (name, value) in fields {
                    if path.is_empty() && name == "applications" {
                        value.flatten(path, figures);
                    } else if !LEFT_OUT.contains(&name.as_str()) {
                        path.push(name);
                        value.flatten(path, figures);
                        path.pop();
                    }
                }
            }
            Self::List(items) => {
                for (position, item) in items.into_iter().enumerate() {
                    let (name, item) = item.named(position);
                    path.push(name);
                    item.flatten(path, figures);
                    path.pop();
                }
            }
        }
    }

    /// The name of an element, and the rest of it.
    fn named(self, position: usize) -> (String, Self) {
        let Self::Fields(fields) = self else {
            return (position.to_string(), self);
        };
        let (names, rest): (Vec<_>, Vec<_>) = fields
            .into_iter()
            .partition(|(name, _)| NAMES.contains(&name.as_str()));
        let names: Vec<String> = names
            .into_iter()
            .filter_map(|(_, value)| match value {
                Self::Figure(Figure::Text(text)) => Some(text),
                _ => None,
            })
            .collect();
        let percentile = rest.iter().find_map(|(name, value)| match value {
            Self::Figure(figure) if name == "percentile" => figure.number(),
            _ => None,
        });
        match names.is_empty() {
            true => {
                let name = percentile.map_or_else(|| position.to_string(), |it| format!("p{it}"));
                (name, Self::Fields(rest))
            }
            false => (names.join("."), Self::Fields(rest)),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Tree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Figure(Figure::Flag(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Figure(Figure::Integer(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Figure(Figure::Float(value as f64)))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree::Figure(Figure::Float(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Figure(Figure::Text(value.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Figure(Figure::Unknown(())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Tree::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    fields.push(entry);
                }
                Ok(Tree::Fields(fields))
            }
        }
        from.deserialize_any(Reader)
    }
}
