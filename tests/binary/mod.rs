use std::ffi::OsStr;
use std::process::Command;

/// The binary with these arguments, to be run.
pub(crate) fn fleetsim<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetsim"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}
