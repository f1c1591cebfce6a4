use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::lexer::shown;
use super::tree::{Body, Field, Node, Number, Term, Value};

/// The variant of an enum that takes every term that is not one of the others, as its text.
const OPEN: &str = "Named";

/// How a type of the `ron` crate asks for a value as it is written: by a name that begins so.
const AS_WRITTEN: &str = "$ron::";

/// The variants that values without a name stand for, by where such a value is.
pub(super) type Names = BTreeMap<(usize, usize), String>;

/// Reads a value of a text that has been compared with its schema.
///
/// A field that is unknown, or given twice, is passed over: the comparison has reported it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) names: &'a Names,
    pub(super) node: &'a Node,
}

/// What a type refuses, and where.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) span: Option<Range<usize>>,
}

impl Refusal {
    /// Gives it a place, unless it has one further inside.
    fn at(mut self, node: &Node) -> Self {
        self.span.get_or_insert_with(|| node.span.clone());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            span: None,
        }
    }
}

impl<'a> Reader<'a> {
    fn of(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    fn written(self) -> &'a str {
        &self.text[self.node.span.clone()]
    }

    fn expected(self, what: &str) -> Refusal {
        let message = format!("expected {what}, found `{}`", shown(self.written()));
        de::Error::custom::<String>(message)
    }

    /// The value of a float, to the sign of a zero; none for what is marked as another number.
    fn float(self) -> Option<f64> {
        match self.node.value {
            Value::Number(_) if self.is_marked_as_other_than("f64") => None,
            Value::Number(Number::Integer(0)) if self.written().starts_with('-') => Some(-0.0),
            Value::Number(Number::Integer(value)) => Some(value as f64),
            Value::Number(Number::Float(value)) => Some(value),
            _ => None,
        }
    }

    /// Whether a type stands behind a number, as in `3u8`, that is not this one.
    fn is_marked_as_other_than(self, of: &str) -> bool {
        let written = self.written();
        let suffix = match self.node.value {
            Value::Number(Number::Float(_)) => written.find('f'),
            _ => written.find(['u', 'i']),
        };
        suffix.is_some_and(|at| &written[at..] != of)
    }

    fn term(self) -> Option<&'a Term> {
        match &self.node.value {
            Value::Term(term) => Some(term),
            _ => None,
        }
    }

    /// The values in the parentheses of a term without a name, or with this one.
    fn tuple(self, name: Option<&str>) -> Option<&'a [Node]> {
        let term = self.term()?;
        match &term.body {
            Body::Tuple(items) if term.name.is_none() || term.name.as_deref() == name => {
                Some(items)
            }
            _ => None,
        }
    }

    fn items(self, nodes: &'a [Node]) -> Items<'a> {
        Items {
            reader: self,
            rest: nodes.iter(),
        }
    }

    /// The fields in a term's parentheses that are among the `known`.
    fn fields(self, body: &'a Body, known: &'static [&'static str]) -> Result<Fields<'a>, Refusal> {
        let fields: &[Field] = match body {
            Body::Fields(fields) => fields,
            Body::Unit => &[],
            Body::Tuple(items) if items.is_empty() => &[],
            Body::Tuple(_) => return Err(self.expected("fields with their names")),
        };
        let mut taken: Vec<&Field> = Vec::new();
        for field in fields {
            let is_there = taken.iter().any(|it| it.name == field.name);
            if known.contains(&field.name.as_str()) && !is_there {
                taken.push(field);
            }
        }
        Ok(self.all_of(taken))
    }

    fn all_of(self, fields: Vec<&'a Field>) -> Fields<'a> {
        Fields {
            reader: self,
            fields: fields.into_iter(),
            value: None,
        }
    }

    /// The term that stands for a variant of an enum that has these, and the name of the variant.
    fn variant(self, variants: &'static [&'static str]) -> Result<Variant<'a>, Refusal> {
        let span = (self.node.span.start, self.node.span.end);
        if let Some(name) = self.names.get(&span) {
            let content = match self.term() {
                Some(term) => Content::Body(&term.body),
                None => Content::One(self.node),
            };
            return Ok(self.with(name, content));
        }
        let named = self.term().and_then(|it| Some((it.variant()?, &it.body)));
        let Some((name, body)) = named else {
            return Err(self.expected("a variant"));
        };
        Ok(match variants.contains(&name) {
            false if variants.contains(&OPEN) => self.with(OPEN, Content::Written),
            _ => self.with(name, Content::Body(body)),
        })
    }

    fn with(self, name: &'a str, content: Content<'a>) -> Variant<'a> {
        Variant {
            reader: self,
            name,
            content,
        }
    }

    fn integer<V: Visitor<'a>>(self, of: &str, visitor: V) -> Result<V::Value, Refusal> {
        match self.node.value {
            Value::Number(_) if self.is_marked_as_other_than(of) => {
                Err(self.expected(&format!("a number of type {of}")))
            }
            Value::Number(Number::Integer(value) | Number::Radix(value)) => whole(value, visitor),
            _ => Err(self.expected("a whole number")),
        }
    }
}

