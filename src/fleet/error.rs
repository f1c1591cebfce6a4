use bevy_ecs::entity::Entity;

use crate::serving::{PerformanceError, Role};
use crate::time::SimTime;

use super::{InstanceStatus, ServerStatus, Unavailable};

/// Why a scaling verb was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScalingError {
    /// The world has no fleet.
    #[error("the world has no fleet: call `fleet::install` first")]
    NoFleet,
    /// The world has several fleets, and it was not said which is meant.
    #[error("the world has the fleets {}: say which is meant", quoted(names))]
    SeveralFleets {
        /// Their names.
        names: Vec<String>,
    },
    /// No fleet has this name.
    #[error("there is no fleet \"{name}\"{}", suggestion(nearest.as_deref()))]
    UnknownFleet {
        /// The name.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// A server and an application are not of the same fleet.
    #[error(
        "the application is of the fleet \"{application}\", the server of another: name a server of that fleet"
    )]
    OtherFleet {
        /// The fleet of the application.
        application: String,
    },
    /// The fleet has no SKU of this name.
    #[error(
        "the fleet has no SKU \"{sku}\"{}: name one of its `fleet` entries",
        suggestion(nearest.as_deref())
    )]
    UnknownSku {
        /// The name that was given.
        sku: String,
        /// The most similar name that there is.
        nearest: Option<String>,
    },
    /// The fleet has no SKU at all.
    #[error("the fleet has no SKU: give the scenario a `fleet` entry")]
    NoSku,
    /// There are as many servers of the SKU as there may be.
    #[error(
        "the fleet already has its limit of {limit} servers of \"{sku}\": remove one first, or raise `limit`"
    )]
    LimitReached {
        /// The SKU's name.
        sku: String,
        /// The most servers of it.
        limit: u32,
    },
    /// No more servers of the SKU can be had now.
    #[error(
        "only {available} servers of \"{sku}\" can be had now: try again later, or use another SKU"
    )]
    SoldOut {
        /// The SKU's name.
        sku: String,
        /// The most servers of it now.
        available: u32,
    },
    /// No more servers of the SKU can be had now by any purchase option, or in any zone.
    #[error(
        "no \"{sku}\" can be had now, at most {}: try again later, or use another SKU",
        listed(parts)
    )]
    PartsSoldOut {
        /// The SKU's name.
        sku: String,
        /// The parts of which there are as many as can be had.
        parts: Vec<Unavailable>,
    },
    /// One more server would be above a quota.
    #[error(
        "one more \"{sku}\" is above the quota \"{quota}\" of {processors} processors: remove a server first, or raise it"
    )]
    QuotaReached {
        /// The SKU's name.
        sku: String,
        /// The name of the quota.
        quota: String,
        /// The most processors.
        processors: u32,
    },
    /// One more server would draw more power than servers may.
    #[error(
        "one more \"{sku}\" draws more than the {watts} W of `power_cap`: remove a server first, or raise it"
    )]
    PowerCapReached {
        /// The SKU's name.
        sku: String,
        /// The cap in whole watts.
        watts: u64,
    },
    /// There were as many instances as there can ever be.
    #[error("the fleet has had {limit} instances, and can have no more: begin another run")]
    TooManyInstances {
        /// The most instances ever.
        limit: u64,
    },
    /// A fault keeps servers of the SKU from being created.
    #[error("no server of \"{sku}\" can be created before {until} s (a fault): try again then")]
    CreationFault {
        /// The SKU's name.
        sku: String,
        /// From when on it works again.
        until: SimTime,
    },
    /// No application has this name.
    #[error(
        "there is no application \"{name}\"{}",
        suggestion(nearest.as_deref())
    )]
    UnknownApplication {
        /// The name that was given.
        name: String,
        /// The most similar name that there is.
        nearest: Option<String>,
    },
    /// The entity is no application.
    #[error("{0} is not an application: look one up by name")]
    NotAnApplication(Entity),
    /// The application has no template of the role.
    #[error("\"{application}\" has no template of role {role:?}: add one to its `instances`")]
    NoTemplate {
        /// The application's name.
        application: String,
        /// The role that was asked for.
        role: Role,
    },
    /// A whole server of the SKU has too few processors for the template.
    #[error(
        "an instance needs {needed} processors and a \"{sku}\" has {processors}: use another SKU"
    )]
    SkuTooSmall {
        /// The SKU's name.
        sku: String,
        /// Processors that an instance takes.
        needed: u32,
        /// Processors that a server has.
        processors: u32,
    },
    /// An instance on the SKU has no room for the model.
    #[error(
        "the weights take {weights_bytes} bytes and an instance on \"{sku}\" has {memory_bytes}: use more processors or another SKU"
    )]
    TooLittleMemory {
        /// The SKU's name.
        sku: String,
        /// Bytes of the model's weights.
        weights_bytes: u64,
        /// Bytes of an instance's processors together.
        memory_bytes: u64,
    },
    /// There is no performance model of the template on the SKU.
    #[error(transparent)]
    NoPerformance(#[from] PerformanceError),
    /// The options of the engine do not go together.
    #[error("the engine cannot run: {0}")]
    InvalidEngine(String),
    /// The server has too few free processors.
    #[error(
        "an instance needs {needed} processors and server {server} has {free} free: use another server"
    )]
    TooFewProcessors {
        /// The server's number.
        server: u64,
        /// Processors that an instance takes.
        needed: u32,
        /// Processors that are free.
        free: u32,
    },
    /// The number of processors that were named is not what the template takes.
    #[error("an instance takes {needed} processors and {given} were named")]
    WrongProcessorCount {
        /// Processors that an instance takes.
        needed: u32,
        /// Processors that were named.
        given: usize,
    },
    /// The server has no processor at this position.
    #[error("server {server} has no processor {processor}: they count from 0 to {}", count.saturating_sub(1))]
    NoProcessor {
        /// The server's number.
        server: u64,
        /// The position that was given.
        processor: u32,
        /// How many processors it has.
        count: usize,
    },
    /// A processor was named twice.
    #[error("processor {processor} was named twice: name each once")]
    ProcessorNamedTwice {
        /// Its position on its server.
        processor: u32,
    },
    /// A processor already works for another instance.
    #[error(
        "processor {processor} of server {server} is busy with instance {instance}: name a free one, or none to take the first free ones"
    )]
    ProcessorBusy {
        /// The server's number.
        server: u64,
        /// The processor's position.
        processor: u32,
        /// The number of the instance that has it.
        instance: u64,
    },
    /// The processor is broken.
    #[error(
        "processor {processor} of server {server} is broken: name another, or none to take the first free ones"
    )]
    ProcessorBroken {
        /// The server's number.
        server: u64,
        /// The processor's position.
        processor: u32,
    },
    /// The server is being taken back.
    #[error("server {server} is taken back at {at} s: use another server")]
    ServerReclaimed {
        /// The server's number.
        server: u64,
        /// When it is gone.
        at: SimTime,
    },
    /// What a fault strikes is lost already.
    #[error("it is lost already, though nobody has noticed yet: aim at another, or later")]
    LostAlready,
    /// A server is lost, though nobody has noticed yet.
    #[error("server {server} does not answer: use another server")]
    ServerLost {
        /// The server's number.
        server: u64,
    },
    /// The server is not there yet.
    #[error("server {server} is {}: wait until it is active", status.name())]
    ServerNotActive {
        /// The server's number.
        server: u64,
        /// Its status.
        status: ServerStatus,
    },
    /// The instance is not active.
    #[error(
        "instance {instance} is {}: only an active instance can be scaled down",
        status.name()
    )]
    NotActive {
        /// The instance's number.
        instance: u64,
        /// Its status.
        status: InstanceStatus,
    },
    /// The instance does not start up.
    #[error(
        "instance {instance} is {}: only a start-up can be cancelled; scale it down instead",
        status.name()
    )]
    NotScalingUp {
        /// The instance's number.
        instance: u64,
        /// Its status.
        status: InstanceStatus,
    },
    /// The server still carries instances.
    #[error("server {server} still has {instances} instances: scale them down first")]
    ServerHasInstances {
        /// The server's number.
        server: u64,
        /// Instances on it, in any status.
        instances: usize,
    },
    /// The entity is no instance, or no longer one.
    #[error("{0} is not an instance, or no longer: look one up by number")]
    NotAnInstance(Entity),
    /// The entity is no server, or no longer one.
    #[error("{0} is not a server, or no longer: look one up by number")]
    NotAServer(Entity),
    /// No instance has this number.
    #[error("there is no instance {0}: it has gone, or never was")]
    NoSuchInstance(u64),
    /// No server has this number.
    #[error("there is no server {0}: it has gone, or never was")]
    NoSuchServer(u64),
    /// No zone has this name.
    #[error("there is no zone \"{0}\": name one of the `zones` of the fleet")]
    NoSuchZone(String),
}

