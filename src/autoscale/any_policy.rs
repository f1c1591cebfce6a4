//! What a policy says of itself, whichever it is.

use super::{InvalidParameter, Measure, Policy};
use crate::serving::Role;
use crate::time::SimDuration;

/// A policy to be asked, but not to decide.
pub(super) trait AnyPolicy {
    fn name(&self) -> &'static str;
    fn interval(&self) -> SimDuration;
    fn check(&self) -> Result<(), InvalidParameter>;
    fn names(&self) -> Vec<Role>;
    fn measures(&self, role: Role) -> Option<Vec<Measure>>;
}

impl<P: Policy> AnyPolicy for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn interval(&self) -> SimDuration {
        Policy::interval(self)
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        Policy::check(self)
    }

    fn names(&self) -> Vec<Role> {
        Policy::names(self)
    }

    fn measures(&self, role: Role) -> Option<Vec<Measure>> {
        Policy::measures(self, role)
    }
}
