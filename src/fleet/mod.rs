//! The control plane: servers, processors, instances and applications as entities of a
//! `bevy_ecs` world, and the systems that run their lives.
//!
//! [`install`] puts a fleet into a world, which may have several; [`FleetWorldExt`] steps it, one run of the [`Tick`] schedule
//! at a time; [`ScalingExt`] scales it, and answers questions about it.
//!
//! | entity | components |
//! |---|---|
//! | fleet | [`Fleet`], [`Stock`], [`Roster`], [`Ledger`], [`ScalingLog`], [`Refusals`], [`RunWarnings`], [`Origin`] |
//! | application | [`OfFleet`], [`Application`], [`Service`] (its data plane), [`Instances`], [`Templates`], [`ScalingRules`] |
//! | server | [`OfFleet`], [`Server`], [`ServerSku`], [`ServerStatus`], [`Processors`], [`Hosts`]; [`Provisioning`] until it is there |
//! | processor | [`Processor`], [`OnServer`]; [`UsedBy`] while an instance has it |
//! | instance | [`OfFleet`], [`Instance`], [`InstanceStatus`], [`InstanceRole`], [`OfApplication`], [`HostedOn`], [`Uses`]; [`Tag`] if it was given one, [`EngineHandle`] once it has joined, [`StartUp`] (with a [`StartUpStage`] where there are stages) or [`DrainTimer`] for as long as that takes |
//!
//! Time passes in ticks. A tick ends where something is due, and within it the order is that of
//! [`TickSet`]: the endpoints serve up to and including that instant, then faults, the lifecycle,
//! policies, scripted actions and recorders act at it. What is due at equal times happens in the order
//! of (phase, order of asking). Whatever is caused at an instant and due at that same instant in an
//! earlier phase happens in another tick, which takes no time.
//!
//! A host that owns the world keeps it from growing:
//! - It calls [`World::clear_trackers`](bevy_ecs::world::World::clear_trackers) once its systems have
//!   read what was removed, such as after each tick. `bevy_ecs` remembers each removed component until
//!   then. The fleet does not do it, or the host's systems would miss removals.
//! - It takes the records of requests that ended (`Service.0.take_ended()`) and drains the
//!   [`ScalingLog`], or sets [`Retention::OneTick`]. Readers with a place of their own
//!   [follow](crate::serving::Endpoint::follow_ended) beside the one who takes.
//!
//! [`fork`] copies a fleet into a world of its own, [`save`] writes it into a snapshot from which
//! [`restore`] goes on, [`uninstall`] takes it away. `docs/EMBEDDING.md` says
//! what a host may touch.
//!
//! ```
//! use bevy_ecs::prelude::*;
//! use fleetsim::fleet::{self, FleetWorldExt, ScaleUpFull, ScalingExt};
//! use fleetsim::scenario::CheckedScenario;
//! use fleetsim::serving::Role;
//! use fleetsim::time::SimTime;
//!
//! let scenario = CheckedScenario::from_ron(
//!     r#"(
//!         name: "one more",
//!         fleet: [(sku: "dgx-h100", count: 1, limit: 2)],
//!         applications: [(
//!             name: "chat",
//!             model: "llama2-70b",
//!             instances: [(role: Mixed, start: AllServers)],
//!             scaling: (scale_up_delay: 10.0),
//!             workload: Synthetic(
//!                 arrivals: Poisson(rate: 2.0),
//!                 prompt_tokens: Constant(1000),
//!                 output_tokens: Constant(100),
//!                 requests: 50,
//!             ),
//!         )],
//!     )"#,
//!     ".".as_ref(),
//! )?;
//! let mut world = World::new();
//! fleet::install(&mut world, &scenario)?;
//! world.run_until(SimTime::new(5.0)?)?;
//!
//! let chat = world.application("chat")?;
//! let new = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))?;
//! assert!(!world.can_schedule(new.instance));
//! world.run_until(SimTime::new(15.0)?)?;
//! assert!(world.can_schedule(new.instance));
//!
//! let error = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed)).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "the fleet already has its limit of 2 servers of \"dgx-h100\": remove one first, or raise `limit`"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod agenda;
mod api;
mod application;
mod arm;
mod attempt;
mod attempts;
mod blows;
mod build;
mod cache;
mod change;
mod clock;
mod commands;
mod components;
mod drain;
mod due;
mod entries;
mod error;
mod fate;
mod fault_log;
mod fleet_part;
mod fleets;
mod fork;
pub(crate) mod free_processors;
mod gateways;
mod guard;
mod hazards;
mod health;
mod instances;
mod invariants;
mod ledger;
mod lifecycle;
mod loads;
mod log;
mod lost;
mod market;
mod marks;
mod members;
mod natures;
mod numbers;
mod origin;
mod parts;
mod power;
mod power_cap;
mod queries;
mod quotas;
mod ready_servers;
mod reclaim;
mod removal;
mod repair;
mod request;
mod requests;
mod retention;
mod schedule;
mod script;
mod serve;
mod server_cache;
mod servers;
mod service;
mod sets;
mod skus;
mod slow;
mod snapshot;
mod stage_times;
mod staging;
mod standby;
mod start_up;
mod status;
mod strikes;
mod tick;
mod timers;
mod twins;
mod uninstall;
mod unnoticed;
mod vacate;
mod warnings;
mod zones;

