//! Where the streams that come with fleetsim stand: what a snapshot has of a workload.

use std::any::{Any, type_name};

use super::arrival::{Arrival, ArrivalSource};
use super::error::WorkloadError;
use super::limits::Limited;
use super::repeat::Passes;
use super::resample::{Bootstrap, Thinned};
use super::synthetic::Synthetic;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};

/// No requests.
type Nothing = std::iter::Empty<Result<Arrival, WorkloadError>>;

/// A trace of which some requests are left out.
type Kept = Limited<Thinned<Limited<Passes>>>;

/// A trace that is put together of blocks.
type Blocks = Limited<Thinned<Bootstrap<Limited<Passes>>>>;

/// Whether a stream is known to have no more requests.
pub(crate) fn is_at_an_end(stream: &dyn ArrivalSource) -> bool {
    stream.as_any().is_some_and(|it| it.is::<Nothing>())
}

/// Writes where a stream stands.
pub(super) fn save<I: Any>(stream: &I, to: &mut StateWriter) -> Result<(), SaveError> {
    let stream: &dyn Any = stream;
    if let Some(generated) = stream.downcast_ref::<Limited<Synthetic>>() {
        to.put(&(generated.left(), generated.source().place()))
    } else if let Some(trace) = stream.downcast_ref::<Limited<Passes>>() {
        to.put(&(trace.left(), trace.source().place()))
    } else if let Some(kept) = stream.downcast_ref::<Kept>() {
        let (trace, chance) = kept.source().place();
        let place = trace.source().place();
        to.put(&(kept.left(), chance.clone(), trace.left(), place))
    } else if let Some(made) = stream.downcast_ref::<Blocks>() {
        let (blocks, chance) = made.source().place();
        to.put(&(made.left(), chance.clone(), blocks.place()))
    } else {
        let what = format!("the stream of requests {}", type_name::<I>());
        let why = "it is none of fleetsim's, and has no `ArrivalSource::save` of its own";
        Err(SaveError::not_saved(what, why))
    }
}

/// Lets a stream go on from where one stood that was opened from the same.
pub(super) fn restore<I: Any>(
    stream: &mut I,
    from: &mut StateReader<'_>,
) -> Result<(), RestoreError> {
    let stream: &mut dyn Any = stream;
    if let Some(generated) = stream.downcast_mut::<Limited<Synthetic>>() {
        let (left, place) = from.take()?;
        generated.go_on(left).go_on_at(place);
    } else if let Some(trace) = stream.downcast_mut::<Limited<Passes>>() {
        let (left, place) = from.take()?;
        trace.go_on(left).go_on_at(place);
    } else if let Some(kept) = stream.downcast_mut::<Kept>() {
        let (left, chance, of_trace, place) = from.take()?;
        let trace = kept.go_on(left).go_on_with(chance);
        trace.go_on(of_trace).go_on_at(place);
    } else if let Some(made) = stream.downcast_mut::<Blocks>() {
        let (left, chance, place) = from.take()?;
        made.go_on(left).go_on_with(chance).go_on_at(place);
    } else {
        let what = format!("the stream of requests {}", type_name::<I>());
        return Err(RestoreError::unreadable(what, "it is none of fleetsim's"));
    }
    Ok(())
}
