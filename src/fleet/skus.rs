use std::sync::Arc;

use bevy_ecs::component::Component;

use crate::catalog::{Processor, Sku};
use crate::random::{Delay, Stream};
use crate::scenario::{FleetEntry, Quota};
use crate::time::{SimDuration, SimTime};

use super::error::nearest;
use super::market::{Billing, Lot, Market, NoLot, Offer};
use super::quotas;
use super::standby::Standby;
use super::zones::{InZone, Zones};
use super::{Ledger, ScalingError};

/// The SKUs of the fleet, in the order of the scenario: the first is the default for scale-up.
#[derive(Component, Clone, Debug, Default)]
pub struct Stock {
    pub(super) kinds: Vec<Kind>,
    pub(super) zones: Zones,
    /// Instances and servers that are lost, though nobody knows yet.
    pub(super) unnoticed: u32,
    pub(super) quotas: Vec<Quota>,
    /// Watts beyond which no server is created.
    pub(super) power_cap: Option<f64>,
}

/// One SKU of the fleet.
#[derive(Clone, Debug)]
pub struct Kind {
    pub(super) sku: Arc<Sku>,
    pub(super) processor: Arc<Processor>,
    pub(super) limit: Option<u32>,
    /// The highest that the limit has been.
    pub(super) highest_limit: Option<u32>,
    pub(super) provision_delay: Delay,
    pub(super) stream: Stream,
    /// No server can be created before this instant.
    pub(super) blocked_until: SimTime,
    /// Servers under repair: they count against the limit.
    pub(super) away: u32,
    /// Processors under repair.
    pub(super) mending: u32,
    /// What can be had of it by zone and purchase option, and what there is.
    pub(super) market: Market,
    /// How many servers can be had at most, from when on, in the order of time.
    pub(super) available: Vec<(SimTime, u32)>,
    /// Servers that are kept for later.
    pub(super) standby: Standby,
}

impl Kind {
    /// What the catalog says about it.
    #[must_use]
    pub fn sku(&self) -> &Arc<Sku> {
        &self.sku
    }

    /// What the catalog says about its processors.
    #[must_use]
    pub fn processor(&self) -> &Arc<Processor> {
        &self.processor
    }

    /// The most servers of it at any time.
    #[must_use]
    pub const fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// How many servers of it can be had at most at an instant, where the scenario says so.
    #[must_use]
    pub fn available_at(&self, now: SimTime) -> Option<u32> {
        let begun = self.available.partition_point(|&(from, _)| from <= now);
        let (_, most) = self.available.get(begun.checked_sub(1)?)?;
        Some(*most)
    }

    /// The most power that a server of it draws, in watts; none where that is not known.
    #[must_use]
    pub fn most_power(&self) -> Option<f64> {
        self.sku.most_power(&self.processor)
    }

    /// The numbers of its servers that are kept ready and empty, or are on their way to be.
    pub fn warm(&self) -> impl Iterator<Item = u64> + '_ {
        self.standby.ready().iter().copied()
    }

    /// How many of its servers are stopped, with their disks.
    #[must_use]
    pub fn stopped(&self) -> usize {
        self.standby.stopped()
    }

    /// How servers of it are bought, in the order of the scenario; nothing where the scenario does not say.
    #[must_use]
    pub fn offers(&self) -> &[Offer] {
        &self.market.offers
    }

    /// How servers of it are billed that were bought in no way the scenario says.
    pub(crate) const fn billing(&self) -> Billing {
        self.market.billing
    }

    /// Since when what is reserved of it is paid for.
    pub(crate) const fn paid_since(&self) -> SimTime {
        self.market.since
    }

    /// Has another limit from now on.
    pub(super) fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit;
        self.highest_limit = match (self.highest_limit, limit) {
            (Some(before), Some(now)) => Some(before.max(now)),
            _ => None,
        };
    }

    /// Draws how long the next server of it takes to provision.
    pub(super) fn draw_provision_delay(&mut self) -> SimDuration {
        self.provision_delay.draw(&mut self.stream)
    }
}

impl Stock {
    /// Each SKU, in the order of the scenario.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The position of the SKU of this name, or of the default.
    ///
    /// # Errors
    /// When the fleet does not have it, or has none at all.
    pub fn find(&self, sku: Option<&str>) -> Result<usize, ScalingError> {
        let Some(name) = sku else {
            return if self.kinds.is_empty() {
                Err(ScalingError::NoSku)
            } else {
                Ok(0)
            };
        };
        let names = || self.kinds.iter().map(|kind| kind.sku.name.as_str());
        names()
            .position(|known| known == name)
            .ok_or_else(|| ScalingError::UnknownSku {
                sku: name.to_owned(),
                nearest: nearest(name, names()),
            })
    }

    /// Lets a SKU have the zones, purchase options and curves of a fleet entry.
    pub(super) fn open_market(&mut self, position: usize, entry: &FleetEntry, now: SimTime) {
        let price = self.kinds[position].sku.price_per_hour;
        self.kinds[position].market = Market::new(entry, price, &mut self.zones, now);
    }

