//! What can be had of a SKU by zone and purchase option, and what there is of it.

use std::sync::Arc;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::scenario::{FleetEntry, PurchaseOption};
use crate::time::{SimDuration, SimTime};

use super::zones::Zones;

/// How a server was bought, where its SKU has purchase options.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[component(immutable)]
pub struct Purchased {
    pub(super) option: PurchaseOption,
    pub(super) price_per_hour: Option<f64>,
}

impl Purchased {
    /// The purchase option.
    #[must_use]
    pub const fn option(&self) -> PurchaseOption {
        self.option
    }

    /// The price of an hour, in dollars; none where it is not known.
    #[must_use]
    pub const fn price_per_hour(&self) -> Option<f64> {
        self.price_per_hour
    }

    /// What an hour of it less would save, in dollars: nothing of a reserved server.
    #[must_use]
    pub fn saving_per_hour(&self) -> Option<f64> {
        match self.option {
            PurchaseOption::Reserved => Some(0.0),
            PurchaseOption::OnDemand | PurchaseOption::Spot => self.price_per_hour,
        }
    }
}

/// A purchase option of a SKU.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// How servers are bought.
    pub option: PurchaseOption,
    /// The most servers at any time; none for any number.
    pub most: Option<u32>,
    /// The price of an hour, in dollars; none where it is not known.
    pub price_per_hour: Option<f64>,
    /// How the time of a server is billed.
    pub billing: Billing,
}

/// How the time of a server is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// The least that is paid for.
    pub minimum: SimDuration,
    /// What is paid for in whole steps; no time for any time.
    pub step: SimDuration,
}

impl Billing {
    /// Seconds that are paid for of a life.
    ///
    /// ```
    /// use fleetsim::fleet::Billing;
    /// use fleetsim::prelude::*;
    /// let billing = Billing { minimum: SimDuration::new(60.0)?, step: SimDuration::new(10.0)? };
    /// assert_eq!([5.0, 60.0, 61.0].map(|life| billing.billed(life)), [60.0, 60.0, 70.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn billed(&self, seconds: f64) -> f64 {
        let paid = seconds.max(self.minimum.seconds());
        match self.step.seconds() {
            step if step > 0.0 => (paid / step).ceil() * step,
            _ => paid,
        }
    }
}

/// How many servers can be had of a part of a SKU.
#[derive(Clone, Debug)]
struct Curve {
    zone: Option<usize>,
    option: Option<PurchaseOption>,
    servers: Vec<(SimTime, u32)>,
}

/// Where a server comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lot {
    /// The position of its zone in the fleet.
    pub(super) zone: Option<usize>,
    pub(super) purchased: Option<Purchased>,
}

/// Servers of one zone that were bought in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    servers: u32,
    /// Under repair.
    away: u32,
}

/// Of what no server can be had now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// Those that are bought so; none for any.
    pub option: Option<PurchaseOption>,
    /// Those of this zone; none for any.
    pub zone: Option<Arc<str>>,
    /// The most that can be had.
    pub most: u32,
}

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.most)?;
        if let Some(option) = self.option {
            write!(f, " {option:?}")?;
        }
        if let Some(zone) = &self.zone {
            write!(f, " in \"{zone}\"")?;
        }
        Ok(())
    }
}

/// Why there is no lot.
pub(super) enum NoLot<E> {
    /// Every zone is out, until then.
    Out(SimTime),
    /// No more can be had of these.
    Unavailable(Vec<Unavailable>),
    /// Something else bars an option.
    Barred(E),
}

/// What can be had of a SKU by zone and purchase option, and what there is of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Market {
    /// Its zones, by their positions in the fleet.
    zones: Vec<usize>,
    pub(super) offers: Vec<Offer>,
    curves: Vec<Curve>,
    /// By zone, then by option; of a SKU without either, nothing.
    held: Vec<Held>,
    /// How servers are billed where there are no offers.
    pub(super) billing: Billing,
    /// Since when what is reserved is paid for.
    pub(super) since: SimTime,
}

