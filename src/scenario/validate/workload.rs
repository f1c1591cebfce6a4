use super::Check;
use crate::scenario::{Arrivals, Calendar, Lengths, Shape, Workload};
use crate::time::SimTime;

/// Requests a second, with the largest factor of the shape: a thousand times the highest `rate`.
const HIGHEST_RATE: f64 = 1e9;

/// Events of a calendar.
const MOST_EVENTS: usize = 1000;

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
                let before = self.problems.len();
                self.shape(&format!("{path}.shape"), shape);
                if self.problems.len() == before {
                    self.highest_rate(path, *arrivals, shape, *rate_scale);
                }
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
            Workload::Planned {
                daily,
                weekly,
                starts,
                begins_at,
                events,
                ..
            } => {
                let calendar = Calendar {
                    daily,
                    weekly,
                    starts: *starts,
                    begins_at: *begins_at,
                    events,
                };
                self.calendar(path, &calendar);
                if !self.problems.iter().any(|it| it.path.starts_with(path)) {
                    self.workload(path, &workload.generator());
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
            Shape::Calendar { .. } => {
                let highest = shape.calendar().map_or(1.0, |it| it.highest());
                (highest, "shape")
            }
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

    /// Checks weights of days and weeks, and events.
    fn calendar(&mut self, path: &str, calendar: &Calendar<'_>) {
        let Calendar {
            daily,
            weekly,
            begins_at,
            events,
            ..
        } = *calendar;
        let part = calendar.part();
        if begins_at.seconds() % part != 0.0 {
            let message =
                format!("{begins_at} s is no whole number of parts of a day, of {part} s");
            let help = "begin where a part begins, or write more weights in `daily`";
            self.report(format!("{path}.begins_at"), message, help);
        }
        if !Calendar::divides_a_day(daily.len()) {
            let message = format!(
                "{} weights do not divide a day into whole minutes",
                daily.len()
            );
            let help = "write 24 weights, one an hour, or 48, or another multiple of 24";
            self.report(format!("{path}.daily"), message, help);
        }
        if !matches!(weekly.len(), 0 | 7) {
            let message = format!("a week has 7 days, and there are {} weights", weekly.len());
            self.report(
                format!("{path}.weekly"),
                message,
                "write one for each day, from Monday on",
            );
        }
        for (field, weights) in [("daily", daily), ("weekly", weekly)] {
            for (index, weight) in weights.iter().enumerate() {
                if *weight < 0.0 {
                    let message = format!("{weight} is not a weight");
                    self.report(
                        format!("{path}.{field}[{index}]"),
                        message,
                        "weights are zero or more",
                    );
                }
            }
            if !weights.is_empty() && weights.iter().all(|weight| *weight == 0.0) {
                let message = "with every weight zero no request ever comes";
                self.report(
                    format!("{path}.{field}"),
                    message,
                    "make one of them more than zero",
                );
            }
        }
        if events.len() > MOST_EVENTS {
            let message = format!("{} events are more than {MOST_EVENTS}", events.len());
            self.report(format!("{path}.events"), message, "leave some of them out");
        }
    }

    fn shape(&mut self, path: &str, shape: &Shape) {
        if let Some(of) = shape.calendar() {
            return self.calendar(path, &of);
        }
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
