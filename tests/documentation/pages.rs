//! Pages as text: their generated parts, their blocks of code, their links.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub(crate) const PAGES: [&str; 10] = [
    "README.md",
    "docs/ARCHITECTURE.md",
    "docs/EMBEDDING.md",
    "docs/LIMITATIONS.md",
    "docs/METRICS.md",
    "docs/OUTPUTS.md",
    "docs/POLICIES.md",
    "docs/SCENARIO.md",
    "docs/SPEED.md",
    "docs/START.md",
];

pub(crate) fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(page)
}

pub(crate) fn read(page: &str) -> String {
    fs::read_to_string(path(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Compares the part of a page between `<!-- name -->` and `<!-- end of name -->` with what it should
/// be, or writes it.
pub(crate) fn assert_generated(page: &str, name: &str, expected: &str) {
    /// Tests run side by side, and a page may have several parts.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let text = read(page);
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let parts = text
        .split_once(&begin)
        .and_then(|(before, rest)| Some((before, rest.split_once(&end)?)));
    let Some((before, (found, after))) = parts else {
        panic!("{page} has no part between {begin}and {end}");
    };
    if found == expected {
        return;
    }
    if std::env::var_os("FLEETSIM_BLESS").is_none() {
        panic!(
            "{page} is out of date at {name}: run `FLEETSIM_BLESS=1 cargo test --test documentation`.\n\
             It should say:\n{expected}"
        );
    }
    let written = format!("{before}{begin}{expected}{end}{after}");
    fs::write(path(page), written).unwrap_or_else(|error| panic!("{page}: {error}"));
}

/// The blocks of code in a language, in order.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    text.split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

#[test]
fn links_within_the_repository_lead_somewhere() {
    for page in PAGES {
        let text = read(page);
        let folder = path(page);
        let folder = folder.parent().unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if file.starts_with("http") || folder.join(file).is_dir() && !file.is_empty() {
                continue;
            }
            let linked = match file {
                "" => text.clone(),
                _ => fs::read_to_string(folder.join(file))
                    .unwrap_or_else(|error| panic!("{page} links to {file}: {error}")),
            };
            let found = anchor.is_empty() || headings(&linked).any(|heading| heading == anchor);
            assert!(
                found,
                "{page} links to {target}, and there is no such heading"
            );
        }
    }
}

/// The anchors of a page's headings.
fn headings(text: &str) -> impl Iterator<Item = String> + '_ {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    })
}
