//! What generators make, against closed forms.

use std::path::Path;

use fleetsim::scenario::{Arrivals, Lengths, Shape, Workload};
use fleetsim::time::SimTime;
use fleetsim::workload::{Arrival, open, write_splitwise};

use super::{all, drain, seconds};

fn at(seconds: f64) -> SimTime {
    SimTime::new(seconds).unwrap()
}

fn synthetic(arrivals: Arrivals, shape: Shape, lengths: Lengths, requests: u64) -> Workload {
    Workload::Synthetic {
        arrivals,
        shape,
        prompt_tokens: lengths.clone(),
        output_tokens: lengths,
        system_prompts: None,
        rate_scale: 1.0,
        window: None,
        requests: Some(requests),
    }
}

fn times(arrivals: Arrivals, shape: Shape, requests: u64) -> Vec<f64> {
    let spec = synthetic(arrivals, shape, Lengths::Constant(1), requests);
    let times = seconds(&all(&spec, Path::new(".")));
    assert!(times.is_sorted());
    times
}

fn mean_and_deviation(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let variance = values
        .map(|value| (value - mean) * (value - mean))
        .sum::<f64>()
        / n;
    (mean, variance.sqrt())
}

/// Asserts that a count lies within 4 standard deviations of a Poisson count's mean.
#[track_caller]
fn poisson(count: usize, mean: f64) {
    let off = (count as f64 - mean).abs() / mean.sqrt();
    assert!(off < 4.0, "{count} for {mean}");
}

fn between(times: &[f64], from: f64, to: f64) -> usize {
    times
        .iter()
        .filter(|time| (from..to).contains(*time))
        .count()
}

#[test]
fn gaps_have_the_mean_and_the_variation_asked_for() {
    for (arrivals, cv, tolerance) in [
        (Arrivals::Poisson { rate: 8.0 }, 1.0, 0.02),
        (
            Arrivals::Gamma {
                rate: 8.0,
                cv: 0.25,
            },
            0.25,
            0.01,
        ),
        (Arrivals::Gamma { rate: 8.0, cv: 3.0 }, 3.0, 0.2),
        (Arrivals::Constant { rate: 8.0 }, 0.0, 1e-9),
    ] {
        let times = times(arrivals, Shape::Constant, 100_000);
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        let (mean, deviation) = mean_and_deviation(gaps);
        assert!(
            (mean * 8.0 - 1.0).abs() < 0.04,
            "{arrivals:?}: mean gap {mean}"
        );
        assert!(
            (deviation / mean - cv).abs() < tolerance,
            "{arrivals:?}: {deviation}"
        );
    }
}

#[test]
fn equal_gaps_do_not_drift() {
    let times = times(Arrivals::Constant { rate: 10.0 }, Shape::Constant, 1000);
    assert!(
        (1..=1000_u32)
            .zip(times)
            .all(|(n, time)| time == f64::from(n) / 10.0)
    );
}

#[test]
fn pieces_have_their_share_and_a_last_zero_ends_the_stream() {
    let pieces = vec![
        (at(100.0), 1.0),
        (at(200.0), 5.0),
        (at(300.0), 0.0),
        (at(400.0), 2.0),
    ];
    let times = times(
        Arrivals::Poisson { rate: 20.0 },
        Shape::Piecewise(pieces),
        40_000,
    );
    poisson(between(&times, 0.0, 200.0), 4_000.0);
    poisson(between(&times, 200.0, 300.0), 10_000.0);
    assert_eq!(between(&times, 300.0, 400.0), 0);
    poisson(between(&times, 400.0, 800.0), 16_000.0);

    let ending = Shape::Piecewise(vec![(at(0.0), 1.0), (at(50.0), 0.0)]);
    let ended = self::times(Arrivals::Constant { rate: 2.0 }, ending, 1_000_000);
    assert_eq!((ended.len(), ended.last()), (100, Some(&50.0)));
}

