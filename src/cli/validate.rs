use std::fs::File;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use clap::{Args, ValueEnum};

use super::shell::{Failure, print};
use crate::catalog::{Catalog, Layer};
use crate::measured::import::Served;
use crate::report::ResultsDirectory;
use crate::validation::{Measurements, Options, markdown, tables, validate, write_csv};

/// Compare measurements of real servers with simulations of them, row by row
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Tables of measurements, directories of them, or reports of vllm bench serve, guidellm or AIPerf
    #[arg(required = true, value_name = "MEASURED")]
    measured: Vec<PathBuf>,
    /// Coefficients that may be used
    #[arg(long, value_enum, default_value_t)]
    layer: AllowedLayer,
    /// Catalog files on top of the built-in one
    #[arg(long, value_name = "CATALOG.ron")]
    catalog: Vec<PathBuf>,
    #[command(flatten)]
    served: ServedBy,
    /// Rows simulated at once [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// Where validation.csv and validation.html go [default: results/validation]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace results that are there already
    #[arg(long)]
    overwrite: bool,
    /// Print the tables in Markdown, for a page
    #[arg(long)]
    markdown: bool,
}

/// The layers of coefficients by the names on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum AllowedLayer {
    /// Your own, the model's from real servers, the model's from kernels, the GPU's
    #[default]
    Auto,
    /// The model's from kernels, the GPU's
    Kernel,
    /// The GPU's, for any model
    Generic,
    /// One set for everything
    Global,
}

/// What served the requests of reports that do not say it.
#[derive(Debug, Args)]
pub(super) struct ServedBy {
    /// The model of reports, as in the catalog
    #[arg(long)]
    model: Option<String>,
    /// The GPU of reports, as in the catalog
    #[arg(long)]
    gpu: Option<String>,
    /// GPUs that share each layer, of reports
    #[arg(long)]
    tp: Option<u32>,
    /// The precision of the weights of reports: bf16, fp8, fp4, mxfp4, int4
    #[arg(long)]
    precision: Option<String>,
    /// The engine of reports: vllm, sglang, trtllm
    #[arg(long)]
    engine: Option<String>,
}

impl ServedBy {
    pub(super) fn served(self) -> Served {
        Served {
            model: self.model,
            gpu: self.gpu,
            tp: self.tp,
            precision: self.precision,
            engine: self.engine,
        }
    }
}

impl Validate {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let mut catalog = Catalog::built_in();
        for file in &self.catalog {
            catalog.add_file(file).map_err(Failure::input)?;
        }
        let served = self.served.served();
        let measurements = Measurements::read(&self.measured, &served).map_err(Failure::input)?;
        if measurements.rows.is_empty() && measurements.replays.is_empty() {
            return Err(Failure::input("there are no measurements of servers in it"));
        }
        let out = self.out.unwrap_or_else(|| "results/validation".into());
        let results = ResultsDirectory::create(&out, self.overwrite).map_err(Failure::input)?;
        let threads = self
            .threads
            .or_else(|| thread::available_parallelism().ok());
        let options = Options {
            layer: match self.layer {
                AllowedLayer::Auto => Layer::Auto,
                AllowedLayer::Kernel => Layer::Kernel,
                AllowedLayer::Generic => Layer::Generic,
                AllowedLayer::Global => Layer::Global,
            },
            threads: threads.map_or(1, usize::from),
        };
        let validated = validate(&measurements, &catalog, options);
        let path = results.path().join("validation.csv");
        let file = File::create(&path).map_err(Failure::running)?;
        write_csv(&validated, file).map_err(Failure::running)?;
        #[cfg(feature = "html")]
        {
            let page = crate::report::validation_page(&validated);
            let path = results.path().join("validation.html");
            std::fs::write(path, page).map_err(Failure::running)?;
        }
        if self.markdown {
            return print(&markdown(&validated));
        }
        let mut text = tables(&validated);
        for file in &measurements.others {
            text += &format!("{} holds no such measurements\n", file.display());
        }
        text += &format!("\n{}\n", path.display());
        print(&text)
    }
}
