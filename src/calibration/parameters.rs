use crate::catalog::{Coefficients, Mlp, Model};

/// A number that a fit may change: a factor on some coefficients, or a time more for each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// Products, in the experts and outside.
    Flops,
    /// Reading weights, in the experts and outside.
    Weights,
    /// Reading weights and the KV cache.
    Bandwidths,
    /// Reading the KV cache.
    Kv,
    /// Products in the experts.
    ExpertFlops,
    /// Reading the weights of experts.
    ExpertWeights,
    /// Attention of prompts.
    Attention,
    /// What a layer takes beside.
    Layer,
    /// What a layer with experts takes beside.
    MoeLayer,
    /// Latency of an all-reduce.
    Latency,
    /// Bandwidth of all-reduces.
    Link,
    /// Small kernels.
    Activations,
    /// What a sequence takes.
    Sequence,
    /// How sharply the larger of operations and bandwidth wins.
    Norm,
    /// The same in the experts.
    ExpertNorm,
    /// Milliseconds more for each step.
    Step,
}

/// What a few points allow: operations, weights, KV cache, and a time for each step.
pub(super) const FEW: [Parameter; 4] = [
    Parameter::Flops,
    Parameter::Weights,
    Parameter::Kv,
    Parameter::Step,
];

/// What the requests of one run allow: operations, bandwidths, and a time for each step.
pub(super) const REPLAY: [Parameter; 3] =
    [Parameter::Flops, Parameter::Bandwidths, Parameter::Step];

/// The same of ranks that step together, which exchange tokens over their links.
pub(super) const REPLAY_OF_RANKS: [Parameter; 4] = [
    Parameter::Flops,
    Parameter::Bandwidths,
    Parameter::Step,
    Parameter::Link,
];

/// The counts of this model on these processors.
pub(super) fn all(model: &Model, tensor: u32) -> Vec<Parameter> {
    let mut all = vec![
        Parameter::Flops,
        Parameter::Weights,
        Parameter::Kv,
        Parameter::Attention,
        Parameter::Layer,
        Parameter::Activations,
        Parameter::Sequence,
        Parameter::Norm,
        Parameter::Step,
    ];
    let mlp = model.architecture.as_ref().map(|it| &it.mlp);
    if matches!(mlp, Some(Mlp::Experts { .. })) {
        all.extend([
            Parameter::ExpertFlops,
            Parameter::ExpertWeights,
            Parameter::MoeLayer,
            Parameter::ExpertNorm,
        ]);
    }
    if tensor > 1 {
        all.extend([Parameter::Latency, Parameter::Link]);
    }
    all
}

/// The coefficients with each parameter changed by its number; zeros leave them as they are.
pub(super) fn changed(
    from: &Coefficients,
    parameters: &[Parameter],
    numbers: &[f64],
) -> Coefficients {
    let mut to = *from;
    for (parameter, &number) in parameters.iter().zip(numbers) {
        let factor = libm::exp(number.clamp(-5.0, 5.0));
        match parameter {
            Parameter::Flops => {
                to.gemm_flops *= factor;
                to.expert_flops *= factor;
            }
            Parameter::Weights => {
                to.weight_bandwidth *= factor;
                to.expert_bandwidth *= factor;
            }
            Parameter::Bandwidths => {
                to.weight_bandwidth *= factor;
                to.expert_bandwidth *= factor;
                to.kv_bandwidth *= factor;
            }
            Parameter::Kv => to.kv_bandwidth *= factor,
            Parameter::ExpertFlops => to.expert_flops *= factor,
            Parameter::ExpertWeights => to.expert_bandwidth *= factor,
            Parameter::Attention => to.prefill_attention_flops *= factor,
            Parameter::Layer => to.s_per_layer *= factor,
            Parameter::MoeLayer => to.s_per_moe_layer *= factor,
            Parameter::Latency => to.s_per_allreduce *= factor,
            Parameter::Link => to.link *= factor,
            Parameter::Activations => to.activation_bandwidth *= factor,
            Parameter::Sequence => to.s_per_sequence *= factor,
            Parameter::Norm => to.norm_dense = (to.norm_dense * factor).clamp(1.0, 20.0),
            Parameter::ExpertNorm => {
                to.norm_experts = (to.norm_experts * factor).clamp(1.0, 20.0);
            }
            Parameter::Step => to.s_per_step = (to.s_per_step + number * 1e-3).max(0.0),
        }
    }
    to
}

/// Every time `factor` times as long.
pub(super) fn slowed(from: &Coefficients, factor: f64) -> Coefficients {
    Coefficients {
        gemm_flops: from.gemm_flops / factor,
        weight_bandwidth: from.weight_bandwidth / factor,
        expert_flops: from.expert_flops / factor,
        expert_bandwidth: from.expert_bandwidth / factor,
        prefill_attention_flops: from.prefill_attention_flops / factor,
        kv_bandwidth: from.kv_bandwidth / factor,
        s_per_layer: from.s_per_layer * factor,
        s_per_moe_layer: from.s_per_moe_layer * factor,
        s_per_step: from.s_per_step * factor,
        s_per_allreduce: from.s_per_allreduce * factor,
        link: from.link / factor,
        activation_bandwidth: from.activation_bandwidth / factor,
        s_per_sequence: from.s_per_sequence * factor,
        norm_dense: from.norm_dense,
        norm_experts: from.norm_experts,
    }
}

/// The coefficients by their names in a catalog file.
pub(super) fn named(of: &Coefficients) -> [(&'static str, f64); 15] {
    [
        ("gemm_flops", of.gemm_flops),
        ("weight_bandwidth", of.weight_bandwidth),
        ("expert_flops", of.expert_flops),
        ("expert_bandwidth", of.expert_bandwidth),
        ("prefill_attention_flops", of.prefill_attention_flops),
        ("kv_bandwidth", of.kv_bandwidth),
        ("s_per_layer", of.s_per_layer),
        ("s_per_moe_layer", of.s_per_moe_layer),
        ("s_per_step", of.s_per_step),
        ("s_per_allreduce", of.s_per_allreduce),
        ("link", of.link),
        ("activation_bandwidth", of.activation_bandwidth),
        ("s_per_sequence", of.s_per_sequence),
        ("norm_dense", of.norm_dense),
        ("norm_experts", of.norm_experts),
    ]
}
