use std::collections::BTreeMap;
use std::io::Write;

use super::event::{Events, Track};
use super::tracks::Tracks;
use crate::catalog::GIB;
use crate::observe::{InstanceSample, Sample};
use crate::report::ReportError;
use crate::simulation::Finished;

/// Draws a sample as counters of its application.
pub(super) fn of_role<W: Write>(
    events: &mut Events<W>,
    track: Track,
    sample: &Sample,
) -> Result<(), ReportError> {
    let role = sample.role;
    let mut counter = |name: &str, args: std::fmt::Arguments<'_>| {
        let rest = format_args!(",\"args\":{{{args}}}");
        events.add(
            'C',
            track,
            sample.time,
            format_args!("{role:?} {name}"),
            rest,
        )
    };
    counter(
        "instances",
        format_args!(
            "\"scaling_up\":{},\"active\":{},\"draining\":{}",
            sample.scaling_up, sample.active, sample.draining
        ),
    )?;
    counter(
        "requests",
        format_args!(
            "\"waiting\":{},\"queued\":{},\"running\":{}",
            sample.waiting, sample.queued, sample.running
        ),
    )?;
    counter(
        "memory GiB",
        format_args!("\"used\":{}", gib(sample.memory_used_bytes)),
    )?;
    counter(
        "tokens/s",
        format_args!(
            "\"prompt\":{},\"output\":{}",
            sample.prompt_tokens_per_s, sample.output_tokens_per_s
        ),
    )
}

/// Draws samples of instances as counters on their servers; one that is gone holds nothing.
pub(super) fn of_instances<'a, W: Write>(
    events: &mut Events<W>,
    tracks: Tracks,
    finished: &Finished,
    samples: impl Iterator<Item = &'a InstanceSample>,
) -> Result<(), ReportError> {
    let (end, accounts) = (finished.record.end, finished.ledger.instances());
    let account = |number: u64| accounts.get(usize::try_from(number).ok()?);
    let mut sampled = BTreeMap::new();
    for sample in samples {
        if let Some(account) = account(sample.instance) {
            let track = tracks.life(account.server, sample.instance);
            of_instance(events, track, sample)?;
            sampled.insert(sample.instance, *sample);
        }
    }
    for (number, last) in sampled {
        let Some(account) = account(number) else {
            continue;
        };
        let gone = account.span(None, end).map_or(end, |span| span.end);
        if gone < end {
            let nothing = InstanceSample {
                time: gone,
                queued: 0,
                running: 0,
                kv_used_bytes: 0,
                ..last
            };
            of_instance(events, tracks.life(account.server, number), &nothing)?;
        }
    }
    Ok(())
}

fn of_instance<W: Write>(
    events: &mut Events<W>,
    track: Track,
    sample: &InstanceSample,
) -> Result<(), ReportError> {
    let InstanceSample {
        time,
        instance,
        queued,
        running,
        kv_used_bytes,
        ..
    } = *sample;
    let name = format_args!("instance_{instance} requests");
    let rest = format_args!(",\"args\":{{\"queued\":{queued},\"running\":{running}}}");
    events.add('C', track, time, name, rest)?;
    let name = format_args!("instance_{instance} KV GiB");
    let rest = format_args!(",\"args\":{{\"used\":{}}}", gib(kv_used_bytes));
    events.add('C', track, time, name, rest)
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB
}
