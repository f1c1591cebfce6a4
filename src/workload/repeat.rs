//! Plays a trace several times, end to end.

use serde::{Deserialize, Serialize};

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::trace::{Trace, TraceStream};
use crate::time::{SimDuration, SimTime};

/// Passes over a trace, each a span later than the one before.
///
/// The span is the last arrival of a pass plus the mean gap between arrivals, so the rate stays
/// what it is. Numbers go on where the pass before ended: + (largest number + 1) a pass. Only
/// totals of the first pass are kept; the file is read again for each pass.
pub(super) struct Passes {
    trace: Trace,
    /// The rows of this pass; a copy opens the file when it goes on.
    rows: Option<TraceStream>,
    /// Rows of this pass that were handed out.
    taken: u64,
    pass: u32,
    passes: u32,
    first_pass: Totals,
    /// What this pass adds to times and numbers.
    shift: SimDuration,
    first_id: u64,
    /// The time of the last row handed out.
    reached: SimTime,
    /// Whether it was said that rows are left out.
    told: bool,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Totals {
    rows: u64,
    first: SimTime,
    last: SimTime,
    largest_id: u64,
}

impl Totals {
    fn add(&mut self, row: &Arrival) {
        if self.rows == 0 {
            self.first = row.time;
        }
        self.rows += 1;
        self.last = row.time;
        self.largest_id = self.largest_id.max(row.id);
    }

    fn span(&self) -> f64 {
        let gaps = self.rows.saturating_sub(1).max(1);
        self.last.seconds() + (self.last - self.first).seconds() / gaps as f64
    }
}

/// Where the passes over a trace stand.
#[derive(Serialize, Deserialize)]
pub(super) struct Place {
    taken: u64,
    pass: u32,
    first_pass: Totals,
    shift: SimDuration,
    first_id: u64,
    reached: SimTime,
    told: bool,
}

impl Passes {
    /// Where it stands.
    pub(super) const fn place(&self) -> Place {
        Place {
            taken: self.taken,
            pass: self.pass,
            first_pass: self.first_pass,
            shift: self.shift,
            first_id: self.first_id,
            reached: self.reached,
            told: self.told,
        }
    }

    /// Goes on there: the file is read up to that row when the next is asked for.
    pub(super) fn go_on_at(&mut self, place: Place) {
        let Place {
            taken,
            pass,
            first_pass,
            shift,
            first_id,
            reached,
            told,
        } = place;
        self.rows = None;
        (self.taken, self.pass, self.first_pass) = (taken, pass, first_pass);
        (self.shift, self.first_id) = (shift, first_id);
        (self.reached, self.told) = (reached, told);
    }

    pub(super) fn new(trace: Trace, passes: u32) -> Result<Self, WorkloadError> {
        WorkloadError::unless(passes > 0, "repeat", passes, "at least 1")?;
        Ok(Self {
            rows: Some(trace.play()?),
            taken: 0,
            trace,
            pass: 0,
            passes,
            first_pass: Totals::default(),
            shift: SimDuration::ZERO,
            first_id: 0,
            reached: SimTime::ZERO,
            told: false,
        })
    }

    /// The next row of this pass.
    fn next_row(&mut self) -> Option<Result<Arrival, WorkloadError>> {
        if self.rows.is_none() {
            match self.reopen() {
                Ok(rows) => self.rows = Some(rows),
                Err(error) => return Some(Err(error)),
            }
        }
        let row = self.rows.as_mut()?.next();
        self.taken += u64::from(row.is_some());
        row
    }

    /// Opens the file where this pass stands.
    fn reopen(&self) -> Result<TraceStream, WorkloadError> {
        let mut rows = self.trace.play()?;
        for row in rows
            .by_ref()
            .take(usize::try_from(self.taken).unwrap_or(usize::MAX))
        {
            row?;
        }
        Ok(rows)
    }

    fn start_pass(&mut self, pass: u32) -> Result<(), WorkloadError> {
        let Totals { largest_id, .. } = self.first_pass;
        let ids = largest_id.checked_add(1);
        self.first_id = ids
            .and_then(|ids| ids.checked_mul(u64::from(pass)))
            .ok_or_else(|| self.out_of_ids())?;
        self.shift = SimDuration::saturating(self.first_pass.span() * f64::from(pass));
        self.rows = Some(self.trace.play()?);
        self.taken = 0;
        self.pass = pass;
        Ok(())
    }

    fn shifted(&mut self, row: Arrival) -> Result<Arrival, WorkloadError> {
        let id = self.first_id.checked_add(row.id);
        let id = id.ok_or_else(|| self.out_of_ids())?;
        // Rounding must not put the start of a pass before the end of the one before it.
        self.reached = self.reached.max(row.time + self.shift);
        let time = self.reached;
        Ok(Arrival { id, time, ..row })
    }

    /// Says once that rows are left out: a scenario has nowhere else to show it.
    fn tell_left_out(&mut self) {
        let left_out = self.rows.as_ref().map_or(0, TraceStream::left_out);
        if !self.told && left_out > 0 {
            self.told = true;
            let file = self.trace.path.display();
            tracing::warn!(
                target: "fleetsim::workload",
                "{file}: rows without response tokens are requests that failed, and are left out; \
                 `fleetsim trace stats` counts them"
            );
        }
    }

    fn out_of_ids(&self) -> WorkloadError {
        let message = "`repeat` runs out of request numbers; use smaller ones in the trace";
        WorkloadError::in_file(&self.trace.path, message)
    }
}

impl Iterator for Passes {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = self.next_row();
            self.tell_left_out();
            match row {
                Some(Ok(row)) if self.pass == 0 => {
                    self.first_pass.add(&row);
                    self.reached = row.time;
                    return Some(Ok(row));
                }
                Some(row) => return Some(row.and_then(|row| self.shifted(row))),
                None if self.first_pass.rows == 0 || self.pass + 1 >= self.passes => return None,
                None => {
                    if let Err(error) = self.start_pass(self.pass + 1) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

impl Clone for Passes {
    fn clone(&self) -> Self {
        Self {
            trace: self.trace.clone(),
            rows: None,
            taken: self.taken,
            pass: self.pass,
            passes: self.passes,
            first_pass: self.first_pass,
            shift: self.shift,
            first_id: self.first_id,
            reached: self.reached,
            told: self.told,
        }
    }
}
