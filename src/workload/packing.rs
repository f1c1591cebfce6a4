//! Writes traces compressed.

use std::io::{self, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// Bytes that go into one zstd frame.
const FRAME: usize = 4 << 20;

/// How a trace is compressed when it is written. What is read tells by itself.
///
/// ```
/// use fleetsim::workload::Packing;
/// assert_eq!(Packing::of("day.csv.gz".as_ref()), Packing::Gzip);
/// assert_eq!(Packing::of("day.csv".as_ref()), Packing::Plain);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    #[default]
    Plain,
    /// As gzip does.
    Gzip,
    /// As zstd does, quickly rather than small.
    Zstd,
}

impl Packing {
    /// What the end of a file's name asks for: `.gz`, `.zst`, or anything else for plain.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension() {
            Some(end) if end.eq_ignore_ascii_case("gz") => Self::Gzip,
            Some(end) if end.eq_ignore_ascii_case("zst") => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// A writer that compresses into `output`. [`Packer::finish`] has to be called at the end.
    pub fn wrap<W: Write>(self, output: W) -> Packer<W> {
        Packer(match self {
            Self::Plain => Kind::Plain(output),
            Self::Gzip => Kind::Gzip(GzEncoder::new(output, flate2::Compression::default())),
            Self::Zstd => Kind::Zstd {
                output,
                frame: Vec::with_capacity(FRAME),
            },
        })
    }
}

/// Compresses what is written to it. The same bytes always give the same bytes.
#[derive(Debug)]
pub struct Packer<W: Write>(Kind<W>);

#[derive(Debug)]
enum Kind<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    /// Frames one after the other are a zstd file like any other, and memory stays bounded.
    Zstd {
        output: W,
        frame: Vec<u8>,
    },
}

impl<W: Write> Packer<W> {
    /// Writes what is left and gives the writer below back.
    ///
    /// # Errors
    /// That of the writer below.
    pub fn finish(self) -> io::Result<W> {
        let mut output = match self.0 {
            Kind::Plain(output) => output,
            Kind::Gzip(encoder) => encoder.finish()?,
            Kind::Zstd { mut output, frame } => {
                write_frame(&mut output, &frame)?;
                output
            }
        };
        output.flush()?;
        Ok(output)
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(output) => output.write(bytes),
            Kind::Gzip(encoder) => encoder.write(bytes),
            Kind::Zstd { output, frame } => {
                if frame.len() == FRAME {
                    write_frame(output, frame)?;
                    frame.clear();
                }
                let taken = bytes.len().min(FRAME - frame.len());
                frame.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
        }
    }

    /// Hands on what is compressed; a frame of zstd is not ended by it.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Plain(output) | Kind::Zstd { output, .. } => output.flush(),
            Kind::Gzip(encoder) => encoder.flush(),
        }
    }
}

fn write_frame<W: Write>(output: &mut W, frame: &[u8]) -> io::Result<()> {
    output.write_all(&compress_to_vec(frame, CompressionLevel::Fastest))
}
