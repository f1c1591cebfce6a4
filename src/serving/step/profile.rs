use crate::catalog::Profile;

use super::{BatchShape, StepModel, Steps};

/// Iterations that mix prompts with tokens take this much longer than prompts alone
/// (SplitwiseSim's performance model; Patel et al., "Splitwise", ISCA 2024).
const MIXED_FACTOR: f64 = 1.1;

/// Measured iteration times, interpolated linearly between knots and extended linearly beyond
/// them; where an extension would not be positive, the nearest knot counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    prompt: Curve,
    token: Curve,
}

/// Why knots do not make a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCurve {
    /// A line needs two points.
    #[error("fewer than two knots")]
    TooFewKnots,
    /// Knot of this position does not have more tokens than the one before.
    #[error("the tokens of knot {0} do not rise")]
    NotRising(usize),
    /// Knot of this position has a time that is not positive and finite.
    #[error("the seconds of knot {0} are not positive")]
    NotPositive(usize),
}

impl Curves {
    /// The curves through a profile's knots.
    ///
    /// # Errors
    /// [`InvalidCurve`] when knots do not rise, are too few, or have times that are not positive.
    pub fn new(profile: &Profile) -> Result<Self, InvalidCurve> {
        Ok(Self {
            prompt: Curve::new(&profile.prompt)?,
            token: Curve::new(&profile.token)?,
        })
    }
}

impl Curves {
    /// Seconds of a step with these prompt tokens and decodes.
    pub(super) fn iteration(&self, prompt_tokens: u64, decodes: u64) -> f64 {
        match (prompt_tokens, decodes) {
            (0, decodes) => self.token.at(decodes as f64),
            (tokens, 0) => self.prompt.at(tokens as f64),
            (tokens, decodes) => self.prompt.at((tokens + decodes) as f64) * MIXED_FACTOR,
        }
    }
}

impl StepModel for Curves {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        self.iteration(shape.prefill_tokens, shape.decodes)
    }

    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        (most, Steps::constant(self.seconds(first)))
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Curve {
    segments: Box<[Segment]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    from: f64,
    to: f64,
    at_from: f64,
    at_to: f64,
    slope: f64,
}

impl Curve {
    fn new(knots: &[(f64, f64)]) -> Result<Self, InvalidCurve> {
        if knots.len() < 2 {
            return Err(InvalidCurve::TooFewKnots);
        }
        if let Some(bad) = knots.iter().position(|&(_, y)| !(y > 0.0 && y.is_finite())) {
            return Err(InvalidCurve::NotPositive(bad));
        }
        if let Some(bad) = knots
            .windows(2)
            .position(|pair| !pair[0].0.total_cmp(&pair[1].0).is_lt())
        {
            return Err(InvalidCurve::NotRising(bad + 1));
        }
        let segment = |pair: &[(f64, f64)]| {
            let ((from, at_from), (to, at_to)) = (pair[0], pair[1]);
            Segment {
                from,
                to,
                at_from,
                at_to,
                slope: (at_to - at_from) / (to - from),
            }
        };
        Ok(Self {
            segments: knots.windows(2).map(segment).collect(),
        })
    }

    fn at(&self, x: f64) -> f64 {
        let inner = &self.segments[..self.segments.len() - 1];
        // Nearly every batch of tokens alone is on the first.
        let place = if x <= self.segments[0].to {
            0
        } else {
            inner.partition_point(|segment| segment.to < x)
        };
        let segment = &self.segments[place];
        let y = segment.slope * (x - segment.from) + segment.at_from;
        if y > 0.0 {
            y
        } else if x < segment.from {
            segment.at_from
        } else {
            segment.at_to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(prompt: &[(f64, f64)]) -> Result<Curves, InvalidCurve> {
        Curves::new(&Profile {
            prompt: prompt.to_vec(),
            token: vec![(1.0, 1.0), (2.0, 1.0)],
        })
    }

    fn seconds(curves: &Curves, prefill_tokens: u64, decodes: u64) -> f64 {
        curves.seconds(&BatchShape {
            prefill_tokens,
            decodes,
            ..BatchShape::default()
        })
    }

    #[test]
    fn between_and_beyond_the_knots_it_is_linear() {
        let curves = curves(&[(100.0, 1.0), (200.0, 2.0), (400.0, 3.0)]).unwrap();
        for (tokens, expected) in [(50, 0.5), (100, 1.0), (150, 1.5), (300, 2.5), (800, 5.0)] {
            assert_eq!(seconds(&curves, tokens, 0), expected, "{tokens}");
        }
        assert_eq!(seconds(&curves, 200, 100), 2.5 * 1.1);
    }

    #[test]
    fn a_time_is_always_positive() {
        let falling = curves(&[(10.0, 5.0), (20.0, 1.0)]).unwrap();
        assert_eq!(seconds(&falling, 40, 0), 1.0);
        let steep = curves(&[(10.0, 1.0), (20.0, 100.0)]).unwrap();
        assert_eq!(seconds(&steep, 1, 0), 1.0);
    }

    #[test]
    fn knots_that_make_no_curve_are_refused() {
        assert_eq!(curves(&[(1.0, 1.0)]), Err(InvalidCurve::TooFewKnots));
        assert_eq!(
            curves(&[(1.0, 1.0), (1.0, 2.0)]),
            Err(InvalidCurve::NotRising(1))
        );
        assert_eq!(
            curves(&[(1.0, 1.0), (2.0, 0.0)]),
            Err(InvalidCurve::NotPositive(1))
        );
        assert_eq!(
            curves(&[(1.0, f64::NAN), (2.0, 1.0)]),
            Err(InvalidCurve::NotPositive(0))
        );
    }
}
