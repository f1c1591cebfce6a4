use super::Check;
use crate::random::Delay;
use crate::scenario::{Application, Stage, StageKind, StartUpPreset, Verb, WeightSource};

impl Check<'_> {
    /// Reports stages of start-ups that cannot be, and warns of those without effect.
    pub(super) fn stages(&mut self) {
        let scenario = self.scenario;
        let mut any = false;
        for (index, application) in scenario.applications.iter().enumerate() {
            let path = format!("applications[{index}].scaling.stages");
            any |= !application.scaling.stages.is_empty();
            for (number, stage) in application.scaling.stages.iter().enumerate() {
                self.stage(&format!("{path}[{number}]"), application, stage);
            }
            self.order(&path, application);
            if !application.scaling.stages.is_empty() && !self.may_start(application) {
                let message = format!("no instance of `{}` ever starts up", application.name);
                let help =
                    "give it an autoscaler or actions that scale up, or leave the stages out";
                self.warn("unused_stages", path, message, help);
            }
        }
        for (index, entry) in scenario.fleet.iter().enumerate() {
            let path = format!("fleet[{index}].cached");
            if entry.cached && !any {
                let message = "no application has stages that need anything on a server";
                self.warn("unused_cache", path, message, "leave it out");
            } else if entry.cached && entry.count == 0 {
                let message = "there are no servers of it at time zero";
                self.warn(
                    "unused_cache",
                    path,
                    message,
                    "raise `count`, or leave it out",
                );
            }
        }
    }

    fn stage(&mut self, path: &str, application: &Application, stage: &Stage) {
        match stage {
            Stage::Provision(delay) | Stage::Boot(delay) | Stage::WarmUp(delay) => {
                self.stage_delay(&format!("{path}[0]"), delay);
            }
            Stage::StartEngine { time, cached }
            | Stage::Compile { time, cached }
            | Stage::CaptureGraphs { time, cached } => {
                self.stage_delay(&format!("{path}.time"), time);
                if let Some(cached) = cached {
                    self.stage_delay(&format!("{path}.cached"), cached);
                }
            }
            Stage::PullImage {
                bandwidth_gib_per_s: all,
                each_gib_per_s: each,
                ..
            } => self.bandwidth(path, *all, *each),
            Stage::LoadWeights {
                bandwidth_gib_per_s: all,
                each_gib_per_s: each,
                ..
            } => {
                self.bandwidth(path, *all, *each);
                self.weights(path, application);
            }
            Stage::WarmUpRequests { .. } => {}
            Stage::Preset(name) => {
                let names = StartUpPreset::ALL.iter().map(|it| it.name);
                let known = self.known(format!("{path}[0]"), "preset", name, names);
                let stages = Stage::expand(std::slice::from_ref(stage));
                let loads = |it: &Stage| matches!(it, Stage::LoadWeights { .. });
                if known && stages.iter().any(loads) {
                    self.weights(path, application);
                }
            }
        }
    }

    fn stage_delay(&mut self, path: &str, delay: &Delay) {
        self.delay(path, delay);
        self.draw(path, delay);
    }

    fn bandwidth(&mut self, path: &str, all: f64, each: Option<f64>) {
        if let Some(each) = each.filter(|&each| each >= all) {
            let message = format!("{each} GiB/s for each are no limit where all share {all}");
            let help = "lower it, or leave it out";
            self.warn(
                "unused_bandwidth",
                format!("{path}.each_gib_per_s"),
                message,
                help,
            );
        }
    }

    fn weights(&mut self, path: &str, application: &Application) {
        let model = application.model_in(self.catalog);
        if model.is_some_and(|it| it.weights_bytes == 0) {
            let message = format!(
                "the catalog says no bytes of the weights of `{}`",
                application.model
            );
            let help = "give the model `weights_bytes` in a catalog file, or leave the stage out";
            self.report(path, message, help);
        }
    }

    /// Peers need somebody to begin with; what stays on a server is needed once.
    fn order(&mut self, path: &str, application: &Application) {
        let stages = &application.scaling.stages;
        let from = |stage: &Stage, wanted| matches!(stage, Stage::LoadWeights { source, .. } if *source == wanted);
        let brings = |stage: &Stage| {
            let stages = Stage::expand(std::slice::from_ref(stage));
            stages.iter().any(|it| from(it, WeightSource::Remote))
        };
        for (number, stage) in stages.iter().enumerate() {
            let later = &stages[number + 1..];
            if from(stage, WeightSource::Peer) && !later.iter().any(brings) {
                let message = "the first server has no peer to load from";
                let help = "let LoadWeights(source: Remote, ..) follow: it is passed over where the weights are there";
                self.report(format!("{path}[{number}]"), message, help);
            }
        }
        let expanded = Stage::expand(stages);
        for kind in [StageKind::Provision, StageKind::Boot] {
            let of_kind = expanded.iter().filter(|it| it.kind() == Some(kind));
            if of_kind.count() > 1 {
                let message = format!("the stage {} is needed once a server", kind.name());
                self.warn("unused_stages", path, message, "put the times together");
            }
        }
    }

    /// Whether instances may start up after time zero.
    pub(super) fn may_start(&self, application: &Application) -> bool {
        let scripted = self.scenario.actions.iter().any(|it| match &it.action {
            Verb::ScaleUpFull {
                application: of, ..
            }
            | Verb::ScaleUpInstance {
                application: of, ..
            } => *of == application.name,
            _ => false,
        });
        scripted || application.autoscaler.is_some() || application.has_host()
    }
}
