//! How a rate that changes over time bends the axis of time.
//!
//! A shape is a factor f(t) on a rate. Its integral S(t) = ∫₀ᵗ f is the **effective time**: while t
//! passes, as many arrivals are expected as an unshaped source has in S(t). So arrivals are drawn
//! along the effective time and each is moved to the earliest t with S(t) = s. For Poisson arrivals
//! this is the exact process of rate × f(t); gamma-distributed and equal gaps are stretched and
//! squeezed likewise.

use std::f64::consts::TAU;

use super::calendar::{self, Weeks};
use super::error::WorkloadError;
use crate::scenario::Shape;
use crate::time::SimTime;

/// The inverse of the effective time of a shape, for arguments that never fall.
#[derive(Clone)]
pub(super) enum Inverse {
    Constant,
    Piecewise {
        pieces: Vec<Piece>,
        /// The piece of the last argument.
        at: usize,
    },
    OnOff {
        on: f64,
        off: f64,
        low: f64,
    },
    Sinusoidal(Wave),
    Calendar(Weeks),
}

/// A stretch with one factor.
#[derive(Clone)]
pub(super) struct Piece {
    start: f64,
    factor: f64,
    /// The effective time at its start.
    effective: f64,
}

impl Inverse {
    pub(super) fn new(shape: &Shape) -> Result<Self, WorkloadError> {
        let expect = |holds, expected| WorkloadError::unless(holds, "shape", shape, expected);
        match shape {
            Shape::Constant => Ok(Self::Constant),
            Shape::Piecewise(factors) => {
                let pieces = pieces(factors)?;
                Ok(Self::Piecewise { pieces, at: 0 })
            }
            Shape::OnOff { on, off, low } => {
                let (on, off, low) = (*on, *off, *low);
                let length = |seconds: f64| seconds.is_finite() && seconds > 0.0;
                expect(length(on) && length(off), "lengths above 0")?;
                expect(low.is_finite() && low >= 0.0, "a factor of 0 or more")?;
                Ok(Self::OnOff { on, off, low })
            }
            Shape::Calendar { .. } => {
                let weeks = shape.calendar().map(Weeks::new).transpose()?;
                Ok(weeks.map_or(Self::Constant, Self::Calendar))
            }
            Shape::Sinusoidal {
                amplitude,
                period,
                phase,
            } => {
                let (amplitude, period, phase) = (*amplitude, *period, *phase);
                expect((0.0..=1.0).contains(&amplitude), "an amplitude from 0 to 1")?;
                expect(period.is_finite() && period > 0.0, "a period above 0")?;
                expect(phase.is_finite(), "a finite phase")?;
                Ok(Self::Sinusoidal(Wave::new(amplitude, period, phase)))
            }
        }
    }

    /// Where it stands, if its answers depend on those before.
    pub(super) const fn place(&self) -> Option<calendar::Place> {
        match self {
            Self::Calendar(weeks) => Some(weeks.place()),
            _ => None,
        }
    }

    /// Goes on there.
    pub(super) const fn go_on_at(&mut self, place: Option<calendar::Place>) {
        if let (Self::Calendar(weeks), Some(place)) = (self, place) {
            weeks.go_on_at(place);
        }
    }

    /// The earliest time with this much effective time before it; `None` when there is none,
    /// because the factor stays zero.
    pub(super) fn time(&mut self, effective: f64) -> Option<f64> {
        match self {
            Self::Constant => Some(effective),
            Self::Piecewise { pieces, at } => {
                while pieces
                    .get(*at + 1)
                    .is_some_and(|next| effective > next.effective)
                {
                    *at += 1;
                }
                let piece = &pieces[*at];
                let beyond = effective - piece.effective;
                if beyond > 0.0 && piece.factor == 0.0 {
                    return None;
                }
                let time = if beyond > 0.0 {
                    piece.start + beyond / piece.factor
                } else {
                    piece.start
                };
                // Rounding must not carry it into the next piece.
                let end = pieces.get(*at + 1).map_or(f64::INFINITY, |next| next.start);
                Some(time.min(end))
            }
            Self::OnOff { on, off, low } => {
                let (on, off, low) = (*on, *off, *low);
                let period = on + off * low;
                let before = (libm::ceil(effective / period) - 1.0).max(0.0);
                let rest = effective - before * period;
                let within = match rest > on && low > 0.0 {
                    true => (on + (rest - on) / low).min(on + off),
                    false => rest.clamp(0.0, on),
                };
                Some(before * (on + off) + within)
            }
            Self::Sinusoidal(wave) => Some(wave.time(effective)),
            Self::Calendar(weeks) => weeks.time(effective),
        }
    }
}