#[test]
fn a_wave_has_its_peaks_and_troughs() {
    let (rate, period) = (50.0, 100.0);
    let shape = |phase| Shape::Sinusoidal {
        amplitude: 0.8,
        period,
        phase,
    };
    let times = times(Arrivals::Poisson { rate }, shape(0.0), 100_000);
    // Half a wave has 1/2 ± a/π of its arrivals: 20 waves in 2000 s.
    let halves = |from: f64| -> usize {
        let starts = (0..20).map(|n| f64::from(n) * period + from);
        starts
            .map(|start| between(&times, start, start + period / 2.0))
            .sum()
    };
    let swing = 0.8 / std::f64::consts::PI;
    poisson(halves(0.0), 100_000.0 * (0.5 + swing));
    poisson(halves(period / 2.0), 100_000.0 * (0.5 - swing));

    // A phase of half a period turns peaks into troughs.
    let turned = self::times(Arrivals::Poisson { rate }, shape(50.0), 100_000);
    poisson(between(&turned, 0.0, 50.0), 2_500.0 * (1.0 - 2.0 * swing));

    // Equal gaps are bent as well, and exactly: 5000 arrivals a wave.
    let equal = self::times(Arrivals::Constant { rate }, shape(0.0), 10_000);
    assert!((equal[4_999] - period).abs() < 1e-9 && (equal[9_999] - 2.0 * period).abs() < 1e-9);
    assert_eq!(between(&equal, 0.0, 50.0), 3_773);
}

#[test]
fn a_full_swing_comes_to_a_halt_and_on_again() {
    let shape = Shape::Sinusoidal {
        amplitude: 1.0,
        period: 10.0,
        phase: 0.0,
    };
    let times = times(Arrivals::Poisson { rate: 100.0 }, shape, 50_000);
    poisson(between(&times, 0.0, 250.0), 25_000.0);
    // The factor 1 − cos(2π (t − 7.5) / 10) is next to nothing here: 0.013 arrivals are expected.
    assert!(between(&times, 7.4, 7.6) < 2);
}

fn lengths(lengths: Lengths) -> Vec<Arrival> {
    let spec = synthetic(
        Arrivals::Constant { rate: 1.0 },
        Shape::Constant,
        lengths,
        100_000,
    );
    all(&spec, Path::new("."))
}

#[test]
fn geometric_lengths_have_their_moments() {
    let arrivals = lengths(Lengths::Geometric { mean: 20.0 });
    for of in [|a: &Arrival| a.prompt_tokens, |a: &Arrival| a.output_tokens] {
        let (mean, deviation) = mean_and_deviation(arrivals.iter().map(|a| f64::from(of(a))));
        assert!((mean - 20.0).abs() < 0.3, "{mean}");
        // Variance (1 − p) / p².
        assert!((deviation - 380.0_f64.sqrt()).abs() < 0.4, "{deviation}");
        let ones = arrivals.iter().filter(|a| of(a) == 1).count();
        poisson(ones, 5_000.0);
    }
    assert!(
        lengths(Lengths::Geometric { mean: 1.0 })
            .iter()
            .all(|a| a.prompt_tokens == 1)
    );
}

#[test]
fn log_normal_lengths_have_their_median_their_spread_and_their_limits() {
    let (median, sigma, min, max) = (1000.0, 0.8, 200, 4000);
    let arrivals = lengths(Lengths::LogNormal {
        median,
        sigma,
        min: 1,
        max: u32::MAX,
    });
    let logs = arrivals.iter().map(|a| f64::from(a.prompt_tokens).ln());
    let (mean, deviation) = mean_and_deviation(logs);
    assert!((mean - median.ln()).abs() < 0.01, "{mean}");
    assert!((deviation - sigma).abs() < 0.01, "{deviation}");

    let arrivals = lengths(Lengths::LogNormal {
        median,
        sigma,
        min,
        max,
    });
    assert!(
        arrivals
            .iter()
            .all(|a| (min..=max).contains(&a.prompt_tokens))
    );
    // Φ(ln 0.2 / 0.8) = 0.02213 and 1 − Φ(ln 4 / 0.8) = 0.04156 of them are clamped.
    poisson(
        arrivals.iter().filter(|a| a.prompt_tokens == min).count(),
        2_213.0,
    );
    poisson(
        arrivals.iter().filter(|a| a.output_tokens == max).count(),
        4_156.0,
    );
}

#[test]
fn empirical_lengths_come_in_proportion_to_their_weights() {
    let weights = vec![
        (7, 0.0),
        (10, 1.0),
        (500, 0.0),
        (20, 2.5),
        (10, 1.5),
        (9, 0.0),
    ];
    let arrivals = lengths(Lengths::Empirical(weights));
    let count = |length| {
        arrivals
            .iter()
            .filter(|a| a.prompt_tokens == length)
            .count()
    };
    assert_eq!(count(10) + count(20), 100_000);
    poisson(count(10), 50_000.0);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let arrivals = Arrivals::Gamma { rate: 3.0, cv: 2.0 };
    let shape = Shape::Sinusoidal {
        amplitude: 0.5,
        period: 60.0,
        phase: 7.0,
    };
    let spec = synthetic(arrivals, shape, Lengths::Geometric { mean: 50.0 }, 1000);
    let bytes = |seed, application| {
        let mut bytes = Vec::new();
        let stream = open(&spec, Path::new("."), seed, application).unwrap();
        write_splitwise(&mut bytes, stream).unwrap();
        bytes
    };
    assert_eq!(bytes(1, "chat"), bytes(1, "chat"));
    assert_ne!(bytes(1, "chat"), bytes(2, "chat"));
    assert_ne!(bytes(1, "chat"), bytes(1, "code"));
}

