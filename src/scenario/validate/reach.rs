use super::Check;
use crate::scenario::{Action, Application, FaultKind, Placement, Verb};
use crate::time::SimTime;

/// What a script aims at: the number of an instance or of a server.
#[derive(Clone, Copy)]
enum Aim {
    Instance(u64),
    Server(u64),
}

impl Check<'_> {
    /// Warns of what is written and can never have an effect.
    pub(super) fn reach(&mut self, placement: &Placement) {
        let scenario = self.scenario;
        let created = Created::new(&scenario.actions, placement);
        for (index, action) in scenario.actions.iter().enumerate() {
            let path = format!("actions[{index}]");
            if self.ends_before(&path, action.at) {
                continue;
            }
            let (aim, field) = match action.action {
                Verb::ScaleDownFull { instance }
                | Verb::ScaleDownInstance { instance }
                | Verb::CancelScaleUp { instance } => (Aim::Instance(instance), "instance"),
                Verb::ScaleDownServer { server } | Verb::ScaleUpInstance { server, .. } => {
                    (Aim::Server(server), "server")
                }
                Verb::ScaleUpFull { .. } | Verb::ScaleUpServer { .. } => continue,
            };
            self.target(&format!("{path}.action.{field}"), aim, action.at, &created);
        }
        for (index, fault) in scenario.faults.iter().enumerate() {
            let path = format!("faults[{index}]");
            if self.ends_before(&path, fault.at) {
                continue;
            }
            let (aim, field) = match fault.fault {
                FaultKind::InstanceCrash { instance, .. } => (Aim::Instance(instance), "instance"),
                FaultKind::ServerCrash { server, .. }
                | FaultKind::ProcessorLost { server, .. }
                | FaultKind::SlowServer { server, .. }
                | FaultKind::SlowProcessor { server, .. }
                | FaultKind::SpotReclaim { server, .. } => (Aim::Server(server), "server"),
                FaultKind::NoNewServers { .. } | FaultKind::ZoneOutage { .. } => continue,
            };
            self.target(&format!("{path}.fault.{field}"), aim, fault.at, &created);
        }
    }

    /// Warns where the run is over before an instant.
    fn ends_before(&mut self, path: &str, at: SimTime) -> bool {
        let Some(end) = self.scenario.end.filter(|end| at > *end) else {
            return false;
        };
        let message = format!("nothing happens at {at} s: the run ends at {end} s");
        let help = "choose an earlier time, or a later `end`";
        self.warn("after_the_end", format!("{path}.at"), message, help);
        true
    }

    /// Warns where nothing can have created the instance or the server by an instant.
    fn target(&mut self, path: &str, aim: Aim, at: SimTime, created: &Created) {
        let applications = &self.scenario.applications;
        let scaled = |of: &Application| of.autoscaler.is_some() || of.has_host();
        let pools = self.scenario.fleet.iter().any(|it| it.warm > 0);
        if applications.iter().any(scaled) || self.scenario.has_repairs() || pools {
            return;
        }
        let (kind, number, most) = match aim {
            Aim::Instance(number) => ("instance", number, created.instances.by(at)),
            Aim::Server(number) => ("server", number, created.servers.by(at)),
        };
        if number < most {
            return;
        }
        let message = format!("there is no {kind} {number} at {at} s");
        let help = match most.checked_sub(1) {
            Some(last) => format!("numbers count from 0; the highest by then is {last}"),
            None => "nothing is there by then".to_owned(),
        };
        self.warn("no_such_target", path, message, &help);
    }
}

/// What the start and the actions of a script create.
struct Created {
    instances: Numbers,
    servers: Numbers,
}

/// The numbers of one kind.
struct Numbers {
    at_start: usize,
    /// When actions create more, in order.
    later: Vec<SimTime>,
}

impl Created {
    fn new(actions: &[Action], placement: &Placement) -> Self {
        let when = |creates: fn(&Verb) -> bool| {
            let creating = actions.iter().filter(|it| creates(&it.action));
            let mut times: Vec<SimTime> = creating.map(|it| it.at).collect();
            times.sort_unstable();
            times
        };
        Self {
            instances: Numbers {
                at_start: placement.instances.len(),
                later: when(|it| {
                    matches!(it, Verb::ScaleUpFull { .. } | Verb::ScaleUpInstance { .. })
                }),
            },
            servers: Numbers {
                at_start: placement.servers.len(),
                later: when(|it| {
                    matches!(it, Verb::ScaleUpFull { .. } | Verb::ScaleUpServer { .. })
                }),
            },
        }
    }
}

impl Numbers {
    /// The most that there can have been by an instant.
    fn by(&self, at: SimTime) -> u64 {
        let later = self.later.partition_point(|created| *created <= at);
        (self.at_start + later) as u64
    }
}
