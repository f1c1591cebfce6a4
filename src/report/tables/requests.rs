use super::{Cells, Column, Table, float, integer, text};
use crate::serving::{Outcome, RequestRecord};

/// `requests.csv`: one row a request, with its application's name.
///
/// Times are in seconds. `queue_s` is the first run of the prompt − arrival, `ttft_s` the first
/// token − arrival, `e2e_s` the last token − arrival, `tbt_s` (e2e − ttft) / output tokens, and
/// `second_token_s` the start of the token phase − the end of the prompt phase. A cell is empty
/// where a request did not get that far; a request of one output token has a `tbt_s` of 0, no
/// `second_token_s`, and its prompt instance as its token instance. `outcome` is `completed`,
/// `in_flight`, `waiting` or `rejected:<reason>`. Requests that an engine `Vllm` has served have
/// `preemptions`, the `cached_tokens` found at their first admission, and in `max_tbt_s` the longest time
/// between two of their tokens. `priority` and `session` are the workload's; an id that is no number is
/// written as it is in the trace, in Parquet as the place in the trace.
#[derive(Debug)]
pub struct Requests;

impl Table for Requests {
    type Row<'a> = (&'a str, &'a RequestRecord);

    const NAME: &'static str = "requests";

    const COLUMNS: &'static [Column] = &[
        integer("request_id"),
        text("application"),
        float("arrival_s"),
        integer("prompt_tokens"),
        integer("output_tokens"),
        float("queue_s"),
        float("ttft_s"),
        float("tbt_s"),
        float("e2e_s"),
        float("second_token_s"),
        integer("prompt_instance"),
        integer("token_instance"),
        text("outcome"),
        integer("restarts"),
        integer("preemptions"),
        integer("cached_tokens"),
        float("max_tbt_s"),
        text("priority"),
        text("session"),
    ];

    fn cells((application, request): Self::Row<'_>, cells: &mut impl Cells) {
        let token_instance = match request.token_instance {
            None if request.output_tokens == 1 => request.prompt_instance,
            instance => instance,
        };
        let details = request.details.as_deref();
        cells.id(request.id, details.and_then(|it| it.name.as_deref()));
        cells.text(application);
        cells.float(request.arrival.seconds());
        cells.integer(request.prompt_tokens.into());
        cells.integer(request.output_tokens.into());
        cells.optional_float(request.queue());
        cells.optional_float(request.ttft());
        cells.optional_float(request.tbt());
        cells.optional_float(request.e2e());
        cells.optional_float(request.second_token());
        cells.optional_integer(request.prompt_instance);
        cells.optional_integer(token_instance);
        match request.outcome {
            Outcome::Completed => cells.text("completed"),
            Outcome::InFlight => cells.text("in_flight"),
            Outcome::Waiting => cells.text("waiting"),
            Outcome::Failed => cells.text("failed"),
            Outcome::Rejected(rejection) => {
                cells.text(&format!("rejected:{}", rejection.reason()));
            }
        }
        cells.integer(request.restarts.into());
        let served = &request.served;
        let cached = served.cached_tokens.map(u64::from);
        cells.optional_integer(cached.map(|_| served.preemptions.into()));
        cells.optional_integer(cached);
        cells.optional_float(served.max_tbt);
        match details {
            Some(details) => {
                cells.text(itoa::Buffer::new().format(details.priority));
                match details.session.as_deref() {
                    Some(session) => cells.text(session),
                    None => cells.empty(),
                }
            }
            None => {
                cells.empty();
                cells.empty();
            }
        }
    }
}
