use std::collections::BTreeSet;

use super::Check;
use crate::scenario::{Availability, FleetEntry, Purchase, PurchaseOption, Quota};
use crate::time::SimTime;

impl<'a> Check<'a> {
    /// Reports purchase options, curves and quotas that cannot be, and warns of those without effect.
    pub(super) fn market(&mut self) {
        for (index, entry) in self.scenario.fleet.iter().enumerate() {
            let path = format!("fleet[{index}]");
            let mut seen = BTreeSet::new();
            for (number, purchase) in entry.purchase.iter().enumerate() {
                let path = format!("{path}.purchase[{number}]");
                if !seen.insert(purchase.option) {
                    let message = format!("`{:?}` is in the list already", purchase.option);
                    self.report(format!("{path}.option"), message, "put both together");
                }
                self.purchase(&path, purchase);
            }
            self.bought_at_start(&path, entry);
            self.never_bought(&path, entry);
            for (number, part) in entry.available_of.iter().enumerate() {
                self.available_of(&format!("{path}.available_of[{number}]"), entry, part);
            }
        }
        self.quotas();
    }

    fn purchase(&mut self, path: &str, purchase: &Purchase) {
        if purchase.option != PurchaseOption::Reserved {
            return;
        }
        if purchase.most.is_none() {
            let message = "how many servers are reserved?";
            self.report(path, message, "add `most`: they are paid for, used or not");
        }
        let billing = [
            ("minimum_billing", purchase.minimum_billing),
            ("billing_step", purchase.billing_step),
        ];
        for (field, seconds) in billing {
            if seconds.is_some() {
                let message = "what is reserved is paid for from the start to the end";
                self.report(format!("{path}.{field}"), message, "leave it out");
            }
        }
    }

    /// Reports more servers at time zero than can be bought.
    fn bought_at_start(&mut self, path: &str, entry: &FleetEntry) {
        let all = entry.count.saturating_add(entry.warm);
        let bought: u32 = entry.bought(all).iter().map(|it| it.1).sum();
        if !entry.purchase.is_empty() && bought < all {
            let (field, kept) = match bought < entry.count {
                true => ("count", ""),
                false => ("warm", " with those at time zero"),
            };
            let servers = if kept.is_empty() { entry.count } else { all };
            let message =
                format!("{servers} servers{kept} are more than the {bought} that can be bought");
            let help = "raise a `most` of `purchase`, or start fewer";
            self.report(format!("{path}.{field}"), message, help);
        }
    }

    /// Warns of a way to buy servers that comes after one by which as many as there may be can be bought.
    fn never_bought(&mut self, path: &str, entry: &FleetEntry) {
        let quotas = &self.scenario.quotas;
        let limit = entry.limit.unwrap_or(u32::MAX);
        let mut before = 0_u32;
        for (number, purchase) in entry.purchase.iter().enumerate() {
            let option = Some(purchase.option);
            if number > 0 && before >= limit {
                let path = format!("{path}.purchase[{number}]");
                let message = format!(
                    "no server is ever bought `{:?}`: what comes before it suffices",
                    purchase.option
                );
                let help = "write it first, give what comes before it a `most`, or leave it out";
                self.warn("unused_purchase", path, message, help);
            }
            let scarce = entry.available_of.iter().any(|it| it.purchase == option)
                || quotas
                    .iter()
                    .any(|it| it.purchase == option && it.counts(&entry.sku));
            if !scarce {
                before = before.saturating_add(purchase.most.unwrap_or(u32::MAX));
            }
        }
    }

    fn available_of(&mut self, path: &str, entry: &'a FleetEntry, part: &Availability) {
        if part.zone.is_none() && part.purchase.is_none() {
            let message = "it does not say of which servers";
            let help = "add `zone` or `purchase`, or use `available` for all servers of the SKU";
            self.report(path, message, help);
        }
        if part.zone.is_some() && entry.zones.is_empty() {
            let message = "the fleet entry has no zones";
            self.report(format!("{path}.zone"), message, "add them to its `zones`");
        } else if let Some(zone) = &part.zone {
            let zones = entry.zones.iter().map(String::as_str);
            self.known(
                format!("{path}.zone"),
                "zone of the fleet entry",
                zone,
                zones,
            );
        }
        if let Some(option) = part.purchase {
            self.option(format!("{path}.purchase"), option, [entry]);
        }
        self.rising(&format!("{path}.servers"), &part.servers);
    }

