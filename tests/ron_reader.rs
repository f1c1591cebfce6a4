//! The reader of RON beside the `ron` crate: accepted alike, equal values, but for what is stated here.
//!
//! What the reader refuses and `ron` takes: numbers that are not finite, values nested more than 64 deep,
//! bytes or characters where a number is meant, bytes beyond ASCII in a text, and `1e_-3`.

use proptest::prelude::*;
use ron::extensions::Extensions;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Everything {
    flag: bool,
    whole: u32,
    signed: i64,
    float: f64,
    text: String,
    list: Vec<u32>,
    pair: (u32, f64),
    #[serde(default)]
    maybe: Option<u32>,
    choice: Choice,
    #[serde(default)]
    inner: Option<Inner>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
enum Choice {
    Unit,
    One(f64),
    Fields {
        a: u32,
        #[serde(default)]
        b: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inner {
    name: String,
    #[serde(default)]
    weight: Option<f64>,
}

/// What both make of a text; none where it is refused.
fn both(text: &str) -> (Option<Everything>, Option<Everything>) {
    let ours = fleetsim::document::read("text.ron", text).ok();
    let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
    (ours, options.from_str(text).ok())
}

/// Whether a text holds what the reader refuses on purpose.
fn is_stated(text: &str, value: &Everything) -> bool {
    let choice = match value.choice {
        Choice::One(float) => float,
        _ => 0.0,
    };
    let weight = value.inner.as_ref().and_then(|it| it.weight);
    let floats = [value.float, value.pair.1, choice, weight.unwrap_or(0.0)];
    let is_byte = |rest: &str| rest.starts_with(|c| matches!(c, '8' | '9' | 'a'..='f'));
    floats.iter().any(|float| !float.is_finite())
        || text.contains("b'")
        || text.contains("e_")
        || text.split("\\x").skip(1).any(is_byte)
}

fn compare(text: &str) -> Result<(), TestCaseError> {
    match both(text) {
        (None, Some(theirs)) => prop_assert!(is_stated(text, &theirs), "only ron takes {text}"),
        (ours, theirs) => prop_assert_eq!(ours, theirs, "{}", text),
    }
    Ok(())
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u32>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        any::<f64>().prop_map(|it| format!("{it:?}")),
        any::<u16>().prop_map(|it| format!("{it:#x}")),
        any::<u8>().prop_map(|it| format!("{it:#b}")),
        any::<u8>().prop_map(|it| format!("0o{it:o}")),
        "[+-]?[0-9_]{1,4}(\\.[0-9]{0,3})?(e[+-]?[0-9]{1,3})?",
        "[0-9]{1,3}(u8|u32|i64|f32|f64)",
        Just("inf".to_owned()),
        Just("-inf".to_owned()),
        Just("NaN".to_owned()),
        Just("b'a'".to_owned()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zé ,:()]{0,6}".prop_map(|it| format!("\"{it}\"")),
        "[a-z\"\\\\]{0,6}".prop_map(|it| format!("{it:?}")),
        "[a-z\"]{0,4}".prop_map(|it| format!("r##\"{it}\"##")),
        "(\\\\[nrt0'\"\\\\]|\\\\x[0-9a-f]{2}|\\\\u\\{[0-9a-f]{1,5}\\}){0,3}"
            .prop_map(|it| format!("\"{it}\"")),
    ]
}

fn gap() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just(String::new()),
        4 => Just(" ".to_owned()),
        1 => Just("\n\t".to_owned()),
        1 => Just(" // to the end, ( [ \"\n".to_owned()),
        1 => Just(" /* a /* nested */ one */ ".to_owned()),
    ]
}

