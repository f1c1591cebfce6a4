use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    BatchShape, ConstantTime, Curves, InvalidCurve, Linear, NoRoofline, NoTable, Paced, Roofline,
    StepModel, Steps, Table,
};
use crate::catalog::{Catalog, Layer, Parallelism, ProfileKey, Sku, UnknownName};
use crate::scenario::{self, AllReduceTimes, CheckedScenario, Engine};

/// The step model of an engine. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Performance {
    /// Interpolated from measurements.
    Profile(Arc<Curves>),
    /// The same for every step.
    Constant(ConstantTime),
    /// Linear in what is in the batch.
    Linear(Linear),
    /// Any other model, one of your own too.
    Model(Arc<dyn StepModel>),
    /// Another, at another pace.
    Paced(Arc<Paced>),
}

/// Why an instance has no performance model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PerformanceError {
    /// Nothing was measured for this combination.
    #[error(
        "no profile of {} on {} with tensor parallelism {}: add one to a catalog file, or use `Constant`",
        .0.model, .0.processor, .0.tensor_parallelism
    )]
    NoProfile(ProfileKey),
    /// What was measured cannot be used.
    #[error("the profile of {} on {} cannot be used: {error}", .key.model, .key.processor)]
    InvalidCurve {
        /// Which profile.
        key: ProfileKey,
        /// What is wrong with it.
        error: InvalidCurve,
    },
    /// A step model that is not built in has none for this combination, or is not known.
    #[error("{0}")]
    Named(String),
    /// The catalog lacks what a roofline needs.
    #[error(transparent)]
    NoRoofline(#[from] NoRoofline),
    /// A name that the catalog does not have.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The measured steps cannot be interpolated.
    #[error(transparent)]
    NoTable(#[from] NoTable),
    /// A coefficient is out of its range.
    #[error("`{0}` of the step time must be finite and {1}")]
    InvalidCoefficient(&'static str, &'static str),
}

/// A step model that is made of a roofline, and what it rests on.
#[derive(Clone, Debug)]
pub enum Priced {
    /// The roofline alone.
    Roofline(Roofline),
    /// Measured steps, and how many they are.
    Table(Table, usize),
}

impl Priced {
    /// The model that a scenario asks for with `Roofline` or `Table`.
    ///
    /// # Errors
    /// Where the catalog lacks dimensions, speeds or rows for it; or it asks for another model.
    pub fn new(
        spec: &scenario::Performance,
        catalog: &Catalog,
        model: &str,
        sku: &Sku,
        tensor_parallelism: u32,
        engine: &Engine,
    ) -> Result<Self, PerformanceError> {
        let known = catalog.model(model)?;
        let precision = spec.precision_of(known);
        let server = spec.server_of(engine).name();
        let parallelism = Parallelism {
            tensor: tensor_parallelism,
            data: spec.data_parallelism(),
        };
        let machines = sku.machines_of(tensor_parallelism).unwrap_or(sku.machines);
        let network = sku.network_bytes_per_s().unwrap_or(f64::INFINITY);
        let roofline = |layer: Layer| {
            let roofline = Roofline::new(
                catalog,
                known,
                &sku.processor,
                server,
                precision,
                parallelism,
                layer,
            )?;
            Ok::<_, NoRoofline>(roofline.across(machines, network))
        };
        let key = || ProfileKey {
            model: model.to_owned(),
            processor: sku.processor.clone(),
            tensor_parallelism,
        };
        match spec {
            scenario::Performance::Roofline {
                layer,
                minimum,
                all_reduce,
                ..
            } => {
                let roofline = roofline(*layer)?.with_minimum(minimum.seconds());
                Ok(Self::Roofline(match all_reduce {
                    AllReduceTimes::Fitted => roofline,
                    AllReduceTimes::Measured => roofline.with_measured_all_reduce(catalog)?,
                }))
            }
            scenario::Performance::Table { path, .. } => {
                let roofline = roofline(Layer::Auto)?;
                let rows = catalog.step_rows(path, &key(), server, precision);
                let window = roofline.window();
                let steps = rows
                    .iter()
                    .map(|row| (BatchShape::measured(row, window), row.ms / 1e3));
                let count = rows.len();
                Ok(Self::Table(Table::new(roofline, steps)?, count))
            }
            _ => Err(PerformanceError::NoProfile(key())),
        }
    }
}

/// What the step times of a template's instances rest on, on one SKU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTimes {
    /// The position of the template.
    pub template: usize,
    /// The SKU.
    pub sku: String,
    /// The layer of coefficients: `own:serving`, `generic:h100-sxm/vllm` and the like; `table` of own steps.
    pub layer: String,
    /// The mean error of the coefficients on points that they were not fitted on, in per cent, where known.
    pub error_percent: Option<f64>,
}

impl StepTimes {
    /// Those of an application's templates on every SKU of the fleet that can carry them; none for step
    /// times that do not rest on a roofline.
    #[must_use]
    pub fn of(application: &scenario::Application, checked: &CheckedScenario) -> Vec<Self> {
        let catalog = checked.catalog();
        let mut all = Vec::new();
        if application.performance.precisions().is_none() {
            return all;
        }
        for (position, template) in application.instances.iter().enumerate() {
            for entry in &checked.scenario().fleet {
                let Some(sku) = catalog.skus.get(&entry.sku) else {
                    continue;
                };
                let priced = Priced::new(
                    &application.performance,
                    catalog,
                    &application.model,
                    sku,
                    template.tensor_parallelism,
                    &template.engine,
                );
                let (layer, error_percent) = match priced {
                    Ok(Priced::Roofline(it)) => (it.layer().to_string(), it.error_percent()),
                    Ok(Priced::Table(..)) => ("table".to_owned(), None),
                    Err(_) => continue,
                };
                all.push(Self {
                    template: position,
                    sku: entry.sku.clone(),
                    layer,
                    error_percent,
                });
            }
        }
        all
    }
}

