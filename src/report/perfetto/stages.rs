//! The stages of start-ups, under the lives of their instances.

use std::collections::BTreeMap;
use std::io::Write;

use super::event::Events;
use super::lives::live;
use super::tracks::Tracks;
use crate::fleet::{InstanceAccount, Ledger, ScalingAction, ScalingEvent, Target};
use crate::report::ReportError;
use crate::time::SimTime;

/// Bytes that a stage takes.
const STAGE_BYTES: u64 = 140;

/// What the log says of start-ups, by the number of the instance.
#[derive(Debug, Default)]
pub(super) struct Stages(BTreeMap<u64, Vec<ScalingEvent>>);

impl Stages {
    /// Takes in lines of the log.
    pub(super) fn add(&mut self, events: &[ScalingEvent]) {
        for event in events {
            let (Target::Instance(number), true) = (event.target, is_of_start_up(event.action))
            else {
                continue;
            };
            self.0.entry(number).or_default().push(*event);
        }
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> u64 {
        let events = self.0.values().map(|of| of.len() as u64 + 1);
        STAGE_BYTES * events.sum::<u64>()
    }

    /// Draws each, up to the end of the run.
    pub(super) fn draw<W: Write>(
        &self,
        events: &mut Events<W>,
        tracks: Tracks,
        ledger: &Ledger,
        end: SimTime,
    ) -> Result<(), ReportError> {
        for (&number, of) in &self.0 {
            let index = usize::try_from(number).ok();
            let account = index.and_then(|index| ledger.instances().get(index));
            let Some(account) = account else {
                continue;
            };
            let track = tracks.life(account.server, number);
            for (name, since, until) in spans(account, of, end) {
                live(events, track, since..until.min(end), name)?;
            }
        }
        Ok(())
    }
}

const fn is_of_start_up(action: ScalingAction) -> bool {
    matches!(
        action,
        ScalingAction::StartUpStage | ScalingAction::StartUpFailed | ScalingAction::StartUpAgain
    )
}

/// What an instance was at from when to when, until it was up.
fn spans<'a>(
    account: &InstanceAccount,
    events: &'a [ScalingEvent],
    end: SimTime,
) -> impl Iterator<Item = (&'a str, SimTime, SimTime)> {
    let over = account.active.or(account.gone).unwrap_or(end);
    let before = |next: Option<&ScalingEvent>| match next.map(|it| it.action) {
        Some(ScalingAction::StartUpStage) => "allocate",
        _ => "attempt",
    };
    let first = events.first();
    let allocated = first.map(move |it| (before(Some(it)), account.created, it.time));
    let later = (0..events.len()).map(move |place| {
        let (event, next) = (&events[place], events.get(place + 1));
        let name = match event.action {
            ScalingAction::StartUpStage => event.status,
            ScalingAction::StartUpFailed => "back_off",
            _ => before(next),
        };
        (name, event.time, next.map_or(over, |it| it.time))
    });
    allocated.into_iter().chain(later)
}
