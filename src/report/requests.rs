use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::ReportError;
use super::rows::Rows;
use crate::serving::{Outcome, RequestRecord};

const HEADER: &str = "request_id,application,arrival_s,prompt_tokens,output_tokens,queue_s,ttft_s,\
                      tbt_s,e2e_s,second_token_s,prompt_instance,token_instance,outcome,restarts";

/// Writes `requests.csv`: one row a request, in the order given.
///
/// Times are in seconds. `queue_s` is the first run of the prompt − arrival, `ttft_s` the first
/// token − arrival, `e2e_s` the last token − arrival, `tbt_s` (e2e − ttft) / output tokens, and
/// `second_token_s` the start of the token phase − the end of the prompt phase. A cell is empty
/// where a request did not get that far; a request of one output token has a `tbt_s` of 0, no
/// `second_token_s`, and its prompt instance as its token instance. `outcome` is `completed`,
/// `in_flight`, `waiting` or `rejected:<reason>`.
#[derive(Debug)]
pub struct RequestsWriter<W: Write = File> {
    rows: Rows<W>,
}

impl<W: Write> RequestsWriter<W> {
    /// Writes the header to `out`; errors will name `path`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when `out` fails.
    pub fn new(out: W, path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        Ok(Self {
            rows: Rows::new(out, path.into(), HEADER)?,
        })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn write(&mut self, application: &str, request: &RequestRecord) -> Result<(), ReportError> {
        let token_instance = match request.token_instance {
            None if request.output_tokens == 1 => request.prompt_instance,
            instance => instance,
        };
        self.rows.write(|row| {
            row.integer(request.id);
            row.text(application);
            row.float(request.arrival.seconds());
            row.integer(request.prompt_tokens.into());
            row.integer(request.output_tokens.into());
            row.optional_float(request.queue());
            row.optional_float(request.ttft());
            row.optional_float(request.tbt());
            row.optional_float(request.e2e());
            row.optional_float(request.second_token());
            row.optional_integer(request.prompt_instance);
            row.optional_integer(token_instance);
            match request.outcome {
                Outcome::Completed => row.raw("completed"),
                Outcome::InFlight => row.raw("in_flight"),
                Outcome::Waiting => row.raw("waiting"),
                Outcome::Rejected(rejection) => {
                    row.display(format_args!("rejected:{}", rejection.reason()));
                }
            }
            row.integer(request.restarts.into());
        })
    }

    /// Writes what is still buffered and gives the destination back.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn finish(self) -> Result<W, ReportError> {
        self.rows.finish()
    }
}
