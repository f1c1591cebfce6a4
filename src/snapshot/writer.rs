use postcard::ser_flavors::Flavor;
use serde::Serialize;

use super::SaveError;

/// Takes the values that a state consists of.
#[derive(Clone, Debug, Default)]
pub struct StateWriter {
    bytes: Vec<u8>,
}

/// Appends to the bytes of a writer.
struct Tail<'a>(&'a mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl StateWriter {
    /// Adds a value.
    ///
    /// # Errors
    /// [`SaveError::NotSaved`] for a value that cannot be written, such as a path that is no text.
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SaveError> {
        postcard::serialize_with_flavor(value, Tail(&mut self.bytes))
            .map_err(|error| SaveError::not_saved(std::any::type_name::<T>(), error))
    }

    /// Adds the values that `write` puts, with their length before them.
    pub(crate) fn put_section(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), SaveError>,
    ) -> Result<(), SaveError> {
        let mut section = Self::default();
        write(&mut section)?;
        self.put(&(section.bytes.len() as u64))?;
        self.bytes.append(&mut section.bytes);
        Ok(())
    }

    /// The bytes of all values.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
