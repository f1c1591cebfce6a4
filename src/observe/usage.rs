use std::sync::Arc;

use super::bills::Bill;
use super::hour::SECONDS_PER_HOUR;
use crate::catalog::{Processor, Sku, StepPower};
use crate::scenario::Role;

const JOULES_PER_KWH: f64 = 3.6e6;

/// The time of an application's instances of one role, on one SKU, of one size, over a run.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceUsage {
    /// What they serve.
    pub role: Role,
    /// The SKU of their servers, by name.
    pub sku: Arc<str>,
    /// Processors that each of them holds.
    pub processors: u32,
    /// Instance-seconds in which they started up.
    pub scaling_up_s: f64,
    /// Instance-seconds in which they took requests.
    pub active_s: f64,
    /// Instance-seconds in which they finished their work.
    pub draining_s: f64,
    /// Instance-seconds in which they ran a batch that had a prompt in it.
    pub prompt_busy_s: f64,
    /// Instance-seconds in which they ran a batch of tokens alone.
    pub token_busy_s: f64,
    /// The most of them at any one time, in any status.
    pub peak: u64,
}

impl InstanceUsage {
    /// Instance-seconds in any status.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.scaling_up_s + self.active_s + self.draining_s
    }

    /// Hours of processors held.
    #[must_use]
    pub fn gpu_hours(&self) -> f64 {
        self.seconds() * f64::from(self.processors) / SECONDS_PER_HOUR
    }

    /// Joules that their batches take beyond idling at `idle_w`.
    fn busy_joules(&self, power: StepPower, idle_w: f64) -> f64 {
        let prompt = (power.prompt_w - idle_w) * self.prompt_busy_s;
        let token = (power.token_w - idle_w) * self.token_busy_s;
        f64::from(self.processors) * (prompt + token)
    }
}

/// The time of the servers of one SKU over a run.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerUsage {
    /// The SKU.
    pub sku: Arc<Sku>,
    /// The kind of its processors.
    pub processor: Arc<Processor>,
    /// Server-seconds: how long servers existed, summed.
    pub seconds: f64,
    /// The most servers at any one time.
    pub peak: u64,
    /// What is paid for, by purchase option; nothing where that is the servers' hours at the price of the SKU.
    pub bills: Vec<Bill>,
}

impl ServerUsage {
    /// Hours of servers.
    #[must_use]
    pub fn hours(&self) -> f64 {
        self.seconds / SECONDS_PER_HOUR
    }

    /// Hours of processors, used or not.
    #[must_use]
    pub fn gpu_hours(&self) -> f64 {
        self.hours() * f64::from(self.sku.processors)
    }

    /// Dollars for what is paid for: the servers' hours, or what the bills say. None when there is no price.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        if !self.bills.is_empty() {
            let costs = self.bills.iter().map(Bill::cost);
            return costs.sum();
        }
        Some(self.sku.price_per_hour? * self.hours())
    }

    /// Energy in kWh, from the power figures of the catalog; none where it does not say what the processor
    /// draws in steps, or [when idle](Processor::idle_power).
    ///
    /// With times in seconds and powers in watts it is the sum, divided by 3.6 × 10⁶, of
    /// - server time × (the server's idle power + its processors × their idle power), and
    /// - for each of `instances` on this SKU: processors × ((prompt power − idle power) × time in
    ///   batches with a prompt + (token power − idle power) × time in batches of tokens alone).
    ///
    /// `instances` are those of every application; ones on another SKU do not count.
    #[must_use]
    pub fn energy_kwh<'a>(
        &self,
        instances: impl IntoIterator<Item = &'a InstanceUsage>,
    ) -> Option<f64> {
        let power = self.processor.step_power()?;
        let idle_w = self.processor.idle_power()?;
        let processors = f64::from(self.sku.processors);
        let idle = self.seconds * (self.sku.idle_power_w + processors * idle_w);
        let joules = instances
            .into_iter()
            .filter(|usage| *usage.sku == *self.sku.name)
            .fold(idle, |joules, usage| {
                joules + usage.busy_joules(power, idle_w)
            });
        Some(joules / JOULES_PER_KWH)
    }

    /// Energy in kWh that processors draw in steps, where no source says what they draw when idle; else none.
    #[must_use]
    pub fn step_energy_kwh<'a>(
        &self,
        instances: impl IntoIterator<Item = &'a InstanceUsage>,
    ) -> Option<f64> {
        if self.processor.idle_power().is_some() {
            return None;
        }
        let power = self.processor.step_power()?;
        let joules: f64 = instances
            .into_iter()
            .filter(|usage| *usage.sku == *self.sku.name)
            .map(|usage| usage.busy_joules(power, 0.0))
            .sum();
        Some(joules / JOULES_PER_KWH)
    }
}
