//! The most processors that servers of several SKUs may have together.

use crate::scenario::{PurchaseOption, Quota};

use super::{Kind, Ledger, ScalingError};

/// Why one more server of a SKU is above a quota, of those for servers that are bought so; with none, of those for all
/// servers.
pub(super) fn exceeded(
    quotas: &[Quota],
    kinds: &[Kind],
    ledger: &Ledger,
    position: usize,
    option: Option<PurchaseOption>,
) -> Option<ScalingError> {
    let sku = kinds[position].sku();
    let of_it = |quota: &&Quota| quota.purchase == option && quota.counts(&sku.name);
    let over = quotas.iter().filter(of_it).find(|quota| {
        let more = u64::from(sku.processors);
        processors(quota, kinds, ledger) + more > quota.processors.into()
    })?;
    Some(ScalingError::QuotaReached {
        sku: sku.name.clone(),
        quota: over.name.clone(),
        processors: over.processors,
    })
}

/// Processors that count against a quota, those of servers under repair, too.
fn processors(quota: &Quota, kinds: &[Kind], ledger: &Ledger) -> u64 {
    let counted = kinds.iter().enumerate();
    let counted = counted.filter(|(_, kind)| quota.counts(&kind.sku().name));
    let of = |(position, kind): (usize, &Kind)| {
        let servers = match quota.purchase {
            Some(option) => kind.market.bought(option),
            None => ledger.servers_of(position).total() + kind.away,
        };
        u64::from(servers) * u64::from(kind.sku().processors)
    };
    counted.map(of).sum()
}
