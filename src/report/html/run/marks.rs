use std::collections::BTreeMap;

use crate::autoscale::Decision;
use crate::fleet::{FaultEvent, ScalingAction};
use crate::report::html::chart::{Chart, MarkShape, Shape};
use crate::report::html::colour::Colour;
use crate::report::html::numbers::instant;
use crate::report::words::grouped;
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
    Preempted,
    Lost,
    /// Something broke: on charts of what users got.
    Fault,
}

impl MarkKind {
    pub(super) fn of(action: ScalingAction) -> Option<Self> {
        match action {
            ScalingAction::ScaleUpStart => Some(Self::Up),
            ScalingAction::ScaleDownStart => Some(Self::Down),
            ScalingAction::ScaleUpCancelled => Some(Self::Cancelled),
            ScalingAction::DrainTimeout => Some(Self::TimedOut),
            ScalingAction::Preempted => Some(Self::Preempted),
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
            Self::Preempted => "preempted",
            Self::Lost => "lost to a fault",
            Self::Fault => "fault",
        }
    }

    /// The decision, if it is what brought this about.
    pub(super) fn decided(self, decision: Option<&Decision>) -> Option<&Decision> {
        decision.filter(|of| match self {
            Self::Up => of.started > 0,
            Self::Down => of.drained > 0,
            Self::Cancelled => of.cancelled > 0,
            Self::TimedOut | Self::Preempted | Self::Lost | Self::Fault => false,
        })
    }

    /// Why it happens where no policy decided it.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Up | Self::Down | Self::Cancelled => "scripted",
            Self::TimedOut => "drain_timeout",
            Self::Preempted => "one of a higher priority needs its place",
            Self::Lost | Self::Fault => "a fault",
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
struct Mark {
    from: SimTime,
    to: SimTime,
    events: u64,
    /// What the first event was about.
    target: String,
    /// The reason of the first event.
    reason: String,
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
    pub(super) fn add(&mut self, kind: MarkKind, at: SimTime, target: &str, reason: &str) {
        let of = self.0.entry(kind).or_insert(Kind {
            marks: Vec::new(),
            stride: 1,
        });
        if let Some(last) = of.marks.last_mut() {
            let new = usize::from(last.to != at);
            if last.instants + new <= of.stride {
                last.to = at;
                last.events += 1;
                last.instants += new;
                return;
            }
        }
        if of.marks.len() == MOST {
            of.halve();
        }
        of.marks.push(Mark {
            from: at,
            to: at,
            events: 1,
            target: target.to_owned(),
            reason: reason.chars().take(REASON).collect(),
            instants: 1,
        });
    }

    /// Adds a fault.
    pub(super) fn fault(&mut self, of: &FaultEvent) {
        let target = format!("{} of {}", of.fault, of.target).replace('_', " ");
        let toll = of.toll;
        let costs = [
            (toll.servers, "servers lost"),
            (toll.instances, "instances lost"),
            (toll.retried, "requests begin again"),
            (toll.failed, "requests failed"),
        ];
        let mut told: Vec<String> = costs
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", grouped(*count)))
            .collect();
        if let Some(until) = of.until {
            told.push(format!("until {}", instant(until.seconds())));
        }
        self.add(MarkKind::Fault, of.time, &target, &told.join(", "));
    }

    /// Draws all of them on a chart.
    pub(super) fn draw(&self, chart: &mut Chart) {
        for (kind, marks) in self.iter() {
            let (shape, colour, row) = match kind {
                MarkKind::Up => (MarkShape::Up, Colour::Starting, -1),
                MarkKind::Down => (MarkShape::Down, Colour::Draining, 1),
                MarkKind::Cancelled => (MarkShape::Cross, Colour::GivenUp, -1),
                MarkKind::TimedOut | MarkKind::Preempted => (MarkShape::Cross, Colour::Draining, 1),
                MarkKind::Lost | MarkKind::Fault => (MarkShape::Cross, Colour::Lost, 0),
            };
            let shape = Shape::Marks {
                x: marks.iter().map(|mark| mark.from.seconds()).collect(),
                texts: marks.iter().map(|mark| told(kind, mark)).collect(),
                shape,
                row,
            };
            chart.add(kind.name(), colour, shape);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (MarkKind, &[Mark])> {
        self.0.iter().map(|(kind, of)| (*kind, of.marks.as_slice()))
    }
}

fn told(kind: MarkKind, mark: &Mark) -> String {
    let when = match mark.from == mark.to {
        true => instant(mark.from.seconds()),
        false => format!(
            "{} to {}",
            instant(mark.from.seconds()),
            instant(mark.to.seconds())
        ),
    };
    let others = match mark.events {
        1 => String::new(),
        events => format!(" and {} more", grouped(events - 1)),
    };
    let target = mark.target.replace('_', " ");
    let what = format!("{when}: {}, {target}{others}", kind.name());
    format!("{what}\n{}", mark.reason)
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

    #[test]
    fn many_events_become_few_marks_and_none_is_lost() {
        let mut marks = Marks::default();
        for second in 0..5000_u64 {
            let at = SimTime::saturating((second / 2) as f64);
            marks.add(MarkKind::Up, at, "instance_1", "scripted");
        }
        let (_, found) = marks.iter().next().unwrap();
        assert!(found.len() <= MOST, "{}", found.len());
        assert_eq!(found.iter().map(|mark| mark.events).sum::<u64>(), 5000);
        assert!(found.is_sorted_by(|a, b| a.to < b.from));
    }
}
