//! The hour, in which prices and use are told.

/// Seconds in an hour.
pub(crate) const SECONDS_PER_HOUR: f64 = 3600.0;