fn whole<'a, V: Visitor<'a>>(value: i128, visitor: V) -> Result<V::Value, Refusal> {
    match (u64::try_from(value), i64::try_from(value)) {
        (Ok(value), _) => visitor.visit_u64(value),
        (_, Ok(value)) => visitor.visit_i64(value),
        _ => visitor.visit_i128(value),
    }
}

/// Methods that read whole numbers.
macro_rules! integers {
    ($($method:ident: $of:literal,)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
            self.integer($of, visitor)
        }
    )*};
}

impl<'a> de::Deserializer<'a> for Reader<'a> {
    type Error = Refusal;

    integers!(
        deserialize_i8: "i8",
        deserialize_i16: "i16",
        deserialize_i32: "i32",
        deserialize_i64: "i64",
        deserialize_i128: "i128",
        deserialize_u8: "u8",
        deserialize_u16: "u16",
        deserialize_u32: "u32",
        deserialize_u64: "u64",
        deserialize_u128: "u128",
    );

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if let Some(inside) = self.node.inside_some() {
            return visitor.visit_some(self.of(inside));
        }
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(Number::Float(value)) => visitor.visit_f64(*value),
            Value::Number(Number::Integer(value) | Number::Radix(value)) => whole(*value, visitor),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Other => Err(self.expected("a value")),
            Value::List(items) => visitor.visit_seq(self.items(items)),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Term(_) if self.node.is_none() => visitor.visit_none(),
            Value::Term(term) => match (&term.name, &term.body) {
                (Some(name), Body::Unit) => visitor.visit_borrowed_str(name),
                (_, Body::Tuple(items)) if items.is_empty() => visitor.visit_unit(),
                (_, Body::Tuple(items)) => visitor.visit_seq(self.items(items)),
                _ => self.deserialize_map(visitor),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.node.value {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.expected("true or false")),
        }
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.float() {
            Some(value) => visitor.visit_f64(value),
            None => Err(self.expected("a number")),
        }
    }

    fn deserialize_char<V: Visitor<'a>>(self, _: V) -> Result<V::Value, Refusal> {
        Err(self.expected("a text, as characters are not read"))
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.expected("a text in quotes")),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, _: V) -> Result<V::Value, Refusal> {
        Err(self.expected("a text, as bytes are not read"))
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.node.is_none() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self.of(self.node.some())),
        }
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.tuple(None) {
            Some([]) => visitor.visit_unit(),
            _ => Err(self.expected("()")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.term() {
            Some(Term {
                name: Some(found),
                body: Body::Unit,
                ..
            }) if found == name => visitor.visit_unit(),
            _ => self.deserialize_unit(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if name.starts_with(AS_WRITTEN) {
            return visitor.visit_borrowed_str(self.written());
        }
        match self.tuple(Some(name)) {
            Some([item]) => visitor.visit_newtype_struct(self.of(item)),
            _ => Err(self.expected("one value in parentheses")),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(self.items(items)),
            _ => Err(self.expected("a list in brackets")),
        }
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        match self.tuple(None) {
            Some(items) => visitor.visit_seq(self.items(items)),
            None => Err(self.expected("values in parentheses")),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.tuple(Some(name)) {
            Some(items) => visitor.visit_seq(self.items(items)),
            None => Err(self.expected("values in parentheses")),
        }
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries {
                reader: self,
                rest: entries.iter(),
                value: None,
            }),
            Value::Term(Term {
                body: Body::Fields(fields),
                ..
            }) => visitor.visit_map(self.all_of(fields.iter().collect())),
            _ => Err(self.expected("a map in braces")),
        }
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.term() {
            Some(term) if term.name.as_deref().is_none_or(|found| found == name) => {
                visitor.visit_map(self.fields(&term.body, known)?)
            }
            _ => Err(self.expected(name)),
        }
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_enum(self.variant(variants)?)
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }
}

/// The values of a list or a tuple.
struct Items<'a> {
    reader: Reader<'a>,
    rest: std::slice::Iter<'a, Node>,
}

