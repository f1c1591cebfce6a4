/// Longer words are not meant to be a name.
const LONGEST: usize = 100;

/// The name that `word` was probably meant to be: one that it begins, or one that differs in at
/// most every third letter.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No name is so long: what a file of another kind has here is not looked at.
    let word = match word.char_indices().nth(LONGEST) {
        Some(_) => return None,
        None => word.to_lowercase(),
    };
    let distance = |name: &str| {
        let name = name.to_lowercase();
        // In other letters it is the name itself.
        if word.len() >= 3 && name != word && name.starts_with(&word) {
            return Some(1);
        }
        let distance = strsim::damerau_levenshtein(&word, &name);
        (distance <= word.len().max(name.len()).div_ceil(3)).then_some(distance)
    };
    let near = names
        .into_iter()
        .filter_map(|name| Some((distance(name)?, name)));
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A help text: the nearest name or, where none is near, the names there are.
pub(crate) fn suggest<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
    introduction: &str,
) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(word, names.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if names.is_empty() => None,
        None => Some(format!("{introduction} {}", names.join(", "))),
    }
}
