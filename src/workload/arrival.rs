use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::details::Details;
use super::error::WorkloadError;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

/// One request as it arrives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// The trace's own number for it, or its position in the workload.
    pub id: u64,
    /// When it arrives.
    pub time: SimTime,
    /// Tokens of its prompt, at least 1.
    pub prompt_tokens: u32,
    /// Tokens that it asks for, at least 1.
    pub output_tokens: u32,
    /// What only few workloads say: session, priority, what its tokens are.
    pub details: Option<Arc<Details>>,
}

/// A source of requests in order of arrival; the first error ends it.
pub type ArrivalStream = Box<dyn ArrivalSource>;

/// What a stream of requests is made of: any iterator over them that can be copied.
pub trait ArrivalSource: Iterator<Item = Result<Arrival, WorkloadError>> + Send + Sync {
    /// A copy that goes on where this one stands.
    fn fork(&self) -> ArrivalStream;

    /// Whether it is known that no more requests come: there is nothing to save then. Default: it is not known.
    fn is_at_an_end(&self) -> bool {
        false
    }

    /// Writes into a snapshot where it stands.
    ///
    /// # Errors
    /// What cannot be written. The default refuses, so that no request is lost unnoticed.
    fn save(&self, _to: &mut StateWriter) -> Result<(), SaveError> {
        let what = format!("the stream of requests {}", std::any::type_name::<Self>());
        Err(SaveError::not_saved(
            what,
            "it has no `ArrivalSource::save`",
        ))
    }

    /// Goes on from where a stream of the same requests stood, as [`save`](Self::save) wrote it.
    ///
    /// # Errors
    /// What cannot be read.
    fn restore(&mut self, _from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let what = format!("the stream of requests {}", std::any::type_name::<Self>());
        Err(RestoreError::unreadable(
            what,
            "it has no `ArrivalSource::restore`",
        ))
    }
}

impl<I> ArrivalSource for I
where
    I: Iterator<Item = Result<Arrival, WorkloadError>> + Clone + Send + Sync + 'static,
{
    fn fork(&self) -> ArrivalStream {
        Box::new(self.clone())
    }

    fn is_at_an_end(&self) -> bool {
        self.size_hint() == (0, Some(0))
    }
}

impl Clone for ArrivalStream {
    fn clone(&self) -> Self {
        (**self).fork()
    }
}
