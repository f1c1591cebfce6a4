//! The data plane: requests, batch engines, schedulers and transfers, event by event. Knows nothing
//! of the ECS.

mod record;

pub use crate::scenario::Role;
pub use record::{Outcome, Rejection, RequestRecord};
