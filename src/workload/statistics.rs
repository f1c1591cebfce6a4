//! What a workload looks like, in figures, in one pass and with memory that does not grow with it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::prefixes::{PrefixStatistics, Seen};

/// Figures of a workload. Absent ones need more requests than there are.
///
/// ```
/// use fleetsim::workload::{TraceStatistics, TraceStream};
/// let text = "Timestamp,Request tokens,Response tokens\n0,100,1\n1,300,3\n4,200,2\n";
/// let trace = TraceStream::read("burst.csv".as_ref(), text.as_bytes(), None)?;
/// let statistics = TraceStatistics::of(trace)?;
/// assert_eq!(statistics.gaps.mean_s, Some(2.0));
/// assert_eq!(statistics.gaps.cv, Some(0.5));
/// assert_eq!(statistics.prompt_tokens.p50, Some(200.0));
/// # Ok::<(), fleetsim::workload::WorkloadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceStatistics {
    /// Requests.
    pub requests: u64,
    /// The first arrival, in seconds.
    pub first_s: Option<f64>,
    /// The last arrival, in seconds.
    pub last_s: Option<f64>,
    /// How many arrive in a second.
    pub rate: RateStatistics,
    /// The times between arrivals.
    pub gaps: GapStatistics,
    /// Lengths of prompts.
    pub prompt_tokens: LengthStatistics,
    /// Lengths of outputs.
    pub output_tokens: LengthStatistics,
    /// What a prefix cache that never forgets could serve; `None` where nothing is said of it.
    pub prefixes: Option<PrefixStatistics>,
}

/// How many requests arrive in a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RateStatistics {
    /// Over the whole: one over the mean gap.
    pub mean_per_s: Option<f64>,
    /// In the busiest second; seconds are counted from time zero.
    pub peak_1s_per_s: Option<f64>,
    /// In the busiest minute; minutes are counted from time zero.
    pub peak_60s_per_s: Option<f64>,
    /// Over time: stretches of equal length from the first arrival on.
    pub over_time: Vec<RateBin>,
}

/// The arrivals in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RateBin {
    /// Where it begins, in seconds.
    pub from_s: f64,
    /// How long it is, in seconds.
    pub length_s: f64,
    /// Arrivals in it.
    pub requests: u64,
}

/// The times between arrivals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GapStatistics {
    /// Their mean, in seconds.
    pub mean_s: Option<f64>,
    /// Their standard deviation over their mean: 1 for Poisson arrivals, 0 for equal gaps, more
    /// for bursts.
    pub cv: Option<f64>,
}

/// Lengths in tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LengthStatistics {
    /// All together.
    pub total: u64,
    /// The mean.
    pub mean: Option<f64>,
    /// The shortest.
    pub min: Option<u32>,
    /// The median.
    pub p50: Option<f64>,
    /// 90 % are not longer.
    pub p90: Option<f64>,
    /// 95 % are not longer.
    pub p95: Option<f64>,
    /// 99 % are not longer.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<u32>,
    /// How many there are from each power of two to the next, without empty ones at the ends.
    pub bins: Vec<LengthBin>,
}

/// How many lengths are from one number of tokens to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LengthBin {
    /// The shortest that counts.
    pub from: u32,
    /// The longest that counts.
    pub to: u32,
    /// Requests in it.
    pub requests: u64,
}

impl TraceStatistics {
    /// Takes the figures of a workload that is in order of time.
    ///
    /// # Errors
    /// The first error of the workload.
    pub fn of(
        arrivals: impl IntoIterator<Item = Result<Arrival, WorkloadError>>,
    ) -> Result<Self, WorkloadError> {
        let mut requests = 0;
        let mut times: Option<(f64, f64)> = None;
        let mut gaps = Gaps::default();
        let (mut second, mut minute) = (Peak::new(1.0), Peak::new(60.0));
        let mut rate = RateOverTime::default();
        let (mut prompts, mut outputs) = (Counts::default(), Counts::default());
        let mut seen = Seen::default();
        for arrival in arrivals {
            let arrival = arrival?;
            let time = arrival.time.seconds();
            requests += 1;
            let (first, last) = times.unwrap_or((time, time));
            times = Some((first, time));
            if requests > 1 {
                gaps.add(time - last);
            }
            second.add(time);
            minute.add(time);
            rate.add(time - first);
            prompts.add(arrival.prompt_tokens);
            outputs.add(arrival.output_tokens);
            seen.add(&arrival);
        }
        let mean_s = gaps.mean();
        let first = times.map(|(first, _)| first);
        Ok(Self {
            requests,
            first_s: first,
            last_s: times.map(|(_, last)| last),
            rate: RateStatistics {
                mean_per_s: mean_s.filter(|mean| *mean > 0.0).map(f64::recip),
                peak_1s_per_s: second.per_second(),
                peak_60s_per_s: minute.per_second(),
                over_time: rate.bins(first.unwrap_or(0.0)),
            },
            gaps: GapStatistics {
                mean_s,
                cv: gaps.cv(),
            },
            prompt_tokens: prompts.statistics(),
            output_tokens: outputs.statistics(),
            prefixes: seen.statistics(),
        })
    }
}

