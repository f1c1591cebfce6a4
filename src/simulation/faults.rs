//! What broke in a run, and how its applications came through.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::fleet::{
    Application, FaultLog, InstanceStatus, Ledger, ServerStatus, something_may_break,
};
use crate::observe::{
    ApplicationStatistics, FaultSummary, FaultsSummary, ResilienceSummary, SECONDS_PER_HOUR,
};
use crate::time::SimTime;

/// What broke up to `end`, where something may.
pub(super) fn of(world: &World, fleet: Entity, end: SimTime) -> Option<FaultsSummary> {
    let log = world.get::<FaultLog>(fleet)?;
    if !something_may_break(world, fleet) {
        return None;
    }
    let by_fault = log.totals().iter().map(|(name, of)| {
        let summary = FaultSummary {
            count: of.count,
            servers: of.toll.servers,
            instances: of.toll.instances,
            requests_retried: of.toll.retried,
            requests_failed: of.toll.failed,
            lost_tokens: of.toll.lost_tokens,
        };
        (name.clone(), summary)
    });
    let window = SimTime::ZERO..end;
    let ledger = world.get::<Ledger>(fleet)?;
    let up = ledger.server_time(&window, None, Some(ServerStatus::Active));
    let (up, down) = (up.seconds(), log.repair_time(None, end).seconds());
    Some(FaultsSummary {
        by_fault: by_fault.collect(),
        repair_hours: down / SECONDS_PER_HOUR,
        availability: (up + down > 0.0).then(|| up / (up + down)),
    })
}

/// How an application came through faults up to `end`, where something may break.
pub(super) fn resilience(
    world: &World,
    fleet: Entity,
    application: Entity,
    statistics: &ApplicationStatistics,
    end: SimTime,
) -> Option<ResilienceSummary> {
    if !something_may_break(world, fleet) {
        return None;
    }
    let of = world.get::<Application>(application)?;
    let accounts = world.get::<Ledger>(fleet)?.instances().iter();
    let own = accounts.filter(|it| it.application == of.index());
    let active = own.filter_map(|it| it.span(Some(InstanceStatus::Active), end));
    let mut spans: Vec<_> = active.map(|span| (span.start, span.end.min(end))).collect();
    spans.sort_unstable();
    let (mut served, mut reached) = (0.0, SimTime::ZERO);
    for (start, stop) in spans {
        served += (stop - start.max(reached)).seconds();
        reached = reached.max(stop);
    }
    let log = world.get::<FaultLog>(fleet);
    let recovery = statistics.recovery(log.map_or(&[], FaultLog::costly), end);
    Some(ResilienceSummary {
        served_share: (end > SimTime::ZERO).then(|| served / end.seconds()),
        recovery,
    })
}
