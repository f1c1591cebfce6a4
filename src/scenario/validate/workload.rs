use super::Check;
use crate::scenario::{Arrivals, Lengths, Shape, Workload};
use crate::time::SimTime;

/// Requests a second, with the largest factor of the shape: a thousand times the highest `rate`.
const HIGHEST_RATE: f64 = 1e9;

impl Check<'_> {
    pub(super) fn workload(&mut self, path: &str, workload: &Workload) {
        match workload {
            Workload::Trace {
                path: file,
                format,
                unit,
                window,
                ..
            } => {
                self.trace_file(path, file);
                if unit.is_some() && !format.takes_unit() {
                    let message =
                        format!("the times of `{}` have a unit of their own", format.name());
                    self.report(format!("{path}.unit"), message, "leave `unit` out");
                }
                self.window(path, window.as_ref());
            }
            Workload::Synthetic {
                shape,
                prompt_tokens,
                output_tokens,
                system_prompts: _,
                window,
                requests,
                arrivals,
                rate_scale,
            } => {
                self.window(path, window.as_ref());
                self.shape(&format!("{path}.shape"), shape);
                self.highest_rate(path, *arrivals, shape, *rate_scale);
                self.lengths(&format!("{path}.prompt_tokens"), prompt_tokens);
                self.lengths(&format!("{path}.output_tokens"), output_tokens);
                if requests.is_none() && window.is_none() && self.scenario.end.is_none() {
                    let message = "this workload never ends";
                    self.report(
                        path,
                        message,
                        "give it `requests` or a `window`, or the scenario an `end`",
                    );
                }
            }
            Workload::Host => {}
            Workload::Users {
                requests,
                think,
                prompt_tokens,
                output_tokens,
                ..
            } => {
                self.delay(&format!("{path}.think"), think);
                self.lengths(&format!("{path}.prompt_tokens"), prompt_tokens);
                self.lengths(&format!("{path}.output_tokens"), output_tokens);
                if requests.is_none() && self.scenario.end.is_none() {
                    let message = "these users never stop";
                    self.report(
                        path,
                        message,
                        "give it `requests`, or the scenario an `end`",
                    );
                }
            }
        }
    }

    fn trace_file(&mut self, path: &str, file: &std::path::Path) {
        let found = self.directory.join(file);
        let problem = match std::fs::File::open(&found) {
            Ok(_) if found.is_dir() => "it is a directory".to_owned(),
            Ok(_) => return,
            Err(error) => error.to_string(),
        };
        let message = format!("cannot read {}: {problem}", found.display());
        self.report(
            format!("{path}.path"),
            message,
            "paths are relative to the scenario file",
        );
    }

    fn window(&mut self, path: &str, window: Option<&(SimTime, SimTime)>) {
        if let Some((from, to)) = window
            && to <= from
        {
            let message = format!("the window from {from} to {to} is empty");
            self.report(
                format!("{path}.window"),
                message,
                "write (from, to), in seconds",
            );
        }
    }

    /// Reports a rate at which a run would not come forward.
    fn highest_rate(&mut self, path: &str, arrivals: Arrivals, shape: &Shape, scale: f64) {
        let (Arrivals::Poisson { rate }
        | Arrivals::Constant { rate }
        | Arrivals::Gamma { rate, .. }) = arrivals;
        let (factor, field) = match shape {
            Shape::Constant => (1.0, "arrivals.rate"),
            Shape::Piecewise(pieces) => {
                let factors = pieces.iter().map(|(_, factor)| *factor);
                (factors.fold(0.0, f64::max), "shape")
            }
            Shape::OnOff { low, .. } => (low.max(1.0), "shape.low"),
            Shape::Sinusoidal { amplitude, .. } => (1.0 + amplitude, "arrivals.rate"),
        };
        let field = match rate * factor > HIGHEST_RATE {
            true => field,
            false => "rate_scale",
        };
        let highest = rate * factor * scale;
        if highest > HIGHEST_RATE {
            let message = format!(
                "up to {highest:e} requests a second: more than {HIGHEST_RATE:e} cannot be simulated"
            );
            let help = "lower the rate, the factors of the shape or `rate_scale`";
            self.report(format!("{path}.{field}"), message, help);
        }
    }

    fn shape(&mut self, path: &str, shape: &Shape) {
        let Shape::Piecewise(pieces) = shape else {
            return;
        };
        for (index, (from, factor)) in pieces.iter().enumerate() {
            let path = format!("{path}[0][{index}]");
            if index > 0 && *from <= pieces[index - 1].0 {
                let message = format!("{from} s does not follow {} s", pieces[index - 1].0);
                self.report(format!("{path}[0]"), message, "sort the pieces by time");
            }
            if *factor < 0.0 {
                let message = format!("a rate cannot be multiplied by {factor}");
                self.report(format!("{path}[1]"), message, "factors are zero or more");
            }
        }
        if !pieces.is_empty() && pieces.iter().all(|(_, factor)| *factor == 0.0) {
            let message = "with every factor zero no request ever comes";
            self.report(
                format!("{path}[0]"),
                message,
                "make one of them more than zero",
            );
        }
    }

    fn lengths(&mut self, path: &str, lengths: &Lengths) {
        match lengths {
            Lengths::LogNormal { min, max, .. } if min > max => {
                let message = format!("the longest, {max}, is shorter than the shortest, {min}");
                self.report(format!("{path}.max"), message, "swap `min` and `max`");
            }
            Lengths::Empirical(pairs) => {
                for (index, (length, weight)) in pairs.iter().enumerate() {
                    let path = format!("{path}[0][{index}]");
                    if *length == 0 {
                        let message = "a length of 0 tokens";
                        self.report(format!("{path}[0]"), message, "lengths are at least 1");
                    }
                    if !(*weight > 0.0 && weight.is_finite()) {
                        let message = format!("{weight} is not a weight");
                        self.report(format!("{path}[1]"), message, "weights are more than zero");
                    }
                }
            }
            _ => {}
        }
    }
}
