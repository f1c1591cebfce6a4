use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Catalog, CoefficientSet, Model, Processor, Profile, ProfileKey, Sku};
use crate::document::{self, Diagnostics, Document, Problem, Source, suggest};

/// A catalog file.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct CatalogFile {
    /// Kinds of server.
    skus: Vec<Sku>,
    /// Kinds of processor.
    processors: Vec<Processor>,
    /// Models.
    models: Vec<Model>,
    /// Measured profiles.
    profiles: Vec<ProfileEntry>,
    /// Fitted coefficients of the step model `Roofline`.
    coefficients: Vec<CoefficientSet>,
}

/// A measured profile and what it was measured on.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProfileEntry {
    /// The model's name.
    model: String,
    /// The processor's name.
    processor: String,
    /// Processors that share each layer.
    #[schemars(range(min = 1))]
    tensor_parallelism: u32,
    /// `(batch tokens, seconds)` of iterations of prompts, at least two, tokens rising.
    #[schemars(length(min = 2))]
    prompt: Vec<(f64, f64)>,
    /// `(batch tokens, seconds)` of iterations of tokens, at least two, tokens rising.
    #[schemars(length(min = 2))]
    token: Vec<(f64, f64)>,
}

impl ProfileEntry {
    fn key(&self) -> ProfileKey {
        ProfileKey {
            model: self.model.clone(),
            processor: self.processor.clone(),
            tensor_parallelism: self.tensor_parallelism,
        }
    }
}

static BUILT_IN: LazyLock<Catalog> = LazyLock::new(|| {
    let mut catalog = Catalog {
        coefficients: super::coefficients::built_in(),
        ..Catalog::default()
    };
    for (name, text) in [
        (
            "assets/processors.ron",
            include_str!("../../assets/processors.ron"),
        ),
        (
            "assets/servers.ron",
            include_str!("../../assets/servers.ron"),
        ),
        ("assets/models.ron", include_str!("../../assets/models.ron")),
        (
            "assets/catalog.ron",
            include_str!("../../assets/catalog.ron"),
        ),
        (
            "assets/profiles.ron",
            include_str!("../../assets/profiles.ron"),
        ),
    ] {
        catalog
            .add_ron(name, text)
            .expect("the built-in catalog never changes, and tests read it");
    }
    catalog
});

impl Catalog {
    /// What every scenario may name: the SKUs, processors, models and profiles that come with
    /// fleetsim.
    ///
    /// ```
    /// let catalog = fleetsim::catalog::Catalog::built_in();
    /// assert_eq!(catalog.skus["dgx-h100"].processors, 8);
    /// ```
    #[must_use]
    pub fn built_in() -> Self {
        BUILT_IN.clone()
    }

    /// Adds what a catalog file holds; an entry takes the place of one of the same name.
    /// Returns the file's text.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong with the file; the catalog is then as it was.
    pub fn add_file(&mut self, path: &Path) -> Result<String, Diagnostics> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problem::new("", format!("cannot read {name}: {error}")))?;
        self.add_ron(&name, &text)?;
        Ok(text)
    }

    /// Adds what a catalog file with this text holds; `name` stands before the places of problems.
    ///
    /// # Errors
    /// [`Diagnostics`] with everything that is wrong with the text; the catalog is then as it was.
    pub fn add_ron(&mut self, name: &str, text: &str) -> Result<(), Diagnostics> {
        let document = Document::parse(Source::new(name, text)).map_err(Diagnostics::new)?;
        let (file, mut problems) = document.read::<CatalogFile>();
        let mut sum = self.clone();
        if let Some(file) = file {
            document.add(&mut problems, self.check(&file));
            sum.add(file);
        }
        if !problems.is_empty() {
            return Err(Diagnostics::new(problems));
        }
        *self = sum;
        Ok(())
    }

    /// Checks the catalog as a file with all of it would be checked.
    ///
    /// # Errors
    /// [`Diagnostics`] with paths such as `skus[2].processor`, entries counted in order of name.
    pub fn validate(&self) -> Result<(), Diagnostics> {
        let file = CatalogFile {
            skus: self.skus.values().map(|of| Sku::clone(of)).collect(),
            processors: self
                .processors
                .values()
                .map(|of| Processor::clone(of))
                .collect(),
            models: self.models.values().map(|of| Model::clone(of)).collect(),
            profiles: self
                .profiles
                .iter()
                .map(|(key, profile)| ProfileEntry {
                    model: key.model.clone(),
                    processor: key.processor.clone(),
                    tensor_parallelism: key.tensor_parallelism,
                    prompt: profile.prompt.clone(),
                    token: profile.token.clone(),
                })
                .collect(),
            coefficients: self.coefficients.clone(),
        };
        let (_, mut problems) = document::check(&file);
        problems.extend(Self::default().check(&file));
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Diagnostics::new(problems))
        }
    }

    /// What is wrong with a file, given what there is already.
    fn check(&self, file: &CatalogFile) -> Vec<Problem> {
        let mut problems = Vec::new();
        unique("skus", file.skus.iter().map(|of| &of.name), &mut problems);
        let processors = file.processors.iter().map(|of| &of.name);
        let processors = unique("processors", processors, &mut problems);
        let processors: BTreeSet<_> = processors
            .into_iter()
            .chain(self.processors.keys())
            .collect();
        let models = unique(
            "models",
            file.models.iter().map(|of| &of.name),
            &mut problems,
        );
        let models: BTreeSet<_> = models.into_iter().chain(self.models.keys()).collect();

        for (index, sku) in file.skus.iter().enumerate() {
            let path = format!("skus[{index}].processor");
            problems.extend(unknown(path, &sku.processor, &processors));
            problems.extend(check_machines(&format!("skus[{index}]"), sku));
        }
        for (index, processor) in file.processors.iter().enumerate() {
            for (number, measured) in processor.all_reduce.iter().enumerate() {
                if !measured.is_valid() {
                    let path = format!("processors[{index}].all_reduce[{number}].times");
                    let message = "the times of an all-reduce are positive, and the last is the longest of the last two";
                    let help = "give at least two, sorted by numbers of two bytes, each once";
                    problems.push(Problem::new(path, message).help(help));
                }
            }
            for (field, name) in [
                ("same_as", &processor.same_as),
                ("coefficients_of", &processor.coefficients_of),
            ] {
                if let Some(name) = name {
                    let path = format!("processors[{index}].{field}");
                    problems.extend(unknown(path, name, &processors));
                }
            }
        }
        for (index, model) in file.models.iter().enumerate() {
            problems.extend(check_model(&format!("models[{index}]"), model));
        }
        let mut keys = BTreeSet::new();
        for (index, entry) in file.profiles.iter().enumerate() {
            let path = format!("profiles[{index}]");
            problems.extend(unknown(format!("{path}.model"), &entry.model, &models));
            let processor = format!("{path}.processor");
            problems.extend(unknown(processor, &entry.processor, &processors));
            check_knots(&format!("{path}.prompt"), &entry.prompt, &mut problems);
            check_knots(&format!("{path}.token"), &entry.token, &mut problems);
            if !keys.insert(entry.key()) {
                let message = "there is another profile of the same in this file";
                problems.push(Problem::new(path, message).help("keep one of the two"));
            }
        }
        problems
    }

    fn add(&mut self, file: CatalogFile) {
        for set in file.coefficients {
            self.add_coefficients(set);
        }
        self.skus.extend(
            file.skus
                .into_iter()
                .map(|of| (of.name.clone(), Arc::new(of))),
        );
        self.processors.extend(
            file.processors
                .into_iter()
                .map(|of| (of.name.clone(), Arc::new(of))),
        );
        self.models.extend(
            file.models
                .into_iter()
                .map(|of| (of.name.clone(), Arc::new(of.with_weights()))),
        );
        self.profiles.extend(file.profiles.into_iter().map(|entry| {
            let key = entry.key();
            let (prompt, token) = (entry.prompt, entry.token);
            (key, Arc::new(Profile { prompt, token }))
        }));
    }
}

