//! Scripted faults and actions: what a scenario has happen at given instants.

use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use bevy_ecs::world::World;

use crate::scenario::{Action, Fault, FaultKind, Verb};
use crate::warning::Warning;

use super::api::ScalingExt;
use super::log::refuse;
use super::queries::find_application;
use super::request::{ScaleUpFull, ScaleUpInstance, ScalingRequest};
use super::{
    Agenda, Clock, Roster, RunWarnings, ScalingAction, ScalingError, ScalingEvent, Stock, Target,
};

/// The script, in the order of the scenario. The agenda has the positions.
#[derive(Resource, Clone, Debug, Default)]
pub(super) struct Script {
    actions: Vec<Verb>,
    faults: Vec<FaultKind>,
}

impl Script {
    /// Takes a scenario's script, with its instants into the agenda.
    pub(super) fn new(actions: &[Action], faults: &[Fault], agenda: &mut Agenda) -> Self {
        for (position, action) in actions.iter().enumerate() {
            agenda.actions.push(action.at, position);
        }
        for (position, fault) in faults.iter().enumerate() {
            agenda.faults.push(fault.at, position);
        }
        Self {
            actions: actions.iter().map(|it| it.action.clone()).collect(),
            faults: faults.iter().map(|it| it.fault.clone()).collect(),
        }
    }
}

/// The system of the faults that are due.
pub(super) fn fail(world: &mut World) {
    let now = world.resource::<Clock>().now();
    while let Some((_, position)) = world.resource_mut::<Agenda>().faults.pop_due(now) {
        let fault = world.resource::<Script>().faults[position].clone();
        if let Err(error) = strike(world, &fault) {
            let event = ScalingEvent {
                time: now,
                action: ScalingAction::CrashInvalid,
                target: match fault {
                    FaultKind::InstanceCrash { instance } => Target::Instance(instance),
                    FaultKind::ServerCrash { server } => Target::Server(server),
                    FaultKind::NoNewServers { .. } => Target::NoServer,
                },
                status: "gone",
            };
            refuse(&mut world.into(), event, &error);
            let message = format!("a fault hits nothing: {error}");
            warn(
                world,
                "missed_fault",
                format!("faults[{position}]"),
                message,
            );
        }
    }
}

/// Adds to the warnings of the run.
fn warn(world: &mut World, kind: &'static str, path: String, message: String) {
    let warning = Warning::new(kind, message).at_path(path);
    let warning = warning.at_time(world.resource::<Clock>().now());
    world.resource_mut::<RunWarnings>().push(warning);
}

/// A crash is a despawn: the hooks do the rest.
fn strike(world: &mut World, fault: &FaultKind) -> Result<(), ScalingError> {
    match fault {
        FaultKind::NoNewServers { sku, duration } => {
            let now = world.resource::<Clock>().now();
            let mut stock = world.resource_mut::<Stock>();
            let position = sku
                .as_deref()
                .map(|name| stock.find(Some(name)))
                .transpose()?;
            let until = now + *duration;
            stock.block(position, until);
            tracing::info!(target: "fleetsim::scaling", time = %now, %until, "no server can be created");
        }
        FaultKind::InstanceCrash { instance } => {
            let instance = find_instance(world, *instance)?;
            world.despawn(instance);
        }
        FaultKind::ServerCrash { server } => {
            let server = find_server(world, *server)?;
            world.despawn(server);
        }
    }
    Ok(())
}

/// The system of the scripted actions that are due. A refusal is written down and does not stop the
/// run.
pub(super) fn act(world: &mut World) {
    let now = world.resource::<Clock>().now();
    while let Some((_, position)) = world.resource_mut::<Agenda>().actions.pop_due(now) {
        let verb = world.resource::<Script>().actions[position].clone();
        let refused = match resolve(world, &verb) {
            Ok(request) => world.scale(&request).err(),
            Err(error) => {
                let (action, target, status) = refusal(&verb);
                let event = ScalingEvent {
                    time: now,
                    action,
                    target,
                    status,
                };
                refuse(&mut world.into(), event, &error);
                Some(error)
            }
        };
        if let Some(error) = refused {
            let path = format!("actions[{position}]");
            warn(world, "refused_action", path, format!("refused: {error}"));
        }
    }
}

/// Finds whom a verb names.
fn resolve(world: &World, verb: &Verb) -> Result<ScalingRequest, ScalingError> {
    Ok(match verb {
        Verb::ScaleUpFull {
            application,
            role,
            sku,
            tag,
        } => ScalingRequest::ScaleUpFull(ScaleUpFull {
            application: find_application(world, application)?,
            role: *role,
            sku: sku.clone(),
            tag: tag.as_deref().map(Into::into),
        }),
        Verb::ScaleDownFull { instance } => {
            ScalingRequest::ScaleDownFull(find_instance(world, *instance)?)
        }
        Verb::ScaleUpServer { sku } => ScalingRequest::ScaleUpServer { sku: sku.clone() },
        Verb::ScaleDownServer { server } => {
            ScalingRequest::ScaleDownServer(find_server(world, *server)?)
        }
        Verb::ScaleUpInstance {
            application,
            role,
            server,
            processors,
            tag,
        } => ScalingRequest::ScaleUpInstance(ScaleUpInstance {
            application: find_application(world, application)?,
            role: *role,
            server: find_server(world, *server)?,
            processors: processors.clone(),
            tag: tag.as_deref().map(Into::into),
        }),
        Verb::ScaleDownInstance { instance } => {
            ScalingRequest::ScaleDownInstance(find_instance(world, *instance)?)
        }
        Verb::CancelScaleUp { instance } => {
            ScalingRequest::CancelScaleUp(find_instance(world, *instance)?)
        }
    })
}

/// The line for a verb that names what is not there.
fn refusal(verb: &Verb) -> (ScalingAction, Target, &'static str) {
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

fn find_instance(world: &World, number: u64) -> Result<Entity, ScalingError> {
    world
        .resource::<Roster>()
        .instance(number)
        .ok_or(ScalingError::NoSuchInstance(number))
}

fn find_server(world: &World, number: u64) -> Result<Entity, ScalingError> {
    world
        .resource::<Roster>()
        .server(number)
        .ok_or(ScalingError::NoSuchServer(number))
}
