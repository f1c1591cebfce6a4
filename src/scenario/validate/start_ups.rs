use super::Check;
use crate::scenario::{Application, Drain, Engine, StartUpFailure};

impl Check<'_> {
    /// Reports start-ups that can never come through, and warns of what has no effect.
    pub(super) fn start_ups(&mut self) {
        let scenario = self.scenario;
        for (index, application) in scenario.applications.iter().enumerate() {
            let path = format!("applications[{index}].scaling.start_up_failure");
            if let Some(failure) = application.scaling.start_up_failure {
                self.start_up_failure(&path, application, &failure);
            }
        }
    }

    /// Reports engines whose requests cannot be moved where drains would, and drains without effect.
    pub(super) fn drains(&mut self) {
        let scenario = self.scenario;
        for (index, application) in scenario.applications.iter().enumerate() {
            let path = format!("applications[{index}]");
            let scaling = &application.scaling;
            if scaling.drain == Drain::Requeue && scaling.drain_timeout.is_some() {
                let message = "work that is put back at once is never waited for";
                let path = format!("{path}.scaling.drain_timeout");
                self.warn("unused_drain_timeout", path, message, "leave it out");
            }
            if !matches!(scaling.drain, Drain::Migrate { .. }) {
                continue;
            }
            for (number, template) in application.instances.iter().enumerate() {
                if let Engine::Named(term) = &template.engine {
                    let message = format!("requests of `{}` cannot be moved", term.name());
                    let help = "choose another `drain`: only built-in engines give up requests with their KV cache";
                    self.report(format!("{path}.instances[{number}].engine"), message, help);
                }
            }
        }
    }

    fn start_up_failure(&mut self, path: &str, of: &Application, failure: &StartUpFailure) {
        let StartUpFailure {
            probability,
            hang,
            timeout,
            back_off,
            attempts,
        } = *failure;
        if probability + hang > 1.0 {
            let message =
                format!("{probability} of the attempts fail and {hang} hang: more than all");
            self.report(path, message, "lower one of them");
        } else if probability + hang >= 1.0 && attempts.is_none() {
            let message = "no attempt ever comes through, and there is no last one";
            self.report(
                path,
                message,
                "lower `probability` or `hang`, or say how many `attempts`",
            );
        }
        if hang > 0.0 && timeout.is_none() {
            let message = "an attempt that hangs is never given up";
            let help = "say after how many seconds in `timeout`";
            self.report(format!("{path}.hang"), message, help);
        }
        if let Some(timeout) = timeout {
            self.length(&format!("{path}.timeout"), timeout);
        }
        for (field, length) in [("first", back_off.first), ("most", back_off.most)] {
            self.length(&format!("{path}.back_off.{field}"), length);
        }
        if back_off.first > back_off.most {
            let message = format!(
                "the first wait, {} s, is longer than the longest",
                back_off.first
            );
            self.report(format!("{path}.back_off"), message, "raise `most`");
        }
        let may_start = self.may_start(of) || self.scenario.has_repairs();
        let (message, help) = if probability + hang <= 0.0 && timeout.is_none() {
            let help = "give it a `probability`, a share that may `hang` or a `timeout`";
            ("no attempt fails, hangs or is given up".to_owned(), help)
        } else if !may_start {
            let message = format!("no instance of `{}` ever starts up", of.name);
            let help = "give it an autoscaler or actions that scale up, or leave this out";
            (message, help)
        } else {
            return;
        };
        self.warn("unused_start_up_failure", path, message, help);
    }
}
