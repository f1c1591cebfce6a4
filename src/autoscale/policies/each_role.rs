use std::collections::BTreeMap;
use std::mem;

use crate::autoscale::{DesiredInstances, RoleSnapshot, Signals};
use crate::serving::Role;

/// What a policy remembers, by role.
pub(super) type Memories<M> = BTreeMap<Role, M>;

/// A policy that decides on each role by itself, and remembers something of each.
pub(super) trait EachRole {
    /// What it remembers of a role.
    type Memory;

    /// All that it remembers.
    fn memories(&mut self) -> &mut Memories<Self::Memory>;

    /// What it remembers before the first decision on a role.
    fn begin(&self, signals: &Signals, of: &RoleSnapshot) -> Self::Memory;

    /// Says what it wants of a role.
    fn decide_on(
        &self,
        of: &RoleSnapshot,
        memory: &mut Self::Memory,
        signals: &Signals,
        desired: &mut DesiredInstances,
    );
}

/// The decision of such a policy.
pub(super) fn decide_each<P: EachRole>(
    policy: &mut P,
    signals: &Signals,
    desired: &mut DesiredInstances,
) {
    let mut memories = mem::take(policy.memories());
    for of in signals.roles() {
        let first = || policy.begin(signals, of);
        let memory = memories.entry(of.role).or_insert_with(first);
        policy.decide_on(of, memory, signals, desired);
    }
    *policy.memories() = memories;
}
