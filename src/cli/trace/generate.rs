use std::path::{Path, PathBuf};

use clap::Args;

use super::convert::Selection;
use super::output::Output;
use crate::cli::shell::Failure;
use crate::document;
use crate::scenario::{CheckedScenario, TraceFormat, Workload};
use crate::time::SimTime;
use crate::workload::{self, ArrivalStream};

/// Write the requests of a synthetic workload, or of an application of a scenario, as a trace
#[derive(Debug, Args)]
pub(super) struct Generate {
    /// A workload as in a scenario: `Synthetic(arrivals: Poisson(rate: 4.0), ..)`
    #[arg(long, value_name = "RON", required_unless_present = "scenario")]
    workload: Option<String>,
    /// A scenario that has the workload
    #[arg(long, value_name = "SCENARIO.ron", conflicts_with = "workload")]
    scenario: Option<PathBuf>,
    /// Which application of the scenario [default: the first]; names the random streams
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// Replace a value of the scenario, as in `seed=7`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "scenario")]
    overrides: Vec<String>,
    /// Seed of the random streams [default: the scenario's, or 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The format to write
    #[arg(
        long,
        value_name = "FORMAT",
        ignore_case = true,
        default_value = "Splitwise"
    )]
    to: TraceFormat,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    output: Output,
}

impl Generate {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let (arrivals, end) = match (&self.scenario, &self.workload) {
            (Some(scenario), _) => self.of_scenario(scenario)?,
            (None, Some(text)) => (self.of_text(text)?, SimTime::MAX),
            (None, None) => return Err(Failure::Input("give --workload or --scenario".into())),
        };
        let in_time = arrivals.take_while(move |arrival| match arrival {
            Ok(arrival) => arrival.time <= end,
            Err(_) => true,
        });
        let limits = self.selection.limits();
        let arrivals = limits.apply(in_time).map_err(Failure::input)?;
        self.output.write(self.to, arrivals)?.tell(0);
        Ok(())
    }

    fn of_text(&self, text: &str) -> Result<ArrivalStream, Failure> {
        let spec: Workload = document::read("--workload", text).map_err(Failure::input)?;
        self.refuse_endless(&spec, false)?;
        let application = self.application.as_deref().unwrap_or("application");
        let seed = self.seed.unwrap_or_default();
        workload::open(&spec, Path::new("."), seed, application).map_err(Failure::input)
    }

    /// The arrivals of an application, the same as in a run, and when the scenario ends.
    fn of_scenario(&self, file: &Path) -> Result<(ArrivalStream, SimTime), Failure> {
        let checked = CheckedScenario::load(file, &self.overrides).map_err(Failure::input)?;
        let scenario = checked.scenario();
        let mut applications = scenario.applications.iter();
        let found = match &self.application {
            Some(name) => applications.find(|application| application.name == *name),
            None => applications.next(),
        };
        let application = found.ok_or_else(|| {
            let names = scenario.applications.iter().map(|it| it.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let (file, name) = (
                file.display(),
                self.application.as_deref().unwrap_or_default(),
            );
            Failure::Input(format!(
                "{file}: there is no application `{name}`; its applications are {names}"
            ))
        })?;
        self.refuse_endless(&application.workload, scenario.end.is_some())?;
        let arrivals = workload::open(
            &application.workload,
            checked.directory(),
            self.seed.unwrap_or(scenario.seed),
            &application.name,
        );
        let end = scenario.end.unwrap_or(SimTime::MAX);
        Ok((arrivals.map_err(Failure::input)?, end))
    }

    fn refuse_endless(&self, spec: &Workload, ends: bool) -> Result<(), Failure> {
        if matches!(spec, Workload::Host) {
            let message = "this workload has no requests of its own: a host hands them over";
            return Err(Failure::Input(message.to_owned()));
        }
        let endless = matches!(
            &*spec.generator(),
            Workload::Synthetic {
                window: None,
                requests: None,
                ..
            }
        );
        if endless && !ends && !self.selection.ends() {
            let message = "this workload never ends; give it `requests` or a `window`, or pass \
                           --limit or --until";
            return Err(Failure::Input(message.to_owned()));
        }
        Ok(())
    }
}
