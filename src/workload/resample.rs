//! Other traces of the same kind, made out of one by chance.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arrival::Arrival;
use super::error::WorkloadError;
use crate::interrupt;
use crate::random::Stream;
use crate::time::{SimDuration, SimTime};

/// Rows that are read between two looks whether to end.
const LOOK: usize = 1 << 16;

/// Keeps each request with the same probability.
#[derive(Clone)]
pub(super) struct Thinned<I> {
    source: I,
    keep: f64,
    stream: Stream,
}

impl<I> Thinned<I> {
    pub(super) fn new(source: I, keep: f64, stream: Stream) -> Result<Self, WorkloadError> {
        let holds = keep > 0.0 && keep <= 1.0;
        WorkloadError::unless(holds, "keep", keep, "a probability above 0")?;
        Ok(Self {
            source,
            keep,
            stream,
        })
    }
}

impl<I> Thinned<I> {
    /// What it takes from, and the stream that says what is kept.
    pub(super) const fn place(&self) -> (&I, &Stream) {
        (&self.source, &self.stream)
    }

    /// Goes on with a stream; gives what it takes from.
    pub(super) fn go_on_with(&mut self, stream: Stream) -> &mut I {
        self.stream = stream;
        &mut self.source
    }
}

impl<I: Iterator<Item = Result<Arrival, WorkloadError>>> Iterator for Thinned<I> {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut passed = 0_usize;
        loop {
            let next = self.source.next()?;
            // Where every request is kept, chance has no say.
            if next.is_err() || self.keep >= 1.0 || self.stream.uniform() < self.keep {
                return Some(next);
            }
            passed += 1;
            if passed.is_multiple_of(LOOK) && interrupt::asked() {
                return Some(Err(WorkloadError::new("interrupted")));
            }
        }
    }
}

/// Blocks of time, drawn with replacement from anywhere in a trace and put end to end: the circular block
/// bootstrap of Politis and Romano (1992).
///
/// A block that reaches the end of the trace goes on at its start, so every request is as likely as every
/// other. The whole trace is held in memory, once for all copies: a block may come from anywhere.
pub(super) struct Bootstrap<I> {
    /// What is not read yet.
    source: Option<I>,
    rows: Arc<[Arrival]>,
    /// Seconds of the trace.
    length: f64,
    /// How long the trace is at most.
    window: Option<SimDuration>,
    block: f64,
    /// Traces that are made, end to end.
    passes: u32,
    stream: Stream,
    now: Block,
    next_id: u64,
    reached: SimTime,
}

/// Where blocks of a trace stand.
#[derive(Serialize, Deserialize)]
pub(super) struct Place {
    stream: Stream,
    now: Block,
    next_id: u64,
    reached: SimTime,
}

/// The block that is played.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Block {
    /// It and those before it.
    begun: u64,
    /// Where it begins in the new trace and in the old one, and how long it is.
    base: f64,
    from: f64,
    length: f64,
    /// The first of its rows, and how many were taken.
    row: usize,
    taken: usize,
}

