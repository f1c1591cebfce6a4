use super::{Cells, Column, Table, float, integer, text};
use crate::fleet::FaultEvent;

/// `faults.csv`: one row a fault.
#[derive(Debug)]
pub struct Faults;

impl Table for Faults {
    type Row<'a> = &'a FaultEvent;

    const NAME: &'static str = "faults";

    const COLUMNS: &'static [Column] = &[
        float("time"),
        text("fault"),
        text("target"),
        float("until"),
        integer("servers"),
        integer("instances"),
        integer("requests_retried"),
        integer("requests_failed"),
        integer("lost_tokens"),
    ];

    fn cells(event: Self::Row<'_>, cells: &mut impl Cells) {
        cells.float(event.time.seconds());
        cells.text(event.fault);
        cells.text(&event.target);
        cells.optional_float(event.until.map(|until| until - crate::time::SimTime::ZERO));
        cells.integer(event.toll.servers);
        cells.integer(event.toll.instances);
        cells.integer(event.toll.retried);
        cells.integer(event.toll.failed);
        cells.integer(event.toll.lost_tokens);
    }
}