/// Mean and variance as they come, by Welford's method.
#[derive(Default)]
struct Gaps {
    count: u64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

impl Gaps {
    fn add(&mut self, gap: f64) {
        self.count += 1;
        let before = gap - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (gap - self.mean);
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    fn cv(&self) -> Option<f64> {
        let deviation = (self.squares / self.count as f64).sqrt();
        (self.count > 0 && self.mean > 0.0).then(|| deviation / self.mean)
    }
}

/// The most arrivals in one of the stretches that time is cut into.
struct Peak {
    length: f64,
    stretch: f64,
    requests: u64,
    most: u64,
}

impl Peak {
    const fn new(length: f64) -> Self {
        Self {
            length,
            stretch: 0.0,
            requests: 0,
            most: 0,
        }
    }

    fn add(&mut self, time: f64) {
        let stretch = (time / self.length).floor();
        if stretch != self.stretch {
            self.stretch = stretch;
            self.requests = 0;
        }
        self.requests += 1;
        self.most = self.most.max(self.requests);
    }

    fn per_second(&self) -> Option<f64> {
        (self.most > 0).then(|| self.most as f64 / self.length)
    }
}

/// Counts of arrivals over time, in stretches that double when there are too many.
struct RateOverTime {
    length: f64,
    counts: Vec<u64>,
}

impl Default for RateOverTime {
    fn default() -> Self {
        Self {
            length: 1.0 / 1024.0,
            counts: Vec::new(),
        }
    }
}

impl RateOverTime {
    /// The most stretches that are kept.
    const MOST: usize = 2048;

    fn add(&mut self, time: f64) {
        while time / self.length >= Self::MOST as f64 {
            self.counts = self
                .counts
                .chunks(2)
                .map(|pair| pair.iter().sum())
                .collect();
            self.length *= 2.0;
        }
        let at = (time / self.length) as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
    }

    fn bins(&self, first: f64) -> Vec<RateBin> {
        let counts = self.counts.iter().enumerate();
        let bins = counts.map(|(at, &requests)| RateBin {
            from_s: first + at as f64 * self.length,
            length_s: self.length,
            requests,
        });
        bins.collect()
    }
}

/// How often each length comes.
#[derive(Default)]
struct Counts(BTreeMap<u32, u64>);

impl Counts {
    fn add(&mut self, length: u32) {
        *self.0.entry(length).or_default() += 1;
    }

    fn statistics(&self) -> LengthStatistics {
        let requests: u64 = self.0.values().sum();
        let total = self
            .0
            .iter()
            .map(|(length, count)| u64::from(*length) * count)
            .sum();
        LengthStatistics {
            total,
            mean: (requests > 0).then(|| total as f64 / requests as f64),
            min: self.0.keys().next().copied(),
            p50: self.percentile(50.0, requests),
            p90: self.percentile(90.0, requests),
            p95: self.percentile(95.0, requests),
            p99: self.percentile(99.0, requests),
            max: self.0.keys().next_back().copied(),
            bins: self.bins(),
        }
    }

    /// As numpy's linear method has it.
    fn percentile(&self, percent: f64, requests: u64) -> Option<f64> {
        let position = percent / 100.0 * requests.checked_sub(1)? as f64;
        let rank = position.floor();
        let below = f64::from(self.nth(rank as u64)?);
        let above = self.nth(rank as u64 + 1).map_or(below, f64::from);
        Some(below + (above - below) * (position - rank))
    }

    /// The length at `rank`, counted from 0.
    fn nth(&self, rank: u64) -> Option<u32> {
        let mut before = 0;
        self.0.iter().find_map(|(length, count)| {
            before += count;
            (rank < before).then_some(*length)
        })
    }

    fn bins(&self) -> Vec<LengthBin> {
        let power = |length: &u32| length.checked_ilog2().unwrap_or(0);
        let (Some(least), Some(most)) = (self.0.keys().next(), self.0.keys().next_back()) else {
            return Vec::new();
        };
        let bins = (power(least)..=power(most)).map(|power| {
            let from = 1_u32 << power;
            let to = from | (from - 1);
            let requests = self.0.range(from..=to).map(|(_, count)| count).sum();
            LengthBin { from, to, requests }
        });
        bins.collect()
    }
}
