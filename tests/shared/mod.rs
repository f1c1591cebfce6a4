use std::path::PathBuf;

/// The folder of reference cases: `FLEETSIM_SHARED`, or `../shared` beside the repository. Says so
/// where it is absent; a test that needs it is then skipped.
#[allow(clippy::print_stdout, reason = "a test that is skipped says why")]
pub(crate) fn directory() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared");
    let path = std::env::var_os("FLEETSIM_SHARED").map_or_else(|| beside.into(), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no reference cases at {}", path.display());
    None
}
