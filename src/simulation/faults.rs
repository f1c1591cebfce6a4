//! What broke in a run, and how its applications came through.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::fleet::{Application, FaultLog, Ledger, ServerStatus, something_may_break};
use crate::observe::{ApplicationStatistics, FaultsSummary, ResilienceSummary, SECONDS_PER_HOUR};
use crate::time::SimTime;

/// What broke in fleets up to `end`, where something may.
pub(super) fn of(world: &World, fleets: &[Entity], end: SimTime) -> Option<FaultsSummary> {
    let mut summary = FaultsSummary::default();
    let (mut up, mut down) = (0.0, 0.0);
    let may_break = |&it: &Entity| something_may_break(world, it);
    if !fleets.iter().any(may_break) {
        return None;
    }
    let window = SimTime::ZERO..end;
    for &fleet in fleets {
        let (log, ledger) = (world.get::<FaultLog>(fleet)?, world.get::<Ledger>(fleet)?);
        for (name, of) in log.totals() {
            let sum = summary.by_fault.entry(name.clone()).or_default();
            sum.count += of.count;
            sum.servers += of.toll.servers;
            sum.instances += of.toll.instances;
            sum.requests_retried += of.toll.retried;
            sum.requests_failed += of.toll.failed;
            sum.lost_tokens += of.toll.lost_tokens;
        }
        let active = ledger.server_time(&window, None, Some(ServerStatus::Active));
        let unnoticed = ledger
            .servers()
            .iter()
            .map(|it| it.unnoticed(end).seconds());
        up += active.seconds() - unnoticed.sum::<f64>();
        down += log.repair_time(None, end).seconds();
    }
    Some(FaultsSummary {
        repair_hours: down / SECONDS_PER_HOUR,
        availability: (up + down > 0.0).then(|| up / (up + down)),
        ..summary
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
    let served = own.filter_map(|it| it.served(end));
    let mut spans: Vec<_> = served.map(|span| (span.start, span.end.min(end))).collect();
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