    /// The zones of the fleet.
    pub(crate) const fn zones(&self) -> &Zones {
        &self.zones
    }

    pub(super) const fn zones_mut(&mut self) -> &mut Zones {
        &mut self.zones
    }

    /// Whether one more server of a SKU can be had now, or is kept ready.
    pub(crate) fn has(&self, position: usize, ledger: &Ledger, now: SimTime) -> bool {
        self.is_kept_ready(position) || self.admit(position, ledger, now).is_ok()
    }

    /// Whether a server of a SKU is kept ready, or on its way to be.
    pub(crate) fn is_kept_ready(&self, position: usize) -> bool {
        !self.kinds[position].standby.ready().is_empty()
    }

    /// What an hour of the next server of a SKU costs, in dollars: nothing of one that is reserved, and so paid for in
    /// any case. That of its first purchase option where none can be had; none where it is not known.
    pub(crate) fn asking_price(
        &self,
        position: usize,
        ledger: &Ledger,
        now: SimTime,
    ) -> Option<f64> {
        let kind = &self.kinds[position];
        let Some(first) = kind.market.offers.first() else {
            return kind.sku.price_per_hour;
        };
        match self.choose_lot(position, ledger, now) {
            Ok(lot) => lot.purchased.and_then(|it| it.saving_per_hour()),
            Err(_) => first.price_per_hour,
        }
    }

    /// Whether anything is being repaired, or a loss is to be noticed.
    pub(super) fn repairs(&self) -> bool {
        self.unnoticed > 0 || self.kinds.iter().any(|kind| kind.away + kind.mending > 0)
    }

    /// The zone of a lot.
    pub(super) fn zone_of(&self, lot: &Lot) -> Option<InZone> {
        lot.zone.map(|zone| InZone {
            zone,
            name: Arc::clone(&self.zones.names()[zone]),
        })
    }

    /// Where the next server of a SKU comes from.
    fn choose_lot(
        &self,
        position: usize,
        ledger: &Ledger,
        now: SimTime,
    ) -> Result<Lot, ScalingError> {
        let (kinds, kind) = (&self.kinds, &self.kinds[position]);
        let barred = |option| quotas::exceeded(&self.quotas, kinds, ledger, position, Some(option));
        let sku = || kind.sku.name.clone();
        let lot = kind.market.choose(&self.zones, now, barred);
        lot.map_err(|why| match why {
            NoLot::Out(until) => ScalingError::CreationFault { sku: sku(), until },
            NoLot::Unavailable(parts) => ScalingError::PartsSoldOut { sku: sku(), parts },
            NoLot::Barred(error) => error,
        })
    }

    /// Lets nothing of a SKU, or of any, be created before `until`.
    pub(super) fn block(&mut self, position: Option<usize>, until: SimTime) {
        let kinds = match position {
            Some(position) => &mut self.kinds[position..=position],
            None => &mut self.kinds[..],
        };
        for kind in kinds {
            kind.blocked_until = kind.blocked_until.max(until);
        }
    }

    /// Where the next server of a SKU comes from, or why there is none.
    pub(super) fn admit(
        &self,
        position: usize,
        ledger: &Ledger,
        now: SimTime,
    ) -> Result<Lot, ScalingError> {
        let kind = &self.kinds[position];
        let sku = || kind.sku.name.clone();
        let servers = ledger.servers_of(position).total();
        let taken = servers.saturating_add(kind.away);
        if let Some(limit) = kind.limit.filter(|&limit| taken >= limit) {
            return Err(ScalingError::LimitReached { sku: sku(), limit });
        }
        if let Some(available) = kind.available_at(now).filter(|&most| taken >= most) {
            return Err(ScalingError::SoldOut {
                sku: sku(),
                available,
            });
        }
        if now < kind.blocked_until {
            return Err(ScalingError::CreationFault {
                sku: sku(),
                until: kind.blocked_until,
            });
        }
        if let Some(error) = quotas::exceeded(&self.quotas, &self.kinds, ledger, position, None) {
            return Err(error);
        }
        if let Some(error) = self.too_much_power(position, ledger) {
            return Err(error);
        }
        self.choose_lot(position, ledger, now)
    }

    /// The most power that this many servers of each SKU draw together, in watts; nothing of what is not known.
    pub(super) fn most_power(&self, servers: impl Fn(usize) -> u32) -> f64 {
        let kinds = self.kinds.iter().enumerate();
        let watts = kinds.map(|(position, kind)| {
            f64::from(servers(position)) * kind.most_power().unwrap_or(0.0)
        });
        watts.sum()
    }

    /// Why one more server of a SKU would draw too much power beside those that there are.
    fn too_much_power(&self, position: usize, ledger: &Ledger) -> Option<ScalingError> {
        let cap = self.power_cap?;
        let there = |position: usize| ledger.servers_of(position).total();
        let drawn = self.most_power(|position| there(position) + self.kinds[position].away);
        let kind = &self.kinds[position];
        (drawn + kind.most_power().unwrap_or(0.0) > cap).then(|| ScalingError::PowerCapReached {
            sku: kind.sku.name.clone(),
            watts: cap as u64,
        })
    }
}
