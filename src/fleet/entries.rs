//! What the fleet itself enters in the list of its parts: how each is copied, saved and restored.

use bevy_ecs::entity::Entity;
use bevy_ecs::message::Messages;
use bevy_ecs::world::World;

use crate::random::{Delay, Stream};
use crate::serving::Made;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

use super::agenda::SavedAgenda;
use super::drain::IdleDrains;
use super::due::{DrainCheck, Joining};
use super::fault_log::FaultLog;
use super::fleets::Fleets;
use super::hazards::{Hazard, Hazards, Striking};
use super::loads::Loads;
use super::market::Held;
use super::parts::{Codec, Parts};
use super::repair::Repair;
use super::requests::{self, Announced};
use super::script::Script;
use super::slow::Slow;
use super::staging::ToCome;
use super::standby::{Standby, StandbyState};
use super::start_up::{self, WaitingRequests};
use super::zones::{InZone, Zones};
use super::{
    Agenda, Application, AttemptCounts, Broken, Clock, Cordoned, DrainTimer, EngineHandle, Fleet,
    FleetsExt, Instance, Ledger, MadeWithInstance, MadeWithServer, OfFleet, Origin, OutcomeLog,
    PowerSlowdown, Processor, Provisioning, Purchased, Reclaimed, Refusals, RequestEnded,
    Retention, Roster, RunWarnings, ScalingEvent, ScalingLog, ScalingRules, Server, ServerCache,
    Service, StageTimes, StartUp, StartUpAttempt, StartUpStage, Stock, Tag, TakesServerAlong,
    Templates, TickLimits, Unnoticed, VerbOutcome, schedule,
};

/// Enters what the fleet itself is made of.
pub(super) fn enter(parts: &mut Parts) {
    parts
        .nature::<Fleet>()
        .nature::<OfFleet>()
        .nature::<Server>()
        .nature::<Processor>()
        .nature::<Instance>()
        .component_by::<Stock>(Codec {
            save: save_stock,
            restore: restore_stock,
        })
        .component::<Ledger>()
        .derived_component::<Application>()
        .derived_component::<Templates>()
        // Before the engines, which are restored with their pace.
        .component::<Slow>()
        .component_by::<Service>(Codec {
            save: save_service,
            restore: restore_service,
        })
        .component_with::<IdleDrains>(IdleDrains::follow)
        .component::<ScalingRules>()
        .component::<Tag>()
        .component::<EngineHandle>()
        .component::<TakesServerAlong>()
        .component::<MadeWithServer>()
        .component::<MadeWithInstance>()
        .component::<Provisioning>()
        .component::<StartUp>()
        .component::<StartUpStage>()
        .component::<ToCome>()
        .component::<StartUpAttempt>()
        .component::<AttemptCounts>()
        .component::<PowerSlowdown>()
        .component::<Reclaimed>()
        .component::<Broken>()
        .component_with::<Unnoticed>(Unnoticed::follow)
        .component::<Cordoned>()
        .component_with::<Repair>(Repair::follow)
        .component::<InZone>()
        .component::<Purchased>()
        .component_with::<Hazard>(Hazard::follow)
        .component::<ServerCache>()
        .component::<StageTimes>()
        .component::<Loads>()
        .component::<FaultLog>()
        .component_with::<Hazards>(Hazards::follow)
        .component::<DrainTimer>()
        .resource_by::<Agenda>(Agenda::follow, save_agenda, restore_agenda)
        .purpose::<WaitingRequests>()
        .purpose::<Provisioning>()
        .purpose::<Joining>()
        .purpose::<StartUp>()
        .purpose::<StartUpStage>()
        .purpose::<Loads>()
        .purpose::<StartUpAttempt>()
        .purpose::<Repair>()
        .purpose::<Slow>()
        .purpose::<Reclaimed>()
        .purpose::<Standby>()
        .purpose::<Unnoticed>()
        .purpose::<Striking>()
        .purpose::<DrainCheck>()
        .purpose::<DrainTimer>()
        .derived_component::<Script>()
        .resource::<TickLimits>()
        .laid_over()
        .resource::<Clock>()
        .laid_over()
        .derived_component::<Origin>()
        .resource_with::<Fleets>(Fleets::follow)
        .laid_over()
        .component_with::<Roster>(Roster::follow)
        .resource_with::<WaitingRequests>(WaitingRequests::follow)
        .component::<ScalingLog>()
        .component::<RunWarnings>()
        .component::<Refusals>()
        .resource::<Retention>()
        .resource_by::<Announced>(Announced::follow, save_announced, restore_announced)
        .fresh_resource::<OutcomeLog>()
        .fresh_resource::<Messages<ScalingEvent>>()
        .fresh_resource::<Messages<VerbOutcome>>()
        .fresh_resource::<Messages<RequestEnded>>()
        .systems::<super::Tick>(schedule::add_schedule);
}

/// What changes about a SKU.
type SavedKind = (
    (String, Option<u32>, Option<u32>),
    (Delay, Stream, SimTime),
    (u32, u32, Vec<Held>, SimTime, StandbyState),
);

