use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Instant;

use crate::random::Stream;
use crate::time::{SimDuration, SimTime};

/// Gaps drawn ahead, so that drawing is not what is measured. A power of two.
const GAPS: usize = 4096;

/// The baseline of a run: nanoseconds of a pop and a push of the standard library's heap.
///
/// It pops the first `(time, number)` and pushes a later one, with a constant number of entries. An event
/// costs at least that in a simulation with as many engines.
///
/// ```
/// assert!(fleetsim::bench::bare_queue(100, 1_000) > 0.0);
/// ```
#[must_use]
pub fn bare_queue(pending: u32, events: u64) -> f64 {
    let mut stream = Stream::new(0, "bench/queue");
    let gaps: Vec<SimDuration> = (0..GAPS)
        .map(|_| SimDuration::saturating(stream.exponential()))
        .collect();
    let gap = |number: u64| gaps[number as usize % GAPS];
    let pending = u64::from(pending.max(1));
    let mut heap: BinaryHeap<Reverse<(SimTime, u64)>> = (0..pending)
        .map(|number| Reverse((SimTime::ZERO + gap(number), number)))
        .collect();
    let start = Instant::now();
    for number in pending..pending + events {
        if let Some(Reverse((time, _))) = heap.pop() {
            heap.push(Reverse((time + gap(number), number)));
        }
    }
    let elapsed = start.elapsed();
    black_box(heap);
    elapsed.as_nanos() as f64 / events.max(1) as f64
}
