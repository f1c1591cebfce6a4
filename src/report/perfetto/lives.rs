use std::io::Write;

use super::event::{Events, Track, escaped};
use super::tracks::Tracks;
use crate::fleet::{InstanceStatus, ServerStatus};
use crate::report::ReportError;
use crate::simulation::Finished;
use crate::time::SimTime;

/// Names every process and thread, and draws the lives of servers and instances.
pub(super) fn draw<W: Write>(
    events: &mut Events<W>,
    tracks: Tracks,
    finished: &Finished,
) -> Result<(), ReportError> {
    let (record, ledger) = (&finished.record, &finished.ledger);
    let end = record.end;
    let applications: Vec<String> = record
        .applications
        .iter()
        .map(|application| escaped(&application.name))
        .collect();
    for (index, name) in applications.iter().enumerate() {
        let track = tracks.application(index);
        name_it(events, track, "process", format_args!("application {name}"))?;
        name_it(events, track, "thread", format_args!("requests"))?;
    }
    for (number, account) in (0..).zip(ledger.servers()) {
        let track = tracks.server(number);
        let sku = record.servers.get(account.sku).map(|it| &it.sku.name);
        let sku = escaped(sku.map_or("", String::as_str));
        let name = format_args!("server_{number} {sku}");
        name_it(events, track, "process", name)?;
        name_it(events, track, "thread", format_args!("server_{number}"))?;
        for (name, status) in [
            ("provisioning", ServerStatus::ScalingUp),
            ("active", ServerStatus::Active),
        ] {
            if let Some(span) = account.span(Some(status), end) {
                live(events, track, span.start..span.end.min(end), name)?;
            }
        }
    }
    for (number, account) in (0..).zip(ledger.instances()) {
        let track = tracks.life(account.server, number);
        let batches = tracks.batches(account.server, number);
        let application = applications.get(account.application);
        let application = application.map_or("", String::as_str);
        let role = account.role;
        let name = format_args!("instance_{number} {application} {role:?}");
        name_it(events, track, "thread", name)?;
        let name = format_args!("instance_{number} batches");
        name_it(events, batches, "thread", name)?;
        for status in [
            InstanceStatus::ScalingUp,
            InstanceStatus::Active,
            InstanceStatus::Draining,
        ] {
            if let Some(span) = account.span(Some(status), end) {
                live(events, track, span.start..span.end.min(end), status.name())?;
            }
        }
    }
    Ok(())
}

/// Draws what lasts any time.
pub(super) fn live<W: Write>(
    events: &mut Events<W>,
    track: Track,
    span: std::ops::Range<SimTime>,
    name: &str,
) -> Result<(), ReportError> {
    if span.start < span.end {
        events.slice(track, span.start, span.end, name, format_args!(""))?;
    }
    Ok(())
}

/// Names a process or a thread, and has it stand in the order of its number.
fn name_it<W: Write>(
    events: &mut Events<W>,
    track: Track,
    what: &str,
    name: std::fmt::Arguments<'_>,
) -> Result<(), ReportError> {
    let rest = format_args!(",\"args\":{{\"name\":\"{name}\"}}");
    let kind = format_args!("{what}_name");
    events.add('M', track, SimTime::ZERO, kind, rest)?;
    let place = if what == "process" {
        track.pid
    } else {
        track.tid
    };
    let rest = format_args!(",\"args\":{{\"sort_index\":{place}}}");
    let kind = format_args!("{what}_sort_index");
    events.add('M', track, SimTime::ZERO, kind, rest)
}
