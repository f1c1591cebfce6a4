//! The time of a step from what it computes and reads, and from what the hardware can do.

mod kept;
mod ranks;
mod terms;

use std::fmt;
use std::sync::Arc;

use kept::{Kept, Part};
pub use terms::Terms;

use super::{BatchShape, StepModel, Steps};
use crate::catalog::{
    AllReduce, Catalog, Coefficients, Layer, LayerUsed, Model, Parallelism, Precision, Speeds,
    UnknownName,
};

/// A step time from a model's dimensions and a processor's data sheet.
///
/// ```text
/// gemm      = 2 · parameters outside the experts · T / t / flops, and the head for B + K rows
/// weights   = bytes of those parameters / t / bandwidth
/// dense     = (gemm^p + weights^p)^(1/p)
/// coverage  = 1 − (1 − active / experts)^(T · d)
/// experts   = (operations^q + (bytes · coverage)^q)^(1/q)
/// attention = operations a pair · Σ new · (done + new / 2) · layers / t / flops
/// kv        = 2 bytes · numbers a token · (S + Σ done) · layers / share / bandwidth
/// reduce    = 2 · layers · (latency + 2 · (t − 1) / t · T · hidden · 2 / link), where t > 1
/// small     = 12 · layers · T · hidden · 2 / bandwidth
/// step      = dense + experts + attention + kv + reduce + small
///           + seconds a layer + a layer with experts + a step + a sequence
/// ```
///
/// T tokens, B requests that decode and find S tokens in the KV cache, K chunks of prompts; t processors
/// share each layer, d copies of attention share the experts. Speeds are those of the data sheet times
/// fitted shares ([`Coefficients`]). Windowed layers see at most their window; latent attention takes the
/// larger of bytes and operations. Every expression is evaluated as it stands there, in doubles and from
/// left to right, so that the same shape takes the same time everywhere.
///
/// ```
/// use fleetsim::catalog::{Catalog, Parallelism, Precision};
/// use fleetsim::serving::{BatchShape, Roofline, StepModel};
///
/// let catalog = Catalog::built_in();
/// let model = Roofline::of(&catalog, "llama-3.1-8b", "h100-sxm", "vllm", Parallelism::tensor(1))?;
/// let mut shape = BatchShape::default();
/// for _ in 0..64 {
///     shape.add_decode(1_500);
/// }
/// let milliseconds = model.seconds(&shape) * 1e3;
/// assert!((8.0..12.0).contains(&milliseconds), "{milliseconds}");
/// # Ok::<(), fleetsim::serving::NoRoofline>(())
/// ```
#[derive(Clone, Debug)]
pub struct Roofline {
    constants: Constants,
    layer: LayerUsed,
    error_percent: Option<f64>,
    /// No step is shorter than this, in seconds.
    minimum: f64,
    processor: String,
    /// Measured all-reduces, in the place of fitted ones.
    all_reduce: Option<Arc<AllReduce>>,
    kept: Kept,
}

/// What depends on model, processor and parallelism alone. Times are in seconds, sizes in bytes.
#[derive(Clone, Copy, Debug)]
struct Constants {
    of: Coefficients,
    bf16_flops: f64,
    /// Operations a second in the precision of the weights.
    flops: f64,
    bandwidth: f64,
    link: f64,
    /// Machines that share each layer.
    machines: f64,
    /// Bytes a second over a machine's network; not used on one machine.
    network: f64,
    weight_bytes: f64,
    expert_bytes: f64,
    tensor: f64,
    data: f64,
    dense_parameters: f64,
    head_parameters: f64,
    layers: f64,
    hidden: f64,
    experts: f64,
    active: f64,
    moe_layers: f64,
    expert_parameters: f64,
    /// −ln of the share of the experts that a token does not take.
    leaving: f64,
    latent: bool,
    window: f64,
    full_layers: f64,
    windowed_layers: f64,
    kv_elements: f64,
    /// Processors that share a KV cache without copies.
    share: f64,
    prefill_pair: f64,
    decode_pair: f64,
}

