use serde::{Deserialize, Serialize};

use crate::serving::EngineId;
use crate::serving::engine::RequestId;
use crate::serving::queue::fetch;

/// Requests whose prompts and tokens are served by different engines, by engine, while no engine or only
/// that of the prompt has them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Split {
    /// By engine.
    sides: Vec<Side>,
    /// The requests of engines that ever had more than their side takes, until they have none.
    many: Many,
}

/// Requests by engine, of which each can be taken out at once. A part is with one engine at a time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Many {
    /// By engine.
    parts: Vec<Vec<Part>>,
    /// By part, its place among those of its engine.
    places: Vec<u32>,
}

/// The requests of one engine, in no particular order. In a large fleet it is read from memory at each step
/// of a request, so it is kept to one line of the cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[repr(C, align(64))]
struct Side {
    /// Tokens to be generated here for the requests that are coming.
    tokens: u64,
    /// How many, or [`MANY`].
    len: u32,
    few: [Part; FEW],
}

const FEW: usize = 13;
const MANY: u32 = u32::MAX;
const _: () = assert!(size_of::<Side>() == 64, "one line of the cache");

/// A request, and whether it is going or coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part(u32);

impl Part {
    /// Of the engine of the tokens: until the KV cache is there.
    const fn coming(id: RequestId) -> Self {
        Self(id.0 << 1)
    }

    /// Of the engine of the prompt: from the end of the prompt until the KV cache is gone.
    const fn going(id: RequestId) -> Self {
        Self(id.0 << 1 | 1)
    }

    const fn index(self) -> usize {
        self.0 as usize
    }

    const fn is_going(self) -> bool {
        self.0 & 1 == 1
    }

    const fn request(self) -> RequestId {
        RequestId(self.0 >> 1)
    }
}

impl Many {
    fn insert(&mut self, engine: EngineId, part: Part) {
        if self.parts.len() <= engine.index() {
            self.parts.resize_with(engine.index() + 1, Vec::new);
        }
        if self.places.len() <= part.index() {
            self.places.resize(part.index() + 1, 0);
        }
        let parts = &mut self.parts[engine.index()];
        self.places[part.index()] = parts.len() as u32;
        parts.push(part);
    }

    /// Takes out a part that is there.
    fn remove(&mut self, engine: EngineId, part: Part) {
        let parts = &mut self.parts[engine.index()];
        let place = self.places[part.index()] as usize;
        parts.swap_remove(place);
        if let Some(moved) = parts.get(place) {
            self.places[moved.index()] = place as u32;
        }
    }
}

impl Default for Side {
    fn default() -> Self {
        Self {
            tokens: 0,
            len: 0,
            few: [Part(0); FEW],
        }
    }
}

impl Side {
    /// False when it is full.
    fn insert(&mut self, part: Part) -> bool {
        let Some(place) = self.few.get_mut(self.len as usize) else {
            return false;
        };
        *place = part;
        self.len += 1;
        true
    }

    fn remove(&mut self, part: Part) {
        let few = &mut self.few[..self.len as usize];
        if let Some(place) = few.iter().position(|&it| it == part) {
            few[place] = few[few.len() - 1];
            self.len -= 1;
        }
    }
}

impl Split {
    #[inline]
    fn insert(&mut self, engine: EngineId, part: Part) {
        if self.sides.len() <= engine.index() {
            self.sides.resize(engine.index() + 1, Side::default());
        }
        if !self.sides[engine.index()].insert(part) {
            self.insert_into_many(engine, part);
        }
    }

    #[cold]
    fn insert_into_many(&mut self, engine: EngineId, part: Part) {
        let side = &mut self.sides[engine.index()];
        if side.len != MANY {
            side.len = MANY;
            for it in side.few {
                self.many.insert(engine, it);
            }
        }
        self.many.insert(engine, part);
    }

    #[inline]
    fn remove(&mut self, engine: EngineId, part: Part) {
        let side = &mut self.sides[engine.index()];
        if side.len != MANY {
            side.remove(part);
            return;
        }
        self.many.remove(engine, part);
        if self.many.parts[engine.index()].is_empty() {
            side.len = 0;
        }
    }

