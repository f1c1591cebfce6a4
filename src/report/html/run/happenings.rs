use std::collections::VecDeque;

use super::marks::MarkKind;
use crate::autoscale::Decision;
use crate::report::words::grouped;
use crate::scenario::Role;
use crate::time::SimTime;

/// The number of rows kept from the start of a run, and from its end.
const KEPT: usize = 400;

/// The number of characters kept of a reason.
const REASON: usize = 400;

/// What was scaled and why, in bounded memory: the first and the last of a long run.
#[derive(Clone, Debug, Default)]
pub(super) struct Happenings {
    first: Vec<Happening>,
    last: VecDeque<Happening>,
    /// How many there were.
    count: u64,
}

/// Something that was done, or refused: once, or several times in a row for the same reason.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Happening {
    pub(super) from: SimTime,
    pub(super) to: SimTime,
    pub(super) times: u64,
    pub(super) application: String,
    pub(super) role: Role,
    pub(super) what: What,
    /// The policy that wanted it; none if it was scripted, or went wrong.
    pub(super) policy: Option<&'static str>,
    pub(super) reason: String,
}

/// What was done to the instances of a role.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Decided {
        /// Instances that started up or were active before.
        had: u32,
        wanted: u32,
        started: u32,
        cancelled: u32,
        drained: u32,
        refused: u32,
    },
    Happened {
        kind: MarkKind,
        instances: u64,
    },
}

impl Happenings {
    /// Takes in a decision, unless nothing came of it and nothing was refused.
    pub(super) fn decided(&mut self, of: &Decision) {
        if of.started + of.cancelled + of.drained + of.refused == 0 {
            return;
        }
        self.push(Happening {
            from: of.time,
            to: of.time,
            times: 1,
            application: of.application.to_string(),
            role: of.role,
            what: What::Decided {
                had: of.scaling_up + of.active,
                wanted: of.desired,
                started: of.started,
                cancelled: of.cancelled,
                drained: of.drained,
                refused: of.refused,
            },
            policy: Some(of.policy),
            reason: of.reason.chars().take(REASON).collect(),
        });
    }

    /// Takes in what happened to an instance without a decision.
    pub(super) fn happened(&mut self, kind: MarkKind, at: SimTime, application: &str, role: Role) {
        if let Some(last) = self.newest()
            && let What::Happened {
                kind: other,
                instances,
            } = &mut last.what
            && (*other, last.from, last.role) == (kind, at, role)
            && last.application == application
        {
            *instances += 1;
            return;
        }
        self.push(Happening {
            from: at,
            to: at,
            times: 1,
            application: application.to_owned(),
            role,
            what: What::Happened { kind, instances: 1 },
            policy: None,
            reason: kind.cause().to_owned(),
        });
    }

    /// Those that are kept, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Happening> {
        self.first.iter().chain(&self.last)
    }

    /// How many are not kept.
    pub(super) fn left_out(&self) -> u64 {
        self.count - (self.first.len() + self.last.len()) as u64
    }

    fn push(&mut self, of: Happening) {
        if let Some(last) = self.newest()
            && last.what == of.what
            && matches!(of.what, What::Decided { .. })
            && (&last.application, last.role, &last.reason)
                == (&of.application, of.role, &of.reason)
        {
            last.to = of.to;
            last.times += 1;
            return;
        }
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(of);
            return;
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(of);
    }

    fn newest(&mut self) -> Option<&mut Happening> {
        match self.last.back_mut() {
            Some(last) => Some(last),
            None => self.first.last_mut(),
        }
    }
}

impl What {
    /// In plain words: `2 started, 1 drained`.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Decided {
                started,
                cancelled,
                drained,
                refused,
                ..
            } => {
                let parts = [
                    (*started, "started"),
                    (*cancelled, "given up while starting"),
                    (*drained, "drained"),
                    (*refused, "refused"),
                ];
                let parts = parts.into_iter().filter(|(count, _)| *count > 0);
                let parts: Vec<_> = parts
                    .map(|(count, what)| format!("{} {what}", grouped(count)))
                    .collect();
                parts.join(", ")
            }
            Self::Happened { kind, instances } => {
                let what = match kind {
                    MarkKind::Up => "started",
                    MarkKind::Down => "drained",
                    MarkKind::Cancelled => "given up while starting",
                    MarkKind::TimedOut => "ran out of time to drain",
                    MarkKind::Preempted => "preempted",
                    MarkKind::Lost | MarkKind::Fault => "lost",
                };
                format!("{} {what}", grouped(*instances))
            }
        }
    }

    /// What there was and what was wanted: `2 → 4`.
    pub(super) fn wish(&self) -> Option<String> {
        match self {
            Self::Decided { had, wanted, .. } => Some(format!("{had} → {wanted}")),
            Self::Happened { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(second: u32, started: u32, refused: u32) -> Decision {
        Decision {
            time: SimTime::saturating(second.into()),
            application: "chat".into(),
            policy: "Test",
            role: Role::Mixed,
            scaling_up: 0,
            active: 2,
            draining: 0,
            desired: 2 + started + refused,
            started,
            cancelled: 0,
            drained: 0,
            refused,
            reason: "busy".to_owned(),
        }
    }

    #[test]
    fn the_same_again_is_one_row_and_nothing_is_none() {
        let mut happenings = Happenings::default();
        happenings.decided(&decision(10, 0, 0));
        happenings.decided(&decision(20, 1, 0));
        for second in [30, 40, 50] {
            happenings.decided(&decision(second, 0, 1));
        }
        let rows: Vec<_> = happenings
            .iter()
            .map(|it| (it.from.seconds(), it.to.seconds(), it.times, it.what.told()))
            .collect();
        let expected = [
            (20.0, 20.0, 1, "1 started".to_owned()),
            (30.0, 50.0, 3, "1 refused".to_owned()),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_long_run_keeps_its_first_and_its_last() {
        let mut happenings = Happenings::default();
        for second in 0..3000 {
            happenings.decided(&decision(second, 1 + second % 2, 0));
        }
        let kept: Vec<_> = happenings.iter().map(|it| it.from.seconds()).collect();
        assert_eq!(kept.len(), 2 * KEPT);
        assert_eq!((kept[0], kept[2 * KEPT - 1]), (0.0, 2999.0));
        assert_eq!(happenings.left_out(), 3000 - 2 * KEPT as u64);
    }
}
