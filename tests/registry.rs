//! Routers, step models and trace formats of one's own: scenarios name them, and what is wrong with them is told
//! at its place.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use fleetsim::Registry;
use fleetsim::random::Stream;
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::engine::Phases;
use fleetsim::serving::registry::{RouterKind, StepModelKind, StepSite};
use fleetsim::serving::routing::{Engines, Event, RequestView, Route, Router};
use fleetsim::serving::{BatchShape, EngineId, Role, StepModel};
use fleetsim::simulation::Simulation;
use fleetsim::time::SimTime;
use fleetsim::workload::{Arrival, TraceFormatKind, TraceRows, WorkloadError};
use schemars::JsonSchema;
use serde::Deserialize;

/// Prompts on the first `Prompt` instance. Tokens, when the prompt is done, where the fewest are to be
/// processed, or on the prompt's own instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LateChoice {
    /// Whether tokens stay with their prompt.
    stay: bool,
}

impl RouterKind for LateChoice {
    const NAME: &'static str = "LateChoice";
    const SUMMARY: &'static str = "Chooses where tokens go when the prompt is done.";
    const NEEDS: &'static [Role] = &[Role::Prompt, Role::Token];

    fn build(&self, _: Stream) -> Box<dyn Router> {
        Box::new(Late {
            stay: self.stay,
            prompts: Vec::new(),
            tokens: Vec::new(),
        })
    }
}

#[derive(Clone, Debug)]
struct Late {
    stay: bool,
    prompts: Vec<EngineId>,
    tokens: Vec<EngineId>,
}

impl Router for Late {
    fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route {
        assert_eq!(request.oracle_output_tokens(), 21);
        let holds = |it: &EngineId| engines.holds(*it, request, Phases::Prompt);
        match (
            self.prompts.iter().copied().find(holds),
            self.tokens.first(),
        ) {
            (Some(prompt), Some(&token)) => Route::Pair { prompt, token },
            _ => Route::Wait,
        }
    }

    fn hand_over(&mut self, _: &RequestView, routed: EngineId, engines: &Engines<'_>) -> EngineId {
        if self.stay {
            return self.prompts[0];
        }
        let tokens = self.tokens.iter().copied();
        tokens
            .min_by_key(|&it| engines.pending_tokens(it))
            .unwrap_or(routed)
    }

    fn on(&mut self, event: &Event) {
        match *event {
            Event::Opened {
                engine,
                role: Role::Prompt,
            } => self.prompts.push(engine),
            Event::Opened { engine, .. } => self.tokens.push(engine),
            _ => {}
        }
    }
}

/// The same time for each step.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Steady {
    /// Seconds of a step. Default 0.01.
    step: f64,
}

impl Default for Steady {
    fn default() -> Self {
        Self { step: 0.01 }
    }
}

impl StepModelKind for Steady {
    const NAME: &'static str = "Steady";
    const SUMMARY: &'static str = "The same time for each step.";

    fn check(&self) -> Result<(), String> {
        (self.step > 0.0)
            .then_some(())
            .ok_or_else(|| "`step` must be more than 0".to_owned())
    }

    fn build(&self, site: &StepSite<'_>) -> Result<Arc<dyn StepModel>, String> {
        match site.tensor_parallelism {
            8 => Ok(Arc::new(self.clone())),
            other => Err(format!("Steady is for 8 processors, not {other}")),
        }
    }
}

impl StepModel for Steady {
    fn seconds(&self, _: &BatchShape) -> f64 {
        self.step
    }
}

fn registry() -> Registry {
    let mut registry = Registry::built_in();
    registry.register_router::<LateChoice>();
    registry.register_step_model::<Steady>();
    registry
}

fn scenario(scheduler: &str, performance: &str) -> String {
    format!(
        r#"(name: "named", fleet: [(sku: "dgx-h100", count: 4)], applications: [(
            name: "chat", model: "llama2-70b",
            scheduler: {scheduler}, performance: {performance},
            instances: [(role: Prompt, start: Servers(1)), (role: Token, start: Servers(3))],
            workload: Synthetic(arrivals: Constant(rate: 10), requests: 300,
                prompt_tokens: Constant(100), output_tokens: Constant(21)),
        )])"#
    )
}

fn read(text: &str) -> Result<CheckedScenario, String> {
    let checked = registry().from_ron(text, ".".as_ref());
    let checked = checked.map_err(|it| it.to_string())?;
    registry().check(&checked).map_err(|it| it.to_string())?;
    Ok(checked)
}

