//! Random cases in the oracle's subset: no `Fcfs`, no `Random`, at least two output tokens, arrivals
//! after time zero; scripts that drain only active instances, always leave one, and use the default
//! delays.

use std::fmt::Write as _;

use fleetsim::random::Stream;

/// A scenario with its trace.
pub(crate) struct Case {
    pub(crate) scenario: String,
    pub(crate) trace: String,
    /// Whether the fleet is scaled.
    pub(crate) scripted: bool,
}

const SKUS: [&str; 3] = ["dgx-h100", "dgx-a100", "dgx-h100-pcap"];
const GIB: f64 = 1_073_741_824.0;

/// The random choices of a case.
struct Draw(Stream);

impl Draw {
    fn chance(&mut self, probability: f64) -> bool {
        self.0.uniform() < probability
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len())]
    }

    /// A whole number from `low` to `high`, both included.
    fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.0.below((high.max(low) - low + 1) as usize) as u32
    }

    /// Between `low` and `high`, each order of magnitude as likely as the others.
    fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.0.uniform())
    }

    fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.0.normal()).exp()
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.0.below(end + 1));
        }
    }
}

/// A model and how many processors share it.
#[derive(Clone, Copy)]
struct Model {
    name: &'static str,
    tensor_parallelism: u32,
    /// Tokens whose KV cache an instance has room for.
    room: u32,
}

impl Model {
    fn draw(draw: &mut Draw) -> Self {
        let (name, weights, bytes_per_token, tensor_parallelism) = if draw.chance(0.5) {
            ("bloom-176b", 329e9, 4.0 * 14_336.0 * 70.0, 8)
        } else {
            let tensor_parallelism = draw.one_of(&[8, 8, 4, 2, 2]);
            (
                "llama2-70b",
                135e9,
                4.0 * 8_192.0 * 80.0,
                tensor_parallelism,
            )
        };
        let memory = 80.0 * GIB * f64::from(tensor_parallelism);
        Self {
            name,
            tensor_parallelism,
            room: ((memory - weights) / bytes_per_token) as u32,
        }
    }

    fn template(&self, draw: &mut Draw, role: &str, start: &str) -> String {
        let engine = if draw.chance(0.3) {
            let size = draw.one_of(&[512, 64, 16, 4, 1]);
            format!("Orca(max_batch_size: {size})")
        } else {
            let size = draw.one_of(&[512, 512, 512, 64, 16, 5, 2, 1]);
            let tokens = draw.one_of(&[2048, 2048, 2048, 8192, 512, 64, 8]);
            let preemptions = draw.between(1, 8);
            format!(
                "Splitwise(max_batch_size: {size}, max_batch_tokens: {tokens}, max_preemptions: {preemptions})"
            )
        };
        let tensor_parallelism = self.tensor_parallelism;
        format!(
            "(role: {role}, engine: {engine}, tensor_parallelism: {tensor_parallelism}, pipeline_parallelism: 1, start: {start}),"
        )
    }
}

/// Servers by SKU and what starts on them.
struct Fleet {
    skus: Vec<(&'static str, u32)>,
    templates: Vec<String>,
    /// Servers that instances start on.
    servers: u32,
}

impl Fleet {
    /// Servers that all carry instances of both phases.
    fn mixed(draw: &mut Draw, model: Model) -> Self {
        let skus = skus(draw, 1);
        let total = skus.iter().map(|sku| sku.1).sum();
        let (starts, servers) = match draw.between(0, 3) {
            0 if total > 1 => {
                let first = draw.between(1, total - 1);
                let starts = [first, total - first].map(|n| format!("Servers({n})"));
                (starts.to_vec(), total)
            }
            1 => {
                let servers = draw.between(1, total);
                (vec![format!("Servers({servers})")], servers)
            }
            2 => {
                let starts = skus.iter().map(|sku| format!("Sku(\"{}\")", sku.0));
                (starts.collect(), total)
            }
            _ => (vec!["AllServers".to_owned()], total),
        };
        let template = |start: &String| model.template(draw, "Mixed", start);
        Self {
            skus,
            templates: starts.iter().map(template).collect(),
            servers,
        }
    }

