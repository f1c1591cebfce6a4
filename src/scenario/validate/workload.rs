use super::Check;
use crate::scenario::{Lengths, Shape, Workload};
use crate::time::SimTime;

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
                window,
                requests,
                ..
            } => {
                self.window(path, window.as_ref());
                self.shape(&format!("{path}.shape"), shape);
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
