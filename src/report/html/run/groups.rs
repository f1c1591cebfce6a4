//! The instances of a role, in groups that are alike: on one SKU, of one size.

use std::collections::BTreeMap;

use crate::fleet::{InstanceAccount, InstanceStatus, Ledger};
use crate::observe::RunRecord;
use crate::scenario::Role;
use crate::statistics::levels::Levels;
use crate::time::SimTime;

/// Instances that are alike.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The SKU: the position in the fleet.
    pub(super) sku: usize,
    pub(super) processors: u32,
    /// What it is called on a chart.
    pub(super) name: String,
}

/// The statuses in which instances are shown, as kinds of [`Levels`].
pub(super) const STATUSES: [InstanceStatus; 3] = [
    InstanceStatus::Active,
    InstanceStatus::Draining,
    InstanceStatus::ScalingUp,
];

/// The groups of the instances of a role that ever were, and how many of each group were active, were
/// draining and were starting: kind 3 × group + status.
#[derive(Clone, Debug)]
pub(super) struct Instances {
    pub(super) groups: Vec<Group>,
    pub(super) levels: Levels,
}

impl Instances {
    pub(super) fn new(ledger: &Ledger, record: &RunRecord, application: usize, role: Role) -> Self {
        let mine = || {
            let accounts = ledger.instances().iter();
            accounts.filter(move |it| it.application == application && it.role == role)
        };
        let mut groups: BTreeMap<(usize, u32), usize> = BTreeMap::new();
        mine().for_each(|it| _ = groups.insert((it.sku, it.processors), 0));
        for (position, group) in groups.values_mut().enumerate() {
            *group = position;
        }
        let mut levels = Levels::new(groups.len() * STATUSES.len(), record.end);
        for account in mine() {
            let group = groups[&(account.sku, account.processors)];
            add(&mut levels, group, account, record.end);
        }
        let sku = |sku: usize| record.servers.get(sku).map_or("", |it| &it.sku.name);
        let sizes_differ = |sku: usize| groups.keys().filter(|it| it.0 == sku).count() > 1;
        let named = groups.keys().map(|&(position, processors)| Group {
            sku: position,
            processors,
            name: match sizes_differ(position) {
                true => format!("{}, {processors} GPUs", sku(position)),
                false => sku(position).to_owned(),
            },
        });
        Self {
            groups: named.collect(),
            levels,
        }
    }
}

fn add(levels: &mut Levels, group: usize, account: &InstanceAccount, end: SimTime) {
    for (position, status) in STATUSES.into_iter().enumerate() {
        if let Some(span) = account.span(Some(status), end) {
            levels.add(group * STATUSES.len() + position, span);
        }
    }
}