    /// Some servers for prompts and some for tokens.
    fn paired(draw: &mut Draw, model: Model) -> Self {
        let skus = skus(draw, 2);
        let total: u32 = skus.iter().map(|sku| sku.1).sum();
        let (prompt, token) = if skus.len() == 2 && draw.chance(0.5) {
            let start = |sku: usize| format!("Sku(\"{}\")", skus[sku].0);
            (start(0), start(1))
        } else {
            let prompts = draw.between(1, total - 1);
            let tokens = total - prompts;
            (format!("Servers({prompts})"), format!("Servers({tokens})"))
        };
        let mut templates = vec![
            model.template(draw, "Prompt", &prompt),
            model.template(draw, "Token", &token),
        ];
        draw.shuffle(&mut templates);
        Self {
            skus,
            templates,
            servers: total,
        }
    }
}

/// One or two SKUs with up to six servers together, and no fewer than `least`.
fn skus(draw: &mut Draw, least: u32) -> Vec<(&'static str, u32)> {
    let mut names = SKUS;
    draw.shuffle(&mut names);
    let total = draw.between(least, 6);
    if total > 1 && draw.chance(0.4) {
        let first = draw.between(1, total - 1);
        vec![(names[0], first), (names[1], total - first)]
    } else {
        vec![(names[0], total)]
    }
}

/// When requests arrive, in seconds.
fn arrivals(draw: &mut Draw, requests: u32, rate: f64) -> Vec<f64> {
    let step = draw.one_of(&[0.001, 0.05, 0.5, 1.0]);
    let style = draw.between(0, 4);
    let most = draw.one_of(&[3, 10, 100]);
    let (mut time, mut burst, mut size) = (0.0, 0, 1);
    (0..requests)
        .map(|_| {
            if burst == 0 {
                burst = if style == 2 { draw.between(1, most) } else { 1 };
                size = burst;
                time += draw.0.exponential() * f64::from(size) / rate;
            }
            burst -= 1;
            match style {
                // Equal times now and then, and instants that fall together with the script's.
                1 => (time / step).floor() * step + step,
                // Nothing after the first instant.
                3 if requests < 100 => 1.0,
                // All the bits of a double.
                4 => time,
                _ => (time * 1e6).ceil() / 1e6,
            }
        })
        .collect()
}

/// Prompt and output lengths, in tokens.
fn lengths(draw: &mut Draw, requests: u32, room: u32) -> Vec<(u32, u32)> {
    let style = draw.between(0, 6);
    let same = (draw.between(1, 3000), draw.between(2, 300));
    let few = [0; 3].map(|_| (draw.between(1, 4000), draw.between(2, 100)));
    let one = |_| {
        let (prompt, output) = match style {
            0 => (draw.between(1, 100), draw.between(2, 30)),
            1 => (draw.between(2000, 8000), draw.between(2, 300)),
            2 => same,
            3 => draw.one_of(&few),
            4 => (
                draw.between(room / 40, room / 6),
                draw.between(2, room / 120),
            ),
            5 => (draw.between(1, room / 20), draw.between(2, 5)),
            _ => {
                let [prompt, output] = [(1000.0, 1.0), (100.0, 1.2)]
                    .map(|(median, sigma)| draw.log_normal(median, sigma) as u32);
                (prompt, output)
            }
        };
        (prompt.clamp(1, room / 3), output.clamp(2, room / 8))
    };
    (0..requests).map(one).collect()
}

/// Scale-ups and scale-downs of a fleet that starts with so many instances.
fn script(draw: &mut Draw, fleet: &Fleet, horizon: f64) -> String {
    let mut times: Vec<f64> = (0..draw.between(1, 8))
        .map(|_| (draw.0.uniform() * (horizon + 15.0) * 1e3).ceil() / 1e3)
        .collect();
    times.sort_by(f64::total_cmp);
    // By instance: from when on it may be drained, and whether it was.
    let mut instances = vec![(0.0, false); fleet.servers as usize];
    let mut actions = String::new();
    for at in times {
        let candidates: Vec<_> = (0..instances.len())
            .filter(|&instance| !instances[instance].1 && instances[instance].0 < at)
            .collect();
        let action = if candidates.len() > 1 && draw.chance(0.5) {
            let instance = draw.one_of(&candidates);
            instances[instance].1 = true;
            format!("ScaleDownFull(instance: {instance})")
        } else {
            instances.push((at + 10.0, false));
            let skus: Vec<_> = fleet.skus.iter().map(|sku| sku.0).collect();
            let sku = draw.one_of(&skus);
            format!("ScaleUpFull(application: \"app\", role: Mixed, sku: \"{sku}\")")
        };
        let _ = writeln!(actions, "        (at: {at}, action: {action}),");
    }
    actions
}

impl Case {
    /// The case of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let draw = &mut Draw(Stream::new(seed, "differential"));
        let model = Model::draw(draw);
        let transfer = draw.one_of(&[200.0, 200.0, 2000.0, 12.5, 2.0, 0.5]);
        let most_pending = draw.one_of(&[8192, 8192, 1000, 100, 50_000]);
        let (scheduler, paired) = match draw.between(0, 6) {
            0 => ("RoundRobin".to_owned(), false),
            1 => ("Jsq".to_owned(), false),
            2 => ("TokenJsq".to_owned(), false),
            3 => (
                format!("KvRoundRobin(transfer_gib_per_s: {transfer:?})"),
                true,
            ),
            4 => (format!("KvJsq(transfer_gib_per_s: {transfer:?})"), true),
            5 => (
                format!("KvTokenJsq(transfer_gib_per_s: {transfer:?})"),
                true,
            ),
            _ => (
                format!(
                    "MixedPool(prompt_max_pending_tokens: {most_pending}, transfer_gib_per_s: {transfer:?})"
                ),
                true,
            ),
        };
        let fleet = if paired {
            Fleet::paired(draw, model)
        } else {
            Fleet::mixed(draw, model)
        };
        let requests = draw.magnitude(20.0, 400.0) as u32;
        let rate = draw.magnitude(0.1, 30.0) * f64::from(fleet.servers);
        let arrivals = arrivals(draw, requests, rate);
        let lengths = lengths(draw, requests, model.room);
        let horizon = arrivals.iter().copied().fold(0.0, f64::max);
        let scripted = !paired && model.tensor_parallelism == 8 && draw.chance(0.5);
        let actions = if scripted {
            script(draw, &fleet, horizon)
        } else {
            String::new()
        };
        Self {
            scenario: scenario(seed, model, &scheduler, &fleet, &actions),
            trace: trace(draw, &arrivals, &lengths),
            scripted,
        }
    }
}

