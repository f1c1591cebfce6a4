use crate::measured::{Arrivals, Figures, Row, Spread};

/// What a server takes beside its steps until the first token is there.
///
/// A request is parsed and tokenised, and its first token goes back through the same hands. The time
/// to first token becomes `factor` × what the engine shows, `decode_steps` mean steps and `constant_s` seconds
/// more, and the time to the last token grows by as much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frontend {
    /// Seconds.
    pub constant_s: f64,
    /// Steps of the time between tokens.
    pub decode_steps: f64,
    /// What the engine's own time is multiplied by.
    pub factor: f64,
}

impl Frontend {
    /// What was fitted on vLLM under open arrivals or, for the closed loops of InferenceX, by engine.
    ///
    /// The engine of the simulation schedules a step ahead, so a request waits for one step more than in the
    /// engine that these were fitted with; the decode steps here are one less.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        let burst = row.source == "inferencex" && row.arrivals == Arrivals::Closed;
        let (constant_s, decode_steps, factor) = match row.engine.as_str() {
            _ if !burst => (0.0055, 0.3, 1.0),
            "sglang" => (0.040, 21.0, 1.5),
            "trtllm" => (0.016, 3.7, 1.2),
            _ => (0.0, 3.8, 1.1),
        };
        Self {
            constant_s,
            decode_steps,
            factor,
        }
    }

    pub(super) fn applied(&self, engine: Figures) -> Figures {
        let step = engine.tpot.mean.unwrap_or(0.0);
        let more = self.decode_steps * step + self.constant_s * 1e3;
        let ttft = |it: Option<f64>| it.map(|it| it * self.factor + more);
        // The last token comes as much later as the first.
        let later = engine.ttft.mean.map_or(0.0, |it| it * (self.factor - 1.0)) + more;
        let e2e = |it: Option<f64>| it.map(|it| it + later);
        Figures {
            ttft: Spread {
                mean: ttft(engine.ttft.mean),
                p50: ttft(engine.ttft.p50),
                p90: ttft(engine.ttft.p90),
                p99: ttft(engine.ttft.p99),
            },
            e2e: Spread {
                mean: e2e(engine.e2e.mean),
                p50: e2e(engine.e2e.p50),
                p90: e2e(engine.e2e.p90),
                p99: e2e(engine.e2e.p99),
            },
            ..engine
        }
    }
}
