//! What was decided and done, and why, as a table.

use super::happenings::Happenings;
use crate::report::html::numbers::{counted, instant, or_none};
use crate::report::html::table::{Cell, Column, Table};

/// The table; without applications where there is one alone.
pub(super) fn table(happenings: &Happenings, applications: usize) -> Table {
    let several = applications > 1;
    let mut columns = vec![Column::text("time")];
    if several {
        columns.push(Column::text("application"));
    }
    columns.extend([
        Column::text("role"),
        Column::text("what was done"),
        Column::figures("had → wanted"),
        Column::text("by"),
        Column::prose("why"),
    ]);
    let mut note = "What changed the fleet, or was refused; the same again in a row is one line. Every decision \
                    is in decisions.csv, every event in scaling.csv."
        .to_owned();
    if happenings.left_out() > 0 {
        note += &format!(
            " {} between the first and the last are left out here.",
            counted(happenings.left_out(), "line", "lines")
        );
    }
    let table = Table::new("Scaling decisions, and why", columns).note(note);
    let mut table = table.searchable("Search decisions");
    for of in happenings.iter() {
        let from = instant(of.from.seconds());
        let when = match of.times {
            1 => from,
            times => format!("{from} to {} ({times} times)", instant(of.to.seconds())),
        };
        let mut row = vec![Cell::text(when)];
        if several {
            row.push(Cell::text(&of.application));
        }
        row.extend([
            Cell::text(format!("{:?}", of.role)),
            Cell::text(of.what.told()),
            Cell::text(or_none(of.what.wish())),
            Cell::text(of.policy.unwrap_or("–")),
            Cell::text(&of.reason),
        ]);
        table.row(row);
    }
    table
}
