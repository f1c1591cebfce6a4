use super::Check;
use crate::random::Delay;
use crate::scenario::{Application, Drain, Engine, ServerScaling, StartUpFailure};
use crate::time::SimDuration;

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

    /// Reports pools of servers that cannot be, and warns of those without effect.
    pub(super) fn pools(&mut self) {
        let scenario = self.scenario;
        let by_hand = scenario.changes_by_itself();
        let fixed = scenario
            .pool
            .is_some_and(|it| it.servers == ServerScaling::Fixed);
        let scales = by_hand || scenario.applications.iter().any(|it| self.may_start(it));
        for (index, entry) in scenario.fleet.iter().enumerate() {
            let path = format!("fleet[{index}]");
            let all = entry.count.saturating_add(entry.warm);
            if let Some(limit) = entry.limit.filter(|&limit| entry.warm > 0 && all > limit) {
                let message = format!(
                    "{all} servers with those at time zero are more than the limit of {limit}"
                );
                self.report(
                    format!("{path}.warm"),
                    message,
                    "raise the limit, or keep fewer",
                );
            }
            if let Some(stopped) = &entry.stopped {
                self.delay(&format!("{path}.stopped.resume"), &stopped.resume);
                self.draw(&format!("{path}.stopped.resume"), &stopped.resume);
            }
            if entry.stopped.is_some() && fixed && !by_hand {
                let message = "the servers of the pool are `Fixed`: nobody stops one";
                let help = "let somebody remove servers in `pool`, or leave it out";
                self.warn("unused_pool", format!("{path}.stopped"), message, help);
            }
            for (field, is_there) in [
                ("warm", entry.warm > 0),
                ("stopped", entry.stopped.is_some()),
            ] {
                if is_there && !scales {
                    let message = "no server or instance ever comes or goes";
                    let help = "give an application an autoscaler or actions, or leave it out";
                    self.warn("unused_pool", format!("{path}.{field}"), message, help);
                }
            }
        }
    }

    /// Reports engines whose requests cannot be moved where drains would, and drains and checks without effect.
    pub(super) fn drains(&mut self) {
        let scenario = self.scenario;
        for (index, application) in scenario.applications.iter().enumerate() {
            let path = format!("applications[{index}]");
            let scaling = &application.scaling;
            self.length(
                &format!("{path}.scaling.health_check"),
                scaling.health_check,
            );
            let checks = scaling.health_check > SimDuration::ZERO;
            if checks && !scenario.may_break() && !application.has_host() {
                let path = format!("{path}.scaling.health_check");
                let message = "there are no faults and no hazards that it could notice";
                self.warn("unused_health_check", path, message, "leave it out");
            }
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
        let spin_up = match of.scaling.spin_up {
            Delay::Constant(least) | Delay::Uniform { min: least, .. } => least,
            Delay::Normal { .. } | Delay::Exponential { .. } => SimDuration::ZERO,
        };
        let least = spin_up.max(of.scaling.scale_up_delay);
        if let Some(timeout) = timeout.filter(|it| of.scaling.stages.is_empty() && *it < least) {
            let message =
                format!("no instance is up in {timeout} s: that takes {least} s at least");
            let help = "raise it, or shorten `spin_up` and `scale_up_delay`";
            self.warn("hopeless_timeout", format!("{path}.timeout"), message, help);
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
