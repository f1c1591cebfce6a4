//! How servers are bought, and how many of them can be had.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FleetEntry;
use crate::time::{SimDuration, SimTime};

/// How a server is bought.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum PurchaseOption {
    /// A number of servers that is paid for from the start of the run to its end, used or not.
    Reserved,
    /// By the hour, at the list price.
    OnDemand,
    /// By the hour, at a lower price; the provider may take servers back (`SpotReclaim`).
    Spot,
}

impl PurchaseOption {
    /// Its name in `summary.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::OnDemand => "on_demand",
            Self::Spot => "spot",
        }
    }
}

/// A way to buy servers of a SKU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    /// How they are bought. Required.
    pub option: PurchaseOption,
    /// The most servers that are bought so at any time; of `Reserved`, how many are paid for. Required for
    /// `Reserved`. Default: any number.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub most: Option<u32>,
    /// Price of an hour of a server, in dollars. Default: that of the SKU in the catalog.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub price_per_hour: Option<f64>,
    /// As `minimum_billing` of the fleet entry, for servers that are bought so. Default: that of the fleet entry.
    #[serde(default)]
    pub minimum_billing: Option<SimDuration>,
    /// As `billing_step` of the fleet entry, for servers that are bought so. Default: that of the fleet entry.
    #[serde(default)]
    pub billing_step: Option<SimDuration>,
}

/// How many servers can be had at most of those in a zone, of those bought in one way, or of both together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    /// A zone of the fleet entry. Default: all of them together.
    #[serde(default)]
    pub zone: Option<String>,
    /// A purchase option of the fleet entry. Default: all of them together.
    #[serde(default)]
    pub purchase: Option<PurchaseOption>,
    /// From when on how many at most: `[(from, at most), ..]`, in seconds, in rising order. Required.
    #[schemars(length(min = 1))]
    pub servers: Vec<(SimTime, u32)>,
}

/// The most processors that servers of several SKUs may have together, as an account has it with its provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Its name in refusals, unique. Required.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The SKUs that count. Default: every SKU of the fleet.
    #[serde(default)]
    pub skus: Vec<String>,
    /// Servers that are bought so alone. Default: any.
    #[serde(default)]
    pub purchase: Option<PurchaseOption>,
    /// The most processors of all these servers, used or not. Required.
    #[schemars(range(min = 1))]
    pub processors: u32,
}

impl Quota {
    /// Whether servers of a SKU count.
    #[must_use]
    pub fn counts(&self, sku: &str) -> bool {
        self.skus.is_empty() || self.skus.iter().any(|it| it == sku)
    }
}

impl FleetEntry {
    /// How its servers at time zero are bought, in the order of `purchase`; nothing where that is empty.
    #[must_use]
    pub fn bought_at_start(&self) -> Vec<(PurchaseOption, u32)> {
        self.bought(self.count)
    }

    /// How the first servers are bought, in the order of `purchase`.
    pub(in crate::scenario) fn bought(&self, servers: u32) -> Vec<(PurchaseOption, u32)> {
        let mut left = servers;
        let mut take = |it: &Purchase| {
            let taken = it.most.map_or(left, |most| most.min(left));
            left -= taken;
            (it.option, taken)
        };
        self.purchase.iter().map(&mut take).collect()
    }

    /// Whether the cost of its servers is known, where the catalog has this price of the SKU.
    #[must_use]
    pub fn is_priced(&self, catalog: Option<f64>) -> bool {
        match self.purchase.as_slice() {
            [] => catalog.is_some(),
            options => options
                .iter()
                .all(|it| it.price_per_hour.or(catalog).is_some()),
        }
    }

    /// The price of an hour by its first purchase option, where the catalog has this price of the SKU.
    #[must_use]
    pub fn first_price(&self, catalog: Option<f64>) -> Option<f64> {
        let first = self.purchase.first();
        first.and_then(|it| it.price_per_hour).or(catalog)
    }

    /// The lowest price of an hour by any purchase option, where the catalog has this price of the SKU.
    #[must_use]
    pub fn lowest_price(&self, catalog: Option<f64>) -> Option<f64> {
        let prices = self.purchase.iter();
        let prices = prices.filter_map(|it| it.price_per_hour.or(catalog));
        prices.reduce(f64::min).or(catalog)
    }
}