impl<I> Bootstrap<I> {
    /// Out of a source that begins at time zero and that is no longer than `window`.
    pub(super) fn new(
        source: I,
        block: SimDuration,
        window: Option<SimDuration>,
        passes: u32,
        stream: Stream,
    ) -> Result<Self, WorkloadError> {
        let block = block.seconds();
        WorkloadError::unless(block > 0.0, "block", block, "a number above 0")?;
        WorkloadError::unless(passes > 0, "repeat", passes, "at least 1")?;
        Ok(Self {
            source: Some(source),
            rows: Arc::new([]),
            length: 0.0,
            window,
            block,
            passes,
            stream,
            now: Block::default(),
            next_id: 0,
            reached: SimTime::ZERO,
        })
    }

    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        Place {
            stream: self.stream.clone(),
            now: self.now,
            next_id: self.next_id,
            reached: self.reached,
        }
    }

    /// Goes on there; the trace is read when the next request is asked for.
    pub(super) fn go_on_at(&mut self, place: Place) {
        let Place {
            stream,
            now,
            next_id,
            reached,
        } = place;
        self.stream = stream;
        (self.now, self.next_id, self.reached) = (now, next_id, reached);
    }

    /// Blocks of one trace.
    fn blocks(&self) -> u64 {
        ((self.length / self.block).ceil() as u64).max(1)
    }

    /// Begins the next block, if there is one.
    fn begin(&mut self) -> Option<()> {
        let blocks = self.blocks();
        let number = self.now.begun;
        if number >= blocks.saturating_mul(self.passes.into()) || self.rows.is_empty() {
            return None;
        }
        let (pass, within) = (number / blocks, number % blocks);
        let start = within as f64 * self.block;
        let from = self.stream.uniform() * self.length;
        self.now = Block {
            begun: number + 1,
            base: pass as f64 * self.length + start,
            from,
            length: (self.length - start).min(self.block),
            row: self.rows.partition_point(|row| row.time.seconds() < from),
            taken: 0,
        };
        Some(())
    }

    /// The next row of this block, and how far into the block it comes.
    fn row(&mut self) -> Option<(Arrival, f64)> {
        let Block {
            from,
            length,
            row,
            taken,
            ..
        } = self.now;
        if taken >= self.rows.len() {
            return None;
        }
        let row = &self.rows[(row + taken) % self.rows.len()];
        let time = row.time.seconds();
        let offset = if time < from {
            time + self.length - from
        } else {
            time - from
        };
        if offset >= length {
            return None;
        }
        self.now.taken += 1;
        Some((row.clone(), offset))
    }
}

impl<I: Iterator<Item = Result<Arrival, WorkloadError>>> Bootstrap<I> {
    /// Reads the whole trace.
    fn read(&mut self, source: I) -> Result<(), WorkloadError> {
        let mut rows = Vec::new();
        for (number, row) in source.enumerate() {
            rows.push(row?);
            if number % LOOK == LOOK - 1 && interrupt::asked() {
                return Err(WorkloadError::new("interrupted"));
            }
        }
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            let gaps = rows.len().saturating_sub(1).max(1) as f64;
            let span = last.time.seconds() + (last.time - first.time).seconds() / gaps;
            let window = self.window.map(SimDuration::seconds);
            // A window that the trace does not fill has no requests behind the last one.
            self.length = window.map_or(span, |window| window.min(span));
        }
        self.rows = rows.into();
        if self.length <= 0.0 && !self.rows.is_empty() {
            let message =
                "all requests of the trace come at one instant: there are no blocks of it";
            return Err(WorkloadError::new(message));
        }
        Ok(())
    }
}

impl<I: Iterator<Item = Result<Arrival, WorkloadError>>> Iterator for Bootstrap<I> {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(source) = self.source.take()
            && let Err(error) = self.read(source)
        {
            self.rows = Arc::new([]);
            return Some(Err(error));
        }
        if self.now.begun == 0 {
            self.begin()?;
        }
        loop {
            if let Some((row, offset)) = self.row() {
                let time = SimTime::saturating(self.now.base + offset);
                // Rounding must not put a block before the end of the one before it.
                self.reached = self.reached.max(time);
                let id = self.next_id;
                self.next_id += 1;
                let time = self.reached;
                return Some(Ok(Arrival { id, time, ..row }));
            }
            self.begin()?;
            if self.now.begun.is_multiple_of(LOOK as u64) && interrupt::asked() {
                self.rows = Arc::new([]);
                return Some(Err(WorkloadError::new("interrupted")));
            }
        }
    }
}

impl<I: Clone> Clone for Bootstrap<I> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            rows: Arc::clone(&self.rows),
            stream: self.stream.clone(),
            ..*self
        }
    }
}
