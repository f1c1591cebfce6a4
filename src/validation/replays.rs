use super::case::{Case, Planned, setup};
use super::ranks::serve_together;
use super::serve::{Felt, figures, serve};
use super::{Errors, Simulated, Validated};
use crate::catalog::{Catalog, Layer, Parallelism};
use crate::measured::{Arrivals, Replay, Replayed, Row, Spread};

/// A run with other coefficients: what each request felt in the simulation, and in the run.
pub(crate) struct Rerun {
    case: Case,
    together: bool,
    real: Vec<Felt>,
}

/// Seconds to the first token and a token after it, of each request.
pub(crate) type Times = Vec<(f64, f64)>;

impl Rerun {
    /// A run with the generic coefficients of its GPU.
    pub(crate) fn new(replay: &Replay, catalog: &Catalog) -> Result<Self, String> {
        let requests = replayed(replay);
        Ok(Self {
            case: case_of(replay, &requests, catalog, Layer::Auto)?,
            together: step_together(replay),
            real: requests.iter().map(felt_in_run).collect(),
        })
    }

    /// The step model.
    pub(crate) fn step(&self) -> &crate::serving::Roofline {
        &self.case.step
    }

    /// What was measured.
    pub(crate) fn real(&self) -> Times {
        self.real.iter().map(|it| (it.ttft(), it.tpot())).collect()
    }

    /// What the simulation shows with these coefficients.
    pub(crate) fn simulated(
        &mut self,
        values: crate::catalog::Coefficients,
    ) -> Result<Times, String> {
        self.case.step = self.case.step.clone().with_coefficients(values);
        let felt = served(&self.case, self.together)?;
        Ok(felt.iter().map(|it| (it.ttft(), it.tpot())).collect())
    }
}

/// Whether the ranks of a run step together: where they share the experts out.
pub(crate) const fn step_together(replay: &Replay) -> bool {
    replay.dp > 1 && replay.expert_parallel
}

/// The requests that are simulated: all, or those of one rank where ranks run by themselves.
pub(crate) fn replayed(replay: &Replay) -> Vec<Replayed> {
    let ranks = match step_together(replay) {
        true => 1,
        false => replay.dp.max(1) as usize,
    };
    replay.requests.iter().step_by(ranks).copied().collect()
}

fn served(case: &Case, together: bool) -> Result<Vec<Felt>, String> {
    match together {
        true => serve_together(case),
        false => serve(case),
    }
}

fn felt_in_run(of: &Replayed) -> Felt {
    Felt {
        arrival: of.arrival_s,
        first_token: of.first_token_s,
        last_token: of.last_token_s,
        output: of.output_tokens,
    }
}

/// Simulates a run, each request at its own time: all ranks where they step together, else one of them.
pub(super) fn of_replay(replay: &Replay, catalog: &Catalog, layer: Layer) -> Validated {
    let requests = replayed(replay);
    let result = case_of(replay, &requests, catalog, layer).and_then(|case| {
        let together = step_together(replay);
        let felt = served(&case, together)?;
        let mut simulated = figures(&case, &felt);
        if together {
            // They are of all ranks already.
            simulated.requests_per_s /= f64::from(case.ranks);
            simulated.output_tokens_per_s /= f64::from(case.ranks);
        }
        let row = measured(replay, &requests);
        Ok(Simulated {
            figures: simulated,
            errors: Errors::of(&row, &simulated),
            layer: case.step.layer().to_string(),
            kind: super::kind_of(catalog, &replay.model),
        })
    });
    Validated {
        row: measured(replay, &requests),
        result,
    }
}

fn case_of(
    replay: &Replay,
    requests: &[Replayed],
    catalog: &Catalog,
    layer: Layer,
) -> Result<Case, String> {
    let parallelism = Parallelism {
        tensor: replay.tp,
        data: replay.dp,
    };
    let of = setup(
        catalog,
        &replay.model,
        &replay.gpu,
        &replay.engine,
        &replay.precision,
        parallelism,
    )?;
    let kv_tokens = match replay.kv_tokens {
        Some(tokens) => tokens as u64,
        None => of.kv_tokens(2, 0.9),
    };
    Ok(Case {
        step: of.step(catalog, layer)?,
        max_batch_tokens: replay.max_batch_tokens,
        max_seqs: replay.max_seqs,
        kv_tokens,
        requests: requests
            .iter()
            .map(|it| Planned {
                arrival_s: it.arrival_s,
                prompt: it.prompt_tokens,
                cached: 0,
                shared: 0,
                text: 0,
                output: it.output_tokens,
            })
            .collect(),
        users: 0,
        uncounted: 0,
        ranks: replay.dp,
    })
}

/// The figures of the real requests as a row.
fn measured(replay: &Replay, requests: &[Replayed]) -> Row {
    let felt: Vec<Felt> = requests.iter().map(felt_in_run).collect();
    let spread = |of: fn(&Felt) -> f64| Spread::of(felt.iter().map(|it| of(it) * 1e3).collect());
    let mean = |of: fn(&Replayed) -> u32| {
        let sum: f64 = requests.iter().map(|it| f64::from(of(it))).sum();
        sum / requests.len().max(1) as f64
    };
    Row {
        id: replay.id.clone(),
        source: replay.source.clone(),
        model: replay.model.clone(),
        gpu: replay.gpu.clone(),
        gpus: Some(replay.tp.saturating_mul(replay.dp)),
        tp: Some(replay.tp),
        dp: Some(replay.dp),
        engine: replay.engine.clone(),
        precision: replay.precision.clone(),
        mode: "replay".to_owned(),
        arrivals: Arrivals::Constant,
        prompt_tokens: mean(|it| it.prompt_tokens),
        output_tokens: mean(|it| it.output_tokens),
        ttft: spread(Felt::ttft),
        tpot: spread(Felt::tpot),
        e2e: spread(Felt::e2e),
        ..Row::default()
    }
}
