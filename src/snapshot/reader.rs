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

    /// A reader of the bytes of a section.
    pub(crate) fn take_section(&mut self) -> Result<Self, RestoreError> {
        let length: u64 = self.take()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let section = self.bytes.split_at_checked(length);
        let (section, rest) =
            section.ok_or_else(|| RestoreError::unreadable("a section", "it is cut short"))?;
        self.bytes = rest;
        Ok(Self::new(section))
    }

    /// Whether every value was taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left() == 0
    }
}
