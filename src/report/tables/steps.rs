use std::fmt::Write;

use super::{Cells, Column, Table, float, integer, text};
use crate::serving::vllm::StepRow;

/// `steps.csv`: one row a step of an engine `Vllm`, with the number of its instance.
///
/// Times are in seconds. `running` and `waiting` are the requests after scheduling, `scheduled_tokens` is
/// `prefill_tokens` + `decode_seqs`, `context_tokens` the tokens with KV after the step of the requests in
/// it, `used_blocks` the KV blocks with a user. `preempted` and `finished` list requests, `scheduled` lists
/// them with their tokens.
#[derive(Debug)]
pub struct Steps;

impl Table for Steps {
    type Row<'a> = (u64, &'a StepRow);

    const NAME: &'static str = "steps";

    const COLUMNS: &'static [Column] = &[
        integer("instance"),
        integer("step"),
        float("start_s"),
        float("duration_s"),
        integer("running"),
        integer("waiting"),
        integer("scheduled_tokens"),
        integer("prefill_tokens"),
        integer("decode_seqs"),
        integer("context_tokens"),
        integer("used_blocks"),
        text("preempted"),
        text("finished"),
        text("scheduled"),
    ];

    fn cells((instance, step): Self::Row<'_>, cells: &mut impl Cells) {
        cells.integer(instance);
        cells.integer(step.step);
        cells.float(step.start_s);
        cells.float(step.duration_s);
        cells.integer(step.running.into());
        cells.integer(step.waiting.into());
        cells.integer(step.prefill_tokens + step.decode_seqs);
        cells.integer(step.prefill_tokens);
        cells.integer(step.decode_seqs);
        cells.integer(step.context_tokens);
        cells.integer(step.used_blocks.into());
        cells.text(&step.preempted.join(" "));
        cells.text(&step.finished.join(" "));
        let mut scheduled = String::new();
        for (place, (request, tokens)) in step.scheduled.iter().enumerate() {
            let blank = if place > 0 { " " } else { "" };
            // Writing to a string cannot fail.
            _ = write!(scheduled, "{blank}{request}:{tokens}");
        }
        cells.text(&scheduled);
    }
}
