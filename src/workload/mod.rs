//! Where requests come from: trace readers and generators, all streaming.
//!
//! [`open`] turns a scenario's [`Workload`](crate::scenario::Workload) into an [`ArrivalStream`]. A trace goes through a reader
//! for its format, a bounded window that puts it in order of time, and as many passes as asked
//! for; a generator draws from random streams of its own. Either is then cut to a window of time,
//! scaled, and cut to a number of requests. Memory does not grow with the length of a workload, but for a
//! trace that is made anew out of blocks, which is held as a whole.

mod arrival;
mod azure;
mod burst_gpt;
mod bytes;
mod calendar;
mod details;
mod error;
mod guess;
mod idle;
mod journey;
mod lengths;
mod limits;
mod lines;
mod mooncake;
mod numbers;
mod open;
mod own;
#[cfg(feature = "compression")]
mod packing;
mod place;
mod prefixes;
mod reader;
mod reorder;
mod repeat;
mod requests;
mod resample;
mod row;
mod shape;
mod source;
mod splitwise;
mod statistics;
mod synthetic;
mod table;
mod timestamp;
mod trace;
#[cfg(feature = "compression")]
mod unpack;
mod users;
mod write;

pub use arrival::{Arrival, ArrivalSource, ArrivalStream};
pub use details::Details;
pub use error::WorkloadError;
pub use idle::{IdleStretch, check_origin, longest_idle};
pub use journey::Journey;
pub use limits::{Limited, Limits};
pub use open::{open, open_named};
pub(crate) use own::AnyFormat;
pub use own::{NamedFormat, TraceFormatKind, TraceRows};
#[cfg(feature = "compression")]
pub use packing::{Packer, Packing};
pub use prefixes::PrefixStatistics;
pub use statistics::{
    GapStatistics, LengthBin, LengthStatistics, RateBin, RateStatistics, TraceStatistics,
};
pub use timestamp::seconds_since_1970;
pub use trace::{TraceReading, TraceStream};
pub use users::Users;
pub use write::{TraceWriter, write_splitwise};
