//! Entries by their place in a lane, in order: what is open of a million is kept in runs of neighbours, so that an entry
//! costs its own size and little more. A general map would take twice that, for appending leaves its nodes half empty.
//! A clone shares the runs until either changes them, so that a million entries are held still in no time.

use aldis_wire::codec::{BorrowDecode, BorrowDecoder, Decode, DecodeError, Decoder, Encode, EncodeError, Encoder};
use std::collections::BTreeMap;
use std::ops::Index;
use std::sync::Arc;

/// How many neighbouring places share a run, as a power of two.
const RUN_BITS: u32 = 6;

/// Entries by place. Encoded as a list of (place, entry), places ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places<T> {
    runs: BTreeMap<u64, Arc<Vec<(u64, T)>>>,
    len: usize,
}

impl<T> Places<T> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry at a place.
    pub fn get(&self, place: &u64) -> Option<&T> {
        let run = self.runs.get(&run_of(*place))?;
        at(run, *place).ok().map(|found| &run[found].1)
    }

    /// All entries, places ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&u64, &T)> {
        self.starting_at(0)
    }

    /// All places, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &u64> {
        self.iter().map(|(place, _)| place)
    }

    /// The entries from a place on.
    pub fn starting_at(&self, first: u64) -> impl Iterator<Item = (&u64, &T)> {
        let runs = self.runs.range(run_of(first)..).flat_map(|(_, run)| run.iter());
        runs.skip_while(move |(place, _)| *place < first).map(|(place, entry)| (place, entry))
    }
}

impl<T: Clone> Places<T> {
    pub(crate) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        let run = Arc::make_mut(self.runs.get_mut(&run_of(place))?);
        at(run, place).ok().map(|found| &mut run[found].1)
    }

    /// The entries between two places, both included.
    pub(crate) fn between_mut(&mut self, first: u64, last: u64) -> impl Iterator<Item = (u64, &mut T)> {
        let runs = (first <= last).then(|| self.runs.range_mut(run_of(first)..=run_of(last)));
        let entries = runs.into_iter().flatten().flat_map(|(_, run)| Arc::make_mut(run));
        entries.filter(move |(place, _)| (first..=last).contains(place)).map(|(place, entry)| (*place, entry))
    }

    pub(crate) fn insert(&mut self, place: u64, entry: T) {
        let run = Arc::make_mut(self.runs.entry(run_of(place)).or_default());
        match at(run, place) {
            Ok(found) => run[found].1 = entry,
            Err(gap) => {
                run.insert(gap, (place, entry));
                self.len += 1;
            }
        }
    }

    pub(crate) fn remove(&mut self, place: u64) -> Option<T> {
        let run = Arc::make_mut(self.runs.get_mut(&run_of(place))?);
        let found = at(run, place).ok()?;
        let (_, entry) = run.remove(found);
        self.len -= 1;
        if run.is_empty() {
            self.runs.remove(&run_of(place));
        } else if run.len() <= run.capacity() / 4 {
            run.shrink_to_fit();
        }
        Some(entry)
    }
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { runs: BTreeMap::new(), len: 0 }
    }
}

impl<T> Index<&u64> for Places<T> {
    type Output = T;
    /// # Panics
    /// If nothing is at the place.
    fn index(&self, place: &u64) -> &T {
        self.get(place).expect("an entry is asked for at a place that has one")
    }
}

impl<T: Encode> Encode for Places<T> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.len as u64).encode(encoder)?;
        self.iter().try_for_each(|(place, entry)| {
            place.encode(encoder)?;
            entry.encode(encoder)
        })
    }
}

impl<C, T: Decode<C> + Clone> Decode<C> for Places<T> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let count = u64::decode(decoder)?;
        let (mut places, mut last) = (Self::default(), None);
        for _ in 0..count {
            let place = u64::decode(decoder)?;
            if last.is_some_and(|last| place <= last) {
                return Err(DecodeError::OtherString("places do not ascend".into()));
            }
            last = Some(place);
            places.insert(place, T::decode(decoder)?);
        }
        Ok(places)
    }
}

impl<'de, C, T: Decode<C> + Clone> BorrowDecode<'de, C> for Places<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

fn run_of(place: u64) -> u64 {
    place >> RUN_BITS
}

fn at<T>(run: &[(u64, T)], place: u64) -> Result<usize, usize> {
    run.binary_search_by_key(&place, |(known, _)| *known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_a_map_in_order(
            steps in prop::collection::vec((0u8..4, 0u64..400, any::<u32>()), 0..300), first in 0u64..400, last in 0u64..400,
        ) {
            let (mut places, mut model) = (Places::default(), BTreeMap::new());
            let mut held = Vec::new();
            for (what, place, value) in steps {
                if value % 16 == 0 {
                    held.push((places.clone(), model.clone()));
                }
                if what == 0 {
                    places.remove(place);
                    model.remove(&place);
                } else {
                    places.insert(place, value);
                    model.insert(place, value);
                }
                prop_assert_eq!(places.len(), model.len());
                prop_assert_eq!(places.get(&place), model.get(&place));
            }
            prop_assert!(places.iter().eq(model.iter()));
            prop_assert!(places.starting_at(first).eq(model.range(first..)));
            for (_, value) in places.between_mut(first, last) {
                *value = 0;
            }
            model.iter_mut().filter(|(place, _)| (first..=last).contains(place)).for_each(|(_, value)| *value = 0);
            prop_assert!(places.iter().eq(model.iter()));
            for (places, model) in held {
                prop_assert!(places.iter().eq(model.iter()) && places.len() == model.len(), "a clone stays as it was");
            }
            let bytes = aldis_wire::codec::encode(&places);
            prop_assert_eq!(&bytes, &aldis_wire::codec::encode(&model));
            prop_assert_eq!(aldis_wire::codec::decode::<Places<u32>>(&bytes).unwrap(), places);
        }
    }
}
