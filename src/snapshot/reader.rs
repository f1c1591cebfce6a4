use serde::de::DeserializeOwned;

use super::RestoreError;

/// Gives back the values of a state, in the order in which they were written.
#[derive(Clone, Debug)]
pub struct StateReader<'a> {
    bytes: &'a [u8],
}

impl<'a> StateReader<'a> {
    /// Reads what a [`StateWriter`](super::StateWriter) wrote.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next value.
    ///
    /// # Errors
    /// [`RestoreError::Unreadable`] where the bytes are no such value.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T, RestoreError> {
        let unreadable = |error| RestoreError::unreadable(std::any::type_name::<T>(), error);
        let (value, rest) = postcard::take_from_bytes(self.bytes).map_err(unreadable)?;
        self.bytes = rest;
        Ok(value)
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len()
    }

    /// All bytes that are left.
    #[cfg(test)]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether every value was taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left() == 0
    }
}
