use super::Check;
use crate::catalog::{Catalog, ProfileKey};
use crate::scenario::{
    AllReduceTimes, Application, EngineHardware, Performance, Template, VllmConfig,
};

/// Why no instance of a template can run on a server of a SKU, the nearest miss last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Misfit {
    Processors { needed: u32, there: u32 },
    Memory { weights: u64, memory: u64 },
    Cache { weights: u64, memory: u64 },
    Machines { tensor: u32, there: u32 },
    Ranks { needed: u32, there: u32 },
    NoExperts,
    AllReduce { processor: String, between: u32 },
    Speeds(String),
    Rows(ProfileKey),
    Profile(ProfileKey),
    Engine(String),
}

impl Check<'_> {
    /// Reports a template that no SKU of the fleet can carry.
    pub(super) fn fits_somewhere(&mut self, index: usize, number: usize) {
        let application = &self.scenario.applications[index];
        let template = &application.instances[number];
        let mut nearest = None;
        for entry in &self.scenario.fleet {
            match misfit(self.catalog, application, template, &entry.sku) {
                None => return,
                Some(misfit) => nearest = nearest.max(Some((misfit, &entry.sku))),
            }
        }
        if let Some((misfit, sku)) = nearest {
            let path = format!("applications[{index}].instances[{number}].tensor_parallelism");
            self.misfit(
                path,
                "no SKU of the fleet can carry this",
                &misfit,
                sku,
                application,
            );
            self.hopeless.insert((index, number));
        }
    }

    /// Reports a template that servers of a SKU cannot carry although they are to.
    pub(super) fn fits(&mut self, path: String, index: usize, number: usize, sku: &str) {
        self.one_fits(path, index, &[number], sku);
    }

    /// Reports it where servers of a SKU can carry none of these templates although they are to. Returns
    /// the first that they can carry.
    pub(super) fn one_fits(
        &mut self,
        path: String,
        index: usize,
        numbers: &[usize],
        sku: &str,
    ) -> Option<usize> {
        let application = &self.scenario.applications[index];
        let mut first = None;
        for &number in numbers {
            let template = &application.instances[number];
            match misfit(self.catalog, application, template, sku) {
                None => return Some(number),
                Some(_) if self.hopeless.contains(&(index, number)) => {}
                Some(misfit) => first = first.or(Some(misfit)),
            }
        }
        if let Some(misfit) = first {
            let consequence = match numbers {
                [_] => "this template cannot run there",
                _ => "no template of this role can run there",
            };
            self.misfit(path, consequence, &misfit, sku, application);
        }
        None
    }

    fn misfit(
        &mut self,
        path: String,
        consequence: &str,
        misfit: &Misfit,
        sku: &str,
        application: &Application,
    ) {
        let model = &application.model;
        let (reason, help) = match misfit {
            Misfit::Processors { needed, there } => (
                format!("an instance takes {needed} processors, and a `{sku}` has {there}"),
                "tensor_parallelism × pipeline_parallelism must fit on one server; a SKU of several \
                 `machines`, such as 2x-dgx-h100, is one server with an instance over all of them"
                    .to_owned(),
            ),
            Misfit::Machines { tensor, there } => (
                format!("{tensor} processors do not fill machines of {there} evenly"),
                format!("let tensor_parallelism divide {there}, or be a multiple of it"),
            ),
            Misfit::Ranks { needed, there } => (
                format!(
                    "the ranks that share experts take {needed} processors, and the fast links of a \
                     `{sku}` reach {there}"
                ),
                "data_parallelism × tensor_parallelism must fit there: the step model has no \
                 exchange over a network"
                    .to_owned(),
            ),
            Misfit::AllReduce { processor, between } => (
                format!("no all-reduce between {between} `{processor}` was measured there"),
                "use all_reduce: Fitted".to_owned(),
            ),
            Misfit::NoExperts => (
                format!("`{model}` has no experts that ranks could share"),
                "take data_parallelism: 1, and as many instances as there would be ranks".to_owned(),
            ),
            Misfit::Memory { weights, memory } => (
                format!(
                    "the weights of `{model}` are {} GB, and its processors on a `{sku}` have {} \
                     GB of memory together",
                    *weights as f64 / 1e9,
                    *memory as f64 / 1e9
                ),
                "raise tensor_parallelism, or choose a smaller model".to_owned(),
            ),
            Misfit::Cache { weights, memory } => (
                format!(
                    "beside the weights of `{model}`, {} GB, the engine's share of {} GB of memory on a `{sku}` has no \
                     room for a KV cache",
                    *weights as f64 / 1e9,
                    *memory as f64 / 1e9
                ),
                "raise tensor_parallelism, or choose processors with more memory".to_owned(),
            ),
            Misfit::Engine(wrong) => (
                format!("the engine cannot run: {wrong}"),
                "the options of `Vllm` have the meanings of vLLM's".to_owned(),
            ),
            Misfit::Speeds(processor) => (
                format!("the processor `{processor}` has no speeds in the catalog"),
                "give it `speeds`, or the entry that is `same_as` it, in a catalog file".to_owned(),
            ),
            Misfit::Rows(key) => (
                format!(
                    "the table has no step of `{model}` on `{}` with tensor_parallelism {} in this \
                     precision",
                    key.processor, key.tensor_parallelism
                ),
                "add rows of it, or use performance: Roofline()".to_owned(),
            ),
            Misfit::Profile(key) => (
                format!(
                    "there is no measured profile of `{model}` on `{}` with tensor_parallelism {}",
                    key.processor, key.tensor_parallelism
                ),
                profiles_of(self.catalog, model),
            ),
        };
        self.report(path, format!("{consequence}: {reason}"), &help);
    }
}

