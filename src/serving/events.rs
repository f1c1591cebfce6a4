use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::SimTime;

use super::EngineId;
use super::index::LeastIndex;
use super::request::RequestId;

/// What is due: the ends of runs and the steps of KV-cache transfers, in order of time and, at equal
/// times, in the order in which they were scheduled.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// An engine has at most one run, so a run that is cut short moves in place.
    runs: LeastIndex<SimTime>,
    transfers: BinaryHeap<Reverse<Transfer>>,
    scheduled: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Transfer {
    time: SimTime,
    number: u64,
    request: RequestId,
}

/// One thing that is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
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
    pub(super) fn run_ends(&mut self, engine: EngineId, time: SimTime) {
        let order = self.number();
        self.runs.set(engine, time, order);
    }

    /// Takes the run of an engine out, if it has one.
    pub(super) fn cancel_run(&mut self, engine: EngineId) {
        self.runs.remove(engine);
    }

    /// Schedules the next step of a request's transfer.
    pub(super) fn transfer_moves(&mut self, request: RequestId, time: SimTime) {
        let number = self.number();
        self.transfers.push(Reverse(Transfer {
            time,
            number,
            request,
        }));
    }

    /// Takes out the transfers of all requests but these.
    pub(super) fn keep_transfers(&mut self, stays: impl Fn(RequestId) -> bool) {
        self.transfers
            .retain(|Reverse(transfer)| stays(transfer.request));
    }

    /// The requests with a transfer, in no particular order.
    pub(super) fn transfers(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.transfers
            .iter()
            .map(|Reverse(transfer)| transfer.request)
    }

    /// The request whose transfer is due next, and two of which one has the next but one.
    pub(super) fn next_transfers(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.transfers().take(3)
    }

    /// The engines with a run, by its end.
    pub(super) const fn runs(&self) -> &LeastIndex<SimTime> {
        &self.runs
    }

    pub(super) fn next_time(&self) -> Option<SimTime> {
        let run = self.runs.least().map(|run| run.key);
        let transfer = self.transfers.peek().map(|Reverse(transfer)| transfer.time);
        match (run, transfer) {
            (Some(run), Some(transfer)) => Some(run.min(transfer)),
            (run, transfer) => run.or(transfer),
        }
    }

    /// What is due first. A run stays until it is set anew, which is how nearly every one ends, or
    /// cancelled; a transfer's step is taken out.
    pub(super) fn next(&mut self) -> Option<Event> {
        let transfer = self.transfers.peek();
        let transfer = transfer.map(|Reverse(transfer)| (transfer.time, transfer.number));
        match self.runs.least() {
            Some(run) if transfer.is_none_or(|transfer| (run.key, run.order) < transfer) => {
                Some(Event::Run(run.engine))
            }
            _ => {
                let Reverse(transfer) = self.transfers.pop()?;
                Some(Event::Transfer(transfer.request))
            }
        }
    }
}
