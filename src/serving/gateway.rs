//! The gateway of an application that several regions serve: sends each request to one of them.

use serde::{Deserialize, Serialize};

use super::endpoint::{Arrivals, Endpoint};
use crate::scenario::RegionRouting;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::{SimDuration, SimTime};
use crate::workload::{Arrival, Details, Journey, WorkloadError};

/// What is to come of an application's workloads, by region, and the rule by which requests go to regions.
///
/// It decides at the instant at which a request is sent, with the endpoints served up to that instant and not
/// beyond: the length of a tick does not matter.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    rule: RegionRouting,
    /// Seconds one way, from a region to another.
    one_way: Vec<Vec<SimDuration>>,
    /// By region: itself, then the others from the nearest on.
    nearest: Vec<Vec<usize>>,
    /// The requests of each region's users.
    workloads: Vec<Arrivals>,
    traffic: Traffic,
}

/// Requests sent so far: from each region to each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic(Vec<Vec<u64>>);

impl Traffic {
    /// Requests that users of a region have sent.
    #[must_use]
    pub fn sent(&self, from: usize) -> u64 {
        self.0.get(from).map_or(0, |row| row.iter().sum())
    }

    /// Those that went from a region to another.
    #[must_use]
    pub fn between(&self, from: usize, to: usize) -> u64 {
        let row = self.0.get(from);
        row.and_then(|row| row.get(to)).copied().unwrap_or(0)
    }

    /// Adds those of another application.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), Vec::new());
        }
        for (row, more) in self.0.iter_mut().zip(&other.0) {
            row.resize(more.len().max(row.len()), 0);
            for (count, more) in row.iter_mut().zip(more) {
                *count += more;
            }
        }
    }
}

impl Gateway {
    /// One for the workloads of the users of each region.
    pub(crate) fn new(
        rule: RegionRouting,
        one_way: Vec<Vec<SimDuration>>,
        workloads: Vec<Arrivals>,
    ) -> Self {
        let regions = workloads.len();
        let nearest = (0..regions).map(|origin| {
            let mut nearest: Vec<usize> = (0..regions).collect();
            nearest.sort_by_key(|&region| (region != origin, one_way[origin][region], region));
            nearest
        });
        Self {
            rule,
            nearest: nearest.collect(),
            one_way,
            workloads,
            traffic: Traffic(vec![vec![0; regions]; regions]),
        }
    }

    /// When the next request is sent.
    pub(crate) fn next_event(&self) -> Option<SimTime> {
        let next = self.workloads.iter().filter_map(Arrivals::next_time);
        next.min()
    }

    /// Whether every request that will ever be sent has been.
    pub(crate) fn is_done(&self) -> bool {
        self.next_event().is_none()
    }

    /// Why a workload ended early, if one did.
    pub(crate) fn workload_error(&self) -> Option<&WorkloadError> {
        self.workloads.iter().find_map(|it| it.error.as_ref())
    }

    /// Requests sent so far.
    pub(crate) const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Sends the requests that are due up to `until`, that included, and serves the endpoints up to and
    /// including it. An endpoint is none where the region no longer has the application.
    pub(crate) fn serve_until(&mut self, endpoints: &mut [Option<&mut Endpoint>], until: SimTime) {
        let due = self.next_event().is_some_and(|next| next <= until);
        // Engines open and close between ticks only.
        let open = |it: &Option<&mut Endpoint>| it.as_ref().map_or(0, |it| it.open_engines());
        let open: Vec<usize> = match due {
            true => endpoints.iter().map(open).collect(),
            false => Vec::new(),
        };
        while let Some((time, origin)) = self.next().filter(|&(time, _)| time <= until) {
            if self.looks_at_loads() {
                // Up to the instant at which it is sent, and not beyond.
                if let Some(before) = time.just_before() {
                    let behind = endpoints.iter_mut().flatten();
                    behind.for_each(|it| it.serve_until(before));
                }
            }
            if let Some(arrival) = self.workloads[origin].take() {
                self.send(endpoints, &open, origin, arrival);
            }
        }
        let behind = endpoints.iter_mut().flatten();
        behind.for_each(|it| it.serve_until(until));
    }

    /// Whether what happened before a request may matter for where it goes.
    fn looks_at_loads(&self) -> bool {
        self.rule != RegionRouting::Nearest
    }

    /// The next request: when it is sent, and from which region.
    fn next(&self) -> Option<(SimTime, usize)> {
        let next = self.workloads.iter().enumerate();
        next.filter_map(|(origin, it)| Some((it.next_time()?, origin)))
            .min()
    }

    fn send(
        &mut self,
        endpoints: &mut [Option<&mut Endpoint>],
        open: &[usize],
        origin: usize,
        mut arrival: Arrival,
    ) {
        let Some(to) = self.choose(endpoints, open, origin) else {
            return;
        };
        let journey = Journey {
            region: origin as u32,
            sent: arrival.time,
            one_way: self.one_way[origin][to],
        };
        arrival.time = journey.arrives();
        let details = arrival.details.as_deref().cloned();
        let details = Details {
            journey: Some(journey),
            ..details.unwrap_or_default()
        };
        arrival.details = Some(details.into());
        self.traffic.0[origin][to] += 1;
        if let Some(endpoint) = &mut endpoints[to] {
            endpoint.expect(arrival);
        }
    }

    /// The region that serves a request of a user of `origin`; none where no region has the application.
    fn choose(
        &self,
        endpoints: &[Option<&mut Endpoint>],
        open: &[usize],
        origin: usize,
    ) -> Option<usize> {
        let nearest = self.nearest[origin].iter().copied();
        let mut nearest = nearest.filter(|&region| endpoints[region].is_some());
        let load = |region: usize| {
            let endpoint = endpoints[region].as_ref()?;
            let open = open[region];
            (open > 0).then(|| endpoint.expected_requests() as f64 / open as f64)
        };
        let mut up = nearest.clone().filter_map(|it| Some((it, load(it)?)));
        let chosen = match self.rule {
            RegionRouting::Nearest => up.next(),
            RegionRouting::LeastLoaded => up.min_by(|a, b| a.1.total_cmp(&b.1)),
            RegionRouting::Spill { threshold } => {
                let mut all = up.clone();
                up.find(|&(_, load)| load < threshold)
                    .or_else(|| all.next())
            }
        };
        chosen.map_or_else(|| nearest.next(), |(region, _)| Some(region))
    }

    /// Writes what is to come.
    pub(crate) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        to.put(&self.traffic)?;
        self.workloads.iter().try_for_each(|it| it.save(to))
    }

    /// Takes what was to come of the same workloads.
    pub(crate) fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        self.traffic = from.take()?;
        let mut workloads = self.workloads.iter_mut();
        workloads.try_for_each(|it| it.restore(from))
    }
}