fn save_stock(_: &World, _: Entity, stock: &Stock, to: &mut StateWriter) -> Result<(), SaveError> {
    let kinds = stock.kinds.iter().map(|kind| {
        (
            (kind.sku.name.clone(), kind.limit, kind.highest_limit),
            (
                kind.provision_delay,
                kind.stream.clone(),
                kind.blocked_until,
            ),
            (
                kind.away,
                kind.mending,
                kind.market.held().to_vec(),
                kind.market.since,
                kind.standby.state().clone(),
            ),
        )
    });
    let kinds: Vec<SavedKind> = kinds.collect();
    to.put(&(kinds, &stock.zones, stock.unnoticed))
}

fn restore_stock(
    world: &mut World,
    fleet: Entity,
    from: &mut StateReader<'_>,
) -> Result<(), RestoreError> {
    let (saved, zones, unnoticed): (Vec<SavedKind>, Zones, u32) = from.take()?;
    let stock = world.get_mut::<Stock>(fleet);
    let mut stock = stock.ok_or_else(|| RestoreError::Unknown("a fleet".to_owned()))?;
    stock.zones = zones;
    stock.unnoticed = unnoticed;
    for (position, (of, provision, (away, mending, held, since, standby))) in
        saved.into_iter().enumerate()
    {
        let ((name, limit, highest), (delay, stream, until)) = (of, provision);
        let kind = stock.kinds.get_mut(position);
        let Some(kind) = kind.filter(|it| it.sku.name == name) else {
            return Err(RestoreError::Unknown(format!("the SKU \"{name}\"")));
        };
        (kind.limit, kind.highest_limit) = (limit, highest);
        (kind.provision_delay, kind.stream, kind.blocked_until) = (delay, stream, until);
        (kind.away, kind.mending) = (away, mending);
        kind.standby.restore(standby);
        if !kind.market.restore(held, since) {
            let what = format!("the purchase options of \"{name}\"");
            return Err(RestoreError::Unknown(what));
        }
    }
    Ok(())
}

/// An engine that a host has added by hand belongs to no instance, and could not be made anew.
fn save_service(
    world: &World,
    entity: Entity,
    service: &Service,
    to: &mut StateWriter,
) -> Result<(), SaveError> {
    let application = world.get::<Application>(entity).map(Application::index);
    let ledger = world
        .fleet_of(entity)
        .and_then(|it| world.get::<Ledger>(it));
    for (engine, number) in service.0.engine_instances() {
        let index = usize::try_from(number).ok();
        let account = index.and_then(|index| ledger?.instances().get(index));
        let holds = account
            .is_some_and(|it| it.engine == Some(engine) && Some(it.application) == application);
        if !holds {
            let what = format!("the engine of the number {number} that a host has added by hand");
            return Err(SaveError::not_saved(what, "create an instance instead"));
        }
    }
    service.0.save(to)
}

fn restore_service(
    world: &mut World,
    entity: Entity,
    from: &mut StateReader<'_>,
) -> Result<(), RestoreError> {
    let missing = |what: String| RestoreError::unreadable("an application", what);
    let Some(templates) = world.get::<Templates>(entity).cloned() else {
        return Err(missing("it has no templates".to_owned()));
    };
    let ledger = world
        .fleet_of(entity)
        .and_then(|it| world.get::<Ledger>(it));
    let accounts = ledger.into_iter().flat_map(|it| it.instances().iter());
    let accounts: Vec<_> = accounts.map(|it| (it.template, it.sku, it.role)).collect();
    let Some(mut service) = world.get_mut::<Service>(entity) else {
        return Err(missing("it has no endpoint".to_owned()));
    };
    service.0.restore(from, |endpoint, number| {
        let index = usize::try_from(number).ok();
        let account = index.and_then(|index| accounts.get(index));
        let spec = account.and_then(|&(template, sku, role)| {
            start_up::engine_spec(&templates, template, sku, number, role)
        });
        let (spec, named) =
            spec.ok_or_else(|| missing(format!("nothing is known of instance {number}")))?;
        Ok(match named {
            Some(named) => Made::Own(named.build(&endpoint.site(&spec))),
            None => Made::From(spec),
        })
    })
}

fn save_agenda(world: &World, agenda: Agenda, to: &mut StateWriter) -> Result<(), SaveError> {
    let purposes = world.resource::<Parts>().purposes();
    to.put(&agenda.saved(purposes)?)
}

fn restore_agenda(
    world: &mut World,
    twins: &super::Twins,
    from: &mut StateReader<'_>,
) -> Result<(), RestoreError> {
    let saved: SavedAgenda = from.take()?;
    let purposes = world.resource::<Parts>().purposes().to_vec();
    let mut agenda = Agenda::restored(saved, &purposes)?;
    agenda.follow(twins);
    world.insert_resource(agenda);
    Ok(())
}

fn save_announced(_: &World, announced: Announced, to: &mut StateWriter) -> Result<(), SaveError> {
    to.put(&announced)
}

fn restore_announced(
    world: &mut World,
    twins: &super::Twins,
    from: &mut StateReader<'_>,
) -> Result<(), RestoreError> {
    let mut announced: Announced = from.take()?;
    announced.follow(twins);
    world.insert_resource(announced);
    requests::add_messages(world);
    Ok(())
}
