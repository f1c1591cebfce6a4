//! Scripted faults and actions: what a scenario has happen at given instants.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::scenario::{Action, Fault, FaultKind, Verb};
use crate::time::SimTime;
use crate::warning::Warning;

use super::api::ScalingExt;
use super::blows::{self, Blow};
use super::fault_log::FaultLog;
use super::fleet_part::{part, part_mut};
use super::instances;
use super::log::{Line, refuse};
use super::queries::find_application_in;
use super::request::{ScaleUpFull, ScaleUpInstance, ScalingRequest};
use super::{Agenda, Clock, Roster, RunWarnings, ScalingAction, ScalingError, Stock, Target};

/// The script, in the order of the scenario. The agenda has the positions.
#[derive(Component, Clone, Debug, Default)]
pub(super) struct Script {
    actions: Vec<Verb>,
    faults: Vec<FaultKind>,
}

impl Script {
    /// Takes a scenario's script.
    pub(super) fn new(actions: &[Action], faults: &[Fault]) -> Self {
        Self {
            actions: actions.iter().map(|it| it.action.clone()).collect(),
            faults: faults.iter().map(|it| it.fault.clone()).collect(),
        }
    }
}

/// Puts the instants of a fleet's script, moved by `begun`, into the agenda.
pub(super) fn arm(
    agenda: &mut Agenda,
    fleet: Entity,
    actions: &[Action],
    faults: &[Fault],
    begun: SimTime,
) {
    let at = |time: SimTime| begun + (time - SimTime::ZERO);
    for (position, action) in actions.iter().enumerate() {
        agenda.actions.push(at(action.at), (fleet, position));
    }
    for (position, fault) in faults.iter().enumerate() {
        agenda.faults.push(at(fault.at), (fleet, position));
    }
}

/// Puts another script in the place of what is to come of a fleet's.
pub(super) fn replace(
    world: &mut World,
    fleet: Entity,
    actions: &[Action],
    faults: &[Fault],
) -> Result<(), ScalingError> {
    let now = world.resource::<Clock>().now();
    let mut script = world
        .get_mut::<Script>(fleet)
        .ok_or(ScalingError::NoFleet)?;
    *script = Script::new(actions, faults);
    let mut agenda = world.resource_mut::<Agenda>();
    let others = |(of, position): (Entity, usize)| (of != fleet).then_some((of, position));
    agenda.actions.keep(others);
    agenda.faults.keep(others);
    for (position, action) in actions.iter().enumerate().filter(|(_, it)| it.at > now) {
        agenda.actions.push(action.at, (fleet, position));
    }
    for (position, fault) in faults.iter().enumerate().filter(|(_, it)| it.at > now) {
        agenda.faults.push(fault.at, (fleet, position));
    }
    Ok(())
}

/// The system of the faults that are due.
pub(super) fn fail(world: &mut World) {
    let now = world.resource::<Clock>().now();
    while let Some((_, (fleet, position))) = world.resource_mut::<Agenda>().faults.pop_due(now) {
        let script = world.get::<Script>(fleet);
        let Some(fault) = script.and_then(|it| it.faults.get(position)).cloned() else {
            continue;
        };
        if let Err(error) = strike(world, fleet, &fault) {
            let target = match fault {
                FaultKind::InstanceCrash { instance, .. } => Target::Instance(instance),
                FaultKind::ServerCrash { server, .. }
                | FaultKind::ProcessorLost { server, .. }
                | FaultKind::SlowServer { server, .. }
                | FaultKind::SlowProcessor { server, .. }
                | FaultKind::SpotReclaim { server, .. } => Target::Server(server),
                FaultKind::NoNewServers { .. } | FaultKind::ZoneOutage { .. } => Target::NoServer,
            };
            let line = (ScalingAction::CrashInvalid, target, "gone");
            refuse(&mut world.into(), Some(fleet), line, &error);
            let message = format!("a fault hits nothing: {error}");
            warn(
                world,
                fleet,
                "missed_fault",
                format!("faults[{position}]"),
                message,
            );
        }
    }
}

/// Adds to the warnings of the run.
fn warn(world: &mut World, fleet: Entity, kind: &'static str, path: String, message: String) {
    let warning = Warning::new(kind, message).at_path(path);
    let warning = warning.at_time(world.resource::<Clock>().now());
    if let Some(mut warnings) = world.get_mut::<RunWarnings>(fleet) {
        warnings.push(warning);
    }
}