/// The names in a list; those that come twice are problems.
fn unique<'a>(
    list: &str,
    names: impl Iterator<Item = &'a String>,
    problems: &mut Vec<Problem>,
) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            let message = format!("there is another `{name}` in this file");
            let problem = Problem::new(format!("{list}[{index}].name"), message);
            problems.push(problem.help("rename one of the two"));
        }
    }
    seen
}

fn unknown(path: String, name: &String, names: &BTreeSet<&String>) -> Option<Problem> {
    if names.contains(name) {
        return None;
    }
    let help = suggest(
        name,
        names.iter().map(|name| name.as_str()),
        "the catalog has",
    );
    let problem = Problem::new(path, format!("the catalog has no `{name}`"));
    Some(Problem { help, ..problem })
}

/// Why a SKU cannot be made of its machines.
fn check_machines(path: &str, sku: &Sku) -> Option<Problem> {
    let Sku {
        machines,
        processors,
        ..
    } = *sku;
    if machines > 1 && !processors.is_multiple_of(machines) {
        let message =
            format!("{processors} processors cannot be shared out evenly to {machines} machines");
        let help = "`processors` is the number of all machines together";
        return Some(Problem::new(format!("{path}.processors"), message).help(help));
    }
    if machines > 1 && sku.network_bytes_per_s().is_none() {
        let message = "several machines need a network between them";
        let help = "give `network_gbit_per_s`, the speed of one machine's network";
        return Some(Problem::new(format!("{path}.machines"), message).help(help));
    }
    None
}

/// Why a model's figures cannot be: one problem at a time.
fn check_model(path: &str, model: &Model) -> Option<Problem> {
    let Some(architecture) = &model.architecture else {
        return (model.weights_bytes == 0).then(|| {
            Problem::new(
                format!("{path}.name"),
                "nothing says how large its weights are",
            )
            .help("give it weights_bytes or an architecture")
        });
    };
    let path = format!("{path}.architecture");
    let (field, message) = architecture.flaw(model.layers, model.hidden_size)?;
    let help = "compare with the model's config.json";
    Some(Problem::new(format!("{path}.{field}"), message).help(help))
}

fn check_knots(path: &str, knots: &[(f64, f64)], problems: &mut Vec<Problem>) {
    for (index, (tokens, seconds)) in knots.iter().enumerate() {
        let rises = index == 0 || knots[index - 1].0 < *tokens;
        if !rises {
            let message = format!("{tokens} batch tokens do not follow {}", knots[index - 1].0);
            problems.push(
                Problem::new(format!("{path}[{index}][0]"), message)
                    .help("sort the knots by batch tokens, each number once"),
            );
        }
        if *seconds <= 0.0 {
            let message = format!("an iteration cannot take {seconds} s");
            problems.push(
                Problem::new(format!("{path}[{index}][1]"), message)
                    .help("seconds are more than zero"),
            );
        }
    }
}
