//! Tables: what their columns are, once, and the formats that they are written in.

mod by_region;
mod contenders;
mod csv;
mod decisions;
mod faults;
mod json_lines;
#[cfg(feature = "parquet")]
mod parquet;
mod requests;
mod scaling;
mod steps;
mod timeline;

pub use by_region::ByRegion;
pub use contenders::{Contender, Contenders};
pub use csv::CsvWriter;
pub(super) use csv::write_sheet;
pub use decisions::Decisions;
pub use faults::Faults;
pub use json_lines::JsonLinesWriter;
#[cfg(feature = "parquet")]
pub use parquet::ParquetWriter;
#[cfg(feature = "parquet")]
pub(super) use parquet::write_parquet_sheet;
pub use requests::Requests;
pub use scaling::Scaling;
pub use steps::Steps;
pub use timeline::Timeline;

use crate::scenario::Role;

/// A table: its columns, and how a row of it becomes cells.
pub trait Table {
    /// What a row is made from.
    type Row<'a>;

    /// The name of its files, less their extension.
    const NAME: &'static str;

    /// The columns, in order.
    const COLUMNS: &'static [Column];

    /// Puts the cells of a row, one for each column, in order.
    fn cells(row: Self::Row<'_>, cells: &mut impl Cells);
}

/// A column of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, which needs no quotes.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What the cells of a column are. Any cell may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Floats.
    Float,
    /// Text.
    Text,
}

/// Where the cells of a row go, one after the other.
pub trait Cells {
    /// A whole number.
    fn integer(&mut self, value: u64);

    /// A float; an empty cell when it is not finite.
    fn float(&mut self, value: f64);

    /// Text.
    fn text(&mut self, value: &str);

    /// The id of a request: its number or, where it has one and there is room for text, its name.
    fn id(&mut self, number: u64, name: Option<&str>) {
        match name {
            Some(name) => self.text(name),
            None => self.integer(number),
        }
    }

    /// No value.
    fn empty(&mut self);

    /// A float, or no value.
    fn optional_float(&mut self, value: Option<impl Into<f64>>)
    where
        Self: Sized,
    {
        match value {
            Some(value) => self.float(value.into()),
            None => self.empty(),
        }
    }

    /// A whole number, or no value.
    fn optional_integer(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.integer(value),
            None => self.empty(),
        }
    }

    /// A role, spelt as in a scenario.
    fn role(&mut self, role: Role) {
        self.text(match role {
            Role::Prompt => "Prompt",
            Role::Token => "Token",
            Role::Mixed => "Mixed",
        });
    }
}

const fn integer(name: &'static str) -> Column {
    let kind = Kind::Integer;
    Column { name, kind }
}

const fn float(name: &'static str) -> Column {
    let kind = Kind::Float;
    Column { name, kind }
}

const fn text(name: &'static str) -> Column {
    let kind = Kind::Text;
    Column { name, kind }
}
