//! What a policy remembers beside its parameters: a part of its state, and none of a scenario.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a field into a snapshot; into a text that people read it writes nothing.
///
/// # Errors
/// Those of the value.
pub fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    match serializer.is_human_readable() {
        true => serializer.serialize_unit(),
        false => value.serialize(serializer),
    }
}

/// Reads a field from a snapshot; from a text that people write it takes the default.
///
/// # Errors
/// Those of the value.
pub fn deserialize<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    match deserializer.is_human_readable() {
        true => IgnoredAny::deserialize(deserializer).map(|_| T::default()),
        false => T::deserialize(deserializer),
    }
}