/// Why there is no [`Roofline`] for what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoofline {
    /// A name that the catalog does not have.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The model's dimensions are not known.
    #[error("the model `{0}` has no architecture in the catalog: a roofline needs its dimensions")]
    NoArchitecture(String),
    /// The processor's speeds are not known.
    #[error("the processor `{0}` has no speeds in the catalog: a roofline needs its data sheet")]
    NoSpeeds(String),
    /// No all-reduce was measured there.
    #[error("no all-reduce between {1} `{0}` was measured: use all_reduce: Fitted")]
    NoAllReduce(String, u32),
    /// The catalog has no coefficients at all.
    #[error("the catalog has no coefficients for `{0}`")]
    NoCoefficients(String),
}

impl Roofline {
    /// The model of that name on processors of that kind, in its own precision, with the best
    /// coefficients that there are.
    ///
    /// # Errors
    /// [`NoRoofline`] where the catalog lacks something.
    pub fn of(
        catalog: &Catalog,
        model: &str,
        processor: &str,
        engine: &str,
        parallelism: Parallelism,
    ) -> Result<Self, NoRoofline> {
        let known = catalog.model(model)?;
        let precision = known.precision(None).unwrap_or_default();
        Self::new(
            catalog,
            known,
            processor,
            engine,
            precision,
            parallelism,
            Layer::Auto,
        )
    }

    /// A model on processors of that kind, with coefficients of the layers that are allowed.
    ///
    /// # Errors
    /// [`NoRoofline`] where the catalog lacks something.
    pub fn new(
        catalog: &Catalog,
        model: &Model,
        processor: &str,
        engine: &str,
        precision: Precision,
        parallelism: Parallelism,
        layer: Layer,
    ) -> Result<Self, NoRoofline> {
        catalog.processor(processor)?;
        let speeds = catalog
            .speeds(processor)
            .ok_or_else(|| NoRoofline::NoSpeeds(processor.to_owned()))?;
        let no_architecture = || NoRoofline::NoArchitecture(model.name.clone());
        let precision = model
            .precision(Some(precision))
            .ok_or_else(no_architecture)?;
        let chosen = catalog
            .coefficients(model, processor, engine, precision, layer)
            .ok_or_else(|| NoRoofline::NoCoefficients(processor.to_owned()))?;
        let constants = Constants::new(model, speeds, precision, parallelism, chosen.values)
            .ok_or_else(no_architecture)?;
        Ok(Self {
            constants,
            layer: chosen.layer,
            error_percent: chosen.error_percent,
            minimum: 0.0,
            processor: processor.to_owned(),
            all_reduce: None,
            kept: Kept::default(),
        })
    }

    /// The same with other coefficients, as a fit tries them.
    #[must_use]
    pub fn with_coefficients(mut self, coefficients: Coefficients) -> Self {
        self.constants.of = coefficients;
        self.layer = LayerUsed::Own;
        self.error_percent = None;
        self.kept = Kept::default();
        self
    }

    /// The same with no step shorter than `seconds`: what the host takes for one.
    #[must_use]
    pub fn with_minimum(mut self, seconds: f64) -> Self {
        self.minimum = seconds;
        self
    }

    /// The same with the all-reduces that were measured on the processor, in the place of fitted ones.
    ///
    /// # Errors
    /// [`NoRoofline::NoAllReduce`] where none were measured between as many.
    pub fn with_measured_all_reduce(mut self, catalog: &Catalog) -> Result<Self, NoRoofline> {
        let between = self.constants.tensor as u32;
        if between > 1 {
            let processor = catalog.processor(&self.processor)?;
            let measured = &processor.all_reduce;
            let found = measured.iter().find(|it| it.processors == between);
            let missing = || NoRoofline::NoAllReduce(self.processor.clone(), between);
            self.all_reduce = Some(Arc::new(found.ok_or_else(missing)?.clone()));
            self.kept = Kept::default();
        }
        Ok(self)
    }

