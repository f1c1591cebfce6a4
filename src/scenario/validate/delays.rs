use super::Check;
use crate::random::Delay;
use crate::scenario::Performance;
use crate::time::SimDuration;

/// Seconds. Longer delays are given in another unit: they are more than thirty years.
const LONGEST: f64 = 1e9;

/// Seconds. With shorter ticks, or intervals between looks, a run stands still.
const SHORTEST: f64 = 0.001;

impl Check<'_> {
    /// Reports delays and intervals without sense.
    pub(super) fn delays(&mut self) {
        let scenario = self.scenario;
        if let Some(longest) = scenario.max_tick.filter(|it| it.seconds() < SHORTEST) {
            let message = format!("expected at least {SHORTEST}, found `{longest}`");
            self.report(
                "max_tick",
                message,
                "leave it out: ticks end where something is due",
            );
        }
        for (index, entry) in scenario.fleet.iter().enumerate() {
            self.draw(
                &format!("fleet[{index}].provision_delay"),
                &entry.provision_delay,
            );
        }
        for (index, application) in scenario.applications.iter().enumerate() {
            let path = format!("applications[{index}]");
            let (scaling, signals) = (&application.scaling, application.signals);
            self.draw(&format!("{path}.scaling.spin_up"), &scaling.spin_up);
            self.length(
                &format!("{path}.scaling.scale_up_delay"),
                scaling.scale_up_delay,
            );
            self.length(
                &format!("{path}.signals.scrape_delay"),
                signals.scrape_delay,
            );
            let interval = format!("{path}.signals.scrape_interval");
            self.length(&interval, signals.scrape_interval);
            let seconds = signals.scrape_interval.seconds();
            if seconds > 0.0 && seconds < SHORTEST {
                let message = format!("expected 0 or at least {SHORTEST}, found `{seconds}`");
                self.report(interval, message, "0 looks once for each decision");
            }
            if let Performance::Constant {
                prompt_time,
                token_time,
            } = application.performance
            {
                self.length(&format!("{path}.performance.prompt_time"), prompt_time);
                self.length(&format!("{path}.performance.token_time"), token_time);
            }
        }
    }

    pub(super) fn draw(&mut self, path: &str, delay: &Delay) {
        match delay {
            Delay::Constant(length) => self.length(&format!("{path}[0]"), *length),
            Delay::Uniform { max, .. } => self.length(&format!("{path}.max"), *max),
            Delay::Normal { mean, .. } | Delay::Exponential { mean } => {
                self.length(&format!("{path}.mean"), *mean);
            }
        }
    }

    pub(super) fn length(&mut self, path: &str, length: SimDuration) {
        let seconds = length.seconds();
        if seconds > LONGEST {
            let years = seconds / (365.25 * 86_400.0);
            let message = format!("{seconds} s are {years:.0} years");
            self.report(path, message, "durations are in seconds");
        }
    }
}
