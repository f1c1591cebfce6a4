//! The data plane within a tick: the clock moves, and every endpoint serves.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use bevy_ecs::entity::Entity;
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::{Query, Res, ResMut};

use crate::time::SimTime;

use super::drain::IdleDrains;
use super::gateways::Gateways;
use super::{Agenda, Clock, Ledger, Rest, ScalingEvent, Service, Stock, TickLimits, VerbOutcome};

/// Whether neither a script nor the lifecycle has anything to do.
pub(super) fn has_no_plans<'a>(
    agenda: &Agenda,
    mut fleets: impl Iterator<Item = (&'a Ledger, &'a Stock)>,
    now: SimTime,
) -> bool {
    let rests = |(ledger, stock): (&Ledger, &Stock)| {
        let counts = ledger.counts();
        counts.scaling_up == 0
            && counts.draining == 0
            && !stock.repairs()
            && (0..stock.kinds().len()).all(|sku| ledger.servers_of(sku).scaling_up == 0)
    };
    !agenda.has_script() && !agenda.is_due(now) && fleets.all(rests)
}

/// Serves instant by instant until one has passed at which a request ended, `until` at the latest. Returns the
/// instant reached.
fn serve_until_one_ends(
    endpoints: &mut Endpoints<'_, '_>,
    gateways: &mut Option<ResMut<'_, Gateways>>,
    until: SimTime,
) -> SimTime {
    let ended = |endpoints: &Endpoints<'_, '_>| {
        let counts = endpoints.iter().map(|(_, it, _)| it.0.counts());
        counts.map(|it| it.completed + it.rejected).sum::<u64>()
    };
    loop {
        let sent = gateways.as_ref().and_then(|it| it.next_event());
        let next = endpoints.iter().filter_map(|(_, it, _)| it.0.next_event());
        let next = next.chain(sent).min().unwrap_or(until).min(until);
        let before = ended(endpoints);
        serve_side_by_side(endpoints, gateways, next, NonZero::<usize>::MIN);
        if ended(endpoints) > before || next >= until {
            return next;
        }
    }
}

/// Every application's data plane.
type Endpoints<'w, 's> = Query<'w, 's, (Entity, &'static mut Service, &'static IdleDrains)>;

/// Serves every application up to `until`: but for gateways, they share nothing within a tick, so that several threads lead
/// to the same results as one.
fn serve_side_by_side(
    endpoints: &mut Endpoints<'_, '_>,
    gateways: &mut Option<ResMut<'_, Gateways>>,
    until: SimTime,
    threads: NonZero<usize>,
) {
    if let Some(gateways) = gateways {
        // Those of an application wait for each other. They have nothing left to do below.
        let services = endpoints.iter_mut().map(|(entity, it, _)| (entity, it));
        gateways.serve_until(services, until);
    }
    if threads.get() == 1 {
        for (_, mut service, _) in endpoints {
            service.0.serve_until(until);
        }
        return;
    }
    let services = endpoints.iter_mut().map(|(_, service, _)| service);
    let (busy, idle): (Vec<_>, Vec<_>) =
        services.partition(|it| it.0.next_event().is_some_and(|next| next <= until));
    for mut service in idle {
        service.0.serve_until(until);
    }
    let others = threads.get().min(busy.len()).saturating_sub(1);
    let left = Mutex::new(busy.into_iter());
    let take = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let serve = || {
        while let Some(mut service) = take() {
            service.0.serve_until(until);
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(serve);
        }
        serve();
    });
}

/// Moves the clock to the end of the tick and serves up to it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a system takes its parameters by value"
)]
pub(super) fn serve(
    mut clock: ResMut<'_, Clock>,
    mut agenda: ResMut<'_, Agenda>,
    limits: Res<'_, TickLimits>,
    fleets: Query<'_, '_, (&Ledger, &Stock)>,
    (mut endpoints, mut gateways): (Endpoints<'_, '_>, Option<ResMut<'_, Gateways>>),
    mut events: ResMut<'_, Messages<ScalingEvent>>,
    mut outcomes: ResMut<'_, Messages<VerbOutcome>>,
) {
    if !events.is_empty() {
        events.update();
    }
    if !outcomes.is_empty() {
        outcomes.update();
    }
    let now = clock.now();
    let next = endpoints
        .iter()
        .filter_map(|(_, service, _)| service.0.next_event());
    let sent = gateways.as_ref().and_then(|it| it.next_event());
    let next_event = next.chain(sent).min().unwrap_or(SimTime::MAX);
    let drained = endpoints
        .iter()
        .filter(|(.., drains)| !drains.is_empty())
        .filter_map(|(_, service, _)| service.0.next_event())
        .min();
    let bound = agenda
        .next_due()
        .min(
            limits
                .max_tick
                .map_or(SimTime::MAX, |longest| now + longest),
        )
        .min(drained.unwrap_or(SimTime::MAX));
    let until = bound.min(limits.horizon).max(now);
    let until = if limits.stop_at_ends {
        serve_until_one_ends(&mut endpoints, &mut gateways, until)
    } else {
        serve_side_by_side(&mut endpoints, &mut gateways, until, limits.threads);
        until
    };
    let mut services = endpoints.iter().map(|(_, service, _)| service);
    let all_sent = gateways.as_ref().is_none_or(|it| it.are_done());
    let rests = match limits.rest {
        Rest::Never => false,
        Rest::Quiet => all_sent && services.all(|service| service.0.is_done()),
        Rest::Stalled => all_sent && services.all(|it| it.0.next_event().is_none()),
    };
    let end = if until == SimTime::MAX || rests && has_no_plans(&agenda, fleets.iter(), now) {
        let last = endpoints.iter().map(|(_, it, _)| it.0.last_event());
        last.fold(now, SimTime::max)
    } else {
        until
    };
    if end < until {
        for (_, mut service, _) in &mut endpoints {
            service.0.return_to(end);
        }
    }
    clock.advance(end, bound.min(next_event) <= now);
    agenda.begin(end);
}
