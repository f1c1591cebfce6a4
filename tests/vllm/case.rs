//! A case of the reference: options, requests, and what the scheduler of vLLM did with them.

use std::collections::BTreeMap;
use std::path::Path;

use fleetsim::serving::Linear;
use fleetsim::serving::vllm::{
    News, Part, Prefix, Progress, SchedulingPolicy, StepRow, Ticket, TokenGaps, Vllm, VllmConfig,
    Work,
};
use fleetsim::time::SimTime;
use serde_json::Value;

/// What is run, and what with.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) config: VllmConfig,
    pub(crate) model: Linear,
    pub(crate) max_steps: u64,
    pub(crate) requests: Vec<Work>,
}

/// How a request ended, by vLLM's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fate {
    pub(crate) end: &'static str,
    pub(crate) progress: Progress,
}

/// A request that is taken out: its place in the case, and when.
pub(crate) type Withdrawal = (usize, SimTime);

/// What is done besides serving.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan<'a> {
    pub(crate) record: bool,
    pub(crate) withdrawals: &'a [Withdrawal],
    /// The engine is written down and read again each time that this many events have passed.
    pub(crate) save_every: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) steps: Vec<StepRow>,
    pub(crate) fates: Vec<Fate>,
    pub(crate) gaps: Vec<TokenGaps>,
}

impl Ran {
    /// The gaps between tokens, one by one, in order of length.
    pub(crate) fn every_gap(&self) -> Vec<f64> {
        let of = |gaps: &TokenGaps| {
            let gaps = *gaps;
            let length = move |step| gaps.first + gaps.growth * step as f64;
            (0..gaps.steps)
                .flat_map(move |step| std::iter::repeat_n(length(step), gaps.requests as usize))
        };
        let mut all: Vec<f64> = self.gaps.iter().flat_map(of).collect();
        all.sort_unstable_by(f64::total_cmp);
        all
    }
}

/// The engine as it is written down and read again.
fn saved(engine: &Vllm) -> Vllm {
    let text = serde_json::to_string(engine).expect("an engine can be written down");
    serde_json::from_str(&text).expect("what was written can be read")
}

pub(crate) fn read(directory: &Path) -> Case {
    let text = std::fs::read_to_string(directory.join("scenario.json")).expect("scenario.json");
    let options: Value = serde_json::from_str(&text).expect("JSON");
    let number = |key: &str, default: u64| {
        let value = options.get(key).filter(|value| !value.is_null());
        value.map_or(default, |value| value.as_u64().expect(key))
    };
    let flag = |key: &str, default: bool| {
        let value = options.get(key);
        value.map_or(default, |value| value.as_bool().expect(key))
    };
    let real = |value: &Value| value.as_f64().expect("a number");
    let time = &options["step_time"];
    let config = VllmConfig {
        max_num_seqs: number("max_num_seqs", 0) as u32,
        max_num_batched_tokens: number("max_num_batched_tokens", 0) as u32,
        max_model_len: number("max_model_len", 0) as u32,
        block_size: number("block_size", 16) as u32,
        num_gpu_blocks: number("num_gpu_blocks", 0) as u32,
        enable_prefix_caching: flag("enable_prefix_caching", true),
        enable_chunked_prefill: flag("enable_chunked_prefill", true),
        long_prefill_token_threshold: number("long_prefill_token_threshold", 0) as u32,
        long_prefill_token_threshold_adaptive: flag("long_prefill_token_threshold_adaptive", false),
        scheduling_policy: match options.get("policy").and_then(Value::as_str) {
            Some("priority") => SchedulingPolicy::Priority,
            _ => SchedulingPolicy::Fcfs,
        },
        watermark: options.get("watermark").map_or(0.0, real),
        scheduler_reserve_full_isl: flag("scheduler_reserve_full_isl", true),
        max_num_active_seqs: match number("max_num_active_seqs", 0) {
            0 => None,
            most => Some(most as u32),
        },
        prefill_schedule_interval: number("prefill_schedule_interval", 1) as u32,
        async_scheduling: flag("async_scheduling", false),
    };
    config.check().expect("options that vLLM takes");
    let tokens = number("content_block_tokens", 512) as u32;
    let mut reader = csv::Reader::from_path(directory.join("trace.csv")).expect("trace.csv");
    let requests = reader.records().zip(0..).map(|(row, owner)| {
        let row = row.expect("a row");
        Work {
            owner,
            id: owner.into(),
            name: Some(row[0].into()),
            arrival: SimTime::new(row[1].parse().expect("seconds")).expect("a time"),
            prompt_tokens: row[2].parse().expect("tokens"),
            output_tokens: row[3].parse().expect("tokens"),
            priority: row[4].parse().unwrap_or(0),
            part: Part::Whole,
            prefix: Prefix {
                ids: row[5]
                    .split_whitespace()
                    .map(|id| id.parse().expect("an id"))
                    .collect(),
                tokens,
            },
        }
    });
    Case {
        config,
        model: Linear {
            base: real(&time["a"]),
            prefill_token: real(&time["b"]),
            decode_request: real(&time["c"]),
            context_token: real(&time["d"]),
        },
        max_steps: number("max_steps", 1_000_000),
        requests: requests.collect(),
    }
}