/// Serves it, and says which instances served tokens.
fn serve(text: &str) -> Vec<u64> {
    let mut simulation = Simulation::with_policies(&read(text).unwrap(), &registry()).unwrap();
    let mut instances = Vec::new();
    loop {
        let more = simulation.tick().unwrap();
        fleetsim::fleet::check_invariants(simulation.world_mut()).unwrap();
        let rows = simulation.take_rows().requests;
        instances.extend(rows.iter().filter_map(|row| row.1.token_instance));
        if !more {
            break;
        }
    }
    assert_eq!(instances.len(), 300);
    instances.sort_unstable();
    instances.dedup();
    instances
}

#[test]
fn tokens_go_where_the_router_says_when_the_prompt_is_done() {
    // The instance that was routed already has the tokens of the request itself to process.
    let spread = scenario("LateChoice(stay: false)", "Steady");
    assert_eq!(serve(&spread), [2, 3]);
    let kept = scenario("LateChoice(stay: true)", "Steady(step: 0.02)");
    assert_eq!(serve(&kept), [0]);
}

#[test]
fn what_is_wrong_with_a_term_is_told_at_its_place() {
    let wrong = |scheduler: &str, performance: &str, expected: &[&str]| {
        let told = read(&scenario(scheduler, performance)).unwrap_err();
        for part in expected {
            assert!(told.contains(part), "{told}");
        }
    };
    let unknown = ["unknown variant `LateChoise`", "LateChoice", "<scenario>:3"];
    wrong("LateChoise(stay: true)", "Steady", &unknown);
    wrong("LateChoice(stay: 1)", "Steady", &["true or false"]);
    wrong("LateChoice", "Steady", &["stay"]);
    let good = "LateChoice(stay: true)";
    wrong(good, "Steady(step: 0)", &["more than 0", "<scenario>:3"]);
    wrong(good, "Steady(stop: 1)", &["unknown field `stop`", "step"]);
    let only_prompts = scenario(good, "Steady").replace("role: Token", "role: Prompt");
    let told = read(&only_prompts).unwrap_err();
    assert!(told.contains("needs `Token` instances"), "{told}");
}

#[test]
fn a_name_is_unknown_where_it_is_not_registered() {
    let text = scenario("LateChoice(stay: true)", "Profile");
    let told = CheckedScenario::from_ron(&text, ".".as_ref()).unwrap_err();
    assert!(told.to_string().contains("unknown variant `LateChoice`"));
}

/// Each session keeps the instance that its first request drew.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sticky {
    #[serde(skip)]
    open: Vec<EngineId>,
    #[serde(skip)]
    sessions: std::collections::BTreeMap<String, EngineId>,
}

impl RouterKind for Sticky {
    const NAME: &'static str = "Sticky";
    const SUMMARY: &'static str = "Each session keeps its instance.";

    fn build(&self, _: Stream) -> Box<dyn Router> {
        Box::new(self.clone())
    }
}

impl Router for Sticky {
    fn route(&mut self, request: &RequestView, _: &Engines<'_>) -> Route {
        let next = self.open[self.sessions.len() % self.open.len()];
        let session = request.session().expect("a session").to_owned();
        assert_eq!(request.priority(), 3);
        // Of the four blocks, two are of the prompt.
        assert_eq!(request.prefix_blocks(), (&[7, 8][..], 50));
        Route::Engine(*self.sessions.entry(session).or_insert(next))
    }

    fn on(&mut self, event: &Event) {
        if let Event::Opened { engine, .. } = event {
            self.open.push(*engine);
        }
    }
}

#[test]
fn a_router_sees_sessions_priorities_and_what_prompts_begin_with() {
    let mut registry = Registry::built_in();
    registry.register_router::<Sticky>();
    let directory = tempfile::tempdir().unwrap();
    let mut trace =
        String::from("arrival_s,prompt_tokens,output_tokens,priority,session,prefix_blocks\n");
    for request in 0..60 {
        trace += &format!("{request},100,100,3,s{},7 8 9 10\n", request % 5);
    }
    std::fs::write(directory.path().join("trace.csv"), trace).unwrap();
    let text = r#"(name: "sticky", fleet: [(sku: "dgx-h100", count: 3)], applications: [(
        name: "chat", model: "llama2-70b", scheduler: Sticky,
        instances: [(role: Mixed, start: AllServers)],
        workload: Trace(path: "trace.csv", format: Requests(block_tokens: 50)),
    )])"#;
    let checked = registry.from_ron(text, directory.path()).unwrap();
    let mut simulation = Simulation::with_policies(&checked, &registry).unwrap();
    while simulation.tick().unwrap() {}
    let rows = simulation.take_rows().requests;
    assert_eq!(rows.len(), 60);
    for (_, row) in rows {
        let instance = row.id % 5 % 3;
        assert_eq!(row.prompt_instance, Some(instance), "{row:?}");
    }
}

