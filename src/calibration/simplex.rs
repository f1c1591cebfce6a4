//! The method of Nelder and Mead, for functions without slopes.

/// The best numbers found in about `evaluations`, by the simplex of Nelder and Mead.
pub(super) fn minimise(
    function: impl Fn(&[f64]) -> f64,
    start: Vec<Vec<f64>>,
    evaluations: usize,
) -> Vec<f64> {
    let mut simplex: Vec<(f64, Vec<f64>)> =
        start.into_iter().map(|at| (function(&at), at)).collect();
    let mut used = simplex.len();
    let by_value = |a: &(f64, Vec<f64>), b: &(f64, Vec<f64>)| a.0.total_cmp(&b.0);
    simplex.sort_by(by_value);
    let last = simplex.len().saturating_sub(1);
    if last == 0 {
        return simplex.pop().map(|(_, at)| at).unwrap_or_default();
    }
    while used < evaluations {
        let middle: Vec<f64> = (0..simplex[0].1.len())
            .map(|axis| simplex[..last].iter().map(|(_, at)| at[axis]).sum::<f64>() / last as f64)
            .collect();
        let worst = simplex[last].clone();
        let towards = |share: f64| {
            let at: Vec<f64> = middle
                .iter()
                .zip(&worst.1)
                .map(|(m, w)| m + share * (w - m))
                .collect();
            (function(&at), at)
        };
        let mirrored = towards(-1.0);
        used += 1;
        if mirrored.0 < simplex[0].0 {
            let further = towards(-2.0);
            used += 1;
            simplex[last] = if further.0 < mirrored.0 {
                further
            } else {
                mirrored
            };
        } else if mirrored.0 < simplex[last - 1].0 {
            simplex[last] = mirrored;
        } else {
            let inside = towards(0.5);
            used += 1;
            if inside.0 < worst.0 {
                simplex[last] = inside;
            } else {
                let best = simplex[0].1.clone();
                for point in &mut simplex[1..] {
                    let at: Vec<f64> = point
                        .1
                        .iter()
                        .zip(&best)
                        .map(|(a, b)| (a + b) / 2.0)
                        .collect();
                    *point = (function(&at), at);
                }
                used += last;
            }
        }
        simplex.sort_by(by_value);
    }
    simplex.swap_remove(0).1
}

#[cfg(test)]
mod tests {
    use super::minimise;

    #[test]
    fn the_bottom_of_a_valley_is_found() {
        let valley = |at: &[f64]| (at[0] - 1.0).powi(2) + 10.0 * (at[1] + 2.0).powi(2);
        let start = vec![vec![0.0, 0.0], vec![0.5, 0.0], vec![0.0, 0.5]];
        let found = minimise(valley, start, 200);
        assert!((found[0] - 1.0).abs() < 1e-3 && (found[1] + 2.0).abs() < 1e-3);
    }
}
