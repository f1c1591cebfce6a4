use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::SchedulingPolicy;
use super::request::{Ticket, Work};

/// The requests that wait to be admitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Waiting {
    Fcfs(VecDeque<Ticket>),
    Priority(BTreeSet<Urgency>),
}

impl Waiting {
    pub(super) fn new(policy: SchedulingPolicy) -> Self {
        match policy {
            SchedulingPolicy::Fcfs => Self::Fcfs(VecDeque::new()),
            SchedulingPolicy::Priority => Self::Priority(BTreeSet::new()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Fcfs(queue) => queue.len(),
            Self::Priority(queue) => queue.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn first(&self) -> Option<Ticket> {
        match self {
            Self::Fcfs(queue) => queue.front().copied(),
            Self::Priority(queue) => queue.first().map(|urgency| urgency.ticket),
        }
    }

    /// Each, from the last to the first.
    pub(super) fn backwards(&self) -> Box<dyn Iterator<Item = Ticket> + '_> {
        match self {
            Self::Fcfs(queue) => Box::new(queue.iter().rev().copied()),
            Self::Priority(queue) => Box::new(queue.iter().rev().map(|urgency| urgency.ticket)),
        }
    }

    pub(super) fn take_first(&mut self) {
        match self {
            Self::Fcfs(queue) => drop(queue.pop_front()),
            Self::Priority(queue) => drop(queue.pop_first()),
        }
    }

    pub(super) fn add(&mut self, ticket: Ticket, work: &Work) {
        match self {
            Self::Fcfs(queue) => queue.push_back(ticket),
            Self::Priority(queue) => drop(queue.insert(Urgency::new(ticket, work))),
        }
    }

    /// Takes a preempted request back.
    pub(super) fn put_back(&mut self, ticket: Ticket, work: &Work) {
        match self {
            Self::Fcfs(queue) => queue.push_front(ticket),
            Self::Priority(_) => self.add(ticket, work),
        }
    }

    pub(super) fn remove(&mut self, ticket: Ticket, work: &Work) {
        match self {
            Self::Fcfs(queue) => queue.retain(|&other| other != ticket),
            Self::Priority(queue) => drop(queue.remove(&Urgency::new(ticket, work))),
        }
    }
}

/// What orders waiting requests: priority, arrival, then the id as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Urgency {
    priority: i64,
    arrival: SimTime,
    id: u64,
    name: Option<Box<str>>,
    ticket: Ticket,
}

impl Urgency {
    fn new(ticket: Ticket, work: &Work) -> Self {
        Self {
            priority: work.priority,
            arrival: work.arrival,
            id: work.id,
            name: work.name.clone(),
            ticket,
        }
    }

    fn by_name(&self, other: &Self) -> Ordering {
        let (mut ours, mut theirs) = (itoa::Buffer::new(), itoa::Buffer::new());
        let name = self.name.as_deref().unwrap_or_else(|| ours.format(self.id));
        name.cmp(
            other
                .name
                .as_deref()
                .unwrap_or_else(|| theirs.format(other.id)),
        )
    }
}

impl Ord for Urgency {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.priority, self.arrival)
            .cmp(&(other.priority, other.arrival))
            .then_with(|| self.by_name(other))
            .then_with(|| self.ticket.cmp(&other.ticket))
    }
}

impl PartialOrd for Urgency {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Urgency {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Urgency {}
