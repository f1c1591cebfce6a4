//! What happens in a tick, in which order.

use bevy_ecs::prelude::World;
use bevy_ecs::schedule::{
    IntoScheduleConfigs, LogLevel, Schedule, ScheduleBuildSettings, Schedules,
    SingleThreadedExecutor,
};

use super::sets::{Prepared, ScriptedActions, ServeSet, Tick, TickSet};
use super::{FleetSystems, invariants, lifecycle, retention, script, serve, strikes};

/// Puts the phases and the fleet's own systems into the [`Tick`] schedule, which may already hold the
/// host's.
pub(super) fn add_schedule(world: &mut World) {
    let mut schedules = world.get_resource_or_init::<Schedules>();
    if !schedules.contains(Tick) {
        schedules.insert(Schedule::new(Tick));
    }
    let schedule = schedules.entry(Tick);
    schedule.set_executor(SingleThreadedExecutor::new());
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        ..ScheduleBuildSettings::new()
    });
    schedule.configure_sets(
        (
            TickSet::Serve,
            TickSet::Faults,
            TickSet::Lifecycle,
            TickSet::Sense,
            TickSet::Decide,
            TickSet::Act,
            TickSet::Observe,
        )
            .chain(),
    );
    schedule.configure_sets(
        (
            Prepared,
            ServeSet::Endpoints,
            ServeSet::Signals,
            ServeSet::Messages,
        )
            .chain()
            .in_set(TickSet::Serve),
    );
    let systems = (
        (retention::forget, serve::serve)
            .chain()
            .in_set(ServeSet::Endpoints),
        (script::fail, strikes::strike)
            .chain()
            .in_set(TickSet::Faults),
        script::act.in_set(TickSet::Act).in_set(ScriptedActions),
    );
    schedule.add_systems(systems.in_set(FleetSystems));
    lifecycle::add_systems(schedule);
    if cfg!(debug_assertions) {
        let check = invariants::assert_cheap.after(TickSet::Observe);
        schedule.add_systems(check.in_set(FleetSystems));
    }
}
