use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::EngineId;
use super::run_ends::RunEnds;
use crate::serving::engine::RequestId;

/// What is due: the ends of runs and the steps of KV-cache transfers, in order of time and, at equal
/// times, in the order in which they were scheduled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Events {
    /// At most one for each engine, so a run that is cut short just ends anew.
    runs: RunEnds,
    /// KV caches on their way, by arrival.
    transfers: BinaryHeap<Reverse<Transfer>>,
    /// Transfers to be tried again, by when: all wait equally long, so the last to be told is the last.
    again: VecDeque<Transfer>,
    /// Of requests taken back: the steps among these that do not come.
    stale: BTreeMap<RequestId, Stale>,
    scheduled: u64,
}

/// Steps of one request's transfers that are passed over.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Stale {
    /// The largest number that any of them has.
    up_to: u64,
    steps: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Transfer {
    time: SimTime,
    number: u64,
    request: RequestId,
}

/// One thing that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The run of an engine ends.
    Run(EngineId),
    /// A transfer is complete, or to be tried again.
    Transfer(RequestId),
}

impl Events {
    fn number(&mut self) -> u64 {
        self.scheduled += 1;
        self.scheduled
    }

    /// Sets when the run of an engine ends.
    pub(crate) fn run_ends(&mut self, engine: EngineId, time: SimTime) {
        let order = self.number();
        self.runs.set(engine, time, order);
    }

    /// Takes the run of an engine out, if it has one.
    pub(crate) fn cancel_run(&mut self, engine: EngineId) {
        self.runs.cancel(engine);
    }

    fn transfer(&mut self, request: RequestId, time: SimTime) -> Transfer {
        Transfer {
            time,
            number: self.number(),
            request,
        }
    }

    /// Schedules the end of a request's transfer.
    pub(crate) fn transfer_ends(&mut self, request: RequestId, time: SimTime) {
        let transfer = self.transfer(request, time);
        self.transfers.push(Reverse(transfer));
    }

    /// Schedules another try to start a request's transfer, no earlier than any other.
    pub(crate) fn try_transfer_again(&mut self, request: RequestId, time: SimTime) {
        debug_assert!(self.again.back().is_none_or(|last| last.time <= time));
        let transfer = self.transfer(request, time);
        self.again.push_back(transfer);
    }

    /// The next step of a request's transfer does not come: it is passed over once it is the first, so that
    /// nobody looks for it.
    pub(crate) fn forget_transfer(&mut self, request: RequestId) {
        let stale = self.stale.entry(request).or_default();
        stale.up_to = self.scheduled;
        stale.steps += 1;
        self.pass_over_stale();
    }

    fn is_stale(&self, transfer: &Transfer) -> bool {
        let stale = self.stale.get(&transfer.request);
        stale.is_some_and(|stale| transfer.number <= stale.up_to)
    }

    /// Keeps what is to come first free of stale steps.
    fn pass_over_stale(&mut self) {
        while let Some(request) = self.first_stale() {
            self.take_first_transfer();
            if let Some(stale) = self.stale.get_mut(&request) {
                stale.steps -= 1;
                if stale.steps == 0 {
                    self.stale.remove(&request);
                }
            }
        }
    }

    fn first_stale(&self) -> Option<RequestId> {
        if self.stale.is_empty() {
            return None;
        }
        let first = self.next_transfer().filter(|first| self.is_stale(first));
        first.map(|first| first.request)
    }

    /// The requests with a transfer, in no particular order.
    pub(crate) fn transfers(&self) -> impl Iterator<Item = RequestId> + '_ {
        let on_their_way = self.transfers.iter().map(|Reverse(transfer)| transfer);
        let all = on_their_way.chain(&self.again);
        all.filter(|it| !self.is_stale(it)).map(|it| it.request)
    }

    /// The request whose transfer ends next, and two of which one has the next but one.
    pub(crate) fn next_to_end(&self) -> impl Iterator<Item = RequestId> + '_ {
        let transfers = self.transfers.iter().take(3);
        transfers.map(|Reverse(transfer)| transfer.request)
    }

    /// The request whose transfer is tried `tries` tries after the next.
    pub(crate) fn tried_after(&self, tries: usize) -> Option<RequestId> {
        self.again.get(tries).map(|transfer| transfer.request)
    }

    /// The ends of runs.
    pub(crate) const fn runs(&self) -> &RunEnds {
        &self.runs
    }

    /// Which transfer is due first.
    #[inline]
    fn next_transfer(&self) -> Option<&Transfer> {
        let ends = self.transfers.peek().map(|Reverse(transfer)| transfer);
        match (ends, self.again.front()) {
            (Some(ends), Some(again)) => Some(ends.min(again)),
            (ends, again) => ends.or(again),
        }
    }

    /// What is due first, and when. A run stays until it is set anew, which is how nearly every one ends,
    /// or cancelled; a transfer's step is taken out by [`Self::take_transfer`].
    #[inline]
    pub(crate) fn first(&self) -> Option<(SimTime, Event)> {
        let run = self.runs.first();
        match (run, self.next_transfer()) {
            (Some(run), Some(it)) if (run.key, run.order) < (it.time, it.number) => {
                Some((run.key, Event::Run(run.id)))
            }
            (_, Some(transfer)) => Some((transfer.time, Event::Transfer(transfer.request))),
            (Some(run), None) => Some((run.key, Event::Run(run.id))),
            (None, None) => None,
        }
    }

    /// Takes out the step of a transfer that is due first.
    pub(crate) fn take_transfer(&mut self) {
        self.take_first_transfer();
        self.pass_over_stale();
    }

    #[inline]
    fn take_first_transfer(&mut self) {
        let ends = self.transfers.peek().map(|Reverse(transfer)| transfer);
        let is_first = |again: &Transfer| ends.is_none_or(|ends| again < ends);
        if self.again.front().is_some_and(is_first) {
            self.again.pop_front();
        } else {
            self.transfers.pop();
        }
    }
}
