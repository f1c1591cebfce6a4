use std::io::Write;

use super::event::Events;
use super::tracks::Tracks;
use crate::fleet::Ledger;
use crate::report::ReportError;
use crate::serving::BatchRun;

/// Draws a run of a batch on its instance.
pub(super) fn draw<W: Write>(
    events: &mut Events<W>,
    tracks: Tracks,
    ledger: &Ledger,
    run: &BatchRun,
) -> Result<(), ReportError> {
    let index = usize::try_from(run.instance).ok();
    let Some(account) = index.and_then(|index| ledger.instances().get(index)) else {
        return Ok(());
    };
    let track = tracks.batches(account.server, run.instance);
    let (prompts, tokens, iterations) = (run.prompts, run.token_tasks, run.iterations);
    let args = format_args!(
        "\"batch_tokens\":{},\"iterations\":{iterations},\"requests\":{}",
        run.batch_tokens(),
        prompts + tokens
    );
    let (start, end) = (run.start, run.end);
    match (prompts, tokens) {
        (0, _) => {
            let name = format_args!("tokens {tokens} ×{iterations}");
            events.slice(track, start, end, name, args)
        }
        (_, 0) => events.slice(track, start, end, format_args!("prompts {prompts}"), args),
        _ => {
            let name = format_args!("prompts {prompts} + tokens {tokens}");
            events.slice(track, start, end, name, args)
        }
    }
}
