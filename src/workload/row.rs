//! A row of a trace, before it is known which instant is time zero.

use std::cmp::Ordering;
use std::sync::Arc;

use super::details::Details;

/// A row as it is in the file.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) stamp: Stamp,
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
    pub(super) details: Option<Arc<Details>>,
}

/// A time of a trace, as exact as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamp {
    /// Seconds from the trace's own zero; finite, not negative.
    Seconds(f64),
    /// Nanoseconds from a zero of the format.
    Nanoseconds(i128),
}

impl Stamp {
    /// Seconds from another stamp to this one.
    pub(super) fn since(self, origin: Self) -> f64 {
        match (self, origin) {
            (Self::Nanoseconds(at), Self::Nanoseconds(origin)) => (at - origin) as f64 / 1e9,
            _ => self.seconds() - origin.seconds(),
        }
    }

    /// Which one is earlier.
    pub(super) fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Nanoseconds(one), Self::Nanoseconds(other)) => one.cmp(&other),
            _ => self.seconds().total_cmp(&other.seconds()),
        }
    }

    fn seconds(self) -> f64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Nanoseconds(nanoseconds) => nanoseconds as f64 / 1e9,
        }
    }
}
