//! The streams that come with fleetsim, with the places at which they stand: what a snapshot has of a workload.

use super::arrival::{Arrival, ArrivalSource, ArrivalStream};
use super::error::WorkloadError;
use super::limits::Limited;
use super::repeat::Passes;
use super::resample::{Bootstrap, Thinned};
use super::synthetic::Synthetic;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};

/// A workload of a scenario. It is no `Clone`: it says itself how it is copied and saved.
#[expect(clippy::large_enum_variant, reason = "a stream is boxed as a whole")]
pub(super) enum Opened {
    /// Requests that are made up.
    Generated(Limited<Synthetic>),
    /// A trace.
    Trace(Limited<Passes>),
    /// A trace of which some requests are left out.
    Kept(Limited<Thinned<Limited<Passes>>>),
    /// A trace that is put together of blocks.
    Blocks(Limited<Thinned<Bootstrap<Limited<Passes>>>>),
}

impl Iterator for Opened {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Generated(stream) => stream.next(),
            Self::Trace(stream) => stream.next(),
            Self::Kept(stream) => stream.next(),
            Self::Blocks(stream) => stream.next(),
        }
    }
}

impl ArrivalSource for Opened {
    fn fork(&self) -> ArrivalStream {
        Box::new(match self {
            Self::Generated(stream) => Self::Generated(stream.clone()),
            Self::Trace(stream) => Self::Trace(stream.clone()),
            Self::Kept(stream) => Self::Kept(stream.clone()),
            Self::Blocks(stream) => Self::Blocks(stream.clone()),
        })
    }

    fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        match self {
            Self::Generated(stream) => to.put(&(stream.left(), stream.source().place())),
            Self::Trace(stream) => to.put(&(stream.left(), stream.source().place())),
            Self::Kept(stream) => {
                let (trace, chance) = stream.source().place();
                let place = trace.source().place();
                to.put(&(stream.left(), chance.clone(), trace.left(), place))
            }
            Self::Blocks(stream) => {
                let (blocks, chance) = stream.source().place();
                to.put(&(stream.left(), chance.clone(), blocks.place()))
            }
        }
    }

    fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        match self {
            Self::Generated(stream) => {
                let (left, place) = from.take()?;
                stream.go_on(left).go_on_at(place);
            }
            Self::Trace(stream) => {
                let (left, place) = from.take()?;
                stream.go_on(left).go_on_at(place);
            }
            Self::Kept(stream) => {
                let (left, chance, of_trace, place) = from.take()?;
                let trace = stream.go_on(left).go_on_with(chance);
                trace.go_on(of_trace).go_on_at(place);
            }
            Self::Blocks(stream) => {
                let (left, chance, place) = from.take()?;
                stream.go_on(left).go_on_with(chance).go_on_at(place);
            }
        }
        Ok(())
    }
}