fn pieces(factors: &[(SimTime, f64)]) -> Result<Vec<Piece>, WorkloadError> {
    let expect = |holds, value: &dyn std::fmt::Debug, expected| {
        WorkloadError::unless(holds, "shape", value, expected)
    };
    expect(!factors.is_empty(), &factors, "at least one piece")?;
    let mut pieces: Vec<Piece> = Vec::with_capacity(factors.len());
    let mut before = None;
    for piece in factors {
        let (from, factor) = *piece;
        let holds = factor.is_finite() && factor >= 0.0;
        expect(holds, piece, "a factor of 0 or more")?;
        let rises = before.is_none_or(|before| before < from);
        expect(rises, piece, "a later start than that of the piece before")?;
        before = Some(from);
        let (start, effective) = pieces.last().map_or((0.0, 0.0), |last| {
            let length = from.seconds() - last.start;
            (from.seconds(), last.effective + length * last.factor)
        });
        pieces.push(Piece {
            start,
            factor,
            effective,
        });
    }
    Ok(pieces)
}

/// f(t) = 1 + a sin(2π (t + φ) / p), so S(t) = t − a p / 2π × (cos(2π (t + φ) / p) − cos(2π φ / p)).
#[derive(Clone)]
pub(super) struct Wave {
    amplitude: f64,
    period: f64,
    /// 2π φ / p.
    angle: f64,
    cos_angle: f64,
}

impl Wave {
    fn new(amplitude: f64, period: f64, phase: f64) -> Self {
        let angle = TAU * (libm::fmod(phase, period) / period);
        Self {
            amplitude,
            period,
            angle,
            cos_angle: libm::cos(angle),
        }
    }

    /// S(t + p) = S(t) + p: whole periods are taken off first, so that precision does not fade
    /// with time.
    fn time(&self, effective: f64) -> f64 {
        let periods = libm::floor(effective / self.period);
        let rest = (effective / self.period - periods).max(0.0);
        (periods + self.within_period(rest)) * self.period
    }

    /// Solves S(x) = `effective`, both in periods, by Newton's method inside a bracket that
    /// bisection narrows where the slope is flat.
    fn within_period(&self, effective: f64) -> f64 {
        let swing = self.amplitude / TAU;
        let mut low = (effective - 2.0 * swing).max(0.0);
        let mut high = effective + 2.0 * swing;
        let mut x = effective;
        // Bisection alone needs 53 steps from a bracket of at most one period.
        for _ in 0..64 {
            let (sin, cos) = libm::sincos(TAU * x + self.angle);
            let excess = x - swing * (cos - self.cos_angle) - effective;
            if excess > 0.0 {
                high = x;
            } else {
                low = x;
            }
            let newton = x - excess / (1.0 + self.amplitude * sin);
            let next = if low <= newton && newton <= high {
                newton
            } else {
                0.5 * (low + high)
            };
            let step = next - x;
            x = next;
            if step.abs() <= f64::EPSILON {
                break;
            }
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_inverted_to_the_last_digits() {
        for (amplitude, phase) in [(0.0, 0.0), (0.5, 3.0), (0.99, -25.0), (1.0, 7.5)] {
            let wave = Wave::new(amplitude, 10.0, phase);
            for n in 0..2000 {
                let time = f64::from(n) * 0.037;
                let angle = |t: f64| TAU * (t + phase) / 10.0;
                let bend = libm::cos(angle(time)) - libm::cos(angle(0.0));
                let effective = time - amplitude * 10.0 / TAU * bend;
                let back = wave.time(effective);
                // Where the factor touches zero, S is flat and the inverse as steep.
                let slope = 1.0 + amplitude * libm::sin(angle(time));
                let tolerance = if slope < 1e-3 { 1e-3 } else { 1e-9 };
                assert!((back - time).abs() < tolerance, "{amplitude} {time} {back}");
            }
        }
    }

    #[test]
    fn times_on_and_off_are_inverted_and_nothing_comes_while_it_is_off() {
        let inverse = |low| {
            let shape = Shape::OnOff {
                on: 10.0,
                off: 30.0,
                low,
            };
            let mut inverse = Inverse::new(&shape).unwrap();
            move |effective| inverse.time(effective).unwrap()
        };
        let mut off = inverse(0.0);
        for (effective, time) in [
            (0.0, 0.0),
            (4.0, 4.0),
            (10.0, 10.0),
            (11.0, 41.0),
            (25.0, 85.0),
        ] {
            assert_eq!(off(effective), time, "{effective}");
        }
        let mut low = inverse(0.5);
        for (effective, time) in [(10.0, 10.0), (11.0, 12.0), (25.0, 40.0), (26.0, 41.0)] {
            assert_eq!(low(effective), time, "{effective}");
        }
    }

    #[test]
    fn pieces_are_inverted_across_their_borders_and_stop_at_a_last_zero() {
        let at = |seconds| SimTime::new(seconds).unwrap();
        let pieces = vec![
            (at(5.0), 2.0),
            (at(10.0), 0.0),
            (at(20.0), 1.0),
            (at(30.0), 0.0),
        ];
        let mut inverse = Inverse::new(&Shape::Piecewise(pieces)).unwrap();
        // The first factor holds from time zero: 20 by 10 s, then nothing until 20 s.
        let want = [
            (0.0, 0.0),
            (10.0, 5.0),
            (20.0, 10.0),
            (21.0, 21.0),
            (30.0, 30.0),
        ];
        for (effective, time) in want {
            assert_eq!(inverse.time(effective), Some(time), "{effective}");
        }
        assert_eq!(inverse.time(30.1), None);
    }
}
