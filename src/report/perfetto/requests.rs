use std::io::Write;

use super::event::{Events, Track};
use super::tracks::Tracks;
use crate::fleet::Ledger;
use crate::report::ReportError;
use crate::serving::{Outcome, RequestRecord};
use crate::time::SimTime;

/// A request on its way, as it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn<'a> {
    pub(super) record: &'a RequestRecord,
    /// A number that no other request of the trace has.
    pub(super) number: u64,
    /// The position of its application.
    pub(super) application: usize,
    /// When it ended, or the run did.
    pub(super) end: SimTime,
    /// Whether the batches in which its phases began are in the trace.
    pub(super) flows: bool,
}

impl Drawn<'_> {
    /// Draws the request and its phases as slices that share its number, and an arrow from the batch
    /// in which its prompt began to the one in which its tokens began.
    pub(super) fn draw<W: Write>(
        &self,
        events: &mut Events<W>,
        tracks: Tracks,
        ledger: &Ledger,
    ) -> Result<(), ReportError> {
        let record = self.record;
        let track = tracks.application(self.application);
        let outcome = match record.outcome {
            Outcome::Completed => "completed",
            Outcome::InFlight => "in_flight",
            Outcome::Waiting => "waiting",
            Outcome::Rejected(_) => "rejected",
            Outcome::Failed => "failed",
        };
        let number = self.number;
        let identity = format_args!(
            ",\"cat\":\"request\",\"id\":{number},\"args\":{{\"request\":{},\"outcome\":\"{outcome}\",\
             \"prompt_tokens\":{},\"output_tokens\":{},\"prompt_instance\":{},\"token_instance\":{},\
             \"restarts\":{}}}",
            record.id,
            record.prompt_tokens,
            record.output_tokens,
            Optional(record.prompt_instance),
            Optional(record.token_instance),
            record.restarts,
        );
        events.add('b', track, record.arrival, "request", identity)?;
        if !matches!(record.outcome, Outcome::Rejected(_)) {
            self.draw_phases(events, track)?;
        }
        let identity = format_args!(",\"cat\":\"request\",\"id\":{number}");
        events.add('e', track, self.end, "request", identity)?;
        self.draw_flow(events, tracks, ledger)
    }

    fn draw_phases<W: Write>(
        &self,
        events: &mut Events<W>,
        track: Track,
    ) -> Result<(), ReportError> {
        let (record, number) = (self.record, self.number);
        let between = if record.prompt_instance == record.token_instance {
            "waiting for tokens"
        } else {
            "transfer"
        };
        let tokens = (record.output_tokens > 1).then_some(record.first_token);
        let phases = [
            ("queued", Some(record.arrival), record.prompt_start),
            ("prompt", record.prompt_start, record.first_token),
            (between, tokens.flatten(), record.token_start),
            ("tokens", record.token_start, record.end),
        ];
        for (name, start, end) in phases {
            let Some(start) = start else { break };
            let end = end.unwrap_or(self.end);
            if start < end {
                let identity = format_args!(",\"cat\":\"request\",\"id\":{number}");
                events.add('b', track, start, name, identity)?;
                events.add('e', track, end, name, identity)?;
            }
        }
        Ok(())
    }

    fn draw_flow<W: Write>(
        &self,
        events: &mut Events<W>,
        tracks: Tracks,
        ledger: &Ledger,
    ) -> Result<(), ReportError> {
        let RequestRecord {
            prompt_start: Some(start),
            token_start: Some(end),
            prompt_instance: Some(from),
            token_instance: Some(to),
            ..
        } = *self.record
        else {
            return Ok(());
        };
        let batches = |instance: u64| {
            let account = ledger.instances().get(usize::try_from(instance).ok()?)?;
            Some(tracks.batches(account.server, instance))
        };
        if let (true, Some(from), Some(to)) = (self.flows, batches(from), batches(to)) {
            let number = self.number;
            let identity = format_args!(",\"cat\":\"request\",\"id\":{number}");
            events.add('s', from, start, "request", identity)?;
            let identity = format_args!(",\"cat\":\"request\",\"id\":{number},\"bp\":\"e\"");
            events.add('f', to, end, "request", identity)?;
        }
        Ok(())
    }
}

/// A number, or null.
struct Optional(Option<u64>);

impl std::fmt::Display for Optional {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("null"),
        }
    }
}
