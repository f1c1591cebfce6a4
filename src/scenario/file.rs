//! Files that are read whole: scenarios and catalogs.

use std::fs::File;
use std::io::{self, Error, Read};
use std::path::Path;

use crate::document::Problem;

/// Bytes. A larger file is no scenario.
const LARGEST: u64 = 64 << 20;

/// Reads a text file, unless it is too large to be a scenario or a catalog.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut text = String::new();
    if size <= LARGEST {
        text.reserve_exact(size as usize);
        file.take(LARGEST + 1).read_to_string(&mut text)?;
    }
    if size.max(text.len() as u64) > LARGEST {
        let message = format!(
            "it is larger than {} MiB, and so no scenario; is this a trace? name it in a `workload`",
            LARGEST >> 20
        );
        return Err(Error::other(message));
    }
    Ok(text)
}

/// What to say of a text that is written in another language for data, by its first line of content.
pub(super) fn other_language(name: &str, path: &Path, text: &str) -> Option<Problem> {
    let extension = path.extension().and_then(|it| it.to_str());
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with('#'))?;
    let key = first.split_once(':').map_or("", |(key, _)| key);
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c == '_' || c == '-' || c.is_ascii_alphanumeric())
    };
    let bracket = first.find(['(', '{', '[']).map_or("", |at| &first[at..]);
    let language = match extension {
        _ if bracket.starts_with('(') && !is_word(key) => return None,
        _ if first.starts_with('{') => "JSON",
        Some("json") => "JSON",
        Some("yaml" | "yml") => "YAML",
        Some("toml") => "TOML",
        _ if first == "---" || is_word(key) => "YAML",
        _ => return None,
    };
    let help = "write (name: \"..\", fleet: [..], applications: [..]): a struct in parentheses, fields \
                without quotes, variants as Name(..); docs/SCENARIO.md lists every field";
    let message = format!("this looks like {language}, and a scenario is written in RON");
    let problem = Problem::new("", message).help(help);
    Some(Problem {
        source: name.to_owned(),
        ..problem
    })
}
