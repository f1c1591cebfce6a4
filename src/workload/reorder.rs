//! Puts the rows of a trace that is nearly in order of time into that order, and finds time zero.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::reader::TraceReader;
use super::row::{Row, Stamp};
use crate::scenario::Origin;
use crate::time::SimTime;

/// Rows in order of time, equal times as they stand in the file.
///
/// `window` rows are held back, so a row may come after at most `window` rows that are later than it.
/// They are kept sorted and filled from the back: a trace in order costs nothing but a queue.
/// Before an error come the rows that stand above it, so the window changes no result.
pub(super) struct Reorder {
    reader: Box<dyn TraceReader>,
    window: usize,
    held: VecDeque<Row>,
    /// Time zero; none until the first row is handed out.
    origin: Option<Stamp>,
    /// The time of the last row handed out.
    reached: Option<Stamp>,
    /// Whether the reader is at its end, and the error that put it there.
    ended: bool,
    error: Option<WorkloadError>,
}

impl Reorder {
    pub(super) fn new(reader: Box<dyn TraceReader>, window: usize, origin: Origin) -> Self {
        let origin = match origin {
            Origin::First => None,
            Origin::Zero => Some(reader.zero()),
        };
        Self {
            reader,
            window,
            held: VecDeque::new(),
            origin,
            reached: None,
            ended: false,
            error: None,
        }
    }

    /// Rows read so far that are no requests to be served.
    pub(super) fn left_out(&self) -> u64 {
        self.reader.left_out()
    }

    /// Reads one row and puts it in its place.
    fn hold_next(&mut self) {
        match self.reader.next_row() {
            Ok(Some(row)) => match self.refused(&row) {
                Some(error) => self.end(Some(error)),
                None => self.hold(row),
            },
            Ok(None) => self.end(None),
            Err(error) => self.end(Some(error)),
        }
    }

    fn hold(&mut self, row: Row) {
        let in_order = |held: &Row| held.stamp.order(row.stamp) != Ordering::Greater;
        if self.held.back().is_none_or(in_order) {
            self.held.push_back(row);
        } else {
            let at = self.held.partition_point(in_order);
            self.held.insert(at, row);
        }
    }

    fn end(&mut self, error: Option<WorkloadError>) {
        self.ended = true;
        self.error = error;
    }

    /// Why a row cannot be taken: rows after it are under way already, or time zero is later.
    fn refused(&self, row: &Row) -> Option<WorkloadError> {
        let origin = self.origin?;
        if let Some(reached) = self.reached {
            if row.stamp.order(reached) != Ordering::Less {
                return None;
            }
            let [time, at, late] = [
                row.stamp.since(origin),
                reached.since(origin),
                reached.since(row.stamp),
            ];
            let window = self.window;
            return Some(self.reader.error_at_time(format!(
                "request {} at {time} s comes {late} s too late: one at {at} s is already under \
                 way; raise `reorder_window`, now {window} rows, or sort the file",
                row.id
            )));
        }
        (row.stamp.order(origin) == Ordering::Less).then(|| {
            let message = "this row is before the start of the year 1970, which is time zero with \
                           `origin: Zero`; leave that out";
            self.reader.error_at_time(message.to_owned())
        })
    }
}

impl Iterator for Reorder {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended && self.held.len() <= self.window {
            self.hold_next();
        }
        let Some(row) = self.held.pop_front() else {
            return self.error.take().map(Err);
        };
        let origin = *self.origin.get_or_insert(row.stamp);
        self.reached = Some(row.stamp);
        Some(Ok(Arrival {
            id: row.id,
            time: SimTime::saturating(row.stamp.since(origin)),
            prompt_tokens: row.prompt_tokens,
            output_tokens: row.output_tokens,
            details: row.details,
        }))
    }
}
