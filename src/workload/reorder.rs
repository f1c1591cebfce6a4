//! Puts the rows of a trace that is nearly in order of time into that order.

use std::collections::VecDeque;

use super::trace::TraceReader;
use super::{Arrival, WorkloadError};
use crate::time::SimTime;

/// Rows in order of time, equal times as they stand in the file.
///
/// `window` rows are held back, so a row may come after at most so many that are later than it.
/// They are kept sorted and filled from the back: a trace in order costs nothing but a queue.
/// Before an error come the rows that stand above it, so the window changes no result.
pub(super) struct Reorder {
    reader: Box<dyn TraceReader>,
    window: usize,
    held: VecDeque<Arrival>,
    /// The time of the last row handed out.
    reached: SimTime,
    /// Whether the reader is at its end, and the error that put it there.
    ended: bool,
    error: Option<WorkloadError>,
}

impl Reorder {
    pub(super) fn new(reader: Box<dyn TraceReader>, window: usize) -> Self {
        Self {
            reader,
            window,
            held: VecDeque::new(),
            reached: SimTime::ZERO,
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
            Ok(Some(row)) if row.time < self.reached => self.end(Some(self.late(row))),
            Ok(Some(row)) => {
                if self.held.back().is_none_or(|last| last.time <= row.time) {
                    self.held.push_back(row);
                } else {
                    let at = self.held.partition_point(|held| held.time <= row.time);
                    self.held.insert(at, row);
                }
            }
            Ok(None) => self.end(None),
            Err(error) => self.end(Some(error)),
        }
    }

    fn end(&mut self, error: Option<WorkloadError>) {
        self.ended = true;
        self.error = error;
    }

    fn late(&self, row: Arrival) -> WorkloadError {
        let (time, reached, window) = (row.time, self.reached, self.window);
        let late = reached - time;
        self.reader.error_at_time(format!(
            "request {} at {time} s comes {late} s too late: one at {reached} s is already under \
             way; raise `reorder_window`, now {window} rows, or sort the file",
            row.id
        ))
    }
}

impl Iterator for Reorder {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended && self.held.len() <= self.window {
            self.hold_next();
        }
        match self.held.pop_front() {
            Some(row) => {
                self.reached = row.time;
                Some(Ok(row))
            }
            None => self.error.take().map(Err),
        }
    }
}
