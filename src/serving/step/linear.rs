use super::{BatchShape, PerformanceError, StepModel, Steps};

/// A step time that is linear in four counts, all coefficients in seconds.
///
/// `((base + prefill_token · P) + decode_request · D) + context_token · C`, in doubles and in this order,
/// with the prompt tokens P, the decoding requests D and the tokens C in the KV cache of the batch when the
/// step ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// Each step.
    pub base: f64,
    /// Each prompt token.
    pub prefill_token: f64,
    /// Each request that decodes.
    pub decode_request: f64,
    /// Each token in the KV cache of the batch.
    pub context_token: f64,
}

impl Linear {
    /// Whether every step has a time: a positive base, and nothing that takes time away.
    pub(super) fn check(&self) -> Result<(), PerformanceError> {
        let invalid = PerformanceError::InvalidCoefficient;
        if !(self.base.is_finite() && self.base > 0.0) {
            return Err(invalid("base", "positive"));
        }
        let others = [
            ("prefill_token", self.prefill_token),
            ("decode_request", self.decode_request),
            ("context_token", self.context_token),
        ];
        match others
            .iter()
            .find(|(_, it)| !(it.is_finite() && *it >= 0.0))
        {
            Some((name, _)) => Err(invalid(name, "not negative")),
            None => Ok(()),
        }
    }
}

impl StepModel for Linear {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        let prefill = self.prefill_token * shape.prefill_tokens as f64;
        let decode = self.decode_request * shape.decodes as f64;
        let context = self.context_token * shape.context() as f64;
        ((self.base + prefill) + decode) + context
    }

    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        let growth = self.context_token * first.decodes as f64;
        (most, Steps::affine(self.seconds(first), growth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_adds_up_in_the_stated_order() {
        let model = Linear {
            base: 0.006,
            prefill_token: 2e-5,
            decode_request: 5e-5,
            context_token: 1e-7,
        };
        let mut shape = BatchShape::default();
        shape.add_chunk(32, 500, None);
        shape.add_decode(1_000);
        let context = 32.0 + 500.0 + 1_000.0;
        let expected = ((0.006 + 2e-5 * 500.0) + 5e-5 * 1.0) + 1e-7 * context;
        assert_eq!(model.seconds(&shape), expected);
    }

    #[test]
    fn a_run_of_decodes_has_the_lengths_of_its_steps() {
        let model = Linear {
            base: 0.006,
            prefill_token: 2e-5,
            decode_request: 5e-5,
            context_token: 1e-7,
        };
        let mut shape = BatchShape::default();
        shape.add_decode(100);
        shape.add_decode(900);
        let (count, steps) = model.decode_run(&shape, 50);
        assert_eq!(count, 50);
        for n in 0..50 {
            let exact = model.seconds(&shape.after_decodes(n));
            assert!((steps.length(n) - exact).abs() < 1e-15);
        }
    }
}
