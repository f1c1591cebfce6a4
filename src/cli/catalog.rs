use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::shell::{Failure, print};
use crate::catalog::{import_model, model_entry};

/// Make entries for catalog files
#[derive(Debug, Args)]
pub(super) struct CatalogCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a catalog file with a model, from its config.json of Hugging Face
    ImportModel {
        /// The model's config.json
        config: PathBuf,
        /// The model's name in the catalog; default: that of the file's directory
        #[arg(long)]
        name: Option<String>,
    },
}

impl CatalogCommand {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let Action::ImportModel { config, name } = self.action;
        let place = config.display();
        let text = std::fs::read_to_string(&config)
            .map_err(|error| Failure::input(format!("cannot read {place}: {error}")))?;
        let name = name.or_else(|| {
            let whole = std::path::absolute(&config).ok()?;
            let directory = whole.parent()?.file_name()?.to_str()?;
            Some(directory.to_lowercase())
        });
        let name = name.ok_or_else(|| Failure::input("give the model a name with --name"))?;
        let model = import_model(&name, &text)
            .map_err(|error| Failure::input(format!("{place}: {error}")))?;
        let parameters = model.parameters().map_or(0, |it| it.total);
        let (weights, token) = (model.weights_bytes, model.kv_bytes_per_token());
        print(&format!(
            "// {:.2} billion parameters, {weights} bytes of weights, {token} bytes of KV cache a \
             token: compare them with what is published.\n{}",
            parameters as f64 / 1e9,
            model_entry(&model)
        ))
    }
}