impl ScalingError {
    /// One word for the kind of refusal, as in `summary.json`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::LimitReached { .. } => "limit",
            Self::SoldOut { .. } | Self::PartsSoldOut { .. } => "sold_out",
            Self::QuotaReached { .. } => "quota",
            Self::PowerCapReached { .. } => "power",
            Self::TooManyInstances { .. } => "instances_ever",
            Self::CreationFault { .. } => "outage",
            Self::TooFewProcessors { .. }
            | Self::ProcessorBusy { .. }
            | Self::ProcessorBroken { .. } => "no_processors",
            Self::ServerReclaimed { .. } => "reclaimed",
            Self::ServerLost { .. } | Self::LostAlready => "lost",
            Self::WrongProcessorCount { .. }
            | Self::NoProcessor { .. }
            | Self::ProcessorNamedTwice { .. } => "wrong_processors",
            Self::SkuTooSmall { .. } | Self::TooLittleMemory { .. } => "does_not_fit",
            Self::NoPerformance(_) => "no_profile",
            Self::InvalidEngine(_) => "invalid_engine",
            Self::NoTemplate { .. } => "no_template",
            Self::NoFleet | Self::SeveralFleets { .. } | Self::UnknownFleet { .. } => "no_fleet",
            Self::OtherFleet { .. } => "other_fleet",
            Self::UnknownSku { .. } | Self::NoSku => "no_sku",
            Self::UnknownApplication { .. } | Self::NotAnApplication(_) => "no_application",
            Self::ServerNotActive { .. } => "server_not_active",
            Self::NotActive { .. } => "not_active",
            Self::NotScalingUp { .. } => "not_scaling_up",
            Self::ServerHasInstances { .. } => "has_instances",
            Self::NoSuchZone(_)
            | Self::NotAnInstance(_)
            | Self::NotAServer(_)
            | Self::NoSuchInstance(_)
            | Self::NoSuchServer(_) => "gone",
        }
    }
}

fn listed(parts: &[Unavailable]) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    parts.join(", ")
}

fn quoted(names: &[String]) -> String {
    let names = names.iter().map(|name| format!("\"{name}\""));
    names.collect::<Vec<_>>().join(", ")
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean \"{name}\"?)"))
}

/// The most similar of the names that there are.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .min_by_key(|known| strsim::damerau_levenshtein(name, known))
        .map(str::to_owned)
}
