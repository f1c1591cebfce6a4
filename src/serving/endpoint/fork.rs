use super::Endpoint;
use super::arrivals::Arrivals;
use crate::workload::ArrivalStream;

impl Endpoint {
    /// A copy that goes on by itself, with all that it has and all that was handed over. `arrivals` goes on
    /// where this endpoint's workload stands: behind the requests that arrived, and behind the one that comes
    /// next, which the copy has already.
    #[must_use]
    pub fn fork(&self, arrivals: ArrivalStream) -> Self {
        Self {
            config: self.config.clone(),
            requests: self.requests.clone(),
            engines: self.engines.clone(),
            instances: self.instances.clone(),
            stays: self.stays.clone(),
            router: self.router.clone(),
            transfer_bytes_per_s: self.transfer_bytes_per_s,
            events: self.events.clone(),
            arrivals: Arrivals::fork(&self.arrivals, arrivals),
            waiting: self.waiting.clone(),
            parked: self.parked.clone(),
            ended: self.ended.clone(),
            counts: self.counts,
            now: self.now,
            last_event: self.last_event,
            told: self.told.clone(),
            split: self.split.clone(),
            departed: self.departed,
            recorder: self.recorder.clone(),
            steps: self.steps.clone(),
            idle: self.idle.clone(),
            likely: self.likely,
            least_memory: self.least_memory,
            largest: self.largest,
        }
    }
}
