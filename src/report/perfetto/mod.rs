//! A run as a trace to look at in Perfetto.

mod event;
mod lives;
mod requests;
mod tracks;
mod window;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use self::event::Events;
use self::requests::Drawn;
use self::tracks::Tracks;
use super::ReportError;
use super::thinned::Thinned;
use crate::fleet::Ledger;
use crate::observe::{Rows, Sample};
use crate::scenario::CheckedScenario;
use crate::serving::{BatchRun, Outcome, RequestRecord};
use crate::simulation::{Finished, News};
use crate::time::SimTime;

pub use window::{InvalidWindow, TraceWindow};

/// Bytes that the counters of one sample take, at most.
const SAMPLE_BYTES: u64 = 800;
/// Bytes that the names and phases of an instance take, unless its application has a long name.
const INSTANCE_BYTES: u64 = 1000;
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
/// with the runs of its batches. Each application is a process with its requests, the phases of each
/// from queue to tokens, and with counters by role. An arrow leads from the batch in which a request's
/// prompt began to the one in which its tokens began; a request that began again has none.
///
/// The file stays within its limit. A quarter of it is for counters: where there are more samples,
/// every other instant is left out, and so on. What the lives of servers and instances need comes
/// next, and batches and requests have the rest; once that is used up, no more of them are recorded.
/// Lives are always written, all of them: a fleet so large that they alone exceed the limit makes a
/// larger file. `otherData`, at the end of the file, says what was left out.
#[derive(Debug)]
pub struct PerfettoTrace<W: Write = File> {
    events: Events<W>,
    options: TraceOptions,
    tracks: Tracks,
    /// By instant.
    samples: Thinned<Vec<Sample>>,
    runs: Tally,
    requests: Tally,
    /// The time of the first batch or request for which there was no room.
    full: Option<SimTime>,
}

/// How many are in the trace, and how many are not.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    recorded: u64,
    left_out: u64,
}

impl<W: Write> PerfettoTrace<W> {
    /// Starts a trace of a scenario; errors will name `path`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when `out` fails.
    pub fn new(
        out: W,
        path: &Path,
        checked: &CheckedScenario,
        options: TraceOptions,
    ) -> Result<Self, ReportError> {
        let samples = options.limit_bytes / 4 / SAMPLE_BYTES;
        Ok(Self {
            events: Events::new(out, path)?,
            options,
            tracks: Tracks {
                applications: checked.scenario().applications.len() as u64,
            },
            samples: Thinned::new(usize::try_from(samples).unwrap_or(usize::MAX), Vec::len),
            runs: Tally::default(),
            requests: Tally::default(),
            full: None,
        })
    }

