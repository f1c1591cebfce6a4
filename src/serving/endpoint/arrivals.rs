use std::collections::BTreeMap;
use std::fmt;

use crate::time::SimTime;
use crate::workload::{Arrival, ArrivalStream, WorkloadError};

/// What is to come: a workload, and what a host hands over.
pub(crate) struct Arrivals {
    stream: ArrivalStream,
    next: Option<Arrival>,
    /// By time and, of equal times, in the order of handing over.
    submitted: BTreeMap<(SimTime, u64), Arrival>,
    /// Requests handed over so far.
    handed_over: u64,
    pub(crate) error: Option<WorkloadError>,
}

impl Arrivals {
    pub(crate) fn new(stream: ArrivalStream) -> Self {
        let mut arrivals = Self {
            stream,
            next: None,
            submitted: BTreeMap::new(),
            handed_over: 0,
            error: None,
        };
        arrivals.advance();
        arrivals
    }

    fn advance(&mut self) {
        self.next = match self.stream.next() {
            Some(Ok(arrival)) => Some(arrival),
            Some(Err(error)) => {
                self.error = Some(error);
                self.stream = Box::new(std::iter::empty());
                None
            }
            None => None,
        };
    }

    pub(crate) fn submit(&mut self, arrival: Arrival) {
        self.submitted
            .insert((arrival.time, self.handed_over), arrival);
        self.handed_over += 1;
    }

    fn first_submitted(&self) -> Option<&Arrival> {
        self.submitted.first_key_value().map(|(_, arrival)| arrival)
    }

    /// When the next one comes.
    pub(crate) fn next_time(&self) -> Option<SimTime> {
        match (&self.next, self.first_submitted()) {
            (Some(next), Some(submitted)) => Some(next.time.min(submitted.time)),
            (next, submitted) => next.as_ref().or(submitted).map(|arrival| arrival.time),
        }
    }

    /// Takes the next one; of equal times, that of the workload.
    pub(crate) fn take(&mut self) -> Option<Arrival> {
        let submitted_first = match (&self.next, self.first_submitted()) {
            (Some(next), Some(submitted)) => submitted.time < next.time,
            (None, Some(_)) => true,
            _ => false,
        };
        if submitted_first {
            return self.submitted.pop_first().map(|(_, arrival)| arrival);
        }
        let next = self.next.take();
        if next.is_some() {
            self.advance();
        }
        next
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals")
            .field("next", &self.next)
            .field("submitted", &self.submitted.len())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
