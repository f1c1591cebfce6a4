use super::terms::norm;
use super::{Roofline, Sums};
use crate::serving::BatchShape;

impl Roofline {
    /// Seconds of a step that ranks take together: copies of attention, each with requests of its own, that
    /// share the experts out.
    ///
    /// ```text
    /// step     = the longest of the ranks' own parts + experts of all tokens + exchange
    /// exchange = layers with experts · 2 · (latency + (d − 1) / d · d · T · hidden · 2 / link)
    /// ```
    ///
    /// Before the experts of a layer every rank gathers the tokens of the others, behind them it gets back what
    /// is its own; all ranks send as many as the one with the most tokens T has. Latency and share of the link
    /// are those of all-reduces. [`seconds`](crate::serving::StepModel::seconds) takes the other ranks to be
    /// like the one whose shape it gets, and has no exchange.
    #[must_use]
    pub fn seconds_of_ranks(&self, ranks: &[BatchShape]) -> f64 {
        let of = &self.constants;
        let sums: Vec<Sums> = ranks.iter().map(Sums::of).collect();
        let tokens: f64 = sums.iter().map(Sums::tokens).sum();
        if tokens <= 0.0 {
            return 0.0;
        }
        let fixed = of.layers * of.of.s_per_layer
            + of.moe_layers * of.of.s_per_moe_layer
            + of.of.s_per_step;
        let own = |sums: &Sums| {
            let terms = of.terms(sums);
            // A rank without work computes along with the others.
            (terms.total - terms.experts).max(fixed)
        };
        let longest = sums.iter().map(own).fold(0.0, f64::max);
        let most = sums.iter().map(Sums::tokens).fold(0.0, f64::max);
        let (_, flops, weights) = of.experts(tokens / of.data);
        let experts = norm(flops, weights, of.of.norm_experts);
        let exchange = if of.data > 1.0 {
            let bytes = (of.data - 1.0) / of.data * of.data * most * of.hidden * 2.0;
            let once = of.of.s_per_allreduce + bytes / of.link / of.of.link;
            of.moe_layers * 2.0 * once
        } else {
            0.0
        };
        (longest + experts + exchange).max(self.minimum)
    }
}
