//! The bytes of a trace, whatever they are packed in.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::WorkloadError;

/// Where a reader gets its text from.
pub(super) type Bytes = Box<dyn Read + Send + Sync>;

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
    let input = Cursor::new(head).chain(input);
    Ok(if gzip {
        let inner = MultiGzDecoder::new(BufReader::new(input));
        Box::new(Packed {
            inner,
            kind: "gzip",
        })
    } else if zstd {
        let inner = ZstdFrames::new(BufReader::new(input));
        Box::new(Packed {
            inner,
            kind: "zstd",
        })
    } else {
        Box::new(input)
    })
}

/// Says of an error that the compressed data is at fault, and what to do about it.
struct Packed<R> {
    inner: R,
    kind: &'static str,
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let (kind, error_kind) = (self.kind, error.kind());
            if error_kind == ErrorKind::Interrupted {
                return error;
            }
            let message = format!(
                "the {kind} data is damaged or cut off ({error}); fetch or compress the file again"
            );
            io::Error::new(error_kind, message)
        })
    }
}

/// The frames of a zstd stream, one after the other; those that hold no data are skipped.
struct ZstdFrames<R> {
    source: R,
    decoder: FrameDecoder,
    within_frame: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
            within_frame: false,
        }
    }

    /// Reads the header of the next frame; false at the end of the stream.
    fn begin_frame(&mut self) -> io::Result<bool> {
        use FrameDecoderError::ReadFrameHeaderError as Header;
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => {
                    self.within_frame = true;
                    return Ok(true);
                }
                Err(Header(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    let skipped = (&mut self.source).take(length);
                    if io::copy(&mut { skipped }, &mut io::sink())? < length {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.within_frame = false;
        let written = self.decoder.get_checksum_from_data();
        if written.is_some() && written != self.decoder.get_calculated_checksum() {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "a checksum does not match",
            ));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.within_frame || self.begin_frame()? {
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder
                    .decode_blocks(&mut self.source, one)
                    .map_err(io::Error::other)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.end_frame()?;
        }
        Ok(0)
    }
}