impl<'a> de::SeqAccess<'a> for Items<'a> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        let Some(node) = self.rest.next() else {
            return Ok(None);
        };
        let value = seed.deserialize(self.reader.of(node));
        value.map(Some).map_err(|it| it.at(node))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The fields of a struct.
struct Fields<'a> {
    reader: Reader<'a>,
    fields: std::vec::IntoIter<&'a Field>,
    value: Option<&'a Node>,
}

impl<'a> de::MapAccess<'a> for Fields<'a> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        let Some(field) = self.fields.next() else {
            return Ok(None);
        };
        self.value = Some(&field.node);
        let name: StrDeserializer<'_, Refusal> = field.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        value_of(self.reader, self.value.take(), seed)
    }
}

/// The entries of a map.
struct Entries<'a> {
    reader: Reader<'a>,
    rest: std::slice::Iter<'a, (Node, Node)>,
    value: Option<&'a Node>,
}

impl<'a> de::MapAccess<'a> for Entries<'a> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        let key_value = seed.deserialize(self.reader.of(key));
        key_value.map(Some).map_err(|it| it.at(key))
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        value_of(self.reader, self.value.take(), seed)
    }
}

fn value_of<'a, T: DeserializeSeed<'a>>(
    reader: Reader<'a>,
    node: Option<&'a Node>,
    seed: T,
) -> Result<T::Value, Refusal> {
    let node = node.unwrap_or(reader.node);
    seed.deserialize(reader.of(node)).map_err(|it| it.at(node))
}

/// A variant of an enum.
struct Variant<'a> {
    reader: Reader<'a>,
    name: &'a str,
    content: Content<'a>,
}

/// What a variant holds.
#[derive(Clone, Copy)]
enum Content<'a> {
    /// What stands in its parentheses.
    Body(&'a Body),
    /// A value, written without the variant's name.
    One(&'a Node),
    /// The text of the whole term.
    Written,
}

impl<'a> de::EnumAccess<'a> for Variant<'a> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<(T::Value, Self), Refusal> {
        let name: StrDeserializer<'_, Refusal> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'a> de::VariantAccess<'a> for Variant<'a> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        match self.content {
            Content::Body(Body::Unit) => Ok(()),
            _ => Err(self.reader.expected(self.name)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Refusal> {
        let node = match self.content {
            Content::Body(Body::Tuple(items)) if items.len() == 1 => &items[0],
            Content::One(node) => node,
            Content::Written => {
                let written: StrDeserializer<'_, Refusal> =
                    self.reader.written().into_deserializer();
                return seed.deserialize(written);
            }
            Content::Body(_) => return Err(self.reader.expected("one value in parentheses")),
        };
        value_of(self.reader, Some(node), seed)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        match self.content {
            Content::Body(Body::Tuple(items)) => visitor.visit_seq(self.reader.items(items)),
            _ => Err(self.reader.expected("values in parentheses")),
        }
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.content {
            Content::Body(body) => visitor.visit_map(self.reader.fields(body, known)?),
            _ => Err(self.reader.expected("fields with their names")),
        }
    }
}