    /// The coefficients.
    #[must_use]
    pub const fn coefficients(&self) -> &Coefficients {
        &self.constants.of
    }

    /// The source of its coefficients.
    #[must_use]
    pub const fn layer(&self) -> &LayerUsed {
        &self.layer
    }

    /// The mean error of those on points that they were not fitted on, in per cent, where known.
    #[must_use]
    pub const fn error_percent(&self) -> Option<f64> {
        self.error_percent
    }

    /// Every term of the sum, computed anew.
    #[must_use]
    pub fn terms(&self, shape: &BatchShape) -> Terms {
        let sums = Sums::of(shape);
        let mut terms = self.constants.terms(&sums);
        if self.all_reduce.is_some() && sums.tokens() > 0.0 {
            let part = self.part(sums.tokens(), sums.decodes + sums.chunks);
            terms.reduce = part.reduce;
            terms.total = self.constants.total(&part, &sums);
        }
        terms
    }

    fn part(&self, tokens: f64, rows: f64) -> Part {
        let mut part = self.constants.part(tokens, rows);
        if let Some(measured) = &self.all_reduce {
            let of = &self.constants;
            part.reduce = 2.0 * of.layers * measured.seconds(tokens * of.hidden);
        }
        part
    }

    fn unbounded(&self, sums: &Sums) -> f64 {
        let tokens = sums.tokens();
        if tokens <= 0.0 {
            return 0.0;
        }
        let rows = sums.decodes + sums.chunks;
        let part = self.kept.get(tokens, rows, || self.part(tokens, rows));
        self.constants.total(&part, sums)
    }

    /// The same on processors of several machines, evenly, over networks that carry `bytes_per_s` a machine.
    ///
    /// An all-reduce is shared out by the processors of each machine, taken across machines and put together
    /// again. No measurement across machines is at hand, so latency and share of the network are those of the
    /// links within a machine, and no error is stated.
    #[must_use]
    pub fn across(mut self, machines: u32, bytes_per_s: f64) -> Self {
        if machines > 1 {
            self.constants.machines = machines.into();
            self.constants.network = bytes_per_s;
            self.error_percent = None;
            self.kept = Kept::default();
        }
        self
    }

    /// Seconds by which a decode step is longer than the one before, as long as
    /// their windows are full or not.
    fn growth(&self, decodes: f64, windows_full: bool) -> f64 {
        let of = &self.constants;
        let layers = if windows_full {
            of.full_layers
        } else {
            of.full_layers + of.windowed_layers
        };
        let mut kv = 2.0 * of.kv_elements * layers * decodes / of.share / of.bandwidth;
        if of.latent {
            let flops = of.decode_pair * of.full_layers * decodes / of.tensor / of.bf16_flops;
            kv = kv.max(flops);
        }
        kv / of.of.kv_bandwidth
    }
}

impl StepModel for Roofline {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        let seconds = self.unbounded(&Sums::of(shape));
        if seconds > 0.0 {
            seconds.max(self.minimum)
        } else {
            0.0
        }
    }

    /// Exact between two cuts: where windows fill up, and where the minimum is passed.
    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        let sums = Sums::of(first);
        let seconds = self.unbounded(&sums);
        if sums.chunks > 0.0 || sums.decodes <= 0.0 {
            return (1, Steps::constant(seconds.max(self.minimum)));
        }
        let room = sums.decodes * self.constants.window - sums.context;
        let filling = self.constants.windowed_layers > 0.0 && room > 0.0;
        // The step at which the windows are just full is still on the line of those before.
        let mut count = match filling {
            true => most.min((room / sums.decodes) as u64 + 1),
            false => most,
        };
        let growth = self.growth(sums.decodes, !filling);
        if seconds >= self.minimum {
            return (count, Steps::affine(seconds, growth));
        }
        if growth > 0.0 {
            let below = ((self.minimum - seconds) / growth).ceil();
            count = count.min((below as u64).max(1));
        }
        (count, Steps::constant(self.minimum))
    }

    fn window(&self) -> Option<u64> {
        (self.constants.windowed_layers > 0.0).then_some(self.constants.window as u64)
    }
}

