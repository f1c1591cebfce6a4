use serde::{Deserialize, Serialize};

use super::hour::SECONDS_PER_HOUR;
use crate::scenario::PurchaseOption;
use crate::time::SimTime;

/// What servers of one SKU are paid for that were bought in one way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill {
    /// How they were bought; none of a SKU without purchase options.
    pub option: Option<PurchaseOption>,
    /// Dollars an hour; none where that is not known.
    pub price_per_hour: Option<f64>,
    /// Server-seconds: how long they existed, summed.
    pub seconds: f64,
    /// Server-seconds that are paid for.
    pub billed_s: f64,
    /// The servers that are paid for in any case, and since when.
    pub reserved: Option<(u32, SimTime)>,
}

impl Bill {
    /// Dollars; none where nobody knows the price of what is paid for.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        self.cost_of(self.billed_s)
    }

    /// Server-seconds that are paid for and in which there was no server.
    #[must_use]
    pub fn unused_s(&self) -> f64 {
        (self.billed_s - self.seconds).max(0.0)
    }

    fn cost_of(&self, seconds: f64) -> Option<f64> {
        match self.price_per_hour {
            Some(price) => Some(price * (seconds / SECONDS_PER_HOUR)),
            None => (seconds <= 0.0).then_some(0.0),
        }
    }

    pub(super) fn summarise(&self) -> PurchaseSummary {
        PurchaseSummary {
            option: self.option.map_or("any", PurchaseOption::name).to_owned(),
            price_per_hour: self.price_per_hour,
            server_hours: self.seconds / SECONDS_PER_HOUR,
            billed_hours: self.billed_s / SECONDS_PER_HOUR,
            cost: self.cost(),
            unused_hours: self.unused_s() / SECONDS_PER_HOUR,
            unused_cost: self.cost_of(self.unused_s()),
        }
    }
}

/// What was paid for servers of one SKU that were bought in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PurchaseSummary {
    /// `reserved`, `on_demand` or `spot`; `any` of a SKU without purchase options that has a minimum or steps of billing.
    pub option: String,
    /// Dollars an hour; `None` when there is no price.
    pub price_per_hour: Option<f64>,
    /// Hours of servers.
    pub server_hours: f64,
    /// Hours that are paid for: of `reserved`, from the start to the end, used or not.
    pub billed_hours: f64,
    /// Dollars for them; `None` when there is no price.
    pub cost: Option<f64>,
    /// Hours that are paid for and in which there was no server: what is reserved and idle, and what a minimum or a step
    /// of billing adds.
    pub unused_hours: f64,
    /// Dollars for those.
    pub unused_cost: Option<f64>,
}
