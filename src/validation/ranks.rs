use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::case::Case;
use super::serve::{Felt, config, work};
use crate::serving::vllm::{News, Vllm};
use crate::serving::{BatchShape, StepModel};
use crate::time::{SimDuration, SimTime};

/// Serves the requests of a case on ranks that step together; each rank gets every `ranks`th request.
///
/// The requests are those of all ranks, by arrival. What came while a step ran is looked at when it ends,
/// in all ranks at once.
///
/// # Errors
/// Why the engines cannot serve one of them.
pub(super) fn serve_together(case: &Case) -> Result<Vec<Felt>, String> {
    let config = config(case)?;
    let mut ranks: Vec<Rank> = (0..case.ranks.max(1))
        .map(|_| Rank {
            engine: Vllm::new(config).stepwise(),
            shapes: Shapes {
                window: case.step.window(),
                scheduled: Mutex::default(),
            },
        })
        .collect();
    let mut felt = vec![Felt::default(); case.requests.len()];
    let mut news = News::default();
    let (mut next, mut now) = (0, SimTime::ZERO);
    loop {
        while let Some(request) = case.requests.get(next) {
            let arrival = SimTime::saturating(request.arrival_s);
            if arrival > now {
                break;
            }
            let rank = next % ranks.len();
            let work = work(next, request, arrival);
            ranks[rank].engine.enqueue(work, arrival);
            felt[next].arrival = arrival.seconds();
            next += 1;
        }
        let shapes: Vec<BatchShape> = ranks
            .iter_mut()
            .map(|it| it.begin(now, &mut news))
            .collect();
        let busy = ranks.iter().any(|it| it.engine.next_event().is_some());
        if busy {
            let seconds = case.step.seconds_of_ranks(&shapes);
            now = now + SimDuration::saturating(seconds);
            for rank in &mut ranks {
                rank.engine.hold_until(now);
                if rank.engine.next_event().is_some() {
                    rank.engine.finish(&mut news);
                }
            }
        } else {
            let Some(request) = case.requests.get(next) else {
                break;
            };
            now = SimTime::saturating(request.arrival_s);
        }
        for done in news.ended.drain(..) {
            let at = |instant: Option<SimTime>| instant.unwrap_or(now).seconds();
            let of = &mut felt[done.owner as usize];
            of.first_token = at(done.progress.first_token);
            of.last_token = at(done.progress.last_token);
            of.output = done.progress.outputs;
        }
        news.clear();
    }
    match felt.iter().position(|it| it.output == 0) {
        Some(number) => Err(format!("request {number} never ends")),
        None => Ok(felt),
    }
}

/// One of them.
struct Rank {
    engine: Vllm,
    shapes: Shapes,
}

impl Rank {
    /// Schedules what can be scheduled: the batch of the step that begins now.
    fn begin(&mut self, now: SimTime, news: &mut News) -> BatchShape {
        self.engine.start(now, &self.shapes, news);
        match self.engine.next_event() {
            // A step that only preempts computes nothing, and takes no time.
            Some(end) if end > now => self.shapes.take(),
            _ => BatchShape::default(),
        }
    }
}

/// The batches of steps that are scheduled and have not begun. Each takes a second until all ranks are known.
#[derive(Debug)]
struct Shapes {
    window: Option<u64>,
    scheduled: Mutex<VecDeque<BatchShape>>,
}

impl Shapes {
    fn take(&self) -> BatchShape {
        let mut scheduled = self
            .scheduled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        scheduled.pop_front().unwrap_or_default()
    }
}

impl StepModel for Shapes {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        let mut scheduled = self
            .scheduled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        scheduled.push_back(*shape);
        1.0
    }

    fn window(&self) -> Option<u64> {
        self.window
    }
}
