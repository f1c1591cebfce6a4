use std::ops::AddAssign;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Amount;
use crate::catalog::Sku;
use crate::fleet::InstanceStatus;
use crate::serving::{RequestRecord, Role};
use crate::time::SimTime;

/// An application at one instant, as monitoring sees it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was seen.
    pub time: SimTime,
    /// Requests that had arrived by then.
    pub arrived: u64,
    /// Tokens of their prompts.
    pub arrived_prompt_tokens: u64,
    /// Requests that waited at the application for an instance.
    pub waiting: u64,
    /// Requests that had been completed by then.
    pub completed: Amount,
    /// Each role that the application has a template of.
    pub roles: Vec<RoleSnapshot>,
    /// Each SKU of the fleet, in its order.
    pub skus: Vec<SkuSnapshot>,
}

/// The instances of one role: how many there are, and what was measured of them.
///
/// In the latest snapshot that a policy sees, `starting`, `active` and `draining` are those of the
/// instant of its decision. Everything else is as old as the snapshot: metrics are late, but how many
/// instances there are and how many were asked for is known at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleSnapshot {
    /// The role.
    pub role: Role,
    /// When each instance that starts up will be active, in order.
    pub starting: Vec<SimTime>,
    /// Instances that take requests.
    pub active: u32,
    /// Instances that finish their work.
    pub draining: u32,
    /// The same on each SKU that can carry the role, in the order of the fleet; empty where that is not known.
    pub variants: Vec<Variant>,
    /// Active instances when the snapshot was taken: those that `load` is of.
    pub measured: u32,
    /// What the measured instances have to do.
    pub load: Load,
    /// What the draining instances have to do.
    pub draining_load: Load,
    /// Prompt tokens that instances of the role have ever processed.
    pub prompt_tokens: u64,
    /// Output tokens that instances of the role have ever generated.
    pub output_tokens: u64,
    /// Tokens of requests that instances of the role have ever looked for in their prefix cache.
    pub queried_tokens: u64,
    /// Of these, those that were found.
    pub hit_tokens: u64,
    /// Seconds in which their batches ever ran.
    pub busy_s: f64,
    /// Seconds that they were ever there.
    pub up_s: f64,
    /// Prompt tokens a second that one instance processes, flat out, as its performance model has it;
    /// the highest of the fleet's SKUs, 0 where none can carry one.
    pub prompt_capacity: f64,
    /// Bytes that a token takes in the KV cache; 0 where it is not known.
    pub kv_bytes_per_token: u64,
    /// The most requests in an instance's batch; none for any number.
    pub max_batch_size: Option<u32>,
    /// The most tokens in an instance's iteration; none for any number.
    pub max_batch_tokens: Option<u64>,
    /// Each instance that has joined. Of the latest snapshot only: older ones keep the sums.
    pub instances: Vec<InstanceSnapshot>,
}

/// How many instances of a role there are at the instant of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceCounts {
    /// The role.
    pub role: Role,
    /// When each instance that starts up will be active, in order.
    pub starting: Vec<SimTime>,
    /// Instances that take requests.
    pub active: u32,
    /// Instances that finish their work.
    pub draining: u32,
    /// The same on each SKU that can carry the role, in the order of the fleet; empty where that is not known.
    pub variants: Vec<Variant>,
}

/// The instances of a role on one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// The position of the SKU in the fleet.
    pub sku: usize,
    /// Dollars an hour of one more instance, its share of the price of the next server: 0 where the SKU has none, and where
    /// that server would be reserved.
    pub price_per_hour: f64,
    /// Instances that start up.
    pub starting: u32,
    /// Instances that take requests.
    pub active: u32,
}

impl Variant {
    /// Instances that start up or are active.
    #[must_use]
    pub const fn current(&self) -> u32 {
        self.starting.saturating_add(self.active)
    }
}

/// One instance at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceSnapshot {
    /// Its number.
    pub number: u64,
    /// Its status.
    pub status: InstanceStatus,
    /// The position of its server's SKU in the fleet.
    pub sku: usize,
    /// What it has to do.
    pub load: Load,
}

/// What instances have to do and hold, runs under way credited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Requests assigned that are not finished, transfers included.
    pub assigned: u64,
    /// Requests queued or preempted.
    pub queued: u64,
    /// Requests in batches.
    pub running: u64,
    /// Tokens still to be processed for the requests assigned.
    pub pending_tokens: u64,
    /// Bytes in use, weights included.
    pub memory_used: u64,
    /// Bytes there are; 0 where there is no limit.
    pub memory: u64,
    /// Bytes of the KV cache in use.
    pub kv_used: u64,
    /// Bytes there are for the KV cache; 0 where there is no limit.
    pub kv: u64,
}

