use crate::measured::{Arrivals, Figures, Row};

/// How far a simulation is off: simulated ÷ measured − 1; nothing where not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    /// Of the time per output token.
    pub tpot: Option<f64>,
    /// Of the time between tokens.
    pub itl: Option<f64>,
    /// Of the time to first token.
    pub ttft: Option<f64>,
    /// Of the time from arrival to the last token.
    pub e2e: Option<f64>,
    /// Of the tokens or requests a second.
    pub throughput: Option<f64>,
    /// Of the 99th percentile of the time to first token.
    pub ttft_p99: Option<f64>,
    /// Of the 99th percentile of the time from arrival to the last token.
    pub e2e_p99: Option<f64>,
}

impl Errors {
    /// The errors of a row: of means or, where the source has none, of medians. TPOT is ITL where TPOT
    /// is not measured; E2E, where it is not, is TTFT + TPOT × (output tokens − 1).
    #[must_use]
    pub fn of(row: &Row, simulated: &Figures) -> Self {
        let between = simulated.tpot.mean;
        let or_median = |it: &crate::measured::Spread, of: &crate::measured::Spread| {
            relative(of.mean, it.mean).or_else(|| relative(of.p50, it.p50))
        };
        let several = row.output_tokens > 1.0;
        let tpot = match row.tpot.mean {
            Some(_) => or_median(&row.tpot, &simulated.tpot),
            None => {
                relative(between, row.itl.mean).or_else(|| or_median(&row.tpot, &simulated.tpot))
            }
        };
        let e2e = or_median(&row.e2e, &simulated.e2e).or_else(|| {
            let (ttft, tpot) = (row.ttft.mean?, row.tpot.mean?);
            let steps = row.output_tokens - 1.0;
            let of = simulated.ttft.mean? + simulated.tpot.mean? * steps;
            relative(Some(of), Some(ttft + tpot * steps))
        });
        let tokens = relative(Some(simulated.output_tokens_per_s), row.output_tokens_per_s);
        Self {
            tpot: tpot.filter(|_| several),
            itl: relative(between, row.itl.mean).filter(|_| several),
            ttft: or_median(&row.ttft, &simulated.ttft).filter(|_| has_known_burst(row)),
            e2e,
            throughput: tokens
                .or_else(|| relative(Some(simulated.requests_per_s), row.requests_per_s)),
            ttft_p99: relative(simulated.ttft.p99, row.ttft.p99),
            e2e_p99: relative(simulated.e2e.p99, row.e2e.p99),
        }
    }
}

/// Whether the share of the first requests, which all come at once, in the mean TTFT is known: in a
/// closed loop they wait longest.
fn has_known_burst(row: &Row) -> bool {
    row.arrivals != Arrivals::Closed || row.requests.is_some()
}

/// How far `simulated` is from `measured`; nothing where either is absent or nothing was measured.
pub(super) fn relative(simulated: Option<f64>, measured: Option<f64>) -> Option<f64> {
    let measured = measured.filter(|&it| it > 0.0)?;
    Some(simulated? / measured - 1.0)
}