/// None also where a name is unknown: that is reported elsewhere.
fn misfit(
    catalog: &Catalog,
    application: &Application,
    template: &Template,
    sku: &str,
) -> Option<Misfit> {
    let sku = catalog.skus.get(sku)?;
    let processor = catalog.processors.get(&sku.processor)?;
    let model = application.model_in(catalog)?;
    let needed = template.processors();
    if needed > sku.processors {
        let there = sku.processors;
        return Some(Misfit::Processors { needed, there });
    }
    let memory = processor.memory_bytes.saturating_mul(needed.into());
    let weights = model.weights_bytes;
    let one_token = weights.saturating_add(model.kv_bytes_per_token());
    // No processors at all are for the schema to complain about.
    if needed > 0 && one_token > memory && template.engine.limits().counts_memory() {
        return Some(Misfit::Memory { weights, memory });
    }
    let engine = template.engine.on(&EngineHardware {
        gpu: &sku.processor,
        gpu_memory_bytes: processor.memory_bytes,
        processors: needed,
        weights_bytes: weights,
        kv_bytes_per_token: model.kv_bytes_per_token_on(template.tensor_parallelism),
    });
    if let Some(config) = VllmConfig::of(&engine) {
        let given = VllmConfig::of(&template.engine).map(|it| it.num_gpu_blocks);
        if given == Some(0) && config.num_gpu_blocks < 2 {
            return Some(Misfit::Cache { weights, memory });
        }
        if let Err(wrong) = config.check() {
            return Some(Misfit::Engine(wrong.to_string()));
        }
    }
    let key = ProfileKey {
        model: application.model.clone(),
        processor: sku.processor.clone(),
        tensor_parallelism: template.tensor_parallelism,
    };
    if needed > 0 && application.performance == Performance::Profile {
        let there = catalog.profiles.contains_key(&key);
        return (!there).then_some(Misfit::Profile(key));
    }
    let ranks = application.performance.data_parallelism();
    if ranks > 1 {
        let experts = model.architecture.as_ref().map(|it| it.mlp.experts().1);
        if experts == Some(0) {
            return Some(Misfit::NoExperts);
        }
        let needed = ranks.saturating_mul(needed);
        let there = sku.link_domain.unwrap_or(sku.processors_a_machine());
        if needed > there {
            return Some(Misfit::Ranks { needed, there });
        }
    }
    let tensor = template.tensor_parallelism;
    let priced = application.performance.precisions().is_some();
    let machines = sku.machines_of(tensor);
    if priced && machines.is_none() {
        let there = sku.processors_a_machine();
        return Some(Misfit::Machines { tensor, there });
    }
    if let Performance::Table { path, .. } = &application.performance
        && needed > 0
        && catalog.speeds(&key.processor).is_some()
    {
        let precision = application.performance.precision_of(&model);
        let server = application.performance.server_of(&template.engine);
        let rows = catalog.step_rows(path, &key, server.name(), precision);
        return rows.is_empty().then_some(Misfit::Rows(key));
    }
    if let Performance::Roofline {
        all_reduce: AllReduceTimes::Measured,
        ..
    } = &application.performance
        && tensor > 1
    {
        let between = tensor;
        let measured = &processor.all_reduce;
        if machines != Some(1) || !measured.iter().any(|it| it.processors == between) {
            return Some(Misfit::AllReduce {
                processor: processor.name.clone(),
                between,
            });
        }
    }
    (priced && catalog.speeds(&key.processor).is_none())
        .then(|| Misfit::Speeds(key.processor.clone()))
}

fn profiles_of(catalog: &Catalog, model: &str) -> String {
    let mut there = String::new();
    let mut last = None;
    for key in catalog.profiles.keys().filter(|key| key.model == model) {
        let with = key.tensor_parallelism;
        if last == Some(&key.processor) {
            there.push_str(&format!(", {with}"));
        } else {
            there.push_str(&format!("; on `{}` with {with}", key.processor));
            last = Some(&key.processor);
        }
    }
    let otherwise = "performance: Constant(..) needs none";
    match there.strip_prefix("; ") {
        Some(there) => format!("there are profiles {there}; {otherwise}"),
        None => {
            format!("there is none of `{model}` at all: add one to a catalog file; {otherwise}")
        }
    }
}
