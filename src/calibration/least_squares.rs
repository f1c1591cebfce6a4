//! Least squares with a ridge, after Levenberg and Marquardt.

/// The numbers, near zero, that make the sum of the squares of `residuals` plus `ridge` times that of the
/// numbers least; `count` of them.
pub(super) fn fit(count: usize, ridge: f64, residuals: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    const ROUNDS: usize = 60;
    const STEP: f64 = 1e-4;
    let objective = |numbers: &[f64], of: &[f64]| {
        let squares = |list: &[f64]| list.iter().map(|it| it * it).sum::<f64>();
        squares(of) + ridge * squares(numbers)
    };
    let mut numbers = vec![0.0; count];
    let mut now = residuals(&numbers);
    let mut best = objective(&numbers, &now);
    let mut damping = 1e-3;
    for _ in 0..ROUNDS {
        let slopes: Vec<Vec<f64>> = (0..count)
            .map(|place| {
                let mut moved = numbers.clone();
                moved[place] += STEP;
                let there = residuals(&moved);
                there
                    .iter()
                    .zip(&now)
                    .map(|(b, a)| (b - a) / STEP)
                    .collect()
            })
            .collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut improved = false;
        for _ in 0..8 {
            let matrix: Vec<Vec<f64>> = (0..count)
                .map(|row| {
                    (0..count)
                        .map(|column| {
                            let product = dot(&slopes[row], &slopes[column]);
                            match row == column {
                                true => (product + ridge) * (1.0 + damping) + 1e-12,
                                false => product,
                            }
                        })
                        .collect()
                })
                .collect();
            let downhill = (0..count)
                .map(|row| -dot(&slopes[row], &now) - ridge * numbers[row])
                .collect();
            let Some(change) = solve(matrix, downhill) else {
                damping *= 10.0;
                continue;
            };
            let moved: Vec<f64> = numbers.iter().zip(&change).map(|(a, b)| a + b).collect();
            let there = residuals(&moved);
            let reached = objective(&moved, &there);
            if reached < best {
                improved = best - reached > 1e-9 * best;
                (numbers, now, best) = (moved, there, reached);
                damping = (damping / 5.0).max(1e-9);
                break;
            }
            damping *= 10.0;
        }
        if !improved {
            break;
        }
    }
    numbers
}

/// Solves a symmetric, positive system after Cholesky; nothing, if it is not positive.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let count = right.len();
    for row in 0..count {
        for column in 0..=row {
            let products = |k: usize| matrix[row][k] * matrix[column][k];
            let rest = matrix[row][column] - (0..column).map(products).sum::<f64>();
            matrix[row][column] = if row == column {
                if !(rest.is_finite() && rest > 0.0) {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / matrix[column][column]
            };
        }
        let known: f64 = (0..row).map(|k| matrix[row][k] * right[k]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    for row in (0..count).rev() {
        let known: f64 = (row + 1..count).map(|k| matrix[k][row] * right[k]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn the_numbers_behind_exact_points_are_found_again() {
        let points: Vec<f64> = (1..20).map(f64::from).collect();
        let model = |numbers: &[f64], x: f64| libm::exp(numbers[0]) * x + numbers[1];
        let residuals = |numbers: &[f64]| {
            points
                .iter()
                .map(|&x| model(numbers, x) - model(&[0.4, -0.3], x))
                .collect()
        };
        let found = fit(2, 1e-12, residuals);
        assert!(
            (found[0] - 0.4).abs() < 1e-6 && (found[1] + 0.3).abs() < 1e-5,
            "{found:?}"
        );
    }

    #[test]
    fn a_strong_ridge_keeps_the_numbers_at_zero() {
        let found = fit(1, 1e9, |numbers| vec![numbers[0] - 1.0]);
        assert!(found[0].abs() < 1e-8);
    }
}