/// The servers of one SKU at one instant.
#[derive(Clone, Debug)]
pub struct SkuSnapshot {
    /// The SKU.
    pub sku: Arc<Sku>,
    /// Servers being provisioned.
    pub scaling_up: u32,
    /// Servers that are there.
    pub active: u32,
    /// How many more there may be; none for any number.
    pub room: Option<u32>,
}

/// A request that was completed, as monitoring sees it. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// When.
    pub end: SimTime,
    /// Time to first token.
    pub ttft: f64,
    /// Mean time between tokens.
    pub tbt: f64,
    /// Arrival to last token.
    pub e2e: f64,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens generated for it.
    pub output_tokens: u32,
}

impl Snapshot {
    /// The instances of a role; none if the application has no such role.
    #[must_use]
    pub fn role(&self, role: Role) -> Option<&RoleSnapshot> {
        self.roles.iter().find(|it| it.role == role)
    }

    /// Output tokens ever generated, by all roles.
    #[must_use]
    pub fn output_tokens(&self) -> u64 {
        self.roles.iter().map(|it| it.output_tokens).sum()
    }

    /// Requests in batches, of all roles.
    #[must_use]
    pub fn running(&self) -> u64 {
        let of = |it: &RoleSnapshot| it.load.running + it.draining_load.running;
        self.roles.iter().map(of).sum()
    }

    /// Requests at the application that wait for an instance of a role: all that wait there, if none
    /// was active then.
    #[must_use]
    pub const fn waiting_for(&self, of: &RoleSnapshot) -> u64 {
        if of.measured == 0 { self.waiting } else { 0 }
    }
}

impl RoleSnapshot {
    /// No instances, nothing done.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            starting: Vec::new(),
            active: 0,
            draining: 0,
            variants: Vec::new(),
            measured: 0,
            load: Load::ZERO,
            draining_load: Load::ZERO,
            prompt_tokens: 0,
            output_tokens: 0,
            queried_tokens: 0,
            hit_tokens: 0,
            busy_s: 0.0,
            up_s: 0.0,
            prompt_capacity: 0.0,
            kv_bytes_per_token: 0,
            max_batch_size: None,
            max_batch_tokens: None,
            instances: Vec::new(),
        }
    }

    /// Instances that start up.
    #[must_use]
    pub fn scaling_up(&self) -> u32 {
        u32::try_from(self.starting.len()).unwrap_or(u32::MAX)
    }

    /// Bytes of the KV cache as tokens; 0 where the bytes of a token are not known.
    #[must_use]
    pub fn kv_tokens(&self, bytes: u64) -> f64 {
        share(bytes, self.kv_bytes_per_token)
    }

    /// Instances that start up or are active: what a desired number is compared with.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.scaling_up().saturating_add(self.active)
    }
}

impl Load {
    /// Nothing at all.
    pub const ZERO: Self = Self {
        assigned: 0,
        queued: 0,
        running: 0,
        pending_tokens: 0,
        memory_used: 0,
        memory: 0,
        kv_used: 0,
        kv: 0,
    };

    /// Requests that are in no batch: one whose prompt and token phase are both queued counts once, one
    /// whose KV cache is still on its way here does not count.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.queued.min(self.assigned.saturating_sub(self.running))
    }

    /// Share of the memory in use, weights included; 0 where there is none.
    #[must_use]
    pub fn memory_share(&self) -> f64 {
        share(self.memory_used, self.memory)
    }

    /// Share of the KV cache in use; 0 where there is none.
    #[must_use]
    pub fn kv_share(&self) -> f64 {
        share(self.kv_used, self.kv)
    }
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        self.assigned += other.assigned;
        self.queued += other.queued;
        self.running += other.running;
        self.pending_tokens += other.pending_tokens;
        self.memory_used = self.memory_used.saturating_add(other.memory_used);
        self.memory = self.memory.saturating_add(other.memory);
        self.kv_used = self.kv_used.saturating_add(other.kv_used);
        self.kv = self.kv.saturating_add(other.kv);
    }
}

impl Completion {
    /// What monitoring sees of a request's record; none unless it was completed.
    #[must_use]
    pub fn of(record: &RequestRecord) -> Option<Self> {
        if record.journey().is_some() {
            return Self::of(&record.without_journey());
        }
        Some(Self {
            end: record.end?,
            ttft: record.ttft()?.seconds(),
            tbt: record.tbt()?.seconds(),
            e2e: record.e2e()?.seconds(),
            prompt_tokens: record.prompt_tokens,
            output_tokens: record.output_tokens,
        })
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
