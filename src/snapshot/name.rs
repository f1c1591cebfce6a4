//! Names that the program has as `&'static str`: written as text, read as the one that is equal.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Such a name. As an alias it is a type that serde does not take for borrowed from its input.
pub(crate) type Name = &'static str;

/// The names that were read so far. Each is kept for good, once.
static READ: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The name that is equal to a text.
pub(crate) fn of(text: &str) -> &'static str {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&name) = read.get(text) {
        return name;
    }
    let name: &'static str = Box::leak(text.into());
    read.insert(name);
    name
}

pub(crate) fn serialize<S: Serializer>(
    name: &&'static str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    name.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<&'static str, D::Error> {
    String::deserialize(deserializer).map(|text| of(&text))
}