    /// Reports instants that do not rise.
    pub(super) fn rising(&mut self, path: &str, steps: &[(SimTime, u32)]) {
        for (number, pair) in steps.windows(2).enumerate() {
            if pair[1].0 <= pair[0].0 {
                let path = format!("{path}[{}]", number + 1);
                let message = format!("{} s does not come after {} s", pair[1].0, pair[0].0);
                self.report(path, message, "write each instant once, in rising order");
            }
        }
    }

    /// Reports a purchase option that none of these fleet entries has.
    pub(super) fn option(
        &mut self,
        path: String,
        option: PurchaseOption,
        entries: impl IntoIterator<Item = &'a FleetEntry>,
    ) {
        let mut options = entries.into_iter().flat_map(|it| &it.purchase);
        if !options.any(|it| it.option == option) {
            let message = format!("no server is bought `{option:?}`");
            self.report(path, message, "add it to `purchase` of the fleet entry");
        }
    }

    fn quotas(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, quota) in self.scenario.quotas.iter().enumerate() {
            let path = format!("quotas[{index}]");
            if !seen.insert(&quota.name) {
                let message = format!("there is another quota `{}`", quota.name);
                self.report(
                    format!("{path}.name"),
                    message,
                    "give each a name of its own",
                );
            }
            for (number, sku) in quota.skus.iter().enumerate() {
                let path = format!("{path}.skus[{number}]");
                self.fleet_sku(path.clone(), Some(sku));
                if quota.skus[..number].contains(sku) {
                    let message = format!("`{sku}` is in the list already");
                    self.report(path, message, "name each SKU once");
                }
            }
            self.quota(&path, quota);
        }
    }

    fn quota(&mut self, path: &str, quota: &Quota) {
        let fleet = &self.scenario.fleet;
        let entries: Vec<&FleetEntry> = fleet.iter().filter(|it| quota.counts(&it.sku)).collect();
        if let Some(option) = quota.purchase {
            self.option(format!("{path}.purchase"), option, entries.iter().copied());
        }
        let skus = &self.catalog.skus;
        let processors =
            |of: &FleetEntry| skus.get(&of.sku).map_or(0, |it| u64::from(it.processors));
        let have = |servers: fn(&FleetEntry) -> u32| -> u64 {
            let each = entries.iter();
            let each =
                each.map(|it| u64::from(bought(it, quota.purchase, servers(it))) * processors(it));
            each.sum()
        };
        let at_start = have(|it| it.count);
        let with_warm = have(|it| it.count.saturating_add(it.warm));
        if at_start > quota.processors.into() {
            let message = format!(
                "the servers at time zero have {at_start} processors, more than the {} of the quota",
                quota.processors
            );
            let help = "raise the quota, or start fewer";
            self.report(format!("{path}.processors"), message, help);
        } else if with_warm > quota.processors.into() {
            let message = format!(
                "the servers that are kept ready have no room in the quota: {with_warm} processors with those at time zero"
            );
            let help = "raise the quota, or keep fewer `warm`";
            self.warn(
                "warm_beyond_quota",
                format!("{path}.processors"),
                message,
                help,
            );
        }
        let most =
            |entry: &&FleetEntry| Some(u64::from(most(entry, quota.purchase)?) * processors(entry));
        let most: Option<u64> = entries.iter().map(most).sum();
        if most.is_some_and(|most| most <= quota.processors.into()) {
            let message = format!(
                "the quota is never reached: the limits allow {} processors",
                most.unwrap_or(0)
            );
            let help = "lower it, or leave it out";
            self.warn("unused_quota", format!("{path}.processors"), message, help);
        }
    }
}

/// How many of the first servers of an entry are bought so.
fn bought(entry: &FleetEntry, option: Option<PurchaseOption>, servers: u32) -> u32 {
    match option {
        None => servers,
        Some(option) => {
            let bought = entry.bought(servers).into_iter();
            bought.filter(|it| it.0 == option).map(|it| it.1).sum()
        }
    }
}

/// The most servers of an entry that there can be, of those that are bought so; none for any number.
fn most(entry: &FleetEntry, option: Option<PurchaseOption>) -> Option<u32> {
    let options = entry.purchase.iter();
    let of = options.filter(|it| option.is_none_or(|option| option == it.option));
    let by_option: Option<u32> = of
        .map(|it| it.most)
        .try_fold(0_u32, |sum, most| Some(sum.saturating_add(most?)));
    let by_option = by_option.filter(|_| !entry.purchase.is_empty());
    match (entry.limit, by_option) {
        (Some(limit), Some(most)) => Some(limit.min(most)),
        (limit, most) => limit.or(most),
    }
}
