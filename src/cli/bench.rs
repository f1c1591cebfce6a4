use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::shell::{Failure, print};
use crate::bench::{
    FleetBench, Machine, Measurement, SCHEDULERS, StepModelBench, TickTime, VllmBench,
    conversation_hour, measure, measure_scenario, measure_step_models, measure_tick, measure_vllm,
};
use crate::report::grouped;
use crate::scenario::Scheduler;

/// More than the highest rate with bounded queues: the load of the line of its own.
const OVERLOAD: f64 = 1.2;

/// Fleets whose empty ticks are compared.
const TICK_SERVERS: [u32; 3] = [10, 1_000, 100_000];

/// Fleets of engines `Vllm`.
const VLLM_SERVERS: [u32; 3] = [40, 1_000, 10_000];

/// Instances that serve the conversation hour.
const CONVERSATION_SERVERS: u32 = 8;

/// Its requests.
const CONVERSATION_REQUESTS: u64 = 12_031;

/// Empty ticks measured: a second or less.
const TICKS: u32 = 200_000;

const LEGEND: &str = "\
load          requests a second, as a share of the highest with which queues stay bounded
× bare queue  a pop and a push of a BinaryHeap with an entry for each server take 1
speed         simulated seconds in a second of wall time
";

/// Measure the speed of the simulator on this machine
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// What to measure
    #[arg(value_enum, default_value = "small")]
    what: What,
    /// Requests, instead of those of the benchmark
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Servers, instead of those of the benchmark; at least 2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    servers: Option<u32>,
    /// Only this scheduler
    #[arg(long, value_name = "NAME", value_parser = scheduler_names())]
    scheduler: Option<String>,
    /// The rate of requests as a share of the highest with bounded queues
    #[arg(long, value_name = "SHARE", value_parser = share)]
    load: Option<f64>,
    /// Mooncake's conversation trace: the hour of it is served by engines of vLLM
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// A run that was measured.
struct Line {
    name: String,
    load: Option<f64>,
    /// The size of the runs of its kind.
    size: Option<String>,
    result: Measurement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// 40 servers, 1 million requests, also under overload
    Small,
    /// 10,000 servers, 5 million requests
    Large,
    /// 100,000 servers, 10 million requests, the fleet down by 30 % and up again meanwhile
    Huge,
    /// Engines of vLLM: 40, 1,000 and 10,000 servers with 1 million requests each, with and without
    /// the prefix cache; and the conversation hour on 8 servers
    Vllm,
    /// 10,000 instances of four models on three kinds of GPU, their steps priced by `Linear`, then by
    /// `Roofline`
    StepModels,
    /// Ticks in which nothing is due, of fleets of 10, 1,000 and 100,000 servers
    Tick,
    /// All of them
    All,
}

fn scheduler_names() -> PossibleValuesParser {
    PossibleValuesParser::new(SCHEDULERS.map(|(name, _)| name))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 100.0 => Ok(share),
        _ => Err("a number above 0, such as 0.7".to_owned()),
    }
}

