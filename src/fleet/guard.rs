//! Components that only the lifecycle changes: what a host inserts, replaces or removes by hand is undone.

use std::any::{Any, TypeId};

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::{HookContext, Insert};
use bevy_ecs::observer::On;
use bevy_ecs::prelude::{Commands, Query, ResMut};
use bevy_ecs::resource::Resource;
use bevy_ecs::world::{DeferredWorld, World};

use super::{
    Application, DrainTimer, EngineHandle, Fleet, FleetsExt, FromTemplate, HostedOn, Instance,
    InstanceRole, InstanceStatus, Ledger, OfApplication, OfFleet, OnServer, Processor,
    Provisioning, ScalingRules, Server, ServerSku, ServerStatus, StartUp, StartUpAttempt,
    StartUpStage, Templates, Unnoticed, UsedBy,
};

/// Who changes components.
#[derive(Resource, Debug, Default)]
pub(super) struct Guard {
    /// The lifecycle is at work: changes are its own.
    at_work: bool,
    /// The component that is being replaced, if it is not removed.
    replaced: Option<(TypeId, Entity)>,
    /// Its value, of a relationship.
    old: Option<Box<dyn Any + Send + Sync>>,
    observers: Vec<Entity>,
}

impl Guard {
    /// The observers that tell it of changes.
    pub(super) fn observers(self) -> Vec<Entity> {
        self.observers
    }
}

/// Changes components as the lifecycle.
pub(super) fn work<T>(world: &mut World, change: impl FnOnce(&mut World) -> T) -> T {
    let mut guard = world.get_resource_or_init::<Guard>();
    let before = std::mem::replace(&mut guard.at_work, true);
    let result = change(world);
    world.resource_mut::<Guard>().at_work = before;
    result
}

/// A component that the lifecycle gives an entity for as long as it lives.
pub(super) trait Kept: Component + Clone {
    /// Whether the entity may lose it. Default: never.
    fn may_go(&self, _: &World, _: Entity) -> bool {
        false
    }
}

/// The hook on the insertion of a component that only the lifecycle inserts.
pub(super) fn inserted<C: Kept>(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    let Some(mut guard) = world.get_resource_mut::<Guard>() else {
        return;
    };
    let replaced = guard.replaced.take() == Some((TypeId::of::<C>(), entity));
    if !guard.at_work && !replaced {
        world.commands().queue(move |world: &mut World| {
            undo::<C>(world, |world| {
                if let Ok(mut entity) = world.get_entity_mut(entity) {
                    entity.remove::<C>();
                }
            });
        });
    }
}

/// The hook on the removal or the replacement of a component that only the lifecycle removes.
pub(super) fn discarded<C: Kept>(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    let Some(old) = world.get::<C>(entity).cloned() else {
        return;
    };
    let Some(mut guard) = world.get_resource_mut::<Guard>().filter(|it| !it.at_work) else {
        return;
    };
    guard.replaced = Some((TypeId::of::<C>(), entity));
    world.commands().queue(move |world: &mut World| {
        world.resource_mut::<Guard>().replaced = None;
        if world.get_entity(entity).is_ok() && !old.may_go(world, entity) {
            undo::<C>(world, |world| {
                if let Ok(mut entity) = world.get_entity_mut(entity) {
                    entity.insert(old);
                }
            });
        }
    });
}

/// The hook on the removal or the replacement of a relationship that only the lifecycle changes.
pub(super) fn unlinked<C: Kept>(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    let Some(old) = world.get::<C>(entity).cloned() else {
        return;
    };
    let Some(mut guard) = world.get_resource_mut::<Guard>().filter(|it| !it.at_work) else {
        return;
    };
    guard.replaced = Some((TypeId::of::<C>(), entity));
    guard.old = Some(Box::new(old.clone()));
    world.commands().queue(move |world: &mut World| {
        world.resource_mut::<Guard>().replaced = None;
        let lost = world.get_entity(entity).is_ok_and(|it| !it.contains::<C>());
        if lost && !old.may_go(world, entity) {
            undo::<C>(world, |world| {
                world.entity_mut(entity).insert(old);
            });
        }
    });
}

/// The observer of the insertion of a relationship that only the lifecycle changes. Its commands come after
/// those by which the relationship enters itself into its target.
fn linked<C: Kept + PartialEq>(
    on: On<'_, '_, Insert<C>>,
    links: Query<'_, '_, &C>,
    mut guard: ResMut<'_, Guard>,
    mut commands: Commands<'_, '_>,
) {
    let entity = on.entity;
    let replaced = guard.replaced.take() == Some((TypeId::of::<C>(), entity));
    let old = guard.old.take().filter(|_| replaced);
    let Ok(new) = links.get(entity).cloned() else {
        return;
    };
    if guard.at_work {
        return;
    }
    let old = old.and_then(|old| old.downcast::<C>().ok());
    commands.queue(move |world: &mut World| {
        if world.get::<C>(entity) != Some(&new) {
            return;
        }
        match old {
            None => undo::<C>(world, |world| {
                world.entity_mut(entity).remove::<C>();
            }),
            Some(old) if *old != new && !old.may_go(world, entity) => {
                undo::<C>(world, |world| {
                    world.entity_mut(entity).insert(*old);
                });
            }
            Some(_) => {}
        }
    });
}

/// Adds the observers of the relationships.
pub(super) fn add_observers(world: &mut World) {
    let observers = vec![
        world.add_observer(linked::<OnServer>).id(),
        world.add_observer(linked::<UsedBy>).id(),
        world.add_observer(linked::<HostedOn>).id(),
        world.add_observer(linked::<OfApplication>).id(),
    ];
    world.resource_mut::<Guard>().observers = observers;
}