/// A value of the type that a field has, as often as not.
fn value(field: &'static str) -> BoxedStrategy<String> {
    let list = proptest::collection::vec(number(), 0..3);
    let own = match field {
        "flag" => prop_oneof![Just("true".to_owned()), Just("false".to_owned())].boxed(),
        "whole" => (0..u32::MAX).prop_map(|it| it.to_string()).boxed(),
        "signed" => any::<i64>().prop_map(|it| it.to_string()).boxed(),
        "float" => any::<f64>().prop_map(|it| format!("{it:?}")).boxed(),
        "text" => text().boxed(),
        "list" => (proptest::collection::vec(0..99_u32, 0..3), any::<bool>())
            .prop_map(|(it, comma)| {
                let comma = if comma && !it.is_empty() { "," } else { "" };
                let items: Vec<_> = it.iter().map(u32::to_string).collect();
                format!("[{}{comma}]", items.join(", "))
            })
            .boxed(),
        "pair" => (any::<u32>(), number())
            .prop_map(|(one, two)| format!("({one}, {two})"))
            .boxed(),
        "maybe" => prop_oneof![
            Just("None".to_owned()),
            number(),
            number().prop_map(|it| format!("Some({it})")),
        ]
        .boxed(),
        "choice" => prop_oneof![
            Just("Unit".to_owned()),
            number().prop_map(|it| format!("One({it})")),
            number().prop_map(|it| format!("Fields(a: {it})")),
            Just("Fields(b: true, a: 3,)".to_owned()),
            Just("Fields()".to_owned()),
            Just("Fields(3)".to_owned()),
            Just("Other".to_owned()),
        ]
        .boxed(),
        _ => prop_oneof![
            text().prop_map(|it| format!("(name: {it})")),
            text().prop_map(|it| format!("Some((name: {it}, weight: 2))")),
            (text(), number())
                .prop_map(|(it, weight)| format!("Inner(name: {it}, weight: Some({weight}))")),
            Just("(name: \"a\", name: \"b\")".to_owned()),
        ]
        .boxed(),
    };
    let wrong = prop_oneof![
        number(),
        text(),
        list.prop_map(|it| format!("[{}]", it.join(","))),
        Just("()".to_owned()),
        Just("{}".to_owned()),
        Just("'c'".to_owned()),
        Just("Some(None)".to_owned()),
    ];
    prop_oneof![24 => own, 1 => wrong].boxed()
}

const FIELDS: [&str; 10] = [
    "flag", "whole", "signed", "float", "text", "list", "pair", "maybe", "choice", "inner",
];

/// A text that is nearly always read.
fn document() -> impl Strategy<Value = String> {
    let fields = FIELDS.map(|field| (value(field), gap(), gap()));
    let head = prop_oneof![
        6 => Just(""),
        1 => Just("Everything"),
        1 => Just("#![enable(implicit_some)]\n"),
        1 => Just("#![enable(implicit_some, unwrap_newtypes)]"),
    ];
    let left_out = proptest::option::weighted(0.1, 0..FIELDS.len());
    (head, fields, left_out, any::<bool>()).prop_map(|(head, values, left_out, comma)| {
        let mut items: Vec<String> = FIELDS
            .iter()
            .zip(values)
            .map(|(field, (value, before, after))| {
                format!("{before}{field}{after}:{before}{value}{after}")
            })
            .collect();
        if let Some(left_out) = left_out {
            items.remove(left_out);
        }
        let comma = if comma { "," } else { "" };
        format!("{head}({}{comma})", items.join(","))
    })
}

#[test]
fn a_text_with_everything_in_it_is_read_by_both() {
    let text = "(flag: true, whole: 0x10, signed: -5, float: 2, text: \"a\\u{e9}\", list: [1, 2,], \
                pair: (1, .5), maybe: 7, choice: Fields(a: 1), inner: (name: r#\"\"x\"\"#))";
    let (ours, theirs) = both(text);
    assert!(ours.is_some());
    assert_eq!(ours, theirs);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_both_take_has_equal_values(text in document()) {
        compare(&text)?;
    }

    #[test]
    fn damaged_texts_are_refused_by_both(
        text in document(),
        at in any::<prop::sample::Index>(),
        length in 0..4_usize,
        piece in prop::sample::select(vec![
            "", ",", "(", ")", "[", "]", ":", "\"", "'", "#", "/*", "//", "\\", "0", "-", ".", "_", "e", "Some", " ",
            "\n", "r#", "{", "}", "=", "!", "é",
        ]),
    ) {
        let characters: Vec<char> = text.chars().collect();
        let start = at.index(characters.len());
        let end = (start + length).min(characters.len());
        let damaged: String = characters[..start]
            .iter()
            .copied()
            .chain(piece.chars())
            .chain(characters[end..].iter().copied())
            .collect();
        compare(&damaged)?;
    }
}