impl Bench {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let mut text = format!(
            "fleetsim {} on {}\n",
            env!("CARGO_PKG_VERSION"),
            Machine::this()
        );
        if cfg!(debug_assertions) {
            text += "A build for debugging: it is many times slower than one with --release.\n";
        }
        let mut measured = Vec::new();
        for (name, bench) in self.lines() {
            tell(&format!("measuring {name}"));
            let size = format!(
                "{:14}{} servers, {} requests\n",
                name.split(' ').next().unwrap_or(&name),
                grouped(bench.servers),
                grouped(bench.requests),
            );
            measured.push(Line {
                result: measure(&bench).map_err(Failure::running)?,
                name,
                load: Some(bench.load),
                size: Some(size),
            });
        }
        if matches!(self.what, What::Vllm | What::All) {
            measured.extend(self.vllm()?);
        }
        let mut ratio = String::new();
        if matches!(self.what, What::StepModels | What::All) {
            let (lines, said) = self.step_models()?;
            measured.extend(lines);
            ratio = said;
        }
        if !measured.is_empty() {
            text += &fleets_table(&measured);
            text += &ratio;
        }
        if matches!(self.what, What::Tick | What::All) {
            text += &ticks_table(&self.ticks()?);
        }
        print(&text)
    }

    /// The runs to measure, with their names.
    fn lines(&self) -> Vec<(String, FleetBench)> {
        type New = fn(Scheduler) -> FleetBench;
        let sizes: &[(&str, New)] = &[
            ("small", FleetBench::small),
            ("large", FleetBench::large),
            ("huge", FleetBench::huge),
        ];
        let sizes = match self.what {
            What::Small => &sizes[..1],
            What::Large => &sizes[1..2],
            What::Huge => &sizes[2..],
            What::Tick | What::Vllm | What::StepModels => &[],
            What::All => sizes,
        };
        let mut lines = Vec::new();
        for &(size, new) in sizes {
            for (name, scheduler) in self.schedulers() {
                lines.push((format!("{size} {name}"), self.adjust(new(scheduler))));
            }
            if size == "small" && self.load.is_none() {
                let (_, scheduler) = self.schedulers()[0];
                let overloaded = FleetBench {
                    load: OVERLOAD,
                    ..self.adjust(new(scheduler))
                };
                lines.push((format!("{size} overloaded"), overloaded));
            }
        }
        lines
    }

    /// The runs with engines of vLLM.
    fn vllm(&self) -> Result<Vec<Line>, Failure> {
        let mut measured = Vec::new();
        let sizes = match (self.what, self.servers) {
            (What::Vllm, Some(servers)) => vec![servers],
            _ => VLLM_SERVERS.to_vec(),
        };
        for servers in sizes {
            for (kind, prefix_cache) in [("", false), (" cached", true)] {
                let usual = VllmBench::new(servers, prefix_cache);
                let bench = VllmBench {
                    requests: self.requests.unwrap_or(usual.requests),
                    load: self.load.unwrap_or(usual.load),
                    ..usual
                };
                let name = format!("vllm {}{kind}", grouped(servers));
                tell(&format!("measuring {name}"));
                measured.push(Line {
                    result: measure_vllm(&bench).map_err(Failure::running)?,
                    name,
                    load: Some(bench.load),
                    size: None,
                });
            }
        }
        let Some(trace) = &self.trace else {
            tell("no conversation hour: that takes --trace FILE");
            return Ok(measured);
        };
        let name = "vllm conversation hour".to_owned();
        tell(&format!("measuring {name}"));
        let scenario = || conversation_hour(trace);
        let result = measure_scenario(CONVERSATION_SERVERS, CONVERSATION_REQUESTS, scenario);
        measured.push(Line {
            result: result.map_err(Failure::running)?,
            name,
            load: None,
            size: None,
        });
        Ok(measured)
    }

    /// The same work with steps priced by `Linear` and by `Roofline`, and what the second takes of the first.
    fn step_models(&self) -> Result<(Vec<Line>, String), Failure> {
        let mut measured = Vec::new();
        for (name, roofline) in [("Linear", false), ("Roofline", true)] {
            let usual = StepModelBench::new(roofline);
            let bench = StepModelBench {
                servers: self.servers.unwrap_or(usual.servers),
                requests: self.requests.unwrap_or(usual.requests),
                roofline,
            };
            let name = format!("steps {name} {}", grouped(bench.servers));
            tell(&format!("measuring {name}"));
            measured.push(Line {
                result: measure_step_models(&bench).map_err(Failure::running)?,
                name,
                load: None,
                size: None,
            });
        }
        let time = |it: &Line| it.result.run.as_secs_f64();
        let ratio = time(&measured[1]) / time(&measured[0]);
        let text = format!("Roofline takes {ratio:.2} times as long as Linear\n");
        Ok((measured, text))
    }

    /// The schedulers to run with: by default one with all instances alike, and one with pools.
    fn schedulers(&self) -> Vec<(&'static str, Scheduler)> {
        let chosen = |name: &str| match &self.scheduler {
            Some(only) => only == name,
            None => matches!(name, "TokenJsq" | "MixedPool"),
        };
        let all = SCHEDULERS.into_iter();
        all.filter(|(name, _)| chosen(name)).collect()
    }

    fn adjust(&self, bench: FleetBench) -> FleetBench {
        FleetBench {
            servers: self.servers.unwrap_or(bench.servers),
            requests: self.requests.unwrap_or(bench.requests),
            load: self.load.unwrap_or(bench.load),
            ..bench
        }
    }

    fn ticks(&self) -> Result<Vec<TickTime>, Failure> {
        let servers = match (self.what, self.servers) {
            (What::Tick, Some(servers)) => vec![TICK_SERVERS[0], servers],
            _ => TICK_SERVERS.to_vec(),
        };
        servers
            .into_iter()
            .map(|servers| {
                tell(&format!("measuring ticks of {} servers", grouped(servers)));
                measure_tick(servers, TICKS).map_err(Failure::running)
            })
            .collect()
    }
}

