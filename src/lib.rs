//! fleetsim simulates autoscaling fleets of GPU servers that serve large language models.

pub mod autoscale;
pub mod catalog;
pub mod cli;
pub mod document;
pub mod fleet;
pub mod observe;
pub mod random;
pub mod report;
pub mod scenario;
pub mod serving;
pub mod simulation;
mod statistics;
pub mod time;
pub mod workload;