impl Constants {
    fn new(
        model: &Model,
        speeds: &Speeds,
        precision: Precision,
        parallelism: Parallelism,
        of: Coefficients,
    ) -> Option<Self> {
        let architecture = model.architecture.as_ref()?;
        let parameters = model.parameters()?;
        let attention = &architecture.attention;
        let (moe_layers, experts, active) = architecture.mlp.experts();
        let fp8 = speeds.fp8_flops.unwrap_or(speeds.bf16_flops);
        let full_layers = attention.full_layers(model.layers);
        let window = attention.window();
        let head = match parameters.head {
            0 => parameters.embedding,
            head => head,
        };
        let tensor = f64::from(parallelism.tensor);
        let latent = matches!(attention, crate::catalog::Attention::Latent { .. });
        Some(Self {
            of,
            bf16_flops: speeds.bf16_flops,
            flops: match precision {
                Precision::Fp8 => fp8,
                Precision::Nvfp4 => speeds.fp4_flops.unwrap_or(fp8),
                Precision::Bf16 | Precision::Mxfp4 | Precision::Int4 => speeds.bf16_flops,
            },
            bandwidth: speeds.memory_bandwidth,
            link: speeds.link_bandwidth,
            machines: 1.0,
            network: f64::INFINITY,
            weight_bytes: precision.weight_bytes(),
            expert_bytes: precision.expert_bytes(),
            tensor,
            data: f64::from(parallelism.data),
            dense_parameters: (parameters.outside_experts - parameters.embedding - parameters.head)
                as f64,
            head_parameters: head as f64,
            layers: model.layers.into(),
            hidden: model.hidden_size.into(),
            experts: experts.into(),
            active: active.into(),
            moe_layers: moe_layers.into(),
            expert_parameters: parameters.per_expert as f64,
            leaving: -libm::log(1.0 - f64::from(active) / f64::from(experts)),
            latent,
            window: window.map_or(0.0, |it| it.tokens.into()),
            full_layers: full_layers.into(),
            // Layers of linear attention keep no cache: they are not windowed either.
            windowed_layers: match window {
                Some(_) => f64::from(model.layers - full_layers),
                None => 0.0,
            },
            kv_elements: attention.kv_elements() as f64,
            share: match latent {
                true => 1.0,
                false => tensor.min(attention.kv_heads().into()),
            },
            prefill_pair: attention.prefill_flops_a_pair() as f64,
            decode_pair: attention.decode_flops_a_pair() as f64,
        })
    }
}

/// A shape as doubles. All of them are whole or halves, and so exact.
struct Sums {
    prefill: f64,
    chunks: f64,
    pairs: f64,
    windowed_pairs: f64,
    done: f64,
    windowed_done: f64,
    decodes: f64,
    /// Tokens that the requests that decode find in the KV cache.
    context: f64,
}

impl Sums {
    fn of(shape: &BatchShape) -> Self {
        Self {
            prefill: shape.prefill_tokens as f64,
            chunks: shape.chunks as f64,
            pairs: shape.prefill_pairs_twice as f64 / 2.0,
            windowed_pairs: shape.windowed_pairs_twice as f64 / 2.0,
            done: shape.prefill_context as f64,
            windowed_done: shape.windowed_context as f64,
            decodes: shape.decodes as f64,
            context: shape.decode_context.saturating_sub(shape.decodes) as f64,
        }
    }

    fn tokens(&self) -> f64 {
        self.prefill + self.decodes
    }
}

impl fmt::Display for Roofline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "roofline, coefficients {}", self.layer)?;
        let machines = self.constants.machines;
        if machines > 1.0 {
            write!(f, ", over {machines} machines: error not known")?;
        }
        match self.error_percent {
            Some(error) => write!(f, ", mean error {error} %"),
            None => Ok(()),
        }
    }
}