fn undo<C>(world: &mut World, change: impl FnOnce(&mut World)) {
    work(world, change);
    tracing::warn!(
        target: "fleetsim::scaling",
        "only the lifecycle changes {}: the change is undone",
        std::any::type_name::<C>()
    );
}

/// The hook on a component that may be replaced but not removed while the entity needs it.
pub(super) fn removed<C: Kept>(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    let Some(old) = world.get::<C>(entity).cloned() else {
        return;
    };
    if world.get_resource::<Guard>().is_none_or(|it| it.at_work) {
        return;
    }
    world.commands().queue(move |world: &mut World| {
        let lost = world.get_entity(entity).is_ok_and(|it| !it.contains::<C>());
        if lost && !old.may_go(world, entity) {
            undo::<C>(world, |world| {
                world.entity_mut(entity).insert(old);
            });
        }
    });
}

/// The hook on the insertion and the removal of an [`InstanceStatus`]: it is what the books say.
pub(super) fn instance_status_changed(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    world.commands().queue(move |world: &mut World| {
        let Some(&Instance { number }) = world.get(entity) else {
            return;
        };
        let index = usize::try_from(number).ok();
        let fleet = world.fleet_of(entity);
        let Some(ledger) = fleet.and_then(|it| world.get::<Ledger>(it)) else {
            return;
        };
        let account = index.and_then(|index| ledger.instances().get(index));
        let Some(status) = account.map(super::InstanceAccount::status) else {
            return;
        };
        if world.get(entity) != Some(&status) {
            undo::<InstanceStatus>(world, |world| {
                world.entity_mut(entity).insert(status);
            });
        }
    });
}

/// The hook on the insertion and the removal of a [`ServerStatus`]: it is what the books say.
pub(super) fn server_status_changed(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    world.commands().queue(move |world: &mut World| {
        let Some(&Server { number }) = world.get(entity) else {
            return;
        };
        let index = usize::try_from(number).ok();
        let fleet = world.fleet_of(entity);
        let Some(ledger) = fleet.and_then(|it| world.get::<Ledger>(it)) else {
            return;
        };
        let account = index.and_then(|index| ledger.servers().get(index));
        let Some(status) = account.map(super::ServerAccount::status) else {
            return;
        };
        if world.get(entity) != Some(&status) {
            undo::<ServerStatus>(world, |world| {
                world.entity_mut(entity).insert(status);
            });
        }
    });
}

impl Kept for Fleet {}

impl Kept for OfFleet {
    fn may_go(&self, world: &World, _: Entity) -> bool {
        world.get::<Fleet>(self.0).is_none()
    }
}

impl Kept for Server {}

impl Kept for ServerSku {}

impl Kept for Processor {}

impl Kept for OnServer {
    fn may_go(&self, world: &World, _: Entity) -> bool {
        world.get::<Server>(self.0).is_none()
    }
}

impl Kept for UsedBy {
    fn may_go(&self, world: &World, _: Entity) -> bool {
        world.get::<Instance>(self.0).is_none()
    }
}

impl Kept for Instance {}

impl Kept for InstanceRole {}

impl Kept for FromTemplate {}

impl Kept for HostedOn {
    fn may_go(&self, world: &World, _: Entity) -> bool {
        world.get::<Server>(self.0).is_none()
    }
}

impl Kept for OfApplication {
    fn may_go(&self, world: &World, _: Entity) -> bool {
        world.get::<Application>(self.0).is_none()
    }
}

impl Kept for EngineHandle {
    fn may_go(&self, world: &World, entity: Entity) -> bool {
        world.get(entity) == Some(&InstanceStatus::ScalingDown)
    }
}

impl Kept for Application {}

impl Kept for Templates {
    fn may_go(&self, world: &World, entity: Entity) -> bool {
        world.get::<Application>(entity).is_none()
    }
}

impl Kept for ScalingRules {
    fn may_go(&self, world: &World, entity: Entity) -> bool {
        world.get::<Application>(entity).is_none()
    }
}

impl Kept for Provisioning {
    fn may_go(&self, world: &World, entity: Entity) -> bool {
        world.get(entity) != Some(&ServerStatus::ScalingUp)
    }
}

impl Kept for StartUp {
    fn may_go(&self, world: &World, entity: Entity) -> bool {
        world.get(entity) != Some(&InstanceStatus::ScalingUp)
    }
}

impl Kept for StartUpStage {
    fn may_go(&self, world: &World, entity: Entity) -> bool {
        world.get(entity) != Some(&InstanceStatus::ScalingUp)
    }
}

impl Kept for StartUpAttempt {
    fn may_go(&self, world: &World, entity: Entity) -> bool {
        world.get(entity) != Some(&InstanceStatus::ScalingUp)
    }
}

impl Kept for Unnoticed {}

impl Kept for DrainTimer {
    fn may_go(&self, world: &World, entity: Entity) -> bool {
        world.get(entity) != Some(&InstanceStatus::Draining)
    }
}

/// Removes a timer that was inserted where nothing is to be waited for.
pub(super) fn undo_idle_timer<C: Kept>(world: &mut World, entity: Entity) {
    let idle = world
        .get::<C>(entity)
        .is_some_and(|timer| timer.may_go(world, entity));
    if idle {
        undo::<C>(world, |world| {
            world.entity_mut(entity).remove::<C>();
        });
    }
}
