//! Fleets that serve the same applications in several regions: where requests go between them.

use std::collections::BTreeMap;

use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use bevy_ecs::world::{Mut, World};

use crate::scenario::RegionRouting;
use crate::serving::{Gateway, Traffic};
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::{SimDuration, SimTime};
use crate::workload::WorkloadError;

use super::parts::{Parts, Twins};
use super::{Roster, Service, part};

/// The gateway of each application that several fleets serve.
#[derive(Resource, Clone, Debug, Default)]
pub(crate) struct Gateways(Vec<(Gateway, Vec<Entity>)>);

/// Takes the workloads of fleets' applications and sends each request to one of the fleets, which are regions.
/// All have the same applications. `one_way` is the time from each region to each.
pub(crate) fn connect(
    world: &mut World,
    fleets: &[Entity],
    rule: RegionRouting,
    one_way: &[Vec<SimDuration>],
) {
    let rosters = fleets.iter().map(|&it| part::<Roster>(world, it));
    let rosters: Vec<Vec<Entity>> = rosters.map(|it| it.applications().to_vec()).collect();
    let count = rosters.first().map_or(0, Vec::len);
    let mut gateways = Gateways::default();
    for application in 0..count {
        let members = rosters.iter().filter_map(|it| it.get(application).copied());
        let members: Vec<Entity> = members.collect();
        let mut workloads = Vec::new();
        for &member in &members {
            if let Some(mut service) = world.get_mut::<Service>(member) {
                workloads.push(service.0.take_arrivals());
            }
        }
        let gateway = Gateway::new(rule, one_way.to_vec(), workloads);
        gateways.0.push((gateway, members));
    }
    world.insert_resource(gateways);
    world
        .get_resource_or_init::<Parts>()
        .resource_by::<Gateways>(Gateways::follow, save, restore);
}

/// Requests sent so far, from each region to each; none in a world without regions.
pub(crate) fn traffic(world: &World) -> Option<Traffic> {
    let gateways = world.get_resource::<Gateways>()?;
    let mut all = Traffic::default();
    for (gateway, _) in &gateways.0 {
        all.add(gateway.traffic());
    }
    Some(all)
}

impl Gateways {
    /// When the next request is sent.
    pub(super) fn next_event(&self) -> Option<SimTime> {
        self.0.iter().filter_map(|(it, _)| it.next_event()).min()
    }

    /// Whether every request has been sent.
    pub(super) fn are_done(&self) -> bool {
        self.0.iter().all(|(it, _)| it.is_done())
    }

    /// Why a workload ended early, if one did.
    pub(crate) fn workload_error(&self) -> Option<&WorkloadError> {
        self.0.iter().find_map(|(it, _)| it.workload_error())
    }

    /// Serves the applications that have gateways up to `until`.
    pub(super) fn serve_until<'a>(
        &mut self,
        services: impl Iterator<Item = (Entity, Mut<'a, Service>)>,
        until: SimTime,
    ) {
        let mut services: BTreeMap<Entity, Mut<'a, Service>> = services.collect();
        for (gateway, members) in &mut self.0 {
            let mut there: Vec<_> = members.iter().map(|it| services.remove(it)).collect();
            let endpoints = there.iter_mut();
            let endpoints = endpoints.map(|it| it.as_mut().map(|it| &mut it.0));
            gateway.serve_until(&mut endpoints.collect::<Vec<_>>(), until);
        }
    }

    /// Becomes those of a fork.
    fn follow(&mut self, twins: &Twins) {
        for (_, members) in &mut self.0 {
            members.iter_mut().for_each(|it| twins.follow(it));
        }
    }
}

fn save(_: &World, gateways: Gateways, to: &mut StateWriter) -> Result<(), SaveError> {
    gateways.0.iter().try_for_each(|(it, _)| it.save(to))
}

fn restore(world: &mut World, _: &Twins, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
    let mut gateways = world.resource_mut::<Gateways>();
    gateways
        .0
        .iter_mut()
        .try_for_each(|(it, _)| it.restore(from))
}