/// Says on standard error what goes on: it may take minutes.
fn tell(what: &str) {
    // Nothing is lost with this line.
    let _ = writeln!(io::stderr().lock(), "{what}");
}

fn fleets_table(measured: &[Line]) -> String {
    let mut table = new_table(&[
        "benchmark at its load",
        "build\ns",
        "run\ns",
        "requests\n/s",
        "events\n/s",
        "ns\n/event",
        "× bare\nqueue",
        "speed",
        "queued\np99 s",
        "peak\nMiB",
    ]);
    let mut sizes: Vec<&str> = Vec::new();
    for Line {
        name,
        load,
        size,
        result,
    } in measured
    {
        let mebibytes = |bytes: u64| grouped(bytes >> 20);
        let load = load.map_or_else(String::new, |load| format!(", {:.0} %", 100.0 * load));
        table.add_row([
            format!("{name}{load}"),
            format!("{:.2}", result.build.as_secs_f64()),
            format!("{:.2}", result.run.as_secs_f64()),
            short(result.requests_per_s()),
            short(result.events_per_s()),
            format!("{:.0}", result.ns_per_event()),
            format!("{:.1}", result.times_bare_queue()),
            short(result.speed()),
            result.queue_p99_s.map_or("-".into(), |s| format!("{s:.2}")),
            result.peak_memory.map_or("-".into(), mebibytes),
        ]);
        sizes.extend(size.as_deref().filter(|&size| sizes.last() != Some(&size)));
    }
    format!("{}\n{}{LEGEND}", table.trim_fmt(), sizes.concat())
}

fn ticks_table(measured: &[TickTime]) -> String {
    let mut table = new_table(&["servers", "empty ticks", "µs a tick", "× the first"]);
    for result in measured {
        table.add_row([
            grouped(result.servers),
            grouped(result.ticks),
            format!("{:.3}", result.nanoseconds / 1e3),
            format!("{:.2}", result.nanoseconds / measured[0].nanoseconds),
        ]);
    }
    table.trim_fmt() + "\n"
}

/// A table of figures beside the names in the first column.
fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
        column.set_padding((0, 1));
    }
    table
}

/// A number of three or four figures, in thousands or millions where it is large.
fn short(number: f64) -> String {
    let (scaled, unit) = match number {
        n if n >= 1e6 => (n / 1e6, " M"),
        n if n >= 1e4 => (n / 1e3, " k"),
        n => (n, ""),
    };
    let places = match scaled {
        n if n >= 100.0 || n.fract() == 0.0 => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.places$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(short(10_000_000.0), "10 M");
        assert_eq!(short(123_456.0), "123 k");
        assert_eq!(short(56_789.0), "56.8 k");
        assert_eq!(short(9.876), "9.88");
    }
}
