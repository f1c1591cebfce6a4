use crate::autoscale::{InstanceSnapshot, RoleSnapshot, Signals};
use crate::fleet::InstanceStatus;
use crate::serving::Role;
use crate::time::SimDuration;

/// What an instance reports of its queue and of its last step, in whole tokens and requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepReport {
    /// Prompt tokens of the requests that wait.
    pub queued_prompt_tokens: u64,
    /// Requests that wait with their prompt.
    pub queued_prompts: u64,
    /// Tokens in the KV cache of the requests that wait to decode.
    pub queued_kv_tokens: u64,
    /// Requests that wait to decode.
    pub queued_decodes: u64,
    /// Prompt tokens of the step.
    pub prompt_tokens: u64,
    /// Prompts that these belong to.
    pub prompts: u64,
    /// Tokens in the KV cache of the requests that decode.
    pub kv_tokens: u64,
    /// Requests that decode.
    pub decodes: u64,
}

/// The instances of a role, and what they report.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleReports {
    /// The role.
    pub role: Role,
    /// Instances that take requests.
    pub ready: u32,
    /// Instances that start up.
    pub pending: u32,
    /// Whether any other change is in progress.
    pub moving: bool,
    /// What each instance reports that shows its metrics.
    pub reports: Vec<StepReport>,
    /// Tokens that the KV cache of an instance holds; 0 for any number.
    pub kv_tokens: f64,
    /// The share of the prompt tokens that was found in the prefix cache, if any was looked for.
    pub hit_rate: Option<f64>,
}

impl RoleReports {
    /// What a fleet's signals say: an engine there does not report its queue in tokens, so it is the requests
    /// that wait × the mean prompt, and a step's prompt tokens are those of the interval by its steps.
    pub(super) fn of(
        signals: &Signals,
        of: &RoleSnapshot,
        interval: SimDuration,
        prompts: SimDuration,
    ) -> Self {
        let mean = signals.mean_prompt_tokens(prompts);
        let beside = prompt_tokens_of_a_step(signals, of, interval);
        let active = of.instances.iter();
        let active = active.filter(|it| it.status == InstanceStatus::Active);
        let rooms = active.clone().map(|it| of.kv_tokens(it.load.kv));
        Self {
            role: of.role,
            ready: of.active,
            pending: of.scaling_up(),
            moving: of.draining > 0,
            reports: active.map(|it| report(of, it, mean, beside)).collect(),
            kv_tokens: rooms.fold(0.0, f64::max),
            hit_rate: signals.hit_rate(of.role, prompts),
        }
    }
}

fn report(of: &RoleSnapshot, it: &InstanceSnapshot, mean: Option<f64>, beside: f64) -> StepReport {
    let load = &it.load;
    let own = (load.assigned > 0).then(|| load.pending_tokens as f64 / load.assigned as f64);
    let waiting = load.waiting();
    let whole = |tokens: f64| tokens.round() as u64;
    let kv = whole(of.kv_tokens(load.kv_used));
    match of.role {
        Role::Prompt => {
            let each = own.unwrap_or(0.0);
            StepReport {
                queued_prompt_tokens: whole(waiting as f64 * each),
                queued_prompts: waiting,
                prompt_tokens: whole(load.running as f64 * mean.unwrap_or(each)),
                prompts: load.running,
                ..StepReport::default()
            }
        }
        // A request that waits at a token instance is in its KV cache already.
        Role::Token => StepReport {
            queued_decodes: waiting,
            kv_tokens: kv,
            decodes: load.running,
            ..StepReport::default()
        },
        Role::Mixed => {
            let each = mean.or(own).unwrap_or(0.0);
            let prompts = match each > 0.0 {
                true => (beside / each).ceil() as u64,
                false => 0,
            };
            StepReport {
                queued_prompt_tokens: whole(waiting as f64 * each),
                queued_prompts: waiting,
                prompt_tokens: whole(beside),
                prompts,
                kv_tokens: kv,
                decodes: load.running,
                ..StepReport::default()
            }
        }
    }
}

/// Prompt tokens in a step of an instance, on average over an interval: each step generates a token for each
/// request in the batch.
fn prompt_tokens_of_a_step(signals: &Signals, of: &RoleSnapshot, interval: SimDuration) -> f64 {
    let tokens = signals.output_tokens_per_s(of.role, interval);
    let running = of.load.running as f64 / f64::from(of.measured.max(1));
    match tokens > 0.0 {
        true => signals.prompt_tokens_per_s(of.role, interval) * running / tokens,
        false => 0.0,
    }
}
