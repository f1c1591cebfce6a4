//! What a snapshot of a run has of signals.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use super::Signals;
use crate::autoscale::{Amount, RoleSnapshot, SkuSnapshot, Snapshot};
use crate::fleet::{FleetsExt, Stock};
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

/// A look, its SKUs without what the catalog says of them.
#[derive(Serialize, Deserialize)]
struct SavedSnapshot {
    time: SimTime,
    arrived: u64,
    arrived_prompt_tokens: u64,
    waiting: u64,
    completed: Amount,
    roles: Vec<RoleSnapshot>,
    skus: Vec<(u32, u32, Option<u32>)>,
}

impl SavedSnapshot {
    fn of(snapshot: &Snapshot) -> Self {
        let Snapshot {
            time,
            arrived,
            arrived_prompt_tokens,
            waiting,
            completed,
            roles,
            skus,
        } = snapshot;
        let skus = skus.iter();
        Self {
            time: *time,
            arrived: *arrived,
            arrived_prompt_tokens: *arrived_prompt_tokens,
            waiting: *waiting,
            completed: *completed,
            roles: roles.clone(),
            skus: skus.map(|it| (it.scaling_up, it.active, it.room)).collect(),
        }
    }

    fn restored(self, stock: &Stock) -> Snapshot {
        let skus = stock.kinds().iter().zip(self.skus);
        let skus = skus.map(|(kind, (scaling_up, active, room))| SkuSnapshot {
            sku: Arc::clone(kind.sku()),
            scaling_up,
            active,
            room,
        });
        Snapshot {
            time: self.time,
            arrived: self.arrived,
            arrived_prompt_tokens: self.arrived_prompt_tokens,
            waiting: self.waiting,
            completed: self.completed,
            roles: self.roles,
            skus: skus.collect(),
        }
    }
}

impl Signals {
    /// Writes what was seen into a snapshot of the run; the objective and the capacity follow from the scenario.
    pub(in crate::autoscale) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        let Self {
            window,
            delay,
            slo: _,
            capacity: _,
            now,
            snapshots,
            latest,
            completions,
            nothing,
        } = self;
        let snapshots: Vec<_> = snapshots.iter().map(SavedSnapshot::of).collect();
        to.put(&(window, delay, now, snapshots, latest, completions))?;
        to.put(&SavedSnapshot::of(nothing))
    }

    /// Lays what was seen over the signals of an application.
    pub(in crate::autoscale) fn restore(
        world: &mut World,
        entity: Entity,
        from: &mut StateReader<'_>,
    ) -> Result<(), RestoreError> {
        let (window, delay, now, snapshots, latest, completions) = from.take()?;
        let snapshots: Vec<SavedSnapshot> = snapshots;
        let nothing: SavedSnapshot = from.take()?;
        let stock = world.fleet_of(entity).and_then(|it| world.get::<Stock>(it));
        let Some(stock) = stock else {
            return Err(RestoreError::Unknown("signals of a policy".to_owned()));
        };
        let snapshots = snapshots.into_iter().map(|it| it.restored(stock)).collect();
        let nothing = nothing.restored(stock);
        let Some(mut own) = world.get_mut::<Self>(entity) else {
            return Err(RestoreError::Unknown("signals of a policy".to_owned()));
        };
        (own.window, own.delay, own.now) = (window, delay, now);
        (own.snapshots, own.latest) = (snapshots, latest);
        (own.completions, own.nothing) = (completions, nothing);
        Ok(())
    }
}
