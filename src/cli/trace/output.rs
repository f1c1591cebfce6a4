//! Where a trace is written: a file, complete or not at all, or standard output.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::shell::Failure;
use crate::scenario::{Origin, TraceFormat};
use crate::workload::{Arrival, Packing, TraceWriter, WorkloadError};

#[derive(Debug, Args)]
pub(super) struct Output {
    /// The file to write; compressed when it ends in `.gz` or `.zst`; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Replace the file when it is there
    #[arg(long)]
    overwrite: bool,
}

/// What was written.
pub(super) struct Written {
    pub(super) requests: u64,
    /// When the first of them arrives, in seconds.
    first_s: f64,
    /// Requests of which not all that is said could be written.
    lost: u64,
    /// Whether an arrival is between two milliseconds.
    fractions: bool,
    format: TraceFormat,
    /// None for standard output.
    file: Option<PathBuf>,
}

impl Output {
    /// Writes every arrival up to the first error, which leaves no file behind.
    pub(super) fn write(
        &self,
        format: TraceFormat,
        arrivals: impl Iterator<Item = Result<Arrival, WorkloadError>>,
    ) -> Result<Written, Failure> {
        if self.out == Path::new("-") {
            let mut written = Written::nothing(format, None);
            let out = io::stdout().lock();
            return match write_all(out, format, arrivals, &mut written) {
                Err(Stopped::Input(error)) => Err(Failure::input(error)),
                // The reader of the pipe has seen enough.
                Err(Stopped::Output(error)) if error.kind() != ErrorKind::BrokenPipe => Err(
                    Failure::Running(format!("cannot write to standard output: {error}")),
                ),
                _ => Ok(written),
            };
        }
        let there = fs::metadata(&self.out);
        let refused = |error: io::Error| {
            let file = self.out.display();
            Failure::Running(format!(
                "{file}: cannot write: {error}; choose another file with --out"
            ))
        };
        match &there {
            Ok(found) if found.is_dir() => {
                let message = format!(
                    "{}: this is a directory; name a file with --out",
                    self.out.display()
                );
                return Err(Failure::Input(message));
            }
            Ok(found) if found.is_file() && !self.overwrite => {
                let message = format!(
                    "{}: the file is there already; pass --overwrite to replace it, or another \
                     file with --out",
                    self.out.display()
                );
                return Err(Failure::Input(message));
            }
            _ => {}
        }
        // A device or a pipe cannot be renamed over.
        let in_place = there.is_ok_and(|found| !found.is_file());
        let target = if in_place {
            self.out.clone()
        } else {
            beside(&self.out)
        };
        let file = File::create(&target).map_err(refused)?;
        let mut written = Written::nothing(format, Some(self.out.clone()));
        let packer = Packing::of(&self.out).wrap(file);
        let result = write_all(packer, format, arrivals, &mut written)
            .and_then(|packer| Ok(packer.finish().map(drop)?))
            .and_then(|()| match in_place {
                true => Ok(()),
                false => Ok(fs::rename(&target, &self.out)?),
            });
        if result.is_err() && !in_place {
            // The error that is told is the one that matters.
            let _ = fs::remove_file(&target);
        }
        match result {
            Ok(()) => Ok(written),
            Err(Stopped::Input(error)) => Err(Failure::input(error)),
            Err(Stopped::Output(error)) => Err(refused(error)),
        }
    }
}

impl Written {
    const fn nothing(format: TraceFormat, file: Option<PathBuf>) -> Self {
        Self {
            requests: 0,
            first_s: 0.0,
            lost: 0,
            fractions: false,
            format,
            file,
        }
    }

    /// Says on standard error what is in the file, and how it differs from what went in.
    pub(super) fn tell(&self, left_out: u64) {
        let mut lines = Vec::new();
        if let Some(file) = &self.file {
            let (file, requests) = (file.display(), self.requests);
            let format = self.format.name();
            lines.push(format!("{file}: {requests} requests as {format}"));
        }
        if left_out > 0 {
            lines.push(format!(
                "{left_out} rows without response tokens are requests that failed, and were left out"
            ));
        }
        let from_first = self.format.default_origin() == Origin::First;
        if from_first && self.first_s > 0.0 {
            lines.push(format!(
                "{} counts time from its first row: all arrivals are {} s earlier when it is read, \
                 unless with `origin: Zero`",
                self.format.name(),
                self.first_s
            ));
        }
        if let TraceFormat::Requests { block_tokens } = self.format
            && block_tokens != 512
        {
            lines.push(format!(
                "its blocks have {block_tokens} tokens: read it as `Requests(block_tokens: {block_tokens})`"
            ));
        }
        if self.lost > 0 {
            lines.push(format!(
                "sessions, priorities or prefixes of {} requests have no place in {}; `Requests` has one",
                self.lost,
                self.format.name()
            ));
        }
        if self.format == TraceFormat::Mooncake && self.fractions {
            lines.push(
                "some times are between milliseconds: Mooncake files with fractions are read with \
                 `unit: Milliseconds`"
                    .to_owned(),
            );
        }
        for line in lines {
            // Nothing is lost with this line.
            let _ = writeln!(io::stderr().lock(), "{line}");
        }
    }
}

/// Why writing ended early.
enum Stopped {
    Input(WorkloadError),
    Output(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn write_all<W: Write>(
    out: W,
    format: TraceFormat,
    arrivals: impl Iterator<Item = Result<Arrival, WorkloadError>>,
    written: &mut Written,
) -> Result<W, Stopped> {
    let mut trace = TraceWriter::new(out, format)?;
    for arrival in arrivals {
        let arrival = arrival.map_err(Stopped::Input)?;
        trace.write(&arrival)?;
        if written.requests == 0 {
            written.first_s = arrival.time.seconds();
        }
        let milliseconds = arrival.time.seconds() * 1e3;
        written.fractions |= (milliseconds - milliseconds.round()).abs() > 1e-6;
        let lost = match (format, &arrival.details) {
            (_, None) | (TraceFormat::Requests { .. }, _) => false,
            (TraceFormat::Mooncake, Some(it)) => {
                it.session.is_some()
                    || it.priority != 0
                    || (it.block_tokens != 512 && !it.prefix_blocks.is_empty())
            }
            _ => true,
        };
        written.lost += u64::from(lost);
        written.requests += 1;
    }
    let mut out = trace.finish()?;
    out.flush()?;
    Ok(out)
}

/// A name beside a file, for its content until it is whole.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}
