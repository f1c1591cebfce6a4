use std::collections::BTreeMap;

use super::{BatchShape, Roofline, StepModel, Steps};

/// Step times that were measured, interpolated; beyond the last one, with the slope of a roofline.
///
/// Decode steps lie on lines, one for each number of requests that was measured: between two of its knots a
/// line is straight in the tokens of all contexts together, and between two lines a step is straight in the
/// number of requests. Prompts lie on one line over their tokens, attention taken out and put back as
/// the roofline has it. Before the first and beyond the last knot the roofline says by how much a step
/// is longer or shorter than at that knot. A mixed step is the roofline's, times measured ÷ roofline of
/// its two parts together.
#[derive(Clone, Debug)]
pub struct Table {
    roofline: Roofline,
    /// Lines of decode steps, by their requests.
    lines: Vec<Line>,
    /// Tokens of prompts, and seconds without attention.
    prompts: Vec<(u64, f64)>,
}

/// Decode steps of as many requests.
#[derive(Clone, Debug)]
struct Line {
    decodes: u64,
    /// Tokens of all contexts together, and seconds.
    knots: Vec<(u64, f64)>,
}

/// Why measurements make no [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTable {
    /// There is neither a decode step nor a prompt among them.
    #[error("there is no step of decodes alone and none of prompts alone to interpolate between")]
    NoKnots,
    /// A step takes no time, or a time that is no number.
    #[error("a step takes a time that is not positive and finite")]
    NoTime,
}

/// No step is shorter: a roofline's slope may lead below zero, far before the first knot.
const LEAST: f64 = 1e-6;

impl Table {
    /// A table of measured steps: what each computes, and its seconds. Equal steps count as their mean.
    ///
    /// # Errors
    /// [`NoTable`] where they cannot be interpolated.
    pub fn new(
        roofline: Roofline,
        measured: impl IntoIterator<Item = (BatchShape, f64)>,
    ) -> Result<Self, NoTable> {
        let mut decodes: BTreeMap<u64, BTreeMap<u64, Mean>> = BTreeMap::new();
        let mut prompts: BTreeMap<u64, Mean> = BTreeMap::new();
        for (shape, seconds) in measured {
            if !(seconds.is_finite() && seconds > 0.0) {
                return Err(NoTable::NoTime);
            }
            match (shape.prefill_tokens, shape.decodes) {
                (0, 0) => {}
                (0, requests) => {
                    let line = decodes.entry(requests).or_default();
                    line.entry(found(&shape)).or_default().add(seconds);
                }
                (tokens, 0) => {
                    let rest = (seconds - attention(&roofline, &shape)).max(LEAST);
                    prompts.entry(tokens).or_default().add(rest);
                }
                _ => {}
            }
        }
        if decodes.is_empty() && prompts.is_empty() {
            return Err(NoTable::NoKnots);
        }
        let knots = |of: BTreeMap<u64, Mean>| of.into_iter().map(|(at, it)| (at, it.value()));
        Ok(Self {
            // A least time would bend the slopes beyond the knots.
            roofline: roofline.with_minimum(0.0),
            lines: decodes
                .into_iter()
                .map(|(decodes, line)| Line {
                    decodes,
                    knots: knots(line).collect(),
                })
                .collect(),
            prompts: knots(prompts).collect(),
        })
    }

    /// The roofline beyond the knots.
    #[must_use]
    pub const fn roofline(&self) -> &Roofline {
        &self.roofline
    }

    /// Seconds of a step of decodes alone.
    fn decode(&self, shape: &BatchShape) -> f64 {
        let (requests, tokens) = (shape.decodes, found(shape));
        let at = self.lines.partition_point(|it| it.decodes <= requests);
        let below = at.checked_sub(1).map(|it| &self.lines[it]);
        match (below, self.lines.get(at)) {
            (None, None) => self.roofline.seconds(shape),
            (Some(line), _) if line.decodes == requests => self.on_line(line, tokens),
            (Some(below), Some(above)) => {
                let (a, b) = (self.on_line(below, tokens), self.on_line(above, tokens));
                let wide = (above.decodes - below.decodes) as f64;
                a + (b - a) * ((requests - below.decodes) as f64 / wide)
            }
            (Some(line), None) | (None, Some(line)) => {
                let there = self.priced(line.decodes, tokens);
                self.on_line(line, tokens) + (self.roofline.seconds(shape) - there)
            }
        }
    }

