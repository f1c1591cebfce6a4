use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use serde::{Deserialize, Serialize};

use crate::serving::EngineId;

use super::ScalingError;
use super::parts::Twins;

/// Who has which number. Numbers count from 0 in order of creation and are never reused.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
pub struct Roster {
    servers: Numbers,
    instances: Numbers,
    most_instances: u64,
    pub(super) applications: Vec<Entity>,
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            servers: Numbers::default(),
            instances: Numbers::default(),
            most_instances: Self::MOST_INSTANCES,
            applications: Vec::new(),
        }
    }
}

impl Roster {
    /// The server of this number, while it is there.
    #[must_use]
    pub fn server(&self, number: u64) -> Option<Entity> {
        self.servers.get(number)
    }

    /// The instance of this number, while it is there.
    #[must_use]
    pub fn instance(&self, number: u64) -> Option<Entity> {
        self.instances.get(number)
    }

    /// The servers that are there, by number.
    pub fn servers(&self) -> impl Iterator<Item = Entity> + '_ {
        self.servers.entities.iter().copied().flatten()
    }

    /// The instances that are there, by number.
    pub fn instances(&self) -> impl Iterator<Item = Entity> + '_ {
        self.instances.entities.iter().copied().flatten()
    }

    /// Becomes that of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        for numbers in [&mut self.servers, &mut self.instances] {
            let there = numbers.entities.iter_mut().flatten();
            there.for_each(|entity| twins.follow(entity));
        }
        for application in &mut self.applications {
            twins.follow(application);
        }
    }

    /// The applications in the order of the scenario.
    #[must_use]
    pub fn applications(&self) -> &[Entity] {
        &self.applications
    }

    /// How many servers there are.
    #[must_use]
    pub const fn live_servers(&self) -> usize {
        self.servers.live
    }

    /// How many instances there are.
    #[must_use]
    pub const fn live_instances(&self) -> usize {
        self.instances.live
    }

    /// Instances that a fleet can have had in all: an engine's number has 24 bits.
    pub const MOST_INSTANCES: u64 = EngineId::MOST as u64;

    /// Refuses instances once the fleet has had this many, [`Self::MOST_INSTANCES`] at most.
    pub fn limit_instances(&mut self, most: u64) {
        self.most_instances = most.min(Self::MOST_INSTANCES);
    }

    /// Whether there can be one more instance.
    pub(super) const fn admit_instance(&self) -> Result<(), ScalingError> {
        if self.next_instance() < self.most_instances {
            Ok(())
        } else {
            Err(ScalingError::TooManyInstances {
                limit: self.most_instances,
            })
        }
    }

    /// The number that the next server gets.
    pub(super) const fn next_server(&self) -> u64 {
        self.servers.entities.len() as u64
    }

    /// The number that the next instance gets.
    pub(super) const fn next_instance(&self) -> u64 {
        self.instances.entities.len() as u64
    }

    pub(super) fn add_server(&mut self, server: Entity) {
        self.servers.add(server);
    }

    pub(super) fn add_instance(&mut self, instance: Entity) {
        self.instances.add(instance);
    }

    pub(super) fn remove_server(&mut self, number: u64) {
        self.servers.remove(number);
    }

    pub(super) fn remove_instance(&mut self, number: u64) {
        self.instances.remove(number);
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Numbers {
    entities: Vec<Option<Entity>>,
    live: usize,
}

impl Numbers {
    fn get(&self, number: u64) -> Option<Entity> {
        *self.entities.get(usize::try_from(number).ok()?)?
    }

    fn add(&mut self, entity: Entity) {
        self.entities.push(Some(entity));
        self.live += 1;
    }

    fn remove(&mut self, number: u64) {
        let slot = usize::try_from(number)
            .ok()
            .and_then(|index| self.entities.get_mut(index));
        if slot.and_then(Option::take).is_some() {
            self.live -= 1;
        }
    }
}
