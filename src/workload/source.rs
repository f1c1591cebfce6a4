//! The bytes of a trace, unpacked.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use super::bytes::Bytes;
use super::error::WorkloadError;
#[cfg(feature = "compression")]
use super::unpack::decompressed;

const GZIP: [u8; 2] = [0x1F, 0x8B];
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Opens a file and unpacks it.
pub(super) fn open(path: &Path) -> Result<Bytes, WorkloadError> {
    let refused =
        |error: io::Error| WorkloadError::in_file(path, format!("cannot open the trace: {error}"));
    unpacked(Box::new(File::open(path).map_err(refused)?)).map_err(refused)
}

/// What is in a gzip or zstd stream, or the bytes themselves. The first bytes decide, not a name:
/// no text begins like a compressed file.
pub(super) fn unpacked(mut input: Bytes) -> io::Result<Bytes> {
    let mut head = Vec::with_capacity(ZSTD.len());
    (&mut input)
        .take(ZSTD.len() as u64)
        .read_to_end(&mut head)?;
    let (gzip, zstd) = (head.starts_with(&GZIP), head.starts_with(&ZSTD));
    let input: Bytes = Box::new(Cursor::new(head).chain(input));
    match (gzip, zstd) {
        (false, false) => Ok(input),
        _ => decompressed(input, gzip),
    }
}

/// Refuses compressed data.
#[cfg(not(feature = "compression"))]
fn decompressed(_: Bytes, _: bool) -> io::Result<Bytes> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "it is compressed: unpack it, or build fleetsim with the feature `compression`",
    ))
}
