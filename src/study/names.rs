//! What contenders are called: the name they are given, or what tells them apart.

use std::collections::BTreeMap;

use crate::document::items;

/// Takes the names out of a list such as `fast: HpaGpu, None`. The rest keeps its places: a name and
/// its colon are blanks. The names are those of the items, in order.
pub(super) fn split(list: &str) -> (String, Vec<Option<String>>) {
    let mut rest = list.to_owned();
    let mut names = Vec::new();
    let mut at = 0;
    while at < list.len() {
        let start = at + blank(&list[at..]);
        let name = name(&list[start..]);
        if let Some((_, length)) = &name {
            let bytes = start..start + length;
            rest.replace_range(bytes.clone(), &" ".repeat(bytes.len()));
            at = bytes.end;
        } else {
            at = start;
        }
        names.push(name.map(|(name, _)| name));
        at += item(&list[at..]) + 1;
    }
    (rest, names)
}

/// A name with a colon at the start of a text, and the bytes that both take.
fn name(text: &str) -> Option<(String, usize)> {
    let (name, end) = match text.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.find('"')?;
            (&quoted[..end], end + 2)
        }
        None => {
            let other = |c: char| !(c.is_alphanumeric() || "_-.".contains(c));
            let end = text.find(other)?;
            (&text[..end], end)
        }
    };
    let colon = end + blank(&text[end..]);
    let is_name = !name.trim().is_empty() && text[colon..].starts_with(':');
    is_name.then(|| (name.to_owned(), colon + 1))
}

/// Bytes of blanks and comments at the start of a text.
fn blank(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let comment = comment(trimmed);
        if comment == 0 {
            return at;
        }
        at += comment;
    }
}

/// Bytes of a comment at the start of a text; 0 without one.
fn comment(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    0
}

/// Bytes up to the comma that ends the item at the start of a text, or up to its end.
fn item(text: &str) -> usize {
    let (mut depth, mut at) = (0_i32, 0);
    while let Some(next) = text[at..].chars().next() {
        match next {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth <= 0 => return at,
            '"' => at += string(&text[at + 1..]),
            '/' => {
                let comment = comment(&text[at..]);
                if comment > 0 {
                    at += comment;
                    continue;
                }
            }
            _ => {}
        }
        at += next.len_utf8();
    }
    at
}

/// Bytes of a string after its opening quote, with the closing one.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices() {
        match next {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The name of a term: what is before its parameters.
pub(super) fn policy(term: &str) -> &str {
    let end = term.find(|c: char| c != '_' && !c.is_alphanumeric());
    &term[..end.unwrap_or(term.len())]
}

/// What to call each of these terms: its policy, with the parameters in which it differs from others of that
/// policy; the parameters alone, where all are of one policy.
pub(super) fn tell_apart(terms: &[&str]) -> Vec<String> {
    let parameters: Vec<_> = terms.iter().map(|term| parameters(term)).collect();
    let of_one = terms.len() > 1 && terms.iter().all(|it| policy(it) == policy(terms[0]));
    let label = |position: usize| {
        let (name, mine) = (policy(terms[position]), &parameters[position]);
        let alike = terms.iter().zip(&parameters);
        let alike: Vec<_> = alike
            .filter(|(term, _)| policy(term) == name)
            .map(|(_, parameters)| parameters)
            .collect();
        if alike.len() == 1 {
            return name.to_owned();
        }
        let differs = |key: &&String| alike.iter().any(|it| it.get(*key) != mine.get(*key));
        let differing = mine.keys().filter(differs);
        let told: Vec<_> = differing
            .map(|key| format!("{key}: {}", mine[key]))
            .collect();
        match (told.is_empty(), of_one) {
            (true, _) => format!("{name}, defaults"),
            (false, true) => told.join(", "),
            (false, false) => format!("{name} {}", told.join(", ")),
        }
    };
    (0..terms.len()).map(label).collect()
}

/// The parameters of a term, as they are written.
fn parameters(term: &str) -> BTreeMap<String, String> {
    let inner = term[policy(term).len()..].trim();
    let inner = inner.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
    let (values, names) = split(inner.unwrap_or_default());
    let values = items("policy", &values).unwrap_or_default();
    let named = names.into_iter().zip(values);
    named
        .filter_map(|(name, value)| {
            Some((
                name?,
                value.split_whitespace().collect::<Vec<_>>().join(" "),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_and_places_stay() {
        let list = "fast: HpaGpu(target: 0.5), None, // a: b, c\n \"two words\" : X(a: [1, 2], b: \"p, q: r\")";
        let (rest, names) = split(list);
        assert_eq!(rest.len(), list.len());
        assert_eq!(rest.find("HpaGpu"), list.find("HpaGpu"));
        assert!(!rest.contains("fast") && rest.contains("target: 0.5"));
        assert_eq!(
            names,
            [Some("fast".to_owned()), None, Some("two words".to_owned())]
        );
        assert_eq!(split(""), (String::new(), Vec::new()));
    }

    #[test]
    fn contenders_are_told_apart_by_what_differs() {
        let terms = [
            "None",
            "HpaGpu(target: 0.5, max: 9)",
            "HpaGpu(target: 0.7, max: 9)",
            "HpaGpu",
            "Threshold(up: 0.5)",
        ];
        let labels = [
            "None",
            "HpaGpu max: 9, target: 0.5",
            "HpaGpu max: 9, target: 0.7",
            "HpaGpu, defaults",
            "Threshold",
        ];
        assert_eq!(tell_apart(&terms), labels);
        let one = ["HpaGpu(target: 0.5, max: 9)", "HpaGpu(target: 0.7, max: 9)"];
        assert_eq!(tell_apart(&one), ["target: 0.5", "target: 0.7"]);
    }
}
