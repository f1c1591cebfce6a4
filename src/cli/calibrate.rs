use std::path::PathBuf;

use clap::Args;

use super::shell::{Failure, print};
use super::validate::ServedBy;
use crate::calibration::{calibrate, catalog_file};
use crate::catalog::Catalog;
use crate::validation::Measurements;

/// Fit the step model to measurements of your own and write a catalog file
///
/// Step times, means of servers, runs request by request, and reports of vllm bench serve, guidellm
/// and AIPerf are read. The errors before and after are on points that a fit had not seen.
#[derive(Debug, Args)]
pub(super) struct Calibrate {
    /// Tables of measurements, or reports of load generators
    #[arg(required = true, value_name = "MEASURED")]
    measured: Vec<PathBuf>,
    /// Catalog files on top of the built-in one
    #[arg(long, value_name = "CATALOG.ron")]
    catalog: Vec<PathBuf>,
    #[command(flatten)]
    served: ServedBy,
    /// Where the catalog file goes [default: it is printed]
    #[arg(long, value_name = "CATALOG.ron")]
    out: Option<PathBuf>,
    /// Replace a catalog file that is there already
    #[arg(long)]
    overwrite: bool,
}

impl Calibrate {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let mut catalog = Catalog::built_in();
        for file in &self.catalog {
            catalog.add_file(file).map_err(Failure::input)?;
        }
        if let Some(out) = &self.out
            && out.exists()
            && !self.overwrite
        {
            let place = out.display();
            return Err(Failure::input(format!(
                "{place} is there already: take another name, or --overwrite"
            )));
        }
        let served = self.served.served();
        let measurements = Measurements::read(&self.measured, &served).map_err(Failure::input)?;
        let (fitted, left_out) = calibrate(&measurements, &catalog);
        let mut text = String::new();
        for reason in &left_out {
            text += &format!("// left out: {reason}\n");
        }
        if fitted.is_empty() {
            return Err(Failure::input(format!("{text}nothing can be fitted")));
        }
        for fit in &fitted {
            let set = &fit.set;
            text += &format!(
                "// {} on {} under {}: {}; from {}; mean error {:.1} % before, {:.1} % after\n",
                set.model,
                set.processor,
                set.engine,
                fit.method,
                fit.from,
                fit.before_percent,
                fit.after_percent
            );
        }
        let file = catalog_file(&fitted);
        match &self.out {
            Some(out) => std::fs::write(out, file).map_err(Failure::running)?,
            None => text += &file,
        }
        print(&text)
    }
}
