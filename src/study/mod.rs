//! Studies: many runs. One scenario under many policies, side by side.
//!
//! A [`Contest`] runs a scenario once for each contender, on as many threads as asked for. A contender is
//! a policy as a scenario would name it, such as `HeteroScale(max: 50)`, or `None`. All of them get the
//! same arrivals: the workload and its random streams do not depend on the policy. What comes out, a
//! [`Comparison`], does not depend on the number of threads.
//!
//! ```
//! use fleetsim::autoscale::PolicyRegistry;
//! use fleetsim::study::Contest;
//! use fleetsim::scenario::CheckedScenario;
//!
//! let scenario = CheckedScenario::from_ron(
//!     r#"(
//!         name: "a small service",
//!         fleet: [(sku: "dgx-h100", count: 1, limit: 4)],
//!         applications: [(
//!             name: "chat",
//!             model: "llama2-70b",
//!             instances: [(role: Mixed, start: AllServers)],
//!             slo: (ttft: 1.0),
//!             workload: Synthetic(
//!                 arrivals: Poisson(rate: 4.0),
//!                 prompt_tokens: Constant(1000),
//!                 output_tokens: Constant(100),
//!                 requests: 200,
//!             ),
//!         )],
//!     )"#,
//!     ".".as_ref(),
//! )?;
//! let policies = PolicyRegistry::built_in();
//! let contest = Contest::new(&scenario, &policies, "None, Threshold(up: 0.5)")?;
//! let comparison = contest.run(std::num::NonZero::<usize>::MIN, &());
//! let figures = comparison.contenders[0].figures.as_ref().unwrap();
//! assert_eq!((figures.completed, figures.scaling_actions), (200, 0));
//! # Ok::<(), fleetsim::scenario::Diagnostics>(())
//! ```

mod comparison;
mod contender;
mod contest;
mod evaluate;
mod figures;
mod flapping;
mod flat;
mod follow;
mod judge;
mod names;
mod outcome;
mod provision;
mod replicate;
mod runner;
pub mod saturate;
pub mod search;
mod side_by_side;
pub mod sweep;

pub use comparison::{Basis, Bound, Comparison, Regret, RoleNeed, Skipped, Standing};
pub use contest::Contest;
pub use evaluate::{StudyError, StudyFollower};
pub use figures::{Figures, PercentileFigures, Percentiles};
pub use flapping::{Flapping, RoleFlapping};
pub use flat::{Figure, flat};
pub use follow::{Follower, Watch};
pub use outcome::{Measure, Outcome};
pub(crate) use replicate::share;
pub use replicate::{InvalidPrecision, Precision, Replicated, ReplicatedStanding, Replications};

pub use crate::statistics::Interval;
