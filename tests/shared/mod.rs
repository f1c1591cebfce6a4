use std::io::Write as _;
use std::path::PathBuf;

/// The folder of reference cases: `FLEETSIM_SHARED`, or `../shared` beside the repository.
///
/// Where it is absent, the test is named as skipped on standard error, past the capture of test output. With
/// `FLEETSIM_REQUIRE_SHARED` set, as in continuous integration beside the folder, it fails.
pub(crate) fn directory() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared");
    let path = std::env::var_os("FLEETSIM_SHARED").map_or_else(|| beside.into(), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let absent = format!("skipped: {test}: no reference cases at {}", path.display());
    assert!(
        std::env::var_os("FLEETSIM_REQUIRE_SHARED").is_none(),
        "{absent}, and FLEETSIM_REQUIRE_SHARED is set"
    );
    // Nothing is lost with this line.
    _ = writeln!(std::io::stderr().lock(), "{absent}");
    None
}
