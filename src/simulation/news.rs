//! What is asked of a simulation on the way, and taken from it.

use std::num::NonZero;

use bevy_ecs::entity::Entity;

use super::{Simulation, record, several};
use crate::autoscale::Decision;
use crate::fleet::{
    FaultEvent, FaultLog, FleetsExt, Ledger, Roster, ScalingEvent, Service, TickLimits, part,
};
use crate::observe::{Rows, Sampler};
use crate::serving::Role;

impl Simulation {
    /// Takes the rows of requests and samples since the last call.
    pub fn take_rows(&mut self) -> Rows {
        several::take_rows(&mut self.world)
    }

    /// Takes the lines of the scaling log since the last call.
    pub fn take_scaling(&mut self) -> Vec<ScalingEvent> {
        several::take_scaling(&mut self.world)
    }

    /// Takes the faults since the last call.
    pub fn take_faults(&mut self) -> Vec<FaultEvent> {
        let mut faults = Vec::new();
        for fleet in self.world.fleets().to_vec() {
            if let Some(mut log) = self.world.get_mut::<FaultLog>(fleet) {
                faults.extend(log.drain());
            }
        }
        // Of one fleet they are in this order.
        faults.sort_by_key(|it| it.time);
        faults
    }

    /// Samples each instance, too, from now on, for [`Rows::instances`].
    pub fn record_instances(&mut self) {
        for entity in self.applications() {
            if let Some(mut sampler) = self.world.get_mut::<Sampler>(entity) {
                sampler.instances = true;
            }
        }
    }

    /// Has every run of iterations recorded from now on, for [`Rows::runs`], and each instance sampled,
    /// for [`Rows::instances`].
    pub fn record_runs(&mut self) {
        for entity in self.applications() {
            if let Some(mut service) = self.world.get_mut::<Service>(entity) {
                service.0.record_runs(true);
            }
        }
        self.record_instances();
    }

    /// Records each step of the engines that can tell (`Vllm`) from now on, for [`Rows::steps`]: those of
    /// these instances, or of all.
    pub fn record_steps(&mut self, instances: Option<Vec<u64>>) {
        for entity in self.applications() {
            if let Some(mut service) = self.world.get_mut::<Service>(entity) {
                service.0.record_steps(instances.clone());
            }
        }
    }

    /// Serves applications on this number of threads in each tick. Results do not depend on it; it is worth
    /// something where several applications have much to serve between ticks.
    pub fn serve_on(&mut self, threads: NonZero<usize>) {
        self.world.resource_mut::<TickLimits>().threads = threads;
    }

    /// Takes what the policies decided since the last call.
    pub fn take_decisions(&mut self) -> Vec<Decision> {
        several::take_decisions(&mut self.world)
    }

    /// Requests completed so far.
    #[must_use]
    pub fn completed(&self) -> u64 {
        let fleets = self.world.fleets().iter();
        let services = fleets.flat_map(|&it| record::services(&self.world, it));
        services.map(|service| service.0.counts().completed).sum()
    }

    /// The data plane of the application at a position among those of all fleets, and the books of its fleet.
    #[cfg_attr(not(feature = "html"), expect(dead_code, reason = "pages ask for it"))]
    pub(crate) fn service(&self, position: usize) -> Option<(&Service, &Ledger)> {
        several::service(&self.world, position)
    }

    /// The application, by its position among those of all fleets, and the role of an instance of a fleet.
    #[cfg_attr(not(feature = "html"), expect(dead_code, reason = "pages ask for it"))]
    pub(crate) fn whose(&self, fleet: u32, instance: u64) -> Option<(usize, Role)> {
        several::whose(&self.world, fleet, instance)
    }

    /// The applications of all fleets.
    fn applications(&self) -> Vec<Entity> {
        let fleets = self.world.fleets().iter();
        let rosters = fleets.map(|&it| part::<Roster>(&self.world, it));
        rosters.flat_map(Roster::applications).copied().collect()
    }
}
