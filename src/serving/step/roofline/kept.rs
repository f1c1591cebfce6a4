use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// The terms of a step that depend on its tokens and on its rows of the head alone, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Products and weights, outside the experts and in them.
    pub(super) weights: f64,
    pub(super) reduce: f64,
    pub(super) small: f64,
}

/// Places; a power of two. Decode steps of up to as many requests never share one.
const PLACES: usize = 2048;

/// Recent parts by tokens and rows: a power costs more than the rest of a step.
///
/// Clones share it. Each place has a version, odd while it is written: a reader that sees two
/// versions computes the part itself. So the answer never depends on who wrote when.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    table: Arc<Table>,
}

#[derive(Debug)]
struct Table {
    places: Box<[Place]>,
    writing: AtomicBool,
}

#[derive(Debug, Default)]
struct Place {
    version: AtomicU64,
    /// Tokens and rows; no step has 0 tokens.
    tokens: AtomicU64,
    rows: AtomicU64,
    weights: AtomicU64,
    reduce: AtomicU64,
    small: AtomicU64,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            writing: AtomicBool::new(false),
        }
    }
}

impl Kept {
    /// The part for these tokens and rows: kept, or computed and then kept.
    pub(super) fn get(&self, tokens: f64, rows: f64, compute: impl FnOnce() -> Part) -> Part {
        let (t, r) = (tokens as u64, rows as u64);
        // Where all tokens decode, tokens equal rows; prompts are spread by a large odd number.
        let chosen =
            (r as usize).wrapping_add((t.wrapping_sub(r) as usize).wrapping_mul(0x9E37_79B1));
        let place = &self.table.places[chosen % PLACES];
        if let Some(part) = place.read(t, r) {
            return part;
        }
        let part = compute();
        self.table.keep(place, t, r, part);
        part
    }
}

impl Place {
    fn read(&self, tokens: u64, rows: u64) -> Option<Part> {
        let version = self.version.load(Ordering::Acquire);
        let same = self.tokens.load(Ordering::Relaxed) == tokens
            && self.rows.load(Ordering::Relaxed) == rows;
        if !same || version % 2 == 1 {
            return None;
        }
        let number = |of: &AtomicU64| f64::from_bits(of.load(Ordering::Relaxed));
        let part = Part {
            weights: number(&self.weights),
            reduce: number(&self.reduce),
            small: number(&self.small),
        };
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then_some(part)
    }
}

impl Table {
    /// Keeps a part, unless another thread is keeping one.
    fn keep(&self, place: &Place, tokens: u64, rows: u64, part: Part) {
        if self.writing.swap(true, Ordering::Acquire) {
            return;
        }
        let version = place.version.load(Ordering::Relaxed);
        place.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        place.tokens.store(tokens, Ordering::Relaxed);
        place.rows.store(rows, Ordering::Relaxed);
        for (to, number) in [
            (&place.weights, part.weights),
            (&place.reduce, part.reduce),
            (&place.small, part.small),
        ] {
            to.store(number.to_bits(), Ordering::Relaxed);
        }
        place.version.store(version + 2, Ordering::Release);
        self.writing.store(false, Ordering::Release);
    }
}
