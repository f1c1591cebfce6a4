use serde::{Deserialize, Serialize};

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// How many characters from there on are meant, at least 1, none beyond the line.
    pub width: usize,
    /// The line's text, of a long line what stands around the place.
    pub text: String,
    /// Characters of the line that are left out before `text`.
    pub cut: usize,
    /// Whether more of the line follows `text`.
    pub goes_on: bool,
}