/// Lines of seconds, prompt tokens and output tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Blanks {
    /// What stands between the fields.
    separator: String,
}

impl TraceFormatKind for Blanks {
    const NAME: &'static str = "Blanks";
    const SUMMARY: &'static str = "Lines of seconds, prompt tokens and output tokens.";

    fn check(&self) -> Result<(), String> {
        let wrong = "`separator` must not be a digit".to_owned();
        let digit = self.separator.contains(|it: char| it.is_ascii_digit());
        (!digit).then_some(()).ok_or(wrong)
    }

    fn rows(
        &self,
        file: &Path,
        text: Box<dyn BufRead + Send + Sync>,
    ) -> Result<TraceRows, WorkloadError> {
        let (separator, file) = (self.separator.clone(), file.to_owned());
        let row = move |(id, line): (u64, std::io::Result<String>)| {
            let line = line.unwrap();
            let fields: Vec<f64> = line
                .split(&*separator)
                .filter_map(|it| it.parse().ok())
                .collect();
            let &[time, prompt, output] = &fields[..] else {
                let message = format!("line {} has not three numbers", id + 1);
                return Err(WorkloadError::in_file(file.clone(), message));
            };
            Ok(Arrival {
                id,
                time: SimTime::new(time).unwrap(),
                prompt_tokens: prompt as u32,
                output_tokens: output as u32,
                details: None,
            })
        };
        Ok(Box::new((0..).zip(text.lines()).map(row)))
    }
}

/// The arrivals, in seconds, of a trace of this text in a format of one's own, or what is wrong with it.
fn arrivals(format: &str, text: &str) -> Result<Vec<f64>, String> {
    let mut registry = Registry::built_in();
    registry.register_trace_format::<Blanks>();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("trace.txt"), text).unwrap();
    let scenario = format!(
        r#"(name: "own", fleet: [(sku: "dgx-h100", count: 1)], applications: [(
            name: "chat", model: "llama2-70b", scheduler: Jsq,
            instances: [(role: Mixed, start: AllServers)],
            workload: Trace(path: "trace.txt", format: {format}, rate_scale: 2, repeat: 2),
        )])"#
    );
    let checked = registry.from_ron(&scenario, directory.path());
    let checked = checked.map_err(|it| it.to_string())?;
    let simulation = Simulation::with_policies(&checked, &registry);
    let mut simulation = simulation.map_err(|it| it.to_string())?;
    while simulation.tick().map_err(|it| it.to_string())? {}
    let finished = simulation.finish();
    if let Some(wrong) = finished.record.stopped {
        return Err(wrong);
    }
    let mut rows = finished.rows.requests;
    rows.sort_by_key(|(_, it)| it.id);
    Ok(rows.iter().map(|(_, it)| it.arrival.seconds()).collect())
}

#[test]
fn a_scenario_names_a_trace_format_of_ones_own() {
    // The first row is time zero, the second pass begins a mean gap behind the last row, and the rate is
    // doubled.
    let text = "10 100 5\n14 100 5\n12 100 5\n";
    let read = arrivals("Blanks(separator: \" \")", text);
    assert_eq!(read, Ok(vec![0.0, 2.0, 1.0, 3.0, 5.0, 4.0]));
}

#[test]
fn what_is_wrong_with_a_trace_format_of_ones_own_is_told() {
    let told = |format: &str, text: &str, expected: &str| {
        let wrong = arrivals(format, text).unwrap_err();
        assert!(wrong.contains(expected), "{wrong}");
    };
    let good = "Blanks(separator: \" \")";
    told("Blanks(separator: \"7\")", "", "must not be a digit");
    told("Blank(separator: \" \")", "", "unknown variant `Blank`");
    told(good, "1 2\n", "trace.txt: line 1 has not three numbers");
    told(
        good,
        "1 0 5\n",
        "prompt tokens of request 0 must be at least 1",
    );
}
