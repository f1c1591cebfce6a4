use std::sync::Arc;

use bevy_ecs::component::Component;

use crate::catalog::{Processor, Sku};
use crate::random::{Delay, Stream};
use crate::time::{SimDuration, SimTime};

use super::ScalingError;
use super::error::nearest;
use super::zones::{InZone, Share, Zones};

/// The SKUs of the fleet, in the order of the scenario: the first is the default for scale-up.
#[derive(Component, Clone, Debug, Default)]
pub struct Stock {
    pub(super) kinds: Vec<Kind>,
    pub(super) zones: Zones,
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
    /// Its zones, if it has some.
    pub(super) shares: Vec<Share>,
    /// How many servers can be had at most, from when on, in the order of time.
    pub(super) available: Vec<(SimTime, u32)>,
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

    /// Lets a SKU have these zones.
    pub(super) fn add_zones(&mut self, position: usize, names: &[String]) {
        let zones = names.iter().map(|name| self.zones.named(name));
        let shares = zones.map(|zone| Share { zone, servers: 0 });
        self.kinds[position].shares = shares.collect();
    }

    /// The zones of the fleet.
    pub(crate) const fn zones(&self) -> &Zones {
        &self.zones
    }

    pub(super) const fn zones_mut(&mut self) -> &mut Zones {
        &mut self.zones
    }

    /// Whether one more server of a SKU can be had now beside those that there are.
    pub(crate) fn has(&self, position: usize, servers: u32, now: SimTime) -> bool {
        self.admit(position, servers, now).is_ok() && self.choose_zone(position, now).is_ok()
    }

    /// Whether anything is being repaired.
    pub(super) fn repairs(&self) -> bool {
        self.kinds.iter().any(|kind| kind.away + kind.mending > 0)
    }

    /// The zone for the next server of a SKU.
    pub(super) fn choose_zone(
        &self,
        position: usize,
        now: SimTime,
    ) -> Result<Option<InZone>, ScalingError> {
        let kind = &self.kinds[position];
        match self.zones.choose(&kind.shares, now) {
            Ok(zone) => Ok(zone.map(|zone| InZone {
                zone,
                name: Arc::clone(&self.zones.names()[zone]),
            })),
            Err(until) => Err(ScalingError::CreationFault {
                sku: kind.sku.name.clone(),
                until,
            }),
        }
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

    /// Whether one more server of a SKU may be created beside those that there are.
    pub(super) fn admit(
        &self,
        position: usize,
        servers: u32,
        now: SimTime,
    ) -> Result<(), ScalingError> {
        let kind = &self.kinds[position];
        let sku = || kind.sku.name.clone();
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
        Ok(())
    }
}