impl Market {
    /// That of a fleet entry whose SKU has this price in the catalog, from an instant on.
    pub(super) fn new(
        entry: &FleetEntry,
        catalog: Option<f64>,
        zones: &mut Zones,
        since: SimTime,
    ) -> Self {
        let billing = Billing {
            minimum: entry.minimum_billing,
            step: entry.billing_step,
        };
        let offers = entry.purchase.iter().map(|it| Offer {
            option: it.option,
            most: it.most,
            price_per_hour: it.price_per_hour.or(catalog),
            billing: Billing {
                minimum: it.minimum_billing.unwrap_or(billing.minimum),
                step: it.billing_step.unwrap_or(billing.step),
            },
        });
        let offers: Vec<Offer> = offers.collect();
        let own: Vec<usize> = entry.zones.iter().map(|name| zones.named(name)).collect();
        let curves = entry.available_of.iter().map(|it| Curve {
            zone: it.zone.as_deref().map(|name| zones.named(name)),
            option: it.purchase,
            servers: it.servers.clone(),
        });
        let curves = curves.collect();
        let cells = match own.is_empty() && offers.is_empty() {
            true => 0,
            false => own.len().max(1) * offers.len().max(1),
        };
        Self {
            zones: own,
            offers,
            curves,
            held: vec![Held::default(); cells],
            billing,
            since,
        }
    }

    /// What there is, by zone and option: what a snapshot keeps.
    pub(super) fn held(&self) -> &[Held] {
        &self.held
    }

    /// Becomes that of a snapshot. False where that is of another market.
    pub(super) fn restore(&mut self, held: Vec<Held>, since: SimTime) -> bool {
        let same = held.len() == self.held.len();
        if same {
            (self.held, self.since) = (held, since);
        }
        same
    }

    /// Counts a server of a lot in or out.
    pub(super) fn count(&mut self, zone: Option<usize>, option: Option<PurchaseOption>, by: i32) {
        if let Some(held) = self.cell(zone, option) {
            held.servers = held.servers.saturating_add_signed(by);
        }
    }

    /// Counts a server of a lot in or out of repair.
    pub(super) fn count_away(
        &mut self,
        zone: Option<usize>,
        option: Option<PurchaseOption>,
        by: i32,
    ) {
        if let Some(held) = self.cell(zone, option) {
            held.away = held.away.saturating_add_signed(by);
        }
    }

    fn cell(&mut self, zone: Option<usize>, option: Option<PurchaseOption>) -> Option<&mut Held> {
        let zone = self.zones.iter().position(|it| Some(*it) == zone);
        let options = self.offers.len().max(1);
        let option = self.offers.iter().position(|it| Some(it.option) == option);
        self.held
            .get_mut(zone.unwrap_or(0) * options + option.unwrap_or(0))
    }

    /// Servers of a zone and an option, or of any; with those under repair, if they count.
    fn taken(&self, zone: Option<usize>, option: Option<PurchaseOption>, away: bool) -> u32 {
        let options = self.offers.len().max(1);
        let counts = |(index, _): &(usize, &Held)| {
            let (row, column) = (index / options, index % options);
            zone.is_none_or(|zone| self.zones.get(row) == Some(&zone))
                && option.is_none_or(|it| self.offers.get(column).map(|of| of.option) == Some(it))
        };
        let cells = self.held.iter().enumerate().filter(counts);
        cells
            .map(|(_, it)| it.servers + if away { it.away } else { 0 })
            .sum()
    }

    /// Servers that were bought so, those under repair, too.
    pub(super) fn bought(&self, option: PurchaseOption) -> u32 {
        self.taken(None, Some(option), true)
    }

    /// Servers of a zone and an option that are there: for the invariants.
    pub(super) fn there(&self, zone: Option<usize>, option: Option<PurchaseOption>) -> u32 {
        self.taken(zone, option, false)
    }

