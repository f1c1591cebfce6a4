//! A run as a trace to look at in Perfetto.

mod counters;
mod event;
mod excerpts;
mod lives;
mod requests;
mod runs;
mod stages;
mod tracks;
mod window;

use std::io::Write;
use std::path::Path;

use serde_json::json;

use self::event::Events;
use self::excerpts::Excerpts;
use self::requests::Drawn;
use self::stages::Stages;
use self::tracks::Tracks;
use super::ReportError;
use super::thinned::Thinned;
use crate::observe::{InstanceSample, Rows, Sample};
use crate::simulation::{Finished, News};
use crate::time::SimTime;

pub use excerpts::TraceExcerpts;
pub use window::{InvalidWindow, TraceWindow};

/// Bytes that the counters of one sample take, at most.
const SAMPLE_BYTES: u64 = 800;
/// Bytes that the counters of an instance take.
const INSTANCE_SAMPLE_BYTES: u64 = 280;
/// Bytes that the names and phases of an instance take, and its counters when it is gone, unless its
/// application has a long name.
const INSTANCE_BYTES: u64 = 1300;
/// Bytes that the names and phases of a server take.
const SERVER_BYTES: u64 = 800;

/// What goes into a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceOptions {
    /// Batches and requests are recorded where they overlap it; lives and counters always.
    pub window: TraceWindow,
    /// Bytes that the file may take.
    pub limit_bytes: u64,
}

impl Default for TraceOptions {
    /// All of the time, in 100 MB.
    fn default() -> Self {
        Self {
            window: TraceWindow::default(),
            limit_bytes: 100_000_000,
        }
    }
}

/// A run as a trace in Chrome's JSON format, which Perfetto and `chrome://tracing` open.
///
/// Each server is a process; on it, each instance is a thread with the phases of its life and another
/// with the runs of its batches, and has counters. The stages of a start-up stand under its phase, `attempt` where there are
/// none, and `back_off` between two attempts. Each application is a process with its requests, the phases of each
/// from queue to tokens, and with counters by role. An arrow leads from the batch in which a request's
/// prompt began to the one in which its tokens began; a request that began again has none.
///
/// The file stays within its limit. An eighth of it is for the counters of applications, another for
/// those of instances: where there are more samples, every other instant is left out, and so on. What the lives of servers and instances need comes
/// next, and batches and requests have the rest. Where they need more, there are excerpts of them,
/// evenly spread over the run ([`TraceExcerpts`]): fewer, the longer it goes on. Lives are always
/// written, all of them: a fleet so large that they alone exceed the limit makes a larger file.
/// `otherData`, at the end of the file, says what was left out.
///
/// What may be drawn is kept until the end of the run, in less than half the limit of memory.
#[derive(Debug)]
pub struct PerfettoTrace {
    options: TraceOptions,
    /// By instant.
    samples: Thinned<Vec<Sample>>,
    instances: Thinned<Vec<InstanceSample>>,
    excerpts: Excerpts,
    stages: Stages,
}

impl PerfettoTrace {
    /// Starts empty.
    #[must_use]
    pub fn new(options: TraceOptions) -> Self {
        let most =
            |bytes: u64| usize::try_from(options.limit_bytes / 8 / bytes).unwrap_or(usize::MAX);
        Self {
            options,
            samples: Thinned::new(most(SAMPLE_BYTES), Vec::len),
            instances: Thinned::new(most(INSTANCE_SAMPLE_BYTES), Vec::len),
            excerpts: Excerpts::new(options.window, room(options)),
            stages: Stages::default(),
        }
    }

    /// Takes in what is new after a tick.
    pub fn see(&mut self, news: &News) {
        self.add(&news.rows, None);
        self.stages.add(&news.scaling);
    }

    /// Writes the trace to `out`; errors will name `path`. What was left when the books were closed is
    /// in `finished`. Returns `out`, and how batches and requests are spread over the run if there was
    /// no room for all of them.
    ///
    /// # Errors
    /// [`ReportError::Io`] when `out` fails.
    pub fn write<W: Write>(
        mut self,
        out: W,
        path: &Path,
        finished: &Finished,
    ) -> Result<(W, Option<TraceExcerpts>), ReportError> {
        let (record, ledger) = (&finished.record, &finished.ledger);
        self.add(&finished.rows, Some(record.end));
        self.stages.add(&finished.scaling);
        let lives = ledger.instances().len() as u64 * INSTANCE_BYTES
            + ledger.servers().len() as u64 * SERVER_BYTES
            + self.stages.bytes();
        self.excerpts.fit(room(self.options).saturating_sub(lives));
        let mut events = Events::new(out, path)?;
        let applications = record.applications.len() as u64;
        let tracks = Tracks { applications };
        lives::draw(&mut events, tracks, finished)?;
        self.stages.draw(&mut events, tracks, ledger, record.end)?;
        for run in &self.excerpts.runs {
            runs::draw(&mut events, tracks, ledger, run)?;
        }
        for (number, request) in (0..).zip(&self.excerpts.requests) {
            let begins = [request.record.prompt_start, request.record.token_start];
            let has_batch =
                |at: Option<SimTime>| at.is_some_and(|at| self.excerpts.has_batch_of(at));
            let drawn = Drawn {
                record: &request.record,
                number,
                application: request.application,
                end: request.end,
                flows: request.record.restarts == 0 && begins.into_iter().all(has_batch),
            };
            drawn.draw(&mut events, tracks, ledger)?;
        }
        for sample in self.samples.kept().iter().flatten() {
            let mut applications = record.applications.iter();
            let of = applications.position(|it| it.name == sample.application);
            let track = tracks.application(of.unwrap_or_default());
            counters::of_role(&mut events, track, sample)?;
        }
        let instances = self.instances.kept().iter().flatten();
        counters::of_instances(&mut events, tracks, finished, instances)?;
        let spread = self.excerpts.spread();
        Ok((events.finish(&self.metadata(finished, spread))?, spread))
    }

    /// What is to be known of the trace.
    fn metadata(&self, finished: &Finished, spread: Option<TraceExcerpts>) -> serde_json::Value {
        let (record, window) = (&finished.record, self.options.window);
        let of = &self.excerpts;
        let (runs, requests) = (of.runs.len() as u64, of.requests.len() as u64);
        json!({
            "generator": concat!("fleetsim ", env!("CARGO_PKG_VERSION")),
            "scenario": record.scenario,
            "hash": record.hash,
            "seed": record.seed,
            "end_s": record.end,
            "stopped": record.stopped,
            "window_from_s": window.from,
            "window_until_s": (window.until < SimTime::MAX).then_some(window.until),
            "limit_bytes": self.options.limit_bytes,
            "batch_runs": runs,
            "batch_runs_left_out": of.runs_seen - runs,
            "requests": requests,
            "requests_left_out": of.requests_seen - requests,
            "excerpt_s": spread.map(|it| it.length),
            "excerpt_every_s": spread.map(|it| it.period),
            "samples_one_in": self.samples.stride(),
            "instance_samples_one_in": self.instances.stride(),
        })
    }

    fn add(&mut self, rows: &Rows, end: Option<SimTime>) {
        for samples in rows.samples.chunk_by(|a, b| a.time == b.time) {
            self.samples.add(|| samples.to_vec());
        }
        for samples in rows.instances.chunk_by(|a, b| a.time == b.time) {
            self.instances.add(|| samples.to_vec());
        }
        self.excerpts.add(rows, end);
    }
}

/// Bytes for all but the counters.
const fn room(options: TraceOptions) -> u64 {
    options.limit_bytes - options.limit_bytes / 4
}
