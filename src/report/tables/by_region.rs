use std::marker::PhantomData;

use super::{Cells, Column, Decisions, Faults, Requests, Scaling, Table, Timeline, text};

/// A table with the region of each row at the end: of a scenario with regions.
#[derive(Debug)]
pub struct ByRegion<T>(PhantomData<T>);

/// The columns of a table, and others after them.
const fn with<const N: usize>(columns: &[Column], more: &[Column]) -> [Column; N] {
    let mut all = [text(""); N];
    let mut position = 0;
    while position < N {
        all[position] = match position < columns.len() {
            true => columns[position],
            false => more[position - columns.len()],
        };
        position += 1;
    }
    all
}

macro_rules! by_region {
    ($($table:ident),+) => {$(
        impl Table for ByRegion<$table> {
            /// The name of the region, and the row.
            type Row<'a> = (&'a str, <$table as Table>::Row<'a>);

            const NAME: &'static str = <$table as Table>::NAME;

            const COLUMNS: &'static [Column] =
                &with::<{ <$table as Table>::COLUMNS.len() + 1 }>(
                    <$table as Table>::COLUMNS,
                    &[text("region")],
                );

            fn cells((region, row): Self::Row<'_>, cells: &mut impl Cells) {
                <$table as Table>::cells(row, cells);
                cells.text(region);
            }
        }
    )+};
}

by_region!(Scaling, Timeline, Decisions, Faults);

impl Table for ByRegion<Requests> {
    /// The names of the user's region and of that which served the request, and the row.
    type Row<'a> = ([&'a str; 2], <Requests as Table>::Row<'a>);

    const NAME: &'static str = Requests::NAME;

    const COLUMNS: &'static [Column] = &with::<{ Requests::COLUMNS.len() + 2 }>(
        Requests::COLUMNS,
        &[text("region"), text("served_in")],
    );

    fn cells(([region, served_in], row): Self::Row<'_>, cells: &mut impl Cells) {
        Requests::cells(row, cells);
        cells.text(region);
        cells.text(served_in);
    }
}
