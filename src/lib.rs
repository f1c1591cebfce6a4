//! fleetsim simulates **autoscaling fleets of GPU servers that serve large language models**. A
//! scenario says which hardware, models, instances, requests, scaling actions and faults there are; a run
//! says what users would have felt and what it would have cost, for hours of a small fleet in a second.
//!
//! # Three ways in
//!
//! - **From the command line**: `fleetsim run scenarios/quickstart.ron`. The scenario file is described
//!   in `docs/SCENARIO.md`; [`cli`] is the whole of the binary.
//! - **From a program that wants results**: load a [`CheckedScenario`](scenario::CheckedScenario), make
//!   a [`Simulation`](simulation::Simulation) of it, tick it to its end, summarise.
//! - **From a larger simulation**: [`fleet::install`] puts a fleet into a `bevy_ecs` world that the host
//!   owns, beside the host's own entities. The host steps it, watches its components and messages, hands
//!   requests to it and uses the scaling verbs: see [the guide](#a-fleet-in-your-own-world).
//!
//! The second way, whole:
//!
//! ```
//! use fleetsim::prelude::*;
//!
//! let scenario = CheckedScenario::from_ron(
//!     r#"(
//!         name: "two servers",
//!         fleet: [(sku: "dgx-h100", count: 2)],
//!         applications: [(
//!             name: "chat",
//!             model: "llama2-70b",
//!             instances: [(role: Mixed, start: AllServers)],
//!             slo: (ttft: 1.0),
//!             workload: Synthetic(
//!                 arrivals: Poisson(rate: 4.0),
//!                 prompt_tokens: Constant(1000),
//!                 output_tokens: Geometric(mean: 100.0),
//!                 requests: 500,
//!             ),
//!         )],
//!     )"#,
//!     ".".as_ref(),
//! )?;
//! let mut simulation = Simulation::new(&scenario)?;
//! while simulation.tick()? {}
//! let summary = simulation.finish().record.summarise();
//! let chat = &summary.applications[0];
//! assert_eq!(chat.requests.completed, 500);
//! assert!(chat.slo.attainment > Some(0.99));
//! assert!(chat.metrics.ttft_s.p50 < Some(0.2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A fleet in your own world
//!
//! | to | use |
//! |---|---|
//! | put a fleet into a world, take it away | [`fleet::install`], [`fleet::uninstall`]; plugins behind the feature `bevy_app` |
//! | step it | [`FleetWorldExt::run_until`](fleet::FleetWorldExt::run_until), [`tick`](fleet::FleetWorldExt::tick), [`TickLimits`](fleet::TickLimits) |
//! | scale it | [`ScalingExt`](fleet::ScalingExt) on `World`, [`ScalingCommandsExt`](fleet::ScalingCommandsExt) on `Commands` |
//! | hand over requests, take them back | [`Service::submit`](fleet::Service::submit), [`Service::cancel`](fleet::Service::cancel) |
//! | learn what became of them | [`RequestEnded`](fleet::RequestEnded) messages, [`Endpoint::follow_ended`](serving::Endpoint::follow_ended) |
//! | keep a policy back | [`Decider::at_most`](autoscale::Decider::at_most), [`Decider::veto`](autoscale::Decider::veto) |
//! | ask what might be | [`fleet::fork`], [`Simulation::fork`](simulation::Simulation::fork) |
//! | get the figures so far | [`summarise`] |
//!
//! A host may read everything, despawn servers and instances (a crash) and applications (which is none), and
//! put systems of its own into any set of the [`fleet::Tick`] schedule. Numbers, statuses, relationships and
//! engines are the lifecycle's: a change by hand is undone. `docs/EMBEDDING.md` has the whole list, what
//! observers see when, and what a host owes to determinism.
//!
//! # Two planes and a tick
//!
//! The **control plane** is an ECS world. Applications, servers, processors and instances are entities;
//! their lives (provisioning, spin-up, activation, draining, removal) are components and a few systems.
//! Little happens there, a few events per instance and minute, so it is written to be clear and open.
//!
//! The **data plane** is a dense event machine without an ECS. Each application has a
//! [`serving::Endpoint`] that owns its requests, its batch engines, its scheduler and its events in flat
//! arrays. Millions of events happen there, so it is written to be fast. It can be used alone.
//!
//! A **tick** joins them: one run of the [`fleet::Tick`] schedule. It ends at the next instant at which
//! the control plane has something due. The endpoints serve up to and including that instant, event by
//! event, and then the control plane acts at it. Results do not depend on any step size, and a tick
//! costs what is due in it, not what the fleet is large.
//!
//! The order within a tick is a public contract, [`fleet::TickSet`]:
//!
//! 1. `Serve`: the clock moves; every endpoint serves up to the new instant.
//! 2. `Faults`: faults happen.
//! 3. `Lifecycle`: servers get ready; instances join, become active, retire.
//! 4. `Sense`: signals are read.
//! 5. `Decide`: policies say how many instances they want.
//! 6. `Act`: scripted actions, and the actuator that turns decisions into scaling verbs.
//! 7. `Observe`: recorders write down how things stand.
//!
//! A host may put systems of its own into any of them, and have ticks end where it needs one by way of
//! the [`fleet::Agenda`].
//!
//! # Rooms
//!
//! | module | what is in it |
//! |---|---|
//! | [`cli`] | the command line, one file a subcommand |
//! | [`mod@bench`] | benchmarks, and the baselines that they are compared with |
//! | [`calibration`] | coefficients of step times from the user's measurements |
//! | [`validation`] | measurements of real servers against simulations of them |
//! | [`report`] | writers: the results directory, the table on the terminal, progress |
//! | [`study`] | many runs: one scenario under many policies, side by side |
//! | [`simulation`] | from a scenario to a world, tick by tick to its end |
//! | [`autoscale`] | signals, policies, the actuator that carries out what they want |
//! | [`observe`] | recorders and statistics: requests, samples, usage, the summary |
//! | [`fleet`] | the control plane: entities, lifecycle, scaling verbs, accounts of time |
//! | [`serving`] | the data plane: endpoints, batch engines, schedulers, KV transfers |
//! | [`measured`] | tables of measurements of real servers |
//! | [`workload`] | where requests come from: trace readers and generators, streaming |
//! | [`scenario`] | scenarios as plain data, read and checked |
//! | [`catalog`] | SKUs, processors, models and measured profiles |
//! | [`warning`] | what is likely a mistake, though nothing stops |
//! | [`document`] | RON text with the place of everything that is wrong in it |
//! | [`random`] | named, seeded streams of random numbers |
//! | [`time`] | instants and durations |
//!
//! Each uses those below it and none above. Nothing from `serving` down knows the ECS.
//!
//! # Determinism
//!
//! The same scenario and seed give the same results to the last bit: on every run, with any `max_tick`,
//! in pieces of any length that a host steps the world. No result depends on wall time, on addresses or on the
//! order of a hash table. `docs/ARCHITECTURE.md` says how, and what a host or an extension must do to
//! keep it so.

pub mod autoscale;
pub mod bench;
pub mod calibration;
pub mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
pub mod document;
pub mod fleet;
mod interrupt;
pub mod measured;
pub mod observe;
#[cfg(feature = "bevy_app")]
pub mod plugin;
pub mod prelude;
pub mod random;
pub mod report;
pub mod scenario;
pub mod serving;
pub mod simulation;
pub mod snapshot;
mod statistics;
pub mod study;
pub mod time;
pub mod validation;
pub mod warning;
pub mod workload;

/// What scenarios can name: policies, engines, routers and step models, built in or of your own.
pub use autoscale::PolicyRegistry as Registry;

/// The figures of a fleet so far, in any world.
pub use simulation::{summarise, summarise_fleet};

/// The ECS that the control plane is made of. A host that derives components of its own has it among its
/// own dependencies, in this version.
pub use bevy_ecs;

/// The `App` that the plugins are for.
#[cfg(feature = "bevy_app")]
pub use bevy_app;

/// The examples in the pages, compiled and run with the tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/ARCHITECTURE.md")]
    struct Architecture;

    #[doc = include_str!("../docs/EMBEDDING.md")]
    struct Embedding;
}
