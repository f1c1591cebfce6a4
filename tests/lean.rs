//! The library without its default features takes few crates.

use std::collections::BTreeSet;
use std::process::Command;

/// Crates that the library may take beside itself.
const MOST: usize = 86;

#[test]
fn without_default_features_the_library_takes_few_crates() {
    let listed = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--no-default-features",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}", "--no-dedupe"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let text = String::from_utf8(listed.stdout).unwrap();
    let name = |line: &str| line.split(" (").next().unwrap_or(line).to_owned();
    let crates: BTreeSet<String> = text.lines().map(name).collect();
    let others = crates.len() - 1;
    assert!(others <= MOST, "{others} crates");
    for (of_the_command_line, found) in ["clap", "comfy-table", "ctrlc", "indicatif"].map(|it| {
        (
            it,
            crates
                .iter()
                .any(|name| name.starts_with(&format!("{it} "))),
        )
    }) {
        assert!(!found, "{of_the_command_line}");
    }
}
