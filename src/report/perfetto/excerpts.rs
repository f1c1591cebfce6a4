use crate::observe::Rows;
use crate::serving::{BatchRun, Outcome, RequestRecord};
use crate::time::{SimDuration, SimTime};

use super::TraceWindow;

/// Bytes that a batch takes in the file, at most.
const RUN_BYTES: u64 = 180;
/// Bytes that a request takes with its phases and its arrow, at most.
const REQUEST_BYTES: u64 = 1400;
/// Excerpts that the time so far is divided into when there is no room for all of it.
const EXCERPTS: f64 = 64.0;
/// Seconds; a shorter excerpt has nothing in it.
const SHORTEST: f64 = 1e-9;

/// The batches and requests that are drawn, within a number of bytes. Where there is no room for all
/// of them, there is room for excerpts of the same length, evenly spread over the run: what began
/// there. Which they are does not depend on the size of ticks.
#[derive(Debug)]
pub(super) struct Excerpts {
    window: TraceWindow,
    room: u64,
    spread: Spread,
    pub(super) runs: Vec<BatchRun>,
    pub(super) requests: Vec<Request>,
    pub(super) runs_seen: u64,
    pub(super) requests_seen: u64,
}

/// A request that is drawn.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) record: RequestRecord,
    /// The position of its application.
    pub(super) application: usize,
    /// When it ended, or the run did.
    pub(super) end: SimTime,
}

/// How batches and requests are spread over the run when there is no room for all of them: those that
/// began in the first `length` of every `period`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceExcerpts {
    /// How long each excerpt is.
    pub length: SimDuration,
    /// From the start of one to the start of the next.
    pub period: SimDuration,
}

/// The same while the run goes on, in seconds.
#[derive(Clone, Copy, Debug)]
struct Spread {
    from: SimTime,
    length: f64,
    period: f64,
    /// The latest that anything began.
    latest: f64,
}

impl Spread {
    fn place(&self, at: SimTime) -> f64 {
        (at.seconds() - self.from.seconds()).max(0.0)
    }

    fn keeps(&self, at: SimTime) -> bool {
        self.place(at) % self.period < self.length
    }

    /// Half as much: fewer excerpts or, where there is only one, a shorter one. What is kept then was
    /// kept before.
    fn halve(&mut self) {
        if self.period.is_infinite() {
            // A power of two, of which no sum or remainder is rounded.
            let length = (self.latest / EXCERPTS).max(SHORTEST);
            self.length = libm::exp2(libm::log2(length).floor());
            self.period = 2.0 * self.length;
        } else if self.period <= self.latest {
            self.period *= 2.0;
        } else if self.length > SHORTEST {
            self.length /= 2.0;
        } else {
            self.length = 0.0;
        }
    }
}

impl Excerpts {
    /// Excerpts within a window of time, in at most `room` bytes.
    pub(super) const fn new(window: TraceWindow, room: u64) -> Self {
        Self {
            window,
            room,
            spread: Spread {
                from: window.from,
                length: f64::INFINITY,
                period: f64::INFINITY,
                latest: 0.0,
            },
            runs: Vec::new(),
            requests: Vec::new(),
            runs_seen: 0,
            requests_seen: 0,
        }
    }

    /// Adds what ended. What is under way when the run ends, does so at its `end`.
    pub(super) fn add(&mut self, rows: &Rows, end: Option<SimTime>) {
        let mut runs = rows.runs.iter().peekable();
        for (application, record) in &rows.requests {
            let end = match record.outcome {
                Outcome::Rejected(_) => record.arrival,
                _ => record.end.or(end).unwrap_or(record.arrival),
            };
            while let Some(run) = runs.next_if(|run| run.end <= end) {
                self.add_run(run);
            }
            self.add_request(Request {
                record: record.clone(),
                application: *application,
                end: end.max(record.arrival),
            });
        }
        runs.for_each(|run| self.add_run(run));
    }

    fn add_run(&mut self, run: &BatchRun) {
        self.runs_seen += 1;
        if self.begins(run.start, run.end) {
            self.runs.push(*run);
            self.fit(self.room);
        }
    }

    fn add_request(&mut self, request: Request) {
        self.requests_seen += 1;
        if self.begins(request.record.arrival, request.end) {
            self.requests.push(request);
            self.fit(self.room);
        }
    }

    fn begins(&mut self, start: SimTime, end: SimTime) -> bool {
        if !self.window.overlaps(start, end) {
            return false;
        }
        self.spread.latest = self.spread.latest.max(self.spread.place(start));
        self.spread.keeps(start)
    }

    /// Drops excerpts until the rest takes at most `room` bytes.
    pub(super) fn fit(&mut self, room: u64) {
        let bytes =
            |it: &Self| it.runs.len() as u64 * RUN_BYTES + it.requests.len() as u64 * REQUEST_BYTES;
        while bytes(self) > room {
            self.spread.halve();
            let spread = self.spread;
            self.runs.retain(|it| spread.keeps(it.start));
            self.requests.retain(|it| spread.keeps(it.record.arrival));
        }
    }

    /// Whether the batch that begins at an instant is there.
    pub(super) fn has_batch_of(&self, at: SimTime) -> bool {
        self.window.contains(at) && self.spread.keeps(at)
    }

    /// How they are spread, unless all of them are there.
    pub(super) fn spread(&self) -> Option<TraceExcerpts> {
        let Spread { length, period, .. } = self.spread;
        period.is_finite().then(|| TraceExcerpts {
            length: SimDuration::saturating(length),
            period: SimDuration::saturating(period),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::saturating(seconds)
    }

    fn run(start: f64) -> BatchRun {
        BatchRun {
            instance: 0,
            start: at(start),
            end: at(start + 0.25),
            iterations: 1,
            prompts: 1,
            prompt_tokens: 10,
            token_tasks: 0,
        }
    }

    #[test]
    fn excerpts_are_whole_and_evenly_spread() {
        let mut excerpts = Excerpts::new(TraceWindow::default(), 1000 * RUN_BYTES);
        for number in 0..40_000 {
            excerpts.add_run(&run(f64::from(number) / 4.0));
            assert!(excerpts.runs.len() <= 1000);
        }
        // The first 1,000 are 250 s: 64 excerpts of 3.9 s, whose power of two is 2 s.
        let spread = excerpts.spread().unwrap();
        let of = [spread.length, spread.period].map(SimDuration::seconds);
        assert_eq!(of, [2.0, 128.0]);
        let starts: Vec<_> = excerpts.runs.iter().map(|it| it.start).collect();
        let expected = (0..79).flat_map(|excerpt| {
            let first = 128.0 * f64::from(excerpt);
            (0..8).map(move |place| at(first + f64::from(place) / 4.0))
        });
        let expected: Vec<_> = expected.filter(|it| it.seconds() < 10_000.0).collect();
        assert_eq!(starts, expected);
    }

    #[test]
    fn one_excerpt_that_is_too_large_is_cut_short() {
        let mut excerpts = Excerpts::new(TraceWindow::default(), 100 * RUN_BYTES);
        for number in 0..100_000 {
            excerpts.add_run(&run(f64::from(number) * 1e-6));
        }
        assert!((25..=100).contains(&excerpts.runs.len()));
        excerpts.fit(0);
        assert!(excerpts.runs.is_empty() && !excerpts.has_batch_of(at(0.0)));
        assert_eq!(excerpts.runs_seen, 100_000);
    }
}
