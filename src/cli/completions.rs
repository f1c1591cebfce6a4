use std::fs;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::shell::{Failure, print_bytes};

/// Print a script that completes the command line in a shell
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the script for a command line.
    pub(super) fn execute(self, mut command: Command) -> Result<(), Failure> {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        print_bytes(&script)
    }
}

/// Print the manual page, or write one for each subcommand
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write `fleetsim.1`, `fleetsim-run.1` and so on into a directory, over those that are there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Man {
    /// Prints the pages of a command line.
    pub(super) fn execute(self, command: Command) -> Result<(), Failure> {
        let Some(directory) = self.out else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .map_err(|error| Failure::Running(format!("cannot make the page: {error}")))?;
            return print_bytes(&page);
        };
        fs::create_dir_all(&directory)
            .and_then(|()| clap_mangen::generate_to(command, &directory))
            .map_err(|error| {
                let directory = directory.display();
                Failure::Running(format!(
                    "{directory}: cannot write the pages: {error}; choose another directory with --out"
                ))
            })
    }
}