    /// The lot for the next server: the first option that is not barred and has room, and of its zones with room that
    /// are not out the one with the fewest servers, the first of these.
    pub(super) fn choose<E>(
        &self,
        zones: &Zones,
        now: SimTime,
        barred: impl Fn(PurchaseOption) -> Option<E>,
    ) -> Result<Lot, NoLot<E>> {
        if self.offers.is_empty() {
            let zone = self.zone(None, zones, now);
            return zone.map(|zone| Lot {
                zone,
                purchased: None,
            });
        }
        let (mut unavailable, mut out, mut bar) = (Vec::new(), None, None);
        for offer in &self.offers {
            let option = offer.option;
            let taken = self.bought(option);
            if let Some(most) = offer.most.filter(|&most| taken >= most) {
                unavailable.push(Unavailable {
                    option: Some(option),
                    zone: None,
                    most,
                });
                continue;
            }
            if let Some(because) = barred(option) {
                bar = bar.or(Some(because));
                continue;
            }
            match self.zone(Some(option), zones, now) {
                Ok(zone) => {
                    return Ok(Lot {
                        zone,
                        purchased: Some(Purchased {
                            option,
                            price_per_hour: offer.price_per_hour,
                        }),
                    });
                }
                Err(NoLot::Out(until)) => out = out.or(Some(until)),
                Err(NoLot::Unavailable(more)) => unavailable.extend(more),
                Err(NoLot::Barred(because)) => bar = bar.or(Some(because)),
            }
        }
        Err(match (bar, out) {
            (Some(because), _) => NoLot::Barred(because),
            (None, Some(until)) if unavailable.is_empty() => NoLot::Out(until),
            _ => NoLot::Unavailable(unavailable),
        })
    }

    /// The lot for a server at time zero, by what may be bought at most alone.
    pub(super) fn at_start(&self, zones: &Zones, now: SimTime) -> Lot {
        let room = |it: &&Offer| it.most.is_none_or(|most| self.bought(it.option) < most);
        let offer = self.offers.iter().find(room).or(self.offers.last());
        let there = self.zones.iter().filter(|it| !zones.is_out(**it, now));
        let zone = there.min_by_key(|it| self.taken(Some(**it), None, false));
        Lot {
            zone: zone.copied(),
            purchased: offer.map(|it| Purchased {
                option: it.option,
                price_per_hour: it.price_per_hour,
            }),
        }
    }

    fn zone<E>(
        &self,
        option: Option<PurchaseOption>,
        zones: &Zones,
        now: SimTime,
    ) -> Result<Option<usize>, NoLot<E>> {
        if let Some(most) = option.and_then(|option| self.sold_out(None, Some(option), now)) {
            return Err(NoLot::Unavailable(vec![Unavailable {
                option,
                zone: None,
                most,
            }]));
        }
        if self.zones.is_empty() {
            return Ok(None);
        }
        let mut unavailable = Vec::new();
        let mut best: Option<(u32, usize)> = None;
        for &zone in self.zones.iter().filter(|it| !zones.is_out(**it, now)) {
            let whole = self
                .sold_out(Some(zone), None, now)
                .map(|most| (None, most));
            let part = || {
                let most = self.sold_out(Some(zone), Some(option?), now)?;
                Some((option, most))
            };
            if let Some((option, most)) = whole.or_else(part) {
                unavailable.push(Unavailable {
                    option,
                    zone: Some(Arc::clone(&zones.names()[zone])),
                    most,
                });
                continue;
            }
            let servers = self.taken(Some(zone), None, false);
            if best.is_none_or(|(fewest, _)| servers < fewest) {
                best = Some((servers, zone));
            }
        }
        match best {
            Some((_, zone)) => Ok(Some(zone)),
            None if unavailable.is_empty() => {
                let until = self.zones.iter().map(|&it| zones.out_until(it));
                Err(NoLot::Out(until.min().unwrap_or(now)))
            }
            None => Err(NoLot::Unavailable(unavailable)),
        }
    }

    /// How many can be had at most of a part of which no more can be had.
    fn sold_out(
        &self,
        zone: Option<usize>,
        option: Option<PurchaseOption>,
        now: SimTime,
    ) -> Option<u32> {
        let mut curves = self.curves.iter();
        curves.find_map(|curve| {
            let begun = curve.servers.partition_point(|&(from, _)| from <= now);
            let &(_, most) = curve.servers.get(begun.checked_sub(1)?)?;
            let of_it = (curve.zone, curve.option) == (zone, option);
            (of_it && self.taken(zone, option, true) >= most).then_some(most)
        })
    }
}
