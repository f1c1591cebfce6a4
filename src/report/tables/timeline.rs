use super::{Cells, Column, Table, float, integer, text};
use crate::observe::Sample;

/// `timeline.csv`: one row a [`Sample`], its fields in their order.
#[derive(Debug)]
pub struct Timeline;

impl Table for Timeline {
    type Row<'a> = &'a Sample;

    const NAME: &'static str = "timeline";

    const COLUMNS: &'static [Column] = &[
        float("time"),
        text("application"),
        text("role"),
        integer("scaling_up"),
        integer("active"),
        integer("draining"),
        integer("servers"),
        integer("waiting"),
        integer("queued"),
        integer("running"),
        float("prompt_tokens_per_s"),
        float("output_tokens_per_s"),
        float("utilisation"),
        integer("memory_used_bytes"),
        integer("memory_bytes"),
        integer("kv_used_bytes"),
        integer("kv_bytes"),
        float("kv_usage"),
        float("prefix_hit_rate"),
        integer("preemptions"),
    ];

    fn cells(sample: Self::Row<'_>, cells: &mut impl Cells) {
        cells.float(sample.time.seconds());
        cells.text(&sample.application);
        cells.role(sample.role);
        cells.integer(sample.scaling_up.into());
        cells.integer(sample.active.into());
        cells.integer(sample.draining.into());
        cells.integer(sample.servers.into());
        cells.integer(sample.waiting);
        cells.integer(sample.queued);
        cells.integer(sample.running);
        cells.float(sample.prompt_tokens_per_s);
        cells.float(sample.output_tokens_per_s);
        cells.float(sample.utilisation);
        cells.integer(sample.memory_used_bytes);
        cells.optional_integer(sample.memory_bytes);
        cells.integer(sample.kv_used_bytes);
        cells.optional_integer(sample.kv_bytes);
        cells.optional_float(sample.kv_usage());
        cells.optional_float(sample.prefix_hit_rate);
        cells.integer(sample.preemptions);
    }
}
