use super::{Constants, Part, Sums};

/// The terms of a step's time, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// Products outside the experts.
    pub gemm: f64,
    /// Reading the weights outside the experts.
    pub weights: f64,
    /// Both together.
    pub dense: f64,
    /// The share of the experts that some token takes; no time.
    pub coverage: f64,
    /// Products in the experts.
    pub expert_flops: f64,
    /// Reading the weights of the experts.
    pub expert_weights: f64,
    /// Both together.
    pub experts: f64,
    /// Attention of prompts.
    pub attention: f64,
    /// Reading the KV cache.
    pub kv: f64,
    /// All-reduces between processors.
    pub reduce: f64,
    /// Small kernels that read and write activations.
    pub small: f64,
    /// What each layer takes beside.
    pub layers: f64,
    /// What each layer with experts takes beside.
    pub moe_layers: f64,
    /// What each step takes beside.
    pub step: f64,
    /// What each sequence takes.
    pub sequences: f64,
    /// The step.
    pub total: f64,
}

/// `(a^p + b^p)^(1/p)`, with the larger taken out.
pub(super) fn norm(a: f64, b: f64, p: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low <= 0.0 {
        // No experts, for one; 1^x is 1.
        high.max(0.0)
    } else if p == 1.0 {
        // The same bits: x^1 is x.
        high * (1.0 + low / high)
    } else if high > 0.0 {
        high * libm::pow(1.0 + libm::pow(low / high, p), 1.0 / p)
    } else {
        0.0
    }
}

/// Beyond this 1 − e^−x differs from 1 by less than a double can tell: 54 · ln 2 is 37.4.
const CERTAIN: f64 = 38.0;

impl Constants {
    /// Each term: one expression, from left to right.
    pub(super) fn terms(&self, sums: &Sums) -> Terms {
        let tokens = sums.tokens();
        if tokens <= 0.0 {
            return Terms::default();
        }
        let rows = sums.decodes + sums.chunks;
        let (gemm, weights) = self.dense(tokens, rows);
        let (coverage, expert_flops, expert_weights) = self.experts(tokens);
        let part = self.part(tokens, rows);
        Terms {
            gemm,
            weights,
            dense: norm(gemm, weights, self.of.norm_dense),
            coverage,
            expert_flops,
            expert_weights,
            experts: norm(expert_flops, expert_weights, self.of.norm_experts),
            attention: self.attention(sums),
            kv: self.kv(sums),
            reduce: part.reduce,
            small: part.small,
            layers: self.layers * self.of.s_per_layer,
            moe_layers: self.moe_layers * self.of.s_per_moe_layer,
            step: self.of.s_per_step,
            sequences: self.of.s_per_sequence * rows,
            total: self.total(&part, sums),
        }
    }

    fn dense(&self, tokens: f64, rows: f64) -> (f64, f64) {
        let (t, of) = (self.tensor, &self.of);
        let gemm = 2.0 * self.dense_parameters * tokens / t / self.flops / of.gemm_flops
            + 2.0 * self.head_parameters * rows / t / self.bf16_flops / of.gemm_flops;
        let bytes = self.dense_parameters * self.weight_bytes + self.head_parameters * 2.0;
        let weights = bytes / t / self.bandwidth / of.weight_bandwidth;
        (gemm, weights)
    }

    pub(super) fn experts(&self, tokens: f64) -> (f64, f64, f64) {
        if self.moe_layers <= 0.0 {
            return (0.0, 0.0, 0.0);
        }
        let (t, d) = (self.tensor, self.data);
        let coverage = if tokens * d * self.leaving > CERTAIN {
            1.0
        } else {
            1.0 - libm::pow(1.0 - self.active / self.experts, tokens * d)
        };
        let flops = 2.0 * self.moe_layers * self.active * self.expert_parameters * tokens * d
            / (t * d)
            / self.flops
            / self.of.expert_flops;
        let weights =
            self.moe_layers * self.experts * coverage * self.expert_parameters * self.expert_bytes
                / (t * d)
                / self.bandwidth
                / self.of.expert_bandwidth;
        (coverage, flops, weights)
    }

    fn attention(&self, sums: &Sums) -> f64 {
        let pairs = self.full_layers * sums.pairs + self.windowed_layers * sums.windowed_pairs;
        self.prefill_pair * pairs / self.tensor / self.bf16_flops / self.of.prefill_attention_flops
    }

    fn kv(&self, sums: &Sums) -> f64 {
        let windowed = sums.context.min(sums.decodes * self.window);
        let tokens = self.full_layers * (sums.context + sums.done)
            + self.windowed_layers * (windowed + sums.windowed_done);
        let mut kv = 2.0 * self.kv_elements * tokens / self.share / self.bandwidth;
        if self.latent {
            let flops =
                self.decode_pair * self.full_layers * sums.context / self.tensor / self.bf16_flops;
            kv = kv.max(flops);
        }
        kv / self.of.kv_bandwidth
    }

    /// What depends on the tokens and on the rows of the head alone.
    pub(super) fn part(&self, tokens: f64, rows: f64) -> Part {
        let (gemm, weights) = self.dense(tokens, rows);
        let (_, expert_flops, expert_weights) = self.experts(tokens);
        let (t, layers) = (self.tensor, self.layers);
        let reduce = if self.machines > 1.0 {
            2.0 * layers * self.all_reduce_across(tokens)
        } else if t > 1.0 {
            2.0 * layers * self.of.s_per_allreduce
                + 4.0 * layers * (t - 1.0) / t * tokens * self.hidden * 2.0
                    / self.link
                    / self.of.link
        } else {
            0.0
        };
        Part {
            weights: norm(gemm, weights, self.of.norm_dense)
                + norm(expert_flops, expert_weights, self.of.norm_experts),
            reduce,
            small: 12.0 * layers * tokens * self.hidden * 2.0
                / self.bandwidth
                / self.of.activation_bandwidth,
        }
    }

    /// An all-reduce between processors of several machines.
    fn all_reduce_across(&self, tokens: f64) -> f64 {
        let bytes = tokens * self.hidden * 2.0;
        let ring = |members: f64, bytes_per_s: f64| {
            let sent = 2.0 * (members - 1.0) / members * bytes;
            self.of.s_per_allreduce + sent / bytes_per_s / self.of.link
        };
        let a_machine = self.tensor / self.machines;
        let within = if a_machine > 1.0 {
            ring(a_machine, self.link)
        } else {
            0.0
        };
        within + ring(self.machines, self.network)
    }

    /// The sum of the terms, in their order.
    pub(super) fn total(&self, part: &Part, sums: &Sums) -> f64 {
        let attention = if sums.chunks > 0.0 {
            self.attention(sums)
        } else {
            0.0
        };
        part.weights
            + attention
            + self.kv(sums)
            + part.reduce
            + part.small
            + self.layers * self.of.s_per_layer
            + self.moe_layers * self.of.s_per_moe_layer
            + self.of.s_per_step
            + self.of.s_per_sequence * (sums.decodes + sums.chunks)
    }
}
