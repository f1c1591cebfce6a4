use super::{Cells, Column, Table, float, integer, text};
use crate::autoscale::Decision;

/// `decisions.csv`: one row a [`Decision`], its fields in their order.
#[derive(Debug)]
pub struct Decisions;

impl Table for Decisions {
    type Row<'a> = &'a Decision;

    const NAME: &'static str = "decisions";

    const COLUMNS: &'static [Column] = &[
        float("time"),
        text("application"),
        text("policy"),
        text("role"),
        integer("scaling_up"),
        integer("active"),
        integer("draining"),
        integer("desired"),
        integer("started"),
        integer("cancelled"),
        integer("drained"),
        integer("refused"),
        text("reason"),
    ];

    fn cells(decision: Self::Row<'_>, cells: &mut impl Cells) {
        cells.float(decision.time.seconds());
        cells.text(&decision.application);
        cells.text(decision.policy);
        cells.role(decision.role);
        cells.integer(decision.scaling_up.into());
        cells.integer(decision.active.into());
        cells.integer(decision.draining.into());
        cells.integer(decision.desired.into());
        cells.integer(decision.started.into());
        cells.integer(decision.cancelled.into());
        cells.integer(decision.drained.into());
        cells.integer(decision.refused.into());
        cells.text(&decision.reason);
    }
}