impl fmt::Display for Priced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roofline(roofline) => write!(f, "{roofline}"),
            Self::Table(table, rows) => {
                write!(f, "table of {rows} steps, beyond them {}", table.roofline())?;
                // So few leave wide gaps, and a fitted roofline has none.
                if *rows < 12 {
                    f.write_str("; few steps: `fleetsim calibrate` fits the roofline to them")?;
                }
                Ok(())
            }
        }
    }
}

impl Performance {
    /// The model that a scenario asks for.
    ///
    /// # Errors
    /// When it asks for a profile that the catalog does not have.
    pub fn new(
        spec: &scenario::Performance,
        catalog: &Catalog,
        model: &str,
        sku: &Sku,
        tensor_parallelism: u32,
        engine: &Engine,
    ) -> Result<Self, PerformanceError> {
        match *spec {
            scenario::Performance::Constant {
                prompt_time,
                token_time,
            } => Ok(Self::Constant(ConstantTime::new(prompt_time, token_time))),
            scenario::Performance::Named(term) => Err(PerformanceError::Named(format!(
                "the step time `{}` is not built in",
                term.name()
            ))),
            scenario::Performance::Linear {
                base,
                prefill_token,
                decode_request,
                context_token,
            } => {
                let linear = Linear {
                    base,
                    prefill_token,
                    decode_request,
                    context_token,
                };
                linear.check()?;
                Ok(Self::Linear(linear))
            }
            scenario::Performance::Profile => {
                let key = ProfileKey {
                    model: model.to_owned(),
                    processor: sku.processor.clone(),
                    tensor_parallelism,
                };
                let Some(profile) = catalog.profiles.get(&key) else {
                    return Err(PerformanceError::NoProfile(key));
                };
                match Curves::new(profile) {
                    Ok(curves) => Ok(Self::Profile(Arc::new(curves))),
                    Err(error) => Err(PerformanceError::InvalidCurve { key, error }),
                }
            }
            scenario::Performance::Roofline { .. } | scenario::Performance::Table { .. } => {
                let priced = Priced::new(spec, catalog, model, sku, tensor_parallelism, engine)?;
                Ok(Self::Model(match priced {
                    Priced::Roofline(roofline) => Arc::new(roofline),
                    Priced::Table(table, _) => Arc::new(table),
                }))
            }
        }
    }

    /// Whether it is the very same model.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Profile(ours), Self::Profile(theirs)) => Arc::ptr_eq(ours, theirs),
            (Self::Constant(ours), Self::Constant(theirs)) => ours == theirs,
            (Self::Linear(ours), Self::Linear(theirs)) => ours == theirs,
            (Self::Model(ours), Self::Model(theirs)) => Arc::ptr_eq(ours, theirs),
            (Self::Paced(ours), Self::Paced(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }

    /// Whether nothing but the prompt tokens and the number of decodes matters, so that steps of one
    /// batch are all alike.
    pub(crate) fn counts_suffice(&self) -> bool {
        match self {
            Self::Profile(_) | Self::Constant(_) => true,
            Self::Linear(_) | Self::Model(_) => false,
            Self::Paced(paced) => paced.own().counts_suffice(),
        }
    }

    /// Seconds of a request alone, its prompt in one step.
    #[must_use]
    pub fn request_alone(&self, prompt_tokens: u32, output_tokens: u32) -> f64 {
        let mut prompt = BatchShape::default();
        prompt.add_chunk(0, prompt_tokens.into(), self.window());
        let mut seconds = self.seconds(&prompt);
        let mut left = u64::from(output_tokens.saturating_sub(1));
        let mut context = u64::from(prompt_tokens) + 1;
        while left > 0 {
            let mut first = BatchShape::default();
            first.add_decode(context);
            let (count, steps) = self.decode_run(&first, left);
            let count = count.clamp(1, left);
            seconds += steps.total(count);
            left -= count;
            context += count;
        }
        seconds
    }

    /// Seconds of a step with these prompt tokens and decodes, where what is in the KV cache does not
    /// matter or is not known.
    #[must_use]
    pub fn iteration(&self, prompt_tokens: u64, token_tasks: u64) -> f64 {
        if let Self::Profile(curves) = self {
            return curves.iteration(prompt_tokens, token_tasks);
        }
        if let Self::Paced(paced) = self {
            return paced.iteration(prompt_tokens, token_tasks);
        }
        self.seconds(&BatchShape {
            prefill_tokens: prompt_tokens,
            decodes: token_tasks,
            ..BatchShape::default()
        })
    }
}

impl StepModel for Performance {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        match self {
            Self::Profile(curves) => curves.seconds(shape),
            Self::Constant(constant) => constant.seconds(shape),
            Self::Linear(linear) => linear.seconds(shape),
            Self::Model(model) => model.seconds(shape),
            Self::Paced(paced) => paced.seconds(shape),
        }
    }

    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        match self {
            Self::Profile(curves) => curves.decode_run(first, most),
            Self::Constant(constant) => constant.decode_run(first, most),
            Self::Linear(linear) => linear.decode_run(first, most),
            Self::Model(model) => model.decode_run(first, most),
            Self::Paced(paced) => paced.decode_run(first, most),
        }
    }

    fn window(&self) -> Option<u64> {
        match self {
            Self::Model(model) => model.window(),
            Self::Paced(paced) => paced.window(),
            Self::Profile(_) | Self::Constant(_) | Self::Linear(_) => None,
        }
    }
}