fn scenario(seed: u64, model: Model, scheduler: &str, fleet: &Fleet, actions: &str) -> String {
    let mut skus = String::new();
    for (sku, count) in &fleet.skus {
        let _ = writeln!(skus, "        (sku: \"{sku}\", count: {count}),");
    }
    let mut templates = String::new();
    for template in &fleet.templates {
        let _ = writeln!(templates, "                {template}");
    }
    let model = model.name;
    format!(
        r#"(
    name: "differential-{seed}",
    fleet: [
{skus}    ],
    applications: [
        (
            name: "app",
            model: "{model}",
            scheduler: {scheduler},
            instances: [
{templates}            ],
            workload: Trace(path: "trace.csv", format: Splitwise),
        ),
    ],
    actions: [
{actions}    ],
)
"#
    )
}

fn trace(draw: &mut Draw, arrivals: &[f64], lengths: &[(u32, u32)]) -> String {
    let mut ids: Vec<usize> = (0..arrivals.len()).collect();
    if draw.chance(0.2) {
        draw.shuffle(&mut ids);
    }
    let mut rows: Vec<_> = ids
        .iter()
        .zip(arrivals)
        .zip(lengths)
        .map(|((id, at), (prompt, output))| format!("{id},2,0,{at},1,{prompt},{output}\n"))
        .collect();
    if draw.chance(0.1) {
        draw.shuffle(&mut rows);
    }
    let columns = "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n";
    columns.to_owned() + &rows.concat()
}