pub use account::{InstanceAccount, InstanceFilter, ServerAccount, ServerCounts, StatusCounts};
pub use agenda::Agenda;
pub use api::ScalingExt;
pub use application::{Application, ScalingRules, Templates};
pub use attempt::StartUpAttempt;
pub use attempts::AttemptCounts;
pub use build::{InstallError, install, install_named, install_with};
pub use cache::Item;
pub use change::{ChangeError, ChangeExt};
pub use clock::{Clock, Rest, TickLimits};
pub use commands::{OutcomeLog, ScalingCommandsExt, Ticket, VerbOutcome};
pub(crate) use components::MadeWithInstance;
pub use components::{
    DrainTimer, EngineHandle, HostedOn, Hosts, Instance, InstanceRole, InstanceStatus, Instances,
    OfApplication, OnServer, Processor, Processors, Provisioning, Server, ServerSku, ServerStatus,
    StartUp, Tag, UsedBy, Uses,
};
use components::{FromTemplate, MadeWithServer, TakesServerAlong};
pub use due::Due;
pub use error::ScalingError;
pub use fault_log::{FaultEvent, FaultLog, FaultTotals, Toll};
pub(crate) use fleet_part::{part, part_mut};
pub use fleets::{Fleet, FleetsExt, OfFleet};
pub use fork::fork;
pub(crate) use gateways::{Gateways, connect, traffic};
pub use hazards::Hazard;
pub(crate) use hazards::something_may_break;
pub use invariants::{Violation, check_invariants};
pub use ledger::Ledger;
pub use lifecycle::LifecycleSet;
pub use log::{Refusals, ScalingAction, ScalingEvent, ScalingLog, Target};
pub use market::{Billing, Offer, Purchased, Unavailable};
pub use marks::{Broken, Cordoned, Reclaimed};
pub use numbers::Roster;
pub use origin::Origin;
pub(crate) use parts::Codec;
pub use parts::{Parts, Twins};
pub use power_cap::PowerSlowdown;
pub use queries::StatusSummary;
pub(crate) use queries::{hosted, is_empty};
pub use request::{Granted, ScaleUpFull, ScaleUpInstance, ScaledUp, ScalingRequest};
pub use requests::RequestEnded;
pub use retention::Retention;
pub use server_cache::ServerCache;
pub use service::Service;
pub use sets::{Prepared, ScriptedActions, ServeSet, Tick, TickSet};
pub use skus::{Kind, Stock};
pub use slow::Slow;
pub(crate) use snapshot::{header, read, write};
pub use snapshot::{restore, save};
pub use stage_times::{StageTime, StageTimes};
pub use staging::StartUpStage;
pub use tick::{FleetWorldExt, TickError};
pub(crate) use uninstall::FleetSystems;
pub use uninstall::{uninstall, uninstall_fleet};
pub use unnoticed::Unnoticed;
pub(crate) use vacate::{preempt, vacate};
pub use warnings::RunWarnings;
pub use zones::InZone;
