//! Coefficients of the step model `Roofline` from measurements of the user's own.
//!
//! [`calibrate`] fits what the number of points allows, and keeps close to the coefficients that there were.
//! `fleetsim calibrate` is this room on the command line.

mod least_squares;
mod parameters;
mod servers;
mod simplex;
mod steps;

use std::fmt::Write as _;

use crate::catalog::{Basis, Catalog, CoefficientSet, Coefficients, Model, Precision};
use crate::validation::Measurements;

/// A set of coefficients that was fitted, and how well.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The set, for a catalog file.
    pub set: CoefficientSet,
    /// What it was fitted on, and how.
    pub method: String,
    /// Points: steps, servers or requests.
    pub points: usize,
    /// The mean error in per cent on points left out, with the coefficients that there were.
    pub before_percent: f64,
    /// The same with those fitted without these points.
    pub after_percent: f64,
    /// The layer of the coefficients that there were.
    pub from: String,
}

/// Fits every set that the measurements allow; what is left out, with the reason, comes second.
#[must_use]
pub fn calibrate(measurements: &Measurements, catalog: &Catalog) -> (Vec<Fitted>, Vec<String>) {
    let mut fitted = Vec::new();
    let mut left_out = Vec::new();
    for result in steps::fit(&measurements.steps, catalog)
        .into_iter()
        .chain(servers::fit_rows(measurements, catalog))
        .chain(servers::fit_replays(measurements, catalog))
    {
        match result {
            Ok(fit) => fitted.push(fit),
            Err(reason) => left_out.push(reason),
        }
    }
    (fitted, left_out)
}

/// What a set is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    model: String,
    gpu: String,
    engine: String,
    precision: Precision,
}

impl Target {
    fn new(model: &str, gpu: &str, engine: &str, precision: &str) -> Result<Self, String> {
        let precision = precision
            .parse()
            .map_err(|error| format!("{model} on {gpu}: {error}"))?;
        Ok(Self {
            model: model.to_owned(),
            gpu: gpu.to_owned(),
            engine: engine.to_owned(),
            precision,
        })
    }

    fn model<'a>(&self, catalog: &'a Catalog) -> Result<&'a Model, String> {
        let model = catalog.models.get(&self.model).map(AsRef::as_ref);
        model.ok_or_else(|| format!("the catalog has no model `{}`", self.model))
    }

    fn set(&self, catalog: &Catalog, values: Coefficients, error_percent: f64) -> CoefficientSet {
        let entry = catalog.processors.get(&self.gpu);
        let same = entry.and_then(|it| it.same_as.clone());
        let model = catalog.models.get(&self.model);
        let precision = model.and_then(|it| it.precision(Some(self.precision)));
        CoefficientSet {
            basis: Basis::Own,
            processor: same.unwrap_or_else(|| self.gpu.clone()),
            engine: self.engine.clone(),
            model: self.model.clone(),
            precision: precision.or(Some(self.precision)),
            error_percent: Some((error_percent * 100.0).round() / 100.0),
            values,
        }
    }
}

/// A catalog file with these sets.
#[must_use]
pub fn catalog_file(fitted: &[Fitted]) -> String {
    let mut text = String::from("(\n    coefficients: [\n");
    for fit in fitted {
        let set = &fit.set;
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let _ = writeln!(
            text,
            "        // {}; mean error {:.1} % before, {:.1} % now, on points left out.",
            fit.method, fit.before_percent, fit.after_percent
        );
        let precision = set
            .precision
            .map_or_else(String::new, |it| format!(", precision: {it:?}"));
        let _ = writeln!(
            text,
            "        (\n            model: {}, processor: {}, engine: {}{precision},",
            quoted(&set.model),
            quoted(&set.processor),
            quoted(&set.engine)
        );
        if let Some(error) = set.error_percent {
            let _ = writeln!(text, "            error_percent: {error},");
        }
        text += "            values: (\n";
        for (name, value) in parameters::named(&set.values) {
            let _ = writeln!(text, "                {name}: {value:?},");
        }
        text += "            ),\n        ),\n";
    }
    text + "    ],\n)\n"
}
