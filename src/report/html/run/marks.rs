use std::collections::BTreeMap;

use crate::autoscale::Decision;
use crate::fleet::{ScalingAction, ScalingEvent};
use crate::time::SimTime;

/// The largest number of separate marks of a kind, about as many as a chart has room for; beyond it
/// neighbours merge.
const MOST: usize = 120;

/// The number of characters kept of a reason.
const REASON: usize = 240;

/// What is marked on the chart of a role's instances: what somebody asked for or what went wrong. What
/// follows from it by itself shows in the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MarkKind {
    Up,
    Down,
    Cancelled,
    TimedOut,
    Lost,
}

impl MarkKind {
    pub(super) fn of(action: ScalingAction) -> Option<Self> {
        match action {
            ScalingAction::ScaleUpStart => Some(Self::Up),
            ScalingAction::ScaleDownStart => Some(Self::Down),
            ScalingAction::ScaleUpCancelled => Some(Self::Cancelled),
            ScalingAction::DrainTimeout => Some(Self::TimedOut),
            ScalingAction::Crash => Some(Self::Lost),
            _ => None,
        }
    }

    /// What happened, in plain words, to one instance.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Up => "start-up begun",
            Self::Down => "drain begun",
            Self::Cancelled => "start-up given up",
            Self::TimedOut => "drain timed out",
            Self::Lost => "lost to a fault",
        }
    }

    /// The decision, if it is what brought this about.
    pub(super) fn decided(self, decision: Option<&Decision>) -> Option<&Decision> {
        decision.filter(|of| match self {
            Self::Up => of.started > 0,
            Self::Down => of.drained > 0,
            Self::Cancelled => of.cancelled > 0,
            Self::TimedOut | Self::Lost => false,
        })
    }

    /// Why it happens where no policy decided it.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Up | Self::Down | Self::Cancelled => "scripted",
            Self::TimedOut => "drain_timeout",
            Self::Lost => "a fault",
        }
    }

    /// Why it happened, as far as what was decided at that instant tells.
    pub(super) fn reason(self, decision: Option<&Decision>) -> String {
        self.decided(decision).map_or_else(
            || self.cause().to_owned(),
            |of| format!("{}: {}", of.policy, of.reason),
        )
    }
}

/// Events of one kind at one instant or, where there are too many, at neighbouring ones.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) from: SimTime,
    pub(super) to: SimTime,
    pub(super) events: u64,
    /// What the first event was about.
    pub(super) target: String,
    /// The reason of the first event.
    pub(super) reason: String,
    /// The number of instants that it represents.
    instants: usize,
}

/// The marks of a role, in order, in bounded memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(BTreeMap<MarkKind, Kind>);

#[derive(Clone, Debug)]
struct Kind {
    marks: Vec<Mark>,
    /// Instants that a mark takes in.
    stride: usize,
}

impl Marks {
    /// Adds an event; they come in the order of time.
    pub(super) fn add(&mut self, kind: MarkKind, event: &ScalingEvent, reason: &str) {
        let of = self.0.entry(kind).or_insert(Kind {
            marks: Vec::new(),
            stride: 1,
        });
        if let Some(last) = of.marks.last_mut() {
            let new = usize::from(last.to != event.time);
            if last.instants + new <= of.stride {
                last.to = event.time;
                last.events += 1;
                last.instants += new;
                return;
            }
        }
        if of.marks.len() == MOST {
            of.halve();
        }
        of.marks.push(Mark {
            from: event.time,
            to: event.time,
            events: 1,
            target: event.target.to_string(),
            reason: reason.chars().take(REASON).collect(),
            instants: 1,
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MarkKind, &[Mark])> {
        self.0.iter().map(|(kind, of)| (*kind, of.marks.as_slice()))
    }
}

impl Kind {
    fn halve(&mut self) {
        self.stride *= 2;
        let mut before = std::mem::take(&mut self.marks).into_iter();
        while let Some(mut mark) = before.next() {
            if let Some(next) = before.next() {
                mark.to = next.to;
                mark.events += next.events;
                mark.instants += next.instants;
            }
            self.marks.push(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Target;

    #[test]
    fn many_events_become_few_marks_and_none_is_lost() {
        let mut marks = Marks::default();
        for second in 0..5000_u64 {
            let event = ScalingEvent {
                fleet: 0,
                time: SimTime::saturating((second / 2) as f64),
                action: ScalingAction::ScaleUpStart,
                target: Target::Instance(second),
                status: "scaling_up",
            };
            marks.add(MarkKind::Up, &event, "scripted");
        }
        let (_, found) = marks.iter().next().unwrap();
        assert!(found.len() <= MOST, "{}", found.len());
        assert_eq!(found.iter().map(|mark| mark.events).sum::<u64>(), 5000);
        assert!(found.is_sorted_by(|a, b| a.to < b.from));
    }
}
