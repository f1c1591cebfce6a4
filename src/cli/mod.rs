//! The command line: one file a subcommand.

mod bench;
mod calibrate;
mod catalog;
mod check;
mod compare;
mod completions;
mod destination;
mod input;
mod interrupt;
mod kept;
mod list;
mod log;
mod parquet;
mod part;
mod replicate;
mod run;
mod saturate;
mod schema;
mod search;
mod shell;
mod sweep;
mod trace;
mod validate;
mod warn;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::autoscale::PolicyRegistry;

use shell::Failure;

/// Simulates autoscaling fleets of GPU servers that serve large language models.
#[derive(Debug, Parser)]
#[command(name = "fleetsim", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario to its end and write what happened
    Run(run::Run),
    /// Run a scenario under several policies and compare what each costs and what users feel
    ///
    /// The policies take over the applications that have an `autoscaler` in the scenario or, where none
    /// has one, all applications; the others stay as the scenario has them. Every contender gets the
    /// same arrivals. Results: comparison.json and comparison.csv.
    Compare(compare::Compare),
    /// Run a scenario with each value of some axes, on every core
    ///
    /// Results: sweep.csv, a row a run in the order of the axes; sweep.json, each setting with 95 %
    /// intervals over its seeds; sweep.jsonl, a line a run as it ends, from which --resume goes on.
    Sweep(sweep::Sweep),
    /// Join the shards of a sweep into the files that the whole sweep would have left
    Merge(sweep::Merge),
    /// Find the smallest or the cheapest setting that meets an objective
    ///
    /// Results: search.json, with the answer, how sure it is, what binds it, and every setting tried.
    Search(search::SearchCommand),
    /// Find the highest rate of requests that meets the objective, and the curve up to it
    ///
    /// Results: saturation.csv, a row a rate, and saturation.json.
    Saturate(saturate::SaturateCommand),
    /// Check scenarios without running them
    Check(check::Check),
    /// Measure the speed of the simulator on this machine
    Bench(bench::Bench),
    /// List what a scenario can name
    List(list::List),
    /// Fit the step model to measurements of your own and write a catalog file
    Calibrate(calibrate::Calibrate),
    /// Compare measurements of real servers with simulations of them, row by row
    Validate(validate::Validate),
    /// Make entries for catalog files
    Catalog(catalog::CatalogCommand),
    /// Look at, convert and make traces of requests
    Trace(trace::Trace),
    /// Print the JSON Schema of a scenario, for editors
    Schema(schema::Schema),
    /// Print a script that completes the command line in a shell
    Completions(completions::Completions),
    /// Print the manual page, or write one for each subcommand
    Man(completions::Man),
}

/// Runs the command line with the built-in policies: [`main_with`].
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_with(arguments, &PolicyRegistry::built_in())
}

/// Runs the command line with these policies to choose from, and returns the exit status: 0 done, 1
/// failed while running, 2 the user's input was wrong. Results go to standard output; errors,
/// progress and logs to standard error.
///
/// With it, a user's own binary has every subcommand for policies of its own:
///
/// ```no_run
/// # use fleetsim::autoscale::{policies::HpaGpu, PolicyRegistry};
/// # type MyPolicy = HpaGpu;
/// fn main() -> std::process::ExitCode {
///     let mut policies = PolicyRegistry::built_in();
///     policies.register::<MyPolicy>();
///     fleetsim::cli::main_with(std::env::args_os(), &policies)
/// }
/// ```
pub fn main_with(
    arguments: impl IntoIterator<Item = OsString>,
    policies: &PolicyRegistry,
) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = if error.use_stderr() { 2 } else { 0 };
            // Nothing is left to tell the user if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(status);
        }
    };
    let result = log::start().and_then(|()| execute(arguments.command, policies));
    let (message, status) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Running(message)) => (message, 1),
        Err(Failure::Input(message)) => (message, 2),
    };
    let message = message.trim_end();
    let prefix = if message.contains("error: ") {
        ""
    } else {
        "error: "
    };
    let _ = writeln!(io::stderr().lock(), "{prefix}{message}");
    ExitCode::from(status)
}

fn execute(command: Command, policies: &PolicyRegistry) -> Result<(), Failure> {
    match command {
        Command::Run(run) => run.execute(policies),
        Command::Compare(compare) => compare.execute(policies),
        Command::Sweep(sweep) => sweep.execute(policies),
        Command::Merge(merge) => merge.execute(),
        Command::Search(search) => search.execute(policies),
        Command::Saturate(saturate) => saturate.execute(policies),
        Command::Check(check) => check.execute(policies),
        Command::Bench(bench) => bench.execute(),
        Command::List(list) => list.execute(policies),
        Command::Trace(trace) => trace.execute(),
        Command::Calibrate(calibrate) => calibrate.execute(),
        Command::Validate(validate) => validate.execute(),
        Command::Catalog(catalog) => catalog.execute(),
        Command::Schema(schema) => schema.execute(policies),
        Command::Completions(completions) => completions.execute(Arguments::command()),
        Command::Man(man) => man.execute(Arguments::command()),
    }
}