    fn on_line(&self, line: &Line, tokens: u64) -> f64 {
        let at = line.knots.partition_point(|it| it.0 <= tokens);
        let below = at.checked_sub(1).map(|it| line.knots[it]);
        match (below, line.knots.get(at)) {
            (Some((from, a)), Some(&(to, b))) => {
                a + (b - a) * ((tokens - from) as f64 / (to - from) as f64)
            }
            (Some((knot, seconds)), None) | (None, Some(&(knot, seconds))) => {
                let here = self.priced(line.decodes, tokens);
                seconds + (here - self.priced(line.decodes, knot))
            }
            (None, None) => self.priced(line.decodes, tokens),
        }
    }

    /// The roofline's seconds for these requests and their context.
    fn priced(&self, decodes: u64, tokens: u64) -> f64 {
        self.roofline.seconds(&BatchShape {
            decodes,
            decode_context: tokens + decodes,
            ..BatchShape::default()
        })
    }

    /// Seconds of a step of prompts alone.
    fn prompt(&self, shape: &BatchShape) -> f64 {
        let tokens = shape.prefill_tokens;
        let rest = |tokens: u64| {
            let mut of = BatchShape::default();
            of.add_chunk(0, tokens, self.roofline.window());
            self.roofline.seconds(&of) - attention(&self.roofline, &of)
        };
        let at = self.prompts.partition_point(|it| it.0 <= tokens);
        let below = at.checked_sub(1).map(|it| self.prompts[it]);
        let without = match (below, self.prompts.get(at)) {
            (None, None) => return self.roofline.seconds(shape),
            (Some((from, a)), Some(&(to, b))) => {
                a + (b - a) * ((tokens - from) as f64 / (to - from) as f64)
            }
            (Some((knot, seconds)), None) | (None, Some(&(knot, seconds))) => {
                seconds + (rest(tokens) - rest(knot))
            }
        };
        without + attention(&self.roofline, shape)
    }

    /// The steps from `tokens` on until a line bends at a knot: a step at the knot is on both pieces.
    fn until_knot(&self, line: &Line, tokens: u64, decodes: u64) -> u64 {
        let at = line.knots.partition_point(|it| it.0 <= tokens);
        let knot = line.knots.get(at).map(|it| it.0);
        knot.map_or(u64::MAX, |knot| (knot - tokens) / decodes + 1)
    }
}

impl StepModel for Table {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        match (shape.prefill_tokens, shape.decodes) {
            (0, 0) => 0.0,
            (0, _) => self.decode(shape).max(LEAST),
            (_, 0) => self.prompt(shape).max(LEAST),
            _ => {
                let decodes = BatchShape {
                    decodes: shape.decodes,
                    decode_context: shape.decode_context,
                    ..BatchShape::default()
                };
                let prompts = BatchShape {
                    decodes: 0,
                    decode_context: 0,
                    ..*shape
                };
                let measured = self.decode(&decodes) + self.prompt(&prompts);
                let priced = self.roofline.seconds(&decodes) + self.roofline.seconds(&prompts);
                (self.roofline.seconds(shape) * measured / priced).max(LEAST)
            }
        }
    }

    /// Exact between two bends: at the knots of the lines beside, and where windows fill up.
    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        let seconds = self.seconds(first);
        if first.prefill_tokens > 0 || first.decodes == 0 {
            return (1, Steps::constant(seconds));
        }
        let (decodes, tokens) = (first.decodes, found(first));
        let at = self.lines.partition_point(|it| it.decodes <= decodes);
        let beside = &self.lines[at.saturating_sub(1)..(at + 1).min(self.lines.len())];
        let mut count = most;
        for line in beside {
            count = count.min(self.until_knot(line, tokens, decodes));
        }
        // The roofline stands in for lines of other numbers of requests, whose windows fill elsewhere.
        if let Some(window) = self.roofline.window() {
            for requests in beside.iter().map(|it| it.decodes).chain([decodes]) {
                if let Some(room) = (requests * window).checked_sub(tokens).filter(|&it| it > 0) {
                    count = count.min(room / decodes + 1);
                }
            }
        }
        let last = first.after_decodes(count - 1);
        let growth = match count {
            1 => 0.0,
            _ => (self.seconds(&last) - seconds) / (count - 1) as f64,
        };
        (count, Steps::affine(seconds, growth))
    }

    fn window(&self) -> Option<u64> {
        self.roofline.window()
    }
}

/// Tokens that the requests that decode find in the KV cache.
const fn found(shape: &BatchShape) -> u64 {
    shape.decode_context.saturating_sub(shape.decodes)
}

/// The roofline's seconds for attention and for the KV cache that prompts find.
fn attention(roofline: &Roofline, shape: &BatchShape) -> f64 {
    let terms = roofline.terms(shape);
    terms.attention + terms.kv
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    fn value(&self) -> f64 {
        self.sum / self.count
    }
}