#[test]
fn lengths_do_not_move_arrivals_nor_each_other() {
    let spec = |prompt_tokens| Workload::Synthetic {
        arrivals: Arrivals::Poisson { rate: 5.0 },
        shape: Shape::Constant,
        prompt_tokens,
        output_tokens: Lengths::Geometric { mean: 9.0 },
        system_prompts: None,
        rate_scale: 1.0,
        window: None,
        requests: Some(1000),
    };
    let one = all(&spec(Lengths::Constant(1)), Path::new("."));
    let other = all(&spec(Lengths::Geometric { mean: 400.0 }), Path::new("."));
    assert!(
        one.iter()
            .zip(&other)
            .all(|(a, b)| { (a.id, a.time, a.output_tokens) == (b.id, b.time, b.output_tokens) })
    );
}

#[test]
fn windows_and_scales_apply_to_generators() {
    let mut spec = synthetic(
        Arrivals::Constant { rate: 1.0 },
        Shape::Constant,
        Lengths::Constant(1),
        u64::MAX,
    );
    if let Workload::Synthetic {
        window, rate_scale, ..
    } = &mut spec
    {
        *window = Some((at(10.0), at(13.0)));
        *rate_scale = 2.0;
    }
    let arrivals = all(&spec, Path::new("."));
    assert_eq!(seconds(&arrivals), [0.0, 0.5, 1.0]);
    assert_eq!(arrivals[0].id, 9);
}

#[test]
fn parameters_out_of_range_are_refused() {
    let fine = || {
        (
            Arrivals::Poisson { rate: 1.0 },
            Shape::Constant,
            Lengths::Constant(1),
        )
    };
    let arrivals = |arrivals| (arrivals, fine().1, fine().2);
    let shape = |shape| (fine().0, shape, fine().2);
    let lengths = |lengths| (fine().0, fine().1, lengths);
    let wave = |amplitude, period, phase| Shape::Sinusoidal {
        amplitude,
        period,
        phase,
    };
    let log_normal = |median, sigma, min, max| Lengths::LogNormal {
        median,
        sigma,
        min,
        max,
    };
    for ((arrivals, shape, lengths), words) in [
        (arrivals(Arrivals::Poisson { rate: 0.0 }), "`rate` is 0.0"),
        (
            arrivals(Arrivals::Constant {
                rate: f64::INFINITY,
            }),
            "`rate` is inf",
        ),
        (
            arrivals(Arrivals::Gamma {
                rate: 1.0,
                cv: f64::NAN,
            }),
            "`cv` is NaN",
        ),
        (
            arrivals(Arrivals::Gamma {
                rate: 1.0,
                cv: 1e-200,
            }),
            "`cv` is 1e-200",
        ),
        (shape(Shape::Piecewise(vec![])), "at least one piece"),
        (
            shape(Shape::Piecewise(vec![(at(0.0), -1.0)])),
            "a factor of 0 or more",
        ),
        (
            shape(Shape::Piecewise(vec![(at(1.0), 1.0), (at(1.0), 2.0)])),
            "a later start",
        ),
        (shape(wave(1.5, 1.0, 0.0)), "an amplitude from 0 to 1"),
        (shape(wave(0.5, 0.0, 0.0)), "a period above 0"),
        (shape(wave(0.5, 1.0, f64::NAN)), "a finite phase"),
        (lengths(Lengths::Constant(0)), "at least 1 token"),
        (lengths(log_normal(0.5, 1.0, 1, 9)), "a median of 1 or more"),
        (lengths(log_normal(5.0, -1.0, 1, 9)), "a sigma of 0 or more"),
        (lengths(log_normal(5.0, 1.0, 9, 1)), "1 ≤ min ≤ max"),
        (
            lengths(Lengths::Geometric { mean: 0.5 }),
            "a mean of 1 or more",
        ),
        (
            lengths(Lengths::Empirical(vec![])),
            "the sum of the weights of prompt_tokens",
        ),
        (
            lengths(Lengths::Empirical(vec![(0, 1.0)])),
            "`prompt_tokens` is (0, 1.0)",
        ),
    ] {
        let (_, error) = drain(&synthetic(arrivals, shape, lengths, 1), Path::new("."));
        let error = error.expect(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
