//! The steps of a life, one system each, in their order within a tick.

use bevy_ecs::prelude::{Commands, Query, Res, ResMut, SystemSet, World};
use bevy_ecs::schedule::{IntoScheduleConfigs, Schedule};

use super::drain::{self, IdleDrains};
use super::due::{DrainCheck, Due, Joining};
use super::fleets::Fleets;
use super::loads::Loads;
use super::reclaim;
use super::repair::{self, Repair};
use super::slow::{self, Slow};
use super::standby::Standby;
use super::start_up::{self, WaitingRequests};
use super::{
    Agenda, Clock, DrainTimer, FleetSystems, Ledger, Provisioning, Reclaimed, Roster, Service,
    StartUp, StartUpAttempt, StartUpStage, TickSet, Unnoticed, attempts, health, ready_servers,
    servers, staging,
};

/// The steps of [`TickSet::Lifecycle`], in order. Each costs what is due in it.
///
/// Steps that are due at one instant happen in this order; within a step, in the order of (time, order of
/// asking). A server that an instance leaves empty goes in the step in which the instance goes.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifecycleSet {
    /// Instances that drain until they are idle retire.
    IdleInstancesRetire,
    /// Servers and processors have been repaired, what is slow is no longer, losses are noticed, servers that are taken
    /// back go.
    FaultsEnd,
    /// Servers have been provisioned; SKUs that lack some that are kept ready try again.
    ServersBecomeReady,
    /// Stages of start-ups have taken their time, or have their bytes; then attempts fail, are given up, or begin again.
    StagesEnd,
    /// Instances have spun up and join their application, closed to requests as yet.
    InstancesJoin,
    /// Instances become active and take requests.
    InstancesActivate,
    /// Draining instances are looked at; one that has no work retires.
    DrainsAreChecked,
    /// Drains that take too long end: the work left is put back.
    DrainsRunOut,
    /// The waiting requests of applications are scheduled.
    WaitingRequestsAreScheduled,
}

/// Adds the steps and their systems.
pub(super) fn add_systems(schedule: &mut Schedule) {
    use LifecycleSet::{
        DrainsAreChecked, DrainsRunOut, FaultsEnd, IdleInstancesRetire, InstancesActivate,
        InstancesJoin, ServersBecomeReady, StagesEnd, WaitingRequestsAreScheduled,
    };
    let steps = (
        IdleInstancesRetire,
        FaultsEnd,
        ServersBecomeReady,
        StagesEnd,
        InstancesJoin,
        InstancesActivate,
        DrainsAreChecked,
        DrainsRunOut,
        WaitingRequestsAreScheduled,
    );
    schedule.configure_sets(steps.chain().in_set(TickSet::Lifecycle));
    let of_instances_and_servers = (
        retire_idle_instances.in_set(IdleInstancesRetire),
        end_faults.in_set(FaultsEnd),
        make_servers_ready.in_set(ServersBecomeReady),
        end_stages.in_set(StagesEnd),
        join_instances.in_set(InstancesJoin),
        activate_instances.in_set(InstancesActivate),
        check_drains.in_set(DrainsAreChecked),
        end_drains.in_set(DrainsRunOut),
    );
    let systems = (
        of_instances_and_servers.run_if(anything_is_due),
        schedule_waiting_requests.in_set(WaitingRequestsAreScheduled),
    );
    schedule.add_systems(systems.in_set(FleetSystems));
}

/// Whether a timer has run out, or an instance drains that may be idle. One look for all the steps.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a system takes its parameters by value"
)]
fn anything_is_due(agenda: Res<'_, Agenda>, ledgers: Query<'_, '_, &Ledger>) -> bool {
    agenda.lifecycle.has_out() || ledgers.iter().any(|it| it.counts().draining > 0)
}

fn retire_idle_instances(
    fleets: Res<'_, Fleets>,
    rosters: Query<'_, '_, &Roster>,
    mut applications: Query<'_, '_, (&mut Service, &mut IdleDrains)>,
    timers: Query<'_, '_, &DrainTimer>,
    mut commands: Commands<'_, '_>,
) {
    let rosters = rosters.iter_many(fleets.there());
    for &application in rosters.flatten().flat_map(Roster::applications) {
        let Ok((mut service, mut drains)) = applications.get_mut(application) else {
            continue;
        };
        for (instance, at) in drains.take_idle(&mut service, &timers) {
            commands.queue(move |world: &mut World| drain::retire(world, instance, at));
        }
    }
}

fn end_faults(
    repairs: Due<'_, Repair>,
    slow: Due<'_, Slow>,
    reclaimed: Due<'_, Reclaimed>,
    unnoticed: Due<'_, Unnoticed>,
    mut commands: Commands<'_, '_>,
) {
    for (_, repair) in repairs.iter() {
        commands.queue(move |world: &mut World| repair::end(world, repair));
    }
    for (_, server) in slow.iter() {
        commands.queue(move |world: &mut World| slow::end(world, server));
    }
    for (_, lost) in unnoticed.iter() {
        commands.queue(move |world: &mut World| health::notice(world, lost));
    }
    for (_, server) in reclaimed.iter() {
        commands.queue(move |world: &mut World| reclaim::end(world, server));
    }
}

fn make_servers_ready(
    due: Due<'_, Provisioning>,
    lacking: Due<'_, Standby>,
    mut commands: Commands<'_, '_>,
) {
    for (_, fleet) in lacking.iter() {
        commands.queue(move |world: &mut World| ready_servers::try_again(world, fleet));
    }
    for (at, server) in due.iter() {
        commands.queue(move |world: &mut World| servers::become_ready(world, server, at));
    }
}

fn end_stages(
    stages: Due<'_, StartUpStage>,
    loads: Due<'_, Loads>,
    tried: Due<'_, StartUpAttempt>,
    mut commands: Commands<'_, '_>,
) {
    for (at, instance) in stages.iter() {
        commands.queue(move |world: &mut World| staging::end(world, instance, at));
    }
    for (at, instance) in loads.iter() {
        commands.queue(move |world: &mut World| staging::end_loads(world, instance, at));
    }
    for (at, instance) in tried.iter() {
        commands.queue(move |world: &mut World| attempts::end(world, instance, at));
    }
}

fn join_instances(due: Due<'_, Joining>, mut commands: Commands<'_, '_>) {
    for (_, instance) in due.iter() {
        commands.queue(move |world: &mut World| start_up::join(world, instance));
    }
}

fn activate_instances(due: Due<'_, StartUp>, mut commands: Commands<'_, '_>) {
    for (at, instance) in due.iter() {
        commands.queue(move |world: &mut World| start_up::activate(world, instance, at));
    }
}

fn check_drains(due: Due<'_, DrainCheck>, mut commands: Commands<'_, '_>) {
    for (at, instance) in due.iter() {
        commands.queue(move |world: &mut World| drain::check(world, instance, at));
    }
}

fn end_drains(due: Due<'_, DrainTimer>, mut commands: Commands<'_, '_>) {
    for (at, instance) in due.iter() {
        commands.queue(move |world: &mut World| drain::run_out(world, instance, at));
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a system takes its parameters by value"
)]
fn schedule_waiting_requests(
    clock: Res<'_, Clock>,
    mut agenda: ResMut<'_, Agenda>,
    mut waiting: ResMut<'_, WaitingRequests>,
    mut services: Query<'_, '_, &mut Service>,
) {
    for application in waiting.drain() {
        agenda.lifecycle.clear::<WaitingRequests>(application);
        if let Ok(mut service) = services.get_mut(application) {
            service.0.flush(clock.now());
        }
    }
}