impl Case {
    /// The engine for it: step by step, or in runs of steps.
    pub(crate) fn engine(&self, stepwise: bool) -> Vllm {
        let engine = Vllm::new(self.config).limited_to(self.max_steps);
        if stepwise { engine.stepwise() } else { engine }
    }

    /// Serves it, and says what each step did and how each request ended.
    pub(crate) fn run(&self, stepwise: bool, record: bool) -> (Vec<StepRow>, Vec<Fate>) {
        self.run_on(self.engine(stepwise), record, &[])
    }

    /// Serves it on an engine, with requests taken out under way; they are in order of time.
    pub(crate) fn run_on(
        &self,
        engine: Vllm,
        record: bool,
        withdrawals: &[Withdrawal],
    ) -> (Vec<StepRow>, Vec<Fate>) {
        let ran = self.run_with(
            engine,
            &Plan {
                record,
                withdrawals,
                ..Plan::default()
            },
        );
        (ran.steps, ran.fates)
    }

    /// Serves it on an engine, with all that is done besides.
    pub(crate) fn run_with(&self, mut engine: Vllm, plan: &Plan<'_>) -> Ran {
        let record = plan.record;
        if record {
            engine.record_steps();
        }
        let mut events = 0;
        let mut fates: Vec<_> = self.requests.iter().map(|_| Fate::default()).collect();
        let mut tickets: BTreeMap<u64, Ticket> = BTreeMap::new();
        let mut news = News::default();
        let mut arrivals = self.requests.iter().zip(0_usize..).peekable();
        let mut withdrawals = plan.withdrawals.iter().copied().peekable();
        loop {
            let event = engine.next_event().unwrap_or(SimTime::MAX);
            let arrival = arrivals
                .peek()
                .map_or(SimTime::MAX, |(work, _)| work.arrival);
            let withdrawal = withdrawals.peek().map_or(SimTime::MAX, |&(_, time)| time);
            let now = event.min(arrival).min(withdrawal);
            if now == SimTime::MAX {
                break;
            }
            events += 1;
            if plan.save_every.is_some_and(|every| events % every == 0) {
                engine = saved(&engine);
            }
            if arrival == now {
                while let Some((work, place)) = arrivals.next_if(|(work, _)| work.arrival == now) {
                    if work.prompt_tokens >= self.config.max_model_len {
                        fates[place].end = "rejected";
                    } else {
                        tickets.insert(work.id, engine.enqueue(work.clone(), now));
                    }
                }
                if engine.next_event().is_none() {
                    engine.start(now, &self.model, &mut news);
                }
            } else if withdrawal == now {
                let (place, _) = withdrawals.next().expect("it was peeked");
                if let Some(ticket) = tickets.remove(&(place as u64)) {
                    let withdrawn = engine.withdraw(ticket, now, &mut news);
                    let (work, progress) = withdrawn.expect("it is there");
                    assert_eq!(work.id, place as u64);
                    fates[place] = Fate {
                        end: "withdrawn",
                        progress,
                    };
                }
                if engine.next_event().is_none() {
                    engine.start(now, &self.model, &mut news);
                }
            } else {
                engine.finish(&mut news);
                for ended in news.ended.drain(..) {
                    tickets.remove(&ended.owner.into());
                    let progress = ended.progress;
                    fates[ended.owner as usize] = Fate {
                        end: "finished",
                        progress,
                    };
                }
                engine.start(now, &self.model, &mut news);
            }
            if cfg!(debug_assertions) && !record {
                engine.recount().expect("all counts agree");
            }
        }
        for (&id, &ticket) in &tickets {
            let (_, progress) = engine
                .withdraw(ticket, SimTime::MAX, &mut news)
                .expect("it is in the engine");
            fates[id as usize].progress = progress;
        }
        engine.recount().expect("all counts agree");
        assert_eq!(engine.load(SimTime::MAX).used_blocks, 0, "blocks leak");
        Ran {
            steps: engine.take_rows(),
            fates,
            gaps: news.gaps,
        }
    }

