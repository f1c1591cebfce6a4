use std::marker::PhantomData;

use super::Id;

/// Lists of items, of which each is in at most one: in, out and over a list cost what they touch.
///
/// The links stand side by side by item, so that nothing is allocated for one.
#[derive(Clone, Debug)]
pub(crate) struct Lists<L, T> {
    /// By list: its first item.
    heads: Vec<u32>,
    /// By item: the next and the one before.
    links: Vec<[u32; 2]>,
    ids: PhantomData<(L, T)>,
}

/// The end of a list.
const END: u32 = u32::MAX;

impl<L, T> Default for Lists<L, T> {
    fn default() -> Self {
        Self {
            heads: Vec::new(),
            links: Vec::new(),
            ids: PhantomData,
        }
    }
}

impl<L: Id, T: Id> Lists<L, T> {
    /// Puts an item, which is in no list, into one.
    pub(crate) fn insert(&mut self, list: L, item: T) {
        let (list, at) = (list.index(), item.index());
        if list >= self.heads.len() {
            self.heads.resize(list + 1, END);
        }
        if at >= self.links.len() {
            self.links.resize(at + 1, [END; 2]);
        }
        let next = std::mem::replace(&mut self.heads[list], at as u32);
        self.links[at] = [next, END];
        if next != END {
            self.links[next as usize][1] = at as u32;
        }
    }

    /// Takes an item out of the list that it is in.
    pub(crate) fn remove(&mut self, list: L, item: T) {
        let [next, before] = self.links[item.index()];
        if before == END {
            self.heads[list.index()] = next;
        } else {
            self.links[before as usize][0] = next;
        }
        if next != END {
            self.links[next as usize][1] = before;
        }
    }

    /// The items of a list, the last to come first.
    pub(crate) fn iter(&self, list: L) -> impl Iterator<Item = T> + '_ {
        let first = self.heads.get(list.index()).copied().unwrap_or(END);
        let mut next = first;
        std::iter::from_fn(move || {
            let at = next;
            next = self.links.get(at as usize)?[0];
            Some(T::from_index(at as usize))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::serving::EngineId;
    use crate::serving::engine::RequestId;

    proptest! {
        #[test]
        fn it_is_as_a_map_from_items_to_lists(steps in prop::collection::vec((0u32..30, 0u32..4), 1..300)) {
            let mut lists = Lists::<EngineId, RequestId>::default();
            let mut model = BTreeMap::new();
            for (item, list) in steps {
                if let Some(list) = model.remove(&item) {
                    lists.remove(EngineId(list), RequestId(item));
                } else {
                    lists.insert(EngineId(list), RequestId(item));
                    model.insert(item, list);
                }
                for list in 0..5 {
                    let mut got: Vec<u32> = lists.iter(EngineId(list)).map(|it| it.0).collect();
                    got.sort_unstable();
                    let want = model.iter().filter(|(_, of)| **of == list).map(|(&item, _)| item);
                    prop_assert!(want.eq(got));
                }
            }
        }
    }
}
