//! What happens at given times: actions and faults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::time::{SimDuration, SimTime};

/// A scripted control-plane action.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// When, in seconds. Required.
    pub at: SimTime,
    /// What. Required.
    pub action: Verb,
}

/// A scaling verb with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Verb {
    /// A new server with one new instance on it.
    ScaleUpFull {
        /// The application of the instance. Required.
        application: String,
        /// Which template. Required.
        role: Role,
        /// Which SKU. Default: the first of the fleet.
        #[serde(default)]
        sku: Option<String>,
        /// A label kept on the instance. Default none.
        #[serde(default)]
        tag: Option<String>,
    },
    /// Drains an instance, retires it, and removes its server when that is left empty, also where the
    /// instance crashes meanwhile.
    ScaleDownFull {
        /// The instance's number. Required.
        instance: u64,
    },
    /// A new server with nothing on it.
    ScaleUpServer {
        /// Which SKU. Default: the first of the fleet.
        #[serde(default)]
        sku: Option<String>,
    },
    /// Removes an empty server.
    ScaleDownServer {
        /// The server's number. Required.
        server: u64,
    },
    /// A new instance on a server that is there.
    ScaleUpInstance {
        /// The application of the instance. Required.
        application: String,
        /// Which template. Required.
        role: Role,
        /// The server's number. Required.
        server: u64,
        /// Positions of the processors on the server. Default: the first that are free.
        #[serde(default)]
        processors: Option<Vec<u32>>,
        /// A label kept on the instance. Default none.
        #[serde(default)]
        tag: Option<String>,
    },
    /// Drains and retires an instance; its server stays.
    ScaleDownInstance {
        /// The instance's number. Required.
        instance: u64,
    },
    /// Gives up an instance that is not up yet. The server of an instance that `ScaleUpFull` made goes with
    /// it if that is left empty; any other server stays.
    CancelScaleUp {
        /// The instance's number. Required.
        instance: u64,
    },
}

/// A scripted fault.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, in seconds. Required.
    pub at: SimTime,
    /// What. Required.
    pub fault: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum FaultKind {
    /// No server can be created for a while.
    NoNewServers {
        /// Which SKU. Default: any.
        #[serde(default)]
        sku: Option<String>,
        /// For how many seconds. Required.
        duration: SimDuration,
    },
    /// An instance is gone at once; its work is put back. Its server stays, unless a `ScaleDownFull` of the
    /// instance is under way.
    InstanceCrash {
        /// The instance's number. Required.
        instance: u64,
        /// Whether it starts up again on free processors of its server. Default false.
        #[serde(default)]
        restart: bool,
    },
    /// A server is gone at once, with every instance on it.
    ServerCrash {
        /// The server's number. Required.
        server: u64,
        /// Seconds until a server with its disk and its instances comes back in its place, under a new number.
        /// Default: never.
        #[serde(default)]
        repair: Option<SimDuration>,
    },
    /// A processor is lost: its instance is gone at once, and starts again on free processors of the server, now
    /// or after the repair.
    ProcessorLost {
        /// The server's number. Required.
        server: u64,
        /// Its position on the server. Required.
        processor: u32,
        /// Seconds until it can be used again. Default: never.
        #[serde(default)]
        repair: Option<SimDuration>,
    },
    /// The steps of every instance on a server take longer for a while. The last such fault counts.
    SlowServer {
        /// The server's number. Required.
        server: u64,
        /// By what they are multiplied, more than 1. Required.
        #[schemars(extend("exclusiveMinimum" = 1))]
        factor: f64,
        /// For how many seconds. Required.
        duration: SimDuration,
    },
    /// A processor is slow for a while. An instance is as slow as its slowest processor, or as its server if that is
    /// slower. The last such fault of a processor counts.
    SlowProcessor {
        /// The server's number. Required.
        server: u64,
        /// Its position on the server. Required.
        processor: u32,
        /// By what the steps of its instance are multiplied, more than 1. Required.
        #[schemars(extend("exclusiveMinimum" = 1))]
        factor: f64,
        /// For how many seconds. Required.
        duration: SimDuration,
    },
    /// A server is taken back: its instances drain until then, and then it is gone.
    SpotReclaim {
        /// The server's number. Required.
        server: u64,
        /// Seconds from the notice until it is gone. Required.
        notice: SimDuration,
    },
    /// Every server of a zone is gone at once, and none can be created there for a while. They come back then,
    /// with their disks and their instances, under new numbers.
    ZoneOutage {
        /// A zone of the fleet. Required.
        zone: String,
        /// For how many seconds. Required.
        duration: SimDuration,
    },
}