fn strike(world: &mut World, fleet: Entity, fault: &FaultKind) -> Result<(), ScalingError> {
    let (blow, name) = match *fault {
        FaultKind::NoNewServers { ref sku, duration } => {
            let now = world.resource::<Clock>().now();
            let mut stock = world.get_mut::<Stock>(fleet).ok_or(ScalingError::NoFleet)?;
            let position = sku
                .as_deref()
                .map(|name| stock.find(Some(name)))
                .transpose()?;
            let until = now + duration;
            stock.block(position, until);
            tracing::info!(target: "fleetsim::scaling", time = %now, %until, "no server can be created");
            let mut log = part_mut::<FaultLog>(world, fleet);
            log.open();
            let target = sku.clone().unwrap_or_else(|| "fleet".to_owned());
            log.close(now, "no_new_servers", target, Some(until));
            return Ok(());
        }
        FaultKind::InstanceCrash { instance, restart } => {
            let instance = find_instance(world, fleet, instance)?;
            (Blow::Instance { instance, restart }, "instance_crash")
        }
        FaultKind::ServerCrash { server, repair } => {
            let server = find_server(world, fleet, server)?;
            (Blow::Server { server, repair }, "server_crash")
        }
        FaultKind::ProcessorLost {
            server: number,
            processor: index,
            repair,
        } => {
            let processor = find_processor(world, fleet, number, index)?;
            (Blow::Processor { processor, repair }, "processor_lost")
        }
        FaultKind::SlowServer {
            server,
            factor,
            duration,
        } => {
            let what = find_server(world, fleet, server)?;
            let slow = Blow::Slow {
                what,
                factor,
                duration,
            };
            (slow, "slow_server")
        }
        FaultKind::SlowProcessor {
            server,
            processor,
            factor,
            duration,
        } => {
            let what = find_processor(world, fleet, server, processor)?;
            let slow = Blow::Slow {
                what,
                factor,
                duration,
            };
            (slow, "slow_processor")
        }
        FaultKind::SpotReclaim { server, notice } => {
            let server = find_server(world, fleet, server)?;
            (Blow::Reclaim { server, notice }, "spot_reclaim")
        }
        FaultKind::ZoneOutage { ref zone, duration } => {
            let zones = part::<Stock>(world, fleet).zones();
            if zones.find(zone).is_none() {
                return Err(ScalingError::NoSuchZone(zone.clone()));
            }
            let zone = zone.as_str().into();
            (Blow::Zone { zone, duration }, "zone_outage")
        }
    };
    if blow.is_in_vain(world) {
        return Err(ScalingError::LostAlready);
    }
    blows::deal(world, fleet, &blow, name);
    Ok(())
}

/// The system of the scripted actions that are due. A refusal is written down and does not stop the
/// run.
pub(super) fn act(world: &mut World) {
    let now = world.resource::<Clock>().now();
    while let Some((_, (fleet, position))) = world.resource_mut::<Agenda>().actions.pop_due(now) {
        let script = world.get::<Script>(fleet);
        let Some(verb) = script.and_then(|it| it.actions.get(position)).cloned() else {
            continue;
        };
        let refused = match resolve(world, fleet, &verb) {
            Ok(request) => world.scale(&request).err(),
            Err(error) => {
                refuse(&mut world.into(), Some(fleet), refusal(&verb), &error);
                Some(error)
            }
        };
        if let Some(error) = refused {
            let path = format!("actions[{position}]");
            let message = format!("refused: {error}");
            warn(world, fleet, "refused_action", path, message);
        }
    }
}

/// Finds whom a verb names.
fn resolve(world: &World, fleet: Entity, verb: &Verb) -> Result<ScalingRequest, ScalingError> {
    Ok(match verb {
        Verb::ScaleUpFull {
            application,
            role,
            sku,
            tag,
        } => ScalingRequest::ScaleUpFull(ScaleUpFull {
            application: find_application_in(world, fleet, application)?,
            role: *role,
            sku: sku.clone(),
            tag: tag.as_deref().map(Into::into),
        }),
        Verb::ScaleDownFull { instance } => {
            ScalingRequest::ScaleDownFull(find_instance(world, fleet, *instance)?)
        }
        Verb::ScaleUpServer { sku } => ScalingRequest::ScaleUpServerIn {
            fleet,
            sku: sku.clone(),
        },
        Verb::ScaleDownServer { server } => {
            ScalingRequest::ScaleDownServer(find_server(world, fleet, *server)?)
        }
        Verb::ScaleUpInstance {
            application,
            role,
            server,
            processors,
            tag,
        } => ScalingRequest::ScaleUpInstance(ScaleUpInstance {
            application: find_application_in(world, fleet, application)?,
            role: *role,
            server: find_server(world, fleet, *server)?,
            processors: processors.clone(),
            tag: tag.as_deref().map(Into::into),
        }),
        Verb::ScaleDownInstance { instance } => {
            ScalingRequest::ScaleDownInstance(find_instance(world, fleet, *instance)?)
        }
        Verb::CancelScaleUp { instance } => {
            ScalingRequest::CancelScaleUp(find_instance(world, fleet, *instance)?)
        }
    })
}

/// The line for a verb that names what is not there.
fn refusal(verb: &Verb) -> Line {
    use ScalingAction::{ScaleDownInvalid, ScaleDownServerInvalid, ScaleUpFailed};
    match *verb {
        Verb::ScaleUpFull { .. } | Verb::ScaleUpServer { .. } => {
            (ScaleUpFailed, Target::NoServer, "failed")
        }
        Verb::ScaleUpInstance { .. } => (ScaleUpFailed, Target::NoInstance, "failed"),
        Verb::ScaleDownFull { instance }
        | Verb::ScaleDownInstance { instance }
        | Verb::CancelScaleUp { instance } => {
            (ScaleDownInvalid, Target::Instance(instance), "gone")
        }
        Verb::ScaleDownServer { server } => {
            (ScaleDownServerInvalid, Target::Server(server), "gone")
        }
    }
}

fn find_instance(world: &World, fleet: Entity, number: u64) -> Result<Entity, ScalingError> {
    let roster = world.get::<Roster>(fleet);
    roster
        .and_then(|it| it.instance(number))
        .ok_or(ScalingError::NoSuchInstance(number))
}

fn find_processor(
    world: &World,
    fleet: Entity,
    server: u64,
    index: u32,
) -> Result<Entity, ScalingError> {
    let processors = instances::processors_of(world, find_server(world, fleet, server)?);
    let processor = processors.get(index as usize).copied();
    processor.ok_or(ScalingError::NoProcessor {
        server,
        processor: index,
        count: processors.len(),
    })
}

fn find_server(world: &World, fleet: Entity, number: u64) -> Result<Entity, ScalingError> {
    let roster = world.get::<Roster>(fleet);
    roster
        .and_then(|it| it.server(number))
        .ok_or(ScalingError::NoSuchServer(number))
}
