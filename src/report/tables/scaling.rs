use super::{Cells, Column, Table, float, text};
use crate::fleet::ScalingEvent;

/// `scaling.csv`: one row an event of the scaling log.
#[derive(Debug)]
pub struct Scaling;

impl Table for Scaling {
    type Row<'a> = &'a ScalingEvent;

    const NAME: &'static str = "scaling";

    const COLUMNS: &'static [Column] = &[
        float("time"),
        text("action"),
        text("target"),
        text("status"),
    ];

    fn cells(event: Self::Row<'_>, cells: &mut impl Cells) {
        cells.float(event.time.seconds());
        cells.text(event.action.name());
        cells.text(&event.target.to_string());
        cells.text(event.status);
    }
}
