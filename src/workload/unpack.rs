//! Decompresses traces: gzip and zstd.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::bytes::Bytes;

/// What is in a gzip stream, or else in a zstd stream.
pub(super) fn decompressed(input: Bytes, gzip: bool) -> io::Result<Bytes> {
    Ok(if gzip {
        let inner = MultiGzDecoder::new(BufReader::new(input));
        Box::new(Packed {
            inner,
            kind: "gzip",
        })
    } else {
        let inner = ZstdFrames::new(BufReader::new(input));
        Box::new(Packed {
            inner,
            kind: "zstd",
        })
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
