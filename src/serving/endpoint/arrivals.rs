use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::time::SimTime;
use crate::workload::{Arrival, ArrivalStream, Users, WorkloadError};

/// What is to come: a workload, and what a host hands over.
pub(crate) struct Arrivals {
    stream: ArrivalStream,
    next: Option<Arrival>,
    /// When the first of all comes.
    due: Option<SimTime>,
    /// The others, by time and, of equal times, in the order of handing over.
    submitted: BTreeMap<(SimTime, u64), Arrival>,
    /// Those that were handed over in the order of time, as most are, each with its place in that order.
    in_order: VecDeque<(u64, Arrival)>,
    /// Requests handed over so far.
    handed_over: u64,
    pub(crate) error: Option<WorkloadError>,
    /// Who sends a request when another ends.
    users: Option<Users>,
}

impl Arrivals {
    pub(crate) fn new(stream: ArrivalStream) -> Self {
        let mut arrivals = Self {
            stream,
            next: None,
            due: None,
            submitted: BTreeMap::new(),
            in_order: VecDeque::new(),
            handed_over: 0,
            error: None,
            users: None,
        };
        arrivals.advance();
        arrivals
    }

    /// The same requests to come, with another stream behind the next.
    pub(crate) fn fork(of: &Self, stream: ArrivalStream) -> Self {
        Self {
            stream,
            next: of.next.clone(),
            due: of.due,
            submitted: of.submitted.clone(),
            in_order: of.in_order.clone(),
            handed_over: of.handed_over,
            error: of.error.clone(),
            users: of.users.clone(),
        }
    }

    /// Lets users send requests, the first of each at time zero.
    pub(crate) fn add_users(&mut self, mut users: Users) {
        for arrival in users.first() {
            self.submit(arrival);
        }
        self.users = Some(users);
    }

    /// A request ended, or was refused: its user may send another.
    pub(crate) fn ended(&mut self, now: SimTime, refused: bool) {
        let users = self.users.as_mut();
        if let Some(next) = users.and_then(|it| it.after(now, refused)) {
            self.submit(next);
        }
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
        self.find_due();
    }

    fn find_due(&mut self) {
        let next = self.next.as_ref().map(|arrival| arrival.time);
        let submitted = self.first_submitted().map(|arrival| arrival.time);
        self.due = match (next, submitted) {
            (Some(next), Some(submitted)) => Some(next.min(submitted)),
            (next, submitted) => next.or(submitted),
        };
    }

    /// Takes a request to come.
    pub(crate) fn submit(&mut self, arrival: Arrival) {
        let place = self.handed_over;
        self.handed_over += 1;
        self.due = Some(self.due.map_or(arrival.time, |due| due.min(arrival.time)));
        let last = self.in_order.back();
        if last.is_none_or(|(_, last)| last.time <= arrival.time) {
            self.in_order.push_back((place, arrival));
        } else {
            self.submitted.insert((arrival.time, place), arrival);
        }
    }

    /// Whether the next of those handed over is one of those in order.
    fn next_is_in_order(&self) -> bool {
        let other = self.submitted.first_key_value().map(|(&key, _)| key);
        let in_order = self.in_order.front().map(|(place, it)| (it.time, *place));
        in_order.is_some() && other.is_none_or(|other| in_order < Some(other))
    }

    /// The numbers of those that were handed over.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        let others = self.submitted.values().map(|arrival| arrival.id);
        others.chain(self.in_order.iter().map(|(_, arrival)| arrival.id))
    }

    fn first_submitted(&self) -> Option<&Arrival> {
        if self.submitted.is_empty() || self.next_is_in_order() {
            self.in_order.front().map(|(_, arrival)| arrival)
        } else {
            self.submitted.first_key_value().map(|(_, arrival)| arrival)
        }
    }

    fn take_submitted(&mut self) -> Option<Arrival> {
        if self.next_is_in_order() {
            self.in_order.pop_front().map(|(_, arrival)| arrival)
        } else {
            self.submitted.pop_first().map(|(_, arrival)| arrival)
        }
    }

    /// When the next one comes.
    #[inline]
    pub(crate) const fn next_time(&self) -> Option<SimTime> {
        self.due
    }

    /// Takes the next one; of equal times, that of the workload.
    pub(crate) fn take(&mut self) -> Option<Arrival> {
        let is_due = |next: &Arrival| Some(next.time) == self.due;
        if self.next.as_ref().is_some_and(is_due) {
            let next = self.next.take();
            self.advance();
            return next;
        }
        let submitted = self.take_submitted();
        self.find_due();
        submitted
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals")
            .field("next", &self.next)
            .field("submitted", &(self.submitted.len() + self.in_order.len()))
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
