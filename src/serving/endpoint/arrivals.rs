use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;
use crate::workload::{Arrival, ArrivalStream, Users, WorkloadError};

/// A workload cannot come this many times as fast.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a workload cannot come {rate} times as fast: the factor is a number above 0")]
pub struct InvalidRate {
    /// The factor.
    pub rate: f64,
}

/// How the time of a workload passes: at the instant `at` it is `origin` there, and it passes `rate` times as
/// fast.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pace {
    at: SimTime,
    origin: SimTime,
    rate: f64,
}

impl Pace {
    fn time(self, of: SimTime) -> SimTime {
        let seconds = (of.seconds() - self.origin.seconds()) / self.rate;
        SimTime::saturating(self.at.seconds() + seconds).max(self.at)
    }

    fn origin(self, at: SimTime) -> SimTime {
        let seconds = (at.seconds() - self.at.seconds()) * self.rate;
        SimTime::saturating(self.origin.seconds() + seconds)
    }
}

/// What is to come: a workload, and what a host hands over.
#[derive(Clone)]
pub(crate) struct Arrivals {
    stream: ArrivalStream,
    next: Option<Arrival>,
    /// When the first of all comes.
    due: Option<SimTime>,
    /// The time of the next one in its workload, where that does not pass as the fleet's does.
    pace: Option<(Pace, SimTime)>,
    /// The others, by time and, of equal times, in the order of handing over.
    submitted: BTreeMap<(SimTime, u64), Arrival>,
    /// Those that were handed over in the order of time, as most are, each with its place in that order.
    in_order: VecDeque<(u64, Arrival)>,
    /// Requests handed over so far.
    handed_over: u64,
    pub(crate) error: Option<WorkloadError>,
    /// Who sends a request when another ends.
    users: Option<Users>,
    /// The workload is not that of the scenario any more.
    replaced: bool,
}

impl Arrivals {
    pub(crate) fn new(stream: ArrivalStream) -> Self {
        let mut arrivals = Self {
            stream,
            next: None,
            due: None,
            pace: None,
            submitted: BTreeMap::new(),
            in_order: VecDeque::new(),
            handed_over: 0,
            error: None,
            users: None,
            replaced: false,
        };
        arrivals.advance();
        arrivals
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

    /// Lets the workload come this many times as fast from `now` on.
    pub(crate) fn set_rate(&mut self, now: SimTime, rate: f64) -> Result<(), InvalidRate> {
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(InvalidRate { rate });
        }
        let (origin, next) = match (&self.pace, &self.next) {
            (Some((pace, next)), _) => (pace.origin(now), *next),
            (None, next) => (now, next.as_ref().map_or(now, |it| it.time)),
        };
        let pace = Pace {
            at: now,
            origin,
            rate,
        };
        self.pace = Some((pace, next));
        if let Some(arrival) = &mut self.next {
            arrival.time = pace.time(next);
        }
        self.find_due();
        Ok(())
    }

    /// Replaces the workload by one whose time zero is `now`.
    pub(crate) fn replace(&mut self, now: SimTime, stream: ArrivalStream) {
        let pace = Pace {
            at: now,
            origin: SimTime::ZERO,
            rate: 1.0,
        };
        self.stream = stream;
        self.replaced = true;
        self.error = None;
        self.pace = Some((pace, SimTime::ZERO));
        self.advance();
    }

    /// Lets a workload of which nothing has come begin at `now`.
    pub(crate) fn begin_at(&mut self, now: SimTime) {
        let pace = Pace {
            at: now,
            origin: SimTime::ZERO,
            rate: 1.0,
        };
        let next = self.next.as_ref().map_or(SimTime::ZERO, |it| it.time);
        self.pace = Some((pace, next));
        if let Some(arrival) = &mut self.next {
            arrival.time = pace.time(next);
        }
        for (_, arrival) in &mut self.in_order {
            arrival.time = arrival.time.max(now);
        }
        self.find_due();
    }

    /// Takes back the first request of this number that was handed over and is to come.
    pub(crate) fn cancel(&mut self, number: u64) -> bool {
        let in_order = self.in_order.iter().position(|(_, it)| it.id == number);
        let mut others = self.submitted.iter();
        let other = others.find(|(_, it)| it.id == number).map(|(&key, _)| key);
        let first = in_order.map(|at| (self.in_order[at].1.time, self.in_order[at].0));
        let found = match (in_order, other) {
            (Some(at), other) if other.is_none_or(|other| first < Some(other)) => {
                self.in_order.remove(at);
                true
            }
            (_, Some(other)) => self.submitted.remove(&other).is_some(),
            (_, None) => false,
        };
        self.find_due();
        found
    }

    /// Writes what is to come, with the place that the workload has reached.
    pub(crate) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        let Self {
            stream,
            next,
            due,
            pace,
            submitted,
            in_order,
            handed_over,
            error,
            users,
            replaced,
        } = self;
        let submitted: Vec<_> = submitted.iter().collect();
        to.put(&(next, due, pace, submitted, in_order, handed_over))?;
        to.put(&(error, users, replaced))?;
        let ended = stream.is_at_an_end();
        to.put(&ended)?;
        if ended {
            return Ok(());
        }
        if *replaced {
            return Err(SaveError::not_saved(
                "a workload that a host gave by `set_arrivals`",
                "hand its requests over by `submit` instead",
            ));
        }
        stream.save(to)
    }

    /// Takes what was to come of the same workload.
    pub(crate) fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let submitted: Vec<((SimTime, u64), Arrival)>;
        (
            self.next,
            self.due,
            self.pace,
            submitted,
            self.in_order,
            self.handed_over,
        ) = from.take()?;
        self.submitted = submitted.into_iter().collect();
        (self.error, self.users, self.replaced) = from.take()?;
        if from.take()? {
            self.stream = Box::new(std::iter::empty());
            return Ok(());
        }
        self.stream.restore(from)
    }

    fn advance(&mut self) {
        self.next = match self.stream.next() {
            Some(Ok(mut arrival)) => {
                if let Some((pace, next)) = &mut self.pace {
                    *next = arrival.time;
                    arrival.time = pace.time(arrival.time);
                }
                Some(arrival)
            }
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

    /// Those that were handed over and are to come, in any order.
    pub(crate) fn handed_over(&self) -> impl ExactSizeIterator<Item = &Arrival> + '_ {
        let all: Vec<&Arrival> = self
            .submitted
            .values()
            .chain(self.in_order.iter().map(|(_, arrival)| arrival))
            .collect();
        all.into_iter()
    }

    /// How many there are of these.
    pub(crate) fn count_handed_over(&self) -> usize {
        self.submitted.len() + self.in_order.len()
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
