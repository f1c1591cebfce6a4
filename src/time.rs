//! Simulated time: seconds in an `f64` that is finite and not negative by construction.
//!
//! Only `+ − × ÷`, comparison and floor ever touch a time, and those are exact by IEEE 754 on
//! every platform, so the same scenario gives the same bits everywhere. After a simulated year
//! the resolution is still 4 ns.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Mul, Sub};

use serde::{Deserialize, Serialize};

/// A number of seconds that is not a time: negative, infinite or not a number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a time: expected a finite number of seconds, not negative")]
pub struct InvalidTime(pub f64);

/// The bit of the sign. It is set in what is kept of a time, which has no use for it, so that no time is
/// all zeros and an `Option` of one takes no more room; and the order of the bits is that of the times.
const SIGN: u64 = 1 << 63;

macro_rules! seconds {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(NonZeroU64);

        impl $name {
            /// Zero seconds.
            pub const ZERO: Self = Self::of(0.0);
            /// The largest value there is; stands for "never".
            pub const MAX: Self = Self::of(f64::MAX);

            /// Takes a number of seconds; −0 becomes 0.
            ///
            /// # Errors
            /// [`InvalidTime`] when `seconds` is negative, infinite or not a number.
            pub fn new(seconds: f64) -> Result<Self, InvalidTime> {
                if seconds.is_finite() && seconds >= 0.0 {
                    Ok(Self::of(seconds))
                } else {
                    Err(InvalidTime(seconds))
                }
            }

            /// Takes a number of seconds; what is not a time becomes the nearest that is
            /// (negative and not-a-number: zero; infinite: [`Self::MAX`]).
            #[must_use]
            #[inline]
            pub const fn saturating(seconds: f64) -> Self {
                if seconds > f64::MAX {
                    Self::MAX
                } else if seconds > 0.0 {
                    Self::of(seconds)
                } else {
                    Self::ZERO
                }
            }

            /// The number of seconds.
            #[must_use]
            #[inline]
            pub const fn seconds(self) -> f64 {
                f64::from_bits(self.0.get() & !SIGN)
            }

            /// Takes what is finite and not negative.
            #[inline]
            const fn of(seconds: f64) -> Self {
                Self::from_bits(seconds.to_bits())
            }

            #[inline]
            const fn from_bits(bits: u64) -> Self {
                Self(NonZeroU64::new(bits | SIGN).expect("a bit is set"))
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::ZERO
            }
        }

        impl TryFrom<f64> for $name {
            type Error = InvalidTime;
            fn try_from(seconds: f64) -> Result<Self, InvalidTime> {
                Self::new(seconds)
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> f64 {
                value.seconds()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}s", self.seconds())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.seconds(), f)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "number", "minimum": 0 })
            }
        }
    };
}

seconds! {
    /// An instant: seconds since the start of the simulation.
    ///
    /// ```
    /// use fleetsim::time::{SimDuration, SimTime};
    /// let start = SimTime::new(10.0)?;
    /// let end = start + SimDuration::new(2.5)?;
    /// assert_eq!(end.seconds(), 12.5);
    /// assert_eq!(end - start, SimDuration::new(2.5)?);
    /// assert!(SimTime::new(f64::NAN).is_err());
    /// # Ok::<(), fleetsim::time::InvalidTime>(())
    /// ```
    SimTime
}

seconds! {
    /// A length of time in seconds.
    SimDuration
}

impl SimTime {
    /// A whole number whose order is that of the times.
    #[inline]
    pub(crate) const fn rank(self) -> u64 {
        self.0.get()
    }

    /// The time that has a rank.
    #[inline]
    pub(crate) const fn from_rank(rank: u64) -> Self {
        Self::from_bits(rank)
    }
}

impl Add<SimDuration> for SimTime {
    type Output = Self;
    /// Saturates at [`SimTime::MAX`].
    #[inline]
    fn add(self, duration: SimDuration) -> Self {
        Self::saturating(self.seconds() + duration.seconds())
    }
}

impl Sub for SimTime {
    type Output = SimDuration;
    /// The time since `earlier`; zero when `earlier` is later.
    #[inline]
    fn sub(self, earlier: Self) -> SimDuration {
        SimDuration::saturating(self.seconds() - earlier.seconds())
    }
}

impl Add for SimDuration {
    type Output = Self;
    /// Saturates at [`SimDuration::MAX`].
    #[inline]
    fn add(self, other: Self) -> Self {
        Self::saturating(self.seconds() + other.seconds())
    }
}

impl Mul<f64> for SimDuration {
    type Output = Self;
    /// Saturates at zero and at [`SimDuration::MAX`].
    #[inline]
    fn mul(self, factor: f64) -> Self {
        Self::saturating(self.seconds() * factor)
    }
}

impl SimTime {
    /// The last instant before this one; none before time zero.
    pub(crate) fn just_before(self) -> Option<Self> {
        (self > Self::ZERO).then(|| Self::saturating(self.seconds().next_down()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_times_that_are_not_negative_exist() {
        for bad in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(SimTime::new(bad).is_err(), "{bad}");
        }
        assert!(SimTime::new(-0.0).unwrap().seconds().is_sign_positive());
        assert_eq!(SimTime::MAX + SimDuration::MAX, SimTime::MAX);
        assert_eq!(SimTime::ZERO - SimTime::MAX, SimDuration::ZERO);
    }
}
