//! Snapshots: the state of a run as bytes, from which it goes on.
//!
//! [`Simulation::save`](crate::simulation::Simulation::save) writes one, and
//! [`fleet::save`](crate::fleet::save) one of a host's world. What derives from the scenario (models, hardware,
//! step times, templates) is not in it: it is built anew, and the state is laid over it. A snapshot names
//! the scenario, its hash, the version and the build target, and is refused where they differ. A checksum
//! covers every byte.
//!
//! Parts of the state are written with a [`StateWriter`] and read with a [`StateReader`], in the same order.
//!
//! ```
//! use fleetsim::snapshot::{StateReader, StateWriter};
//!
//! let mut writer = StateWriter::default();
//! writer.put(&(7_u64, "seven"))?;
//! let bytes = writer.into_bytes();
//! let mut reader = StateReader::new(&bytes);
//! let (number, name): (u64, String) = reader.take()?;
//! assert_eq!((number, name.as_str()), (7, "seven"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod envelope;
mod error;
pub(crate) mod name;
mod reader;
pub mod remembered;
mod writer;

pub use envelope::{Header, read_header};
pub(crate) use envelope::{open, seal};
pub use error::{RestoreError, SaveError};
pub use reader::StateReader;
pub use writer::StateWriter;
