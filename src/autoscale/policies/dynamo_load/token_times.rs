use std::collections::{BTreeMap, VecDeque};

use crate::autoscale::{RoleSnapshot, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// Observations kept, and how few are too few.
const MOST: usize = 50;
const FEWEST: usize = 5;

/// The time between tokens of each role's instances as a straight line over the tokens in their KV
/// caches, fitted by least squares.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TokenTimes(BTreeMap<Role, VecDeque<(f64, f64)>>);

/// A fitted line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    base: f64,
    slope: f64,
}

impl TokenTimes {
    /// Notes what the role's instances did since the last decision, if they generated anything.
    pub(super) fn observe(&mut self, signals: &Signals, of: &RoleSnapshot, interval: SimDuration) {
        let rate = signals.output_tokens_per_s(of.role, interval);
        let running = of.load.running as f64;
        if rate <= 0.0 || running <= 0.0 || of.measured == 0 {
            return;
        }
        let kv = of.kv_tokens(of.load.kv_used) / f64::from(of.measured);
        let seen = self.0.entry(of.role).or_default();
        seen.push_back((kv, running / rate));
        seen.drain(..seen.len().saturating_sub(MOST));
    }

    /// The line through what was noted; none of too little.
    pub(super) fn line(&self, role: Role) -> Option<Line> {
        let seen = self.0.get(&role).filter(|seen| seen.len() >= FEWEST)?;
        let count = seen.len() as f64;
        let mean = |figure: fn(&(f64, f64)) -> f64| seen.iter().map(figure).sum::<f64>() / count;
        let (kv, time) = (mean(|it| it.0), mean(|it| it.1));
        let of = |it: &(f64, f64)| (it.0 - kv, it.1 - time);
        let spread: f64 = seen.iter().map(|it| of(it).0 * of(it).0).sum();
        let along: f64 = seen.iter().map(|it| of(it).0 * of(it).1).sum();
        let slope = if spread > 0.0 { along / spread } else { 0.0 };
        Some(Line {
            base: time - slope * kv,
            slope,
        })
    }
}

impl Line {
    /// Seconds between tokens with `kv` tokens in the KV cache.
    pub(super) fn at(self, kv: f64) -> f64 {
        (self.base + self.slope * kv).max(0.0)
    }
}
