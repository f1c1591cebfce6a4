//! The command line of fleetsim.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleetsim::cli::main(std::env::args_os())
}
