//! The Splitwise format, in and out.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::table::Table;
use super::trace::TraceReader;
use super::{Arrival, WorkloadError};

const COLUMNS: &[&str] = &[
    "request_id",
    "arrival_timestamp",
    "prompt_size",
    "token_size",
];
const ID: usize = 0;
const TIME: usize = 1;
const PROMPT: usize = 2;
const OUTPUT: usize = 3;

/// Reads `request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,
/// token_size`. Type, application and batch size say nothing that is simulated: those columns may
/// be missing and are not looked at.
pub(super) struct Splitwise(Table);

impl Splitwise {
    pub(super) fn open(path: &Path) -> Result<Self, WorkloadError> {
        Table::open(path, COLUMNS).map(Self)
    }
}

impl TraceReader for Splitwise {
    fn next_row(&mut self) -> Result<Option<Arrival>, WorkloadError> {
        let Self(table) = self;
        if !table.advance()? {
            return Ok(None);
        }
        Ok(Some(Arrival {
            id: table.whole(ID)?,
            time: table.seconds(TIME)?,
            prompt_tokens: table.tokens(PROMPT)?,
            output_tokens: table.tokens(OUTPUT)?,
        }))
    }

    fn error_at_time(&self, message: String) -> WorkloadError {
        self.0.error_in(TIME, message)
    }
}

/// Writes a workload as a Splitwise trace, row by row, and returns the number of rows.
///
/// Times are written with the fewest digits that read back as the same bits.
///
/// ```
/// use fleetsim::time::SimTime;
/// use fleetsim::workload::{Arrival, write_splitwise};
/// let arrival = Arrival { id: 0, time: SimTime::new(0.1)?, prompt_tokens: 374, output_tokens: 44 };
/// let mut trace = Vec::new();
/// assert_eq!(write_splitwise(&mut trace, [Ok(arrival)])?, 1);
/// assert!(trace.ends_with(b"token_size\n0,2,0,0.1,1,374,44\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first error of the workload, or that of the writer.
pub fn write_splitwise<W: Write>(
    writer: W,
    arrivals: impl IntoIterator<Item = Result<Arrival, WorkloadError>>,
) -> Result<u64, WorkloadError> {
    let failed = |error| WorkloadError::new(format!("cannot write the trace: {error}"));
    let mut writer = BufWriter::new(writer);
    let header = "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size";
    writeln!(writer, "{header}").map_err(failed)?;
    let mut rows = 0;
    for arrival in arrivals {
        let Arrival {
            id,
            time,
            prompt_tokens,
            output_tokens,
        } = arrival?;
        writeln!(writer, "{id},2,0,{time},1,{prompt_tokens},{output_tokens}").map_err(failed)?;
        rows += 1;
    }
    writer.flush().map_err(failed)?;
    Ok(rows)
}