    /// Compares with `steps.csv` and `expected.csv` of `directory`; times may differ by `tolerance`.
    pub(crate) fn compare(&self, directory: &Path, stepwise: bool, tolerance: f64) {
        let (steps, fates) = self.run(stepwise, true);
        let told = |what: &str, line: usize| format!("{}/{what}:{}", directory.display(), line + 2);
        let near = |text: &str, value: Option<f64>, place: &str| match value {
            None => assert_eq!(text, "", "{place}"),
            Some(value) => {
                let expected: f64 = text.parse().unwrap_or(f64::NAN);
                let off = (value - expected).abs();
                assert!(off <= tolerance, "{place}: {value} for {expected}");
            }
        };
        let rows = records(&directory.join("steps.csv"));
        for (line, (row, step)) in rows.iter().zip(&steps).enumerate() {
            let place = told("steps.csv", line);
            near(&row[1], Some(step.start_s), &place);
            near(&row[2], Some(step.duration_s), &place);
            let scheduled: Vec<_> = step
                .scheduled
                .iter()
                .map(|(name, tokens)| format!("{name}:{tokens}"))
                .collect();
            let cells = [
                step.step.to_string(),
                row[1].to_owned(),
                row[2].to_owned(),
                step.running.to_string(),
                step.waiting.to_string(),
                (step.prefill_tokens + step.decode_seqs).to_string(),
                step.prefill_tokens.to_string(),
                step.decode_seqs.to_string(),
                step.context_tokens.to_string(),
                step.used_blocks.to_string(),
                step.preempted.join(" "),
                step.finished.join(" "),
                scheduled.join(" "),
            ];
            assert_eq!(row.iter().collect::<Vec<_>>(), cells, "{place}");
        }
        assert_eq!(rows.len(), steps.len(), "{}", told("steps.csv", 0));

        let rows = records(&directory.join("expected.csv"));
        assert_eq!(rows.len(), fates.len());
        for (line, (row, fate)) in rows.iter().zip(&fates).enumerate() {
            let place = told("expected.csv", line);
            let Fate { end, progress } = fate;
            assert_eq!(&row[4], *end, "{place}");
            let finish = progress.last_token.filter(|_| *end == "finished");
            near(
                &row[5],
                progress.first_scheduled.map(SimTime::seconds),
                &place,
            );
            near(&row[6], progress.first_token.map(SimTime::seconds), &place);
            near(&row[7], finish.map(SimTime::seconds), &place);
            near(&row[8], progress.max_gap, &place);
            let cached = progress
                .first_scheduled
                .map(|_| progress.cached_tokens.to_string());
            let cells = [
                progress.outputs.to_string(),
                progress.preemptions.to_string(),
                cached.unwrap_or_default(),
                progress.resumed_cached_tokens.to_string(),
            ];
            let expected: Vec<_> = row.iter().skip(9).collect();
            assert_eq!(expected, cells, "{place}");
        }
    }
}

impl Default for Fate {
    fn default() -> Self {
        Self {
            end: "unfinished",
            progress: Progress::default(),
        }
    }
}

fn records(path: &Path) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_path(path).expect("a table");
    reader.records().map(|row| row.expect("a row")).collect()
}
