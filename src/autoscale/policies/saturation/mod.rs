//! What the two saturation analysers of llm-d share: instances by variant.

use std::collections::BTreeMap;

use crate::autoscale::policies::bounds::Bounds;
use crate::autoscale::{DesiredInstances, InstanceSnapshot, RoleSnapshot, Variant};
use crate::fleet::InstanceStatus;

/// The variants of a role: one for each SKU, or a single one where SKUs are not told apart.
pub(super) fn variants(of: &RoleSnapshot) -> Vec<Variant> {
    match &of.variants[..] {
        [] => vec![Variant {
            sku: 0,
            price_per_hour: 0.0,
            starting: of.scaling_up(),
            active: of.active,
        }],
        several => several.to_vec(),
    }
}

/// The instances of a variant that were measured; all that were, where it is the only one.
pub(super) fn measured<'a>(
    of: &'a RoleSnapshot,
    variant: &Variant,
) -> impl Iterator<Item = &'a InstanceSnapshot> {
    let (only, sku) = (of.variants.len() < 2, variant.sku);
    let instances = of.instances.iter();
    instances.filter(move |it| it.status == InstanceStatus::Active && (only || it.sku == sku))
}

/// How many are wanted of each variant, by its SKU.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Targets(BTreeMap<usize, u32>);

impl Targets {
    pub(super) fn set(&mut self, variant: &Variant, count: u32) {
        self.0.insert(variant.sku, count);
    }

    pub(super) fn of(&self, variant: &Variant) -> u32 {
        self.0.get(&variant.sku).copied().unwrap_or(0)
    }

    /// Keeps the sum within bounds: what is missing is added to the first variant, what is too much is
    /// taken from the dearest ones.
    pub(super) fn keep_within(&mut self, bounds: Bounds, variants: &[Variant]) {
        let sum = self
            .0
            .values()
            .fold(0, |sum: u32, it| sum.saturating_add(*it));
        let within = bounds.clamp(sum);
        if let Some(first) = variants.first() {
            let missing = within.saturating_sub(sum);
            self.set(first, self.of(first).saturating_add(missing));
        }
        let mut excess = sum.saturating_sub(within);
        for variant in dearest_first(variants) {
            let fewer = excess.min(self.of(variant));
            self.set(variant, self.of(variant) - fewer);
            excess -= fewer;
        }
    }

    /// Wants them: of a single variant the role's number, of several that of each.
    pub(super) fn want(&self, of: &RoleSnapshot, reason: String, desired: &mut DesiredInstances) {
        let counts: Vec<(usize, u32)> = self.0.iter().map(|(&sku, &count)| (sku, count)).collect();
        match counts[..] {
            [(_, count)] => desired.exactly(of.role, count, reason),
            _ => desired.on_skus(of.role, counts, reason),
        }
    }
}

/// From the dearest to the cheapest; of equals the last comes first.
pub(super) fn dearest_first(variants: &[Variant]) -> Vec<&Variant> {
    let mut sorted: Vec<&Variant> = variants.iter().rev().collect();
    sorted.sort_by(|a, b| b.price_per_hour.total_cmp(&a.price_per_hour));
    sorted
}
