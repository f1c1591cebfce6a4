use super::BatchShape;
use crate::measured::{StepKind, StepRow};

impl BatchShape {
    /// The batch of a measured step, for a model with windows of `window` tokens.
    ///
    /// The prompts of a mixed step are as many equal ones as make each about as long as the contexts.
    #[must_use]
    pub fn measured(row: &StepRow, window: Option<u64>) -> Self {
        let mut shape = Self::default();
        if row.kind == StepKind::PrefillBatch {
            for _ in 0..row.decode_seqs {
                shape.add_chunk(0, row.context as u64, window);
            }
            return shape;
        }
        if matches!(row.kind, StepKind::Decode | StepKind::Mixed) {
            shape.decodes = row.decode_seqs.into();
            // A request finds its context, and adds a token.
            let found = f64::from(row.decode_seqs) * row.context;
            shape.decode_context = found.round() as u64 + shape.decodes;
        }
        let tokens = u64::from(row.prefill_tokens);
        if row.kind != StepKind::Decode && tokens > 0 {
            let chunks = match row.kind {
                StepKind::Mixed if row.context > 0.0 => {
                    let count = (f64::from(row.prefill_tokens) / row.context).round();
                    (count as u64).clamp(1, tokens)
                }
                _ => 1,
            };
            for chunk in 0..chunks {
                let part = |n: u64| n * tokens / chunks;
                let new = part(chunk + 1) - part(chunk);
                shape.add_chunk(row.prefill_context.into(), new, window);
            }
        }
        shape
    }
}
