//! Who gets the GPUs that are left, where several ask for them.

use std::collections::BTreeMap;

use bevy_ecs::entity::Entity;
use bevy_ecs::prelude::{Query, Res};
use bevy_ecs::relationship::RelationshipTarget;

use super::decider::Deciding;
use super::{Decider, Signals};
use crate::fleet::{Agenda, HostedOn, Ledger, OfFleet, ServerSku, Stock, Templates, Uses};
use crate::serving::Role;

/// A wish for a number of instances of one kind, that competes for GPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The kind of GPU, by its position in the stock.
    pub gpu: usize,
    /// What those that there are have to spare, as a share; the less, the sooner it is served.
    pub spare: f64,
    /// What an instance costs. Of equals in `spare` the cheaper one is served first.
    pub price: f64,
    /// GPUs of an instance.
    pub gpus: u32,
    /// Instances that there are.
    pub current: u32,
    /// Instances that are wanted.
    pub wanted: u32,
}

/// The instances that each claim may have of the GPUs of each kind, those of the instances that there are
/// included.
///
/// The claims are served one after the other, each with as many GPUs as it asks for and as are left. GPUs that
/// are too few for another instance of a claim are spent on it all the same. A claim for fewer
/// instances than there are is granted.
///
/// Source: `internal/engines/pipeline` (`GreedyBySaturation`) of llm-d/llm-d-workload-variant-autoscaler, commit
/// b08b1c77 of 19 February 2026.
#[must_use]
pub fn share_out(stock: &[u32], claims: &[Claim]) -> Vec<u32> {
    let mut left = stock.to_vec();
    for claim in claims {
        if let Some(left) = left.get_mut(claim.gpu) {
            *left = left.saturating_sub(claim.current.saturating_mul(claim.gpus));
        }
    }
    let mut order: Vec<(usize, &Claim)> = claims.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| {
        let by_spare = a.spare.total_cmp(&b.spare);
        by_spare.then(a.price.total_cmp(&b.price))
    });
    let mut granted: Vec<u32> = claims.iter().map(|it| it.wanted).collect();
    for (place, claim) in order {
        let more = claim.wanted.saturating_sub(claim.current);
        let Some(left) = left.get_mut(claim.gpu).filter(|_| more > 0) else {
            continue;
        };
        let given = more.saturating_mul(claim.gpus).min(*left);
        *left -= given;
        let instances = given.checked_div(claim.gpus).unwrap_or(more);
        granted[place] = claim.current.saturating_add(instances);
    }
    granted
}

/// A claim of a role of an application, on one SKU.
type OfRole = (Entity, Role, Claim);

/// The system that shares out the GPUs of the fleet among all that was decided in this tick and asks for it.
pub(super) fn limit(
    agenda: Res<'_, Agenda>,
    fleets: Query<'_, '_, (Entity, &Ledger, &Stock)>,
    mut applications: Query<'_, '_, (&OfFleet, &mut Decider, &Signals, &Templates)>,
    (instances, servers): (
        Query<'_, '_, (&OfFleet, &HostedOn, &Uses)>,
        Query<'_, '_, &ServerSku>,
    ),
) {
    let claims: Vec<(Entity, OfRole)> = agenda
        .awake_for::<Deciding>()
        .filter_map(|entity| Some((entity, applications.get(entity).ok()?)))
        .flat_map(|(entity, (of_fleet, decider, signals, templates))| {
            let claims = claims(entity, (decider, signals, templates)).into_iter();
            claims.map(move |claim| (of_fleet.fleet(), claim))
        })
        .collect();
    if claims.is_empty() {
        return;
    }
    for (fleet, ledger, stock) in &fleets {
        let of_fleet = |it: &(Entity, OfRole)| (it.0 == fleet).then(|| it.1.clone());
        let claims: Vec<OfRole> = claims.iter().filter_map(of_fleet).collect();
        if claims.is_empty() {
            continue;
        }
        let instances = instances.iter().filter(|(of, ..)| of.fleet() == fleet);
        let instances = instances.map(|(_, server, uses)| (server, uses));
        let cuts = cuts(claims, (ledger, stock), instances, &servers);
        for ((entity, role), counts) in cuts {
            let decided = applications.get_mut(entity).ok();
            let decided = decided.and_then(|(_, it, ..)| it.into_inner().decided.as_mut());
            if let Some(decided) = decided {
                decided.cut(role, &counts, "the GPUs that are left are shared out");
            }
        }
    }
}

/// What the claims of a fleet are cut to, by application and role.
fn cuts<'a>(
    claims: Vec<OfRole>,
    (ledger, stock): (&Ledger, &Stock),
    instances: impl Iterator<Item = (&'a HostedOn, &'a Uses)>,
    servers: &Query<'_, '_, &ServerSku>,
) -> BTreeMap<(Entity, Role), Vec<(usize, u32)>> {
    let mut used = BTreeMap::<usize, u32>::new();
    for (server, uses) in instances {
        if let Ok(sku) = servers.get(server.server()) {
            *used.entry(sku.position()).or_default() += uses.len() as u32;
        }
    }
    for (_, _, claim) in &claims {
        // What the claims hold is counted by themselves.
        let used = used.entry(claim.gpu).or_default();
        *used = used.saturating_sub(claim.current.saturating_mul(claim.gpus));
    }
    let gpus = |(position, kind): (usize, &crate::fleet::Kind)| match kind.limit() {
        Some(limit) => {
            let servers = ledger.servers_of(position).total().max(limit);
            let all = servers.saturating_mul(kind.sku().processors);
            all.saturating_sub(used.get(&position).copied().unwrap_or(0))
        }
        None => u32::MAX,
    };
    let left: Vec<u32> = stock.kinds().iter().enumerate().map(gpus).collect();
    let asked: Vec<Claim> = claims.iter().map(|(.., claim)| claim.clone()).collect();
    let granted = share_out(&left, &asked);
    let mut cuts = BTreeMap::<(Entity, Role), Vec<(usize, u32)>>::new();
    for ((entity, role, claim), count) in claims.into_iter().zip(granted) {
        cuts.entry((entity, role))
            .or_default()
            .push((claim.gpu, count));
    }
    cuts
}

/// What an application claims.
fn claims(
    entity: Entity,
    (decider, signals, templates): (&Decider, &Signals, &Templates),
) -> Vec<OfRole> {
    let Some(decided) = &decider.decided else {
        return Vec::new();
    };
    let of_role = |role| {
        let spare = decided.claims(role)?;
        let variants = &signals.role(role)?.variants;
        let claim = move |variant: &super::Variant| {
            let wanted = match (decided.skus(role), decided.of(role)?.0) {
                (Some(skus), _) => skus.iter().find(|it| it.0 == variant.sku)?.1,
                (None, super::Desire::Exactly(count)) if variants.len() == 1 => count,
                (None, _) => return None,
            };
            let claim = Claim {
                gpu: variant.sku,
                spare,
                price: variant.price_per_hour,
                gpus: templates.processors(role, variant.sku)?,
                current: variant.current(),
                wanted,
            };
            Some((entity, role, claim))
        };
        Some(variants.iter().filter_map(claim).collect::<Vec<_>>())
    };
    decided
        .iter()
        .map(|it| it.0)
        .filter_map(of_role)
        .flatten()
        .collect()
}