    fn parts(&self, engine: EngineId) -> &[Part] {
        match self.sides.get(engine.index()) {
            None => &[],
            Some(side) if side.len == MANY => &self.many.parts[engine.index()],
            Some(side) => &side.few[..side.len as usize],
        }
    }

    /// A request will come to an engine for these tokens.
    pub(crate) fn will_come(&mut self, to: EngineId, id: RequestId, tokens: u32) {
        self.insert(to, Part::coming(id));
        self.sides[to.index()].tokens += u64::from(tokens);
    }

    /// A request has come to an engine, or will not come.
    pub(crate) fn has_come(&mut self, to: EngineId, id: RequestId, tokens: u32) {
        self.sides[to.index()].tokens -= u64::from(tokens);
        self.remove(to, Part::coming(id));
    }

    /// The KV cache of a request is to be sent from an engine.
    pub(crate) fn will_go(&mut self, from: EngineId, id: RequestId) {
        self.insert(from, Part::going(id));
    }

    /// The KV cache of a request is gone from an engine.
    pub(crate) fn has_gone(&mut self, from: EngineId, id: RequestId) {
        self.remove(from, Part::going(id));
    }

    /// The requests that will come to an engine.
    pub(crate) fn coming(&self, to: EngineId) -> impl Iterator<Item = RequestId> + '_ {
        let parts = self.parts(to).iter().filter(|part| !part.is_going());
        parts.map(|part| part.request())
    }

    /// The requests whose KV cache is to be sent from an engine, or on its way.
    pub(crate) fn going(&self, from: EngineId) -> impl Iterator<Item = RequestId> + '_ {
        let parts = self.parts(from).iter().filter(|part| part.is_going());
        parts.map(|part| part.request())
    }

    /// Tokens to be generated on an engine for the requests that are coming.
    pub(crate) fn tokens_to_come(&self, to: EngineId) -> u64 {
        self.sides.get(to.index()).map_or(0, |side| side.tokens)
    }

    /// Asks for the line of the cache that an engine has here.
    pub(crate) fn fetch(&self, engine: EngineId) {
        if let Some(side) = self.sides.get(engine.index()) {
            fetch(side);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Each engine has requests of its own: a request comes to one engine and goes from one.
    fn request_of(engine: u32, id: u32) -> RequestId {
        RequestId(id * 3 + engine)
    }

    /// Puts a part in where it is not, and takes it out where it is.
    fn toggle(split: &mut Split, model: &mut BTreeSet<(u32, bool, u32)>, part: (u32, bool, u32)) {
        let (engine, going, id) = part;
        let (at, request) = (EngineId(engine), request_of(engine, id));
        let comes_in = model.insert(part);
        if !comes_in {
            model.remove(&part);
        }
        match (comes_in, going) {
            (true, true) => split.will_go(at, request),
            (true, false) => split.will_come(at, request, id),
            (false, true) => split.has_gone(at, request),
            (false, false) => split.has_come(at, request, id),
        }
    }

    fn assert_same(split: &Split, model: &BTreeSet<(u32, bool, u32)>) {
        for engine in 0..3 {
            let at = EngineId(engine);
            let going = split.going(at).map(|it| (engine, true, it.0 / 3));
            let coming = split.coming(at).map(|it| (engine, false, it.0 / 3));
            let mut got: Vec<_> = going.chain(coming).collect();
            got.sort_unstable();
            let of_it = || model.iter().filter(|it| it.0 == engine);
            assert!(of_it().eq(&got), "{got:?}");
            let coming = of_it().filter(|it| !it.1).map(|it| u64::from(it.2));
            assert_eq!(split.tokens_to_come(at), coming.sum::<u64>());
        }
    }

    proptest! {
        #[test]
        fn it_is_as_a_set_of_parts(parts in prop::collection::vec((0_u32..2, any::<bool>(), 0_u32..40), 1..200)) {
            let (mut split, mut model) = (Split::default(), BTreeSet::new());
            for part in parts {
                toggle(&mut split, &mut model, part);
                assert_same(&split, &model);
            }
            for part in model.clone() {
                toggle(&mut split, &mut model, part);
                assert_same(&split, &model);
            }
        }
    }
}