    /// Writes what is new. `ledger` is that of the run's world.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn write(&mut self, ledger: &Ledger, news: &News) -> Result<(), ReportError> {
        self.add(ledger, &news.rows, None)
    }

    /// Writes what was left when the books were closed, the lives and the counters, and closes the
    /// file. Returns it with the instant from which batches and requests were left out for want of
    /// room, if any were.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn finish(mut self, finished: &Finished) -> Result<(W, Option<SimTime>), ReportError> {
        let record = &finished.record;
        self.add(&finished.ledger, &finished.rows, Some(record.end))?;
        lives::draw(&mut self.events, self.tracks, finished)?;
        for sample in self.samples.kept().iter().flatten() {
            let mut applications = record.applications.iter();
            let of = applications.position(|it| it.name == sample.application);
            let track = self.tracks.application(of.unwrap_or_default());
            lives::count(&mut self.events, track, sample)?;
        }
        let window = self.options.window;
        let metadata = json!({
            "generator": concat!("fleetsim ", env!("CARGO_PKG_VERSION")),
            "scenario": record.scenario,
            "scenario_hash": record.hash,
            "seed": record.seed,
            "end_s": record.end,
            "stopped": record.stopped,
            "window_from_s": window.from,
            "window_until_s": (window.until < SimTime::MAX).then_some(window.until),
            "limit_bytes": self.options.limit_bytes,
            "batch_runs": self.runs.recorded,
            "batch_runs_left_out": self.runs.left_out,
            "requests": self.requests.recorded,
            "requests_left_out": self.requests.left_out,
            "no_room_from_s": self.full,
            "samples_one_in": self.samples.stride(),
        });
        Ok((self.events.finish(&metadata)?, self.full))
    }

    fn add(
        &mut self,
        ledger: &Ledger,
        rows: &Rows,
        end: Option<SimTime>,
    ) -> Result<(), ReportError> {
        for samples in rows.samples.chunk_by(|a, b| a.time == b.time) {
            self.samples.add(|| samples.to_vec());
        }
        let mut runs = rows.runs.iter().peekable();
        for (application, record) in &rows.requests {
            let end = match record.outcome {
                Outcome::Rejected(_) => record.arrival,
                _ => record.end.or(end).unwrap_or(record.arrival),
            };
            while let Some(run) = runs.next_if(|run| run.end <= end) {
                self.add_run(ledger, run)?;
            }
            self.add_request(ledger, *application, record, end.max(record.arrival))?;
        }
        runs.try_for_each(|run| self.add_run(ledger, run))
    }

    fn add_run(&mut self, ledger: &Ledger, run: &BatchRun) -> Result<(), ReportError> {
        if !self.records(ledger, run.start, run.end) {
            self.runs.left_out += 1;
            return Ok(());
        }
        self.runs.recorded += 1;
        self.draw_run(ledger, run)
    }

    fn add_request(
        &mut self,
        ledger: &Ledger,
        application: usize,
        record: &RequestRecord,
        end: SimTime,
    ) -> Result<(), ReportError> {
        if !self.records(ledger, record.arrival, end) {
            self.requests.left_out += 1;
            return Ok(());
        }
        let request = Drawn {
            record,
            number: self.requests.recorded,
            application,
            end,
            flows: self.has_both_batches(record),
        };
        self.requests.recorded += 1;
        request.draw(&mut self.events, self.tracks, ledger)
    }

    /// Whether something that lasted from `start` to `end` goes into the trace.
    fn records(&mut self, ledger: &Ledger, start: SimTime, end: SimTime) -> bool {
        if !self.options.window.overlaps(start, end) {
            return false;
        }
        if self.full.is_none() && self.events.written() >= self.room(ledger, end) {
            self.full = Some(start);
        }
        self.full.is_none()
    }

    /// How large the file may be for another batch or request at an instant. What came after it does
    /// not count, so that the size of ticks makes no difference.
    fn room(&self, ledger: &Ledger, at: SimTime) -> u64 {
        let (instances, servers) = (ledger.instances(), ledger.servers());
        let lives = instances.partition_point(|it| it.created < at) as u64 * INSTANCE_BYTES
            + servers.partition_point(|it| it.created < at) as u64 * SERVER_BYTES;
        let limit = self.options.limit_bytes;
        (limit - limit / 4).saturating_sub(lives)
    }

    /// Whether the batches in which the phases of a request began are in the trace.
    fn has_both_batches(&self, record: &RequestRecord) -> bool {
        let begins = [record.prompt_start, record.token_start];
        let mut begins = begins.into_iter();
        record.restarts == 0
            && begins.all(|at| at.is_some_and(|at| self.options.window.contains(at)))
    }

    fn draw_run(&mut self, ledger: &Ledger, run: &BatchRun) -> Result<(), ReportError> {
        let index = usize::try_from(run.instance).ok();
        let Some(account) = index.and_then(|index| ledger.instances().get(index)) else {
            return Ok(());
        };
        let track = self.tracks.batches(account.server, run.instance);
        let (prompts, tokens, iterations) = (run.prompts, run.token_tasks, run.iterations);
        let args = format_args!(
            "\"batch_tokens\":{},\"iterations\":{iterations},\"requests\":{}",
            run.batch_tokens(),
            prompts + tokens
        );
        let (start, end) = (run.start, run.end);
        let events = &mut self.events;
        match (prompts, tokens) {
            (0, _) => {
                let name = format_args!("tokens {tokens} ×{iterations}");
                events.slice(track, start, end, name, args)
            }
            (_, 0) => events.slice(track, start, end, format_args!("prompts {prompts}"), args),
            _ => {
                let name = format_args!("prompts {prompts} + tokens {tokens}");
                events.slice(track, start, end, name, args)
            }
        }
    }
}
