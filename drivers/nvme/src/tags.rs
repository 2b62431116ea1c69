//! Which commands a queue has outstanding, by the ids that their completions name; pure.

use alloc::vec::Vec;

/// Low bits of an id: the place in the table. Those above count, so that a completion that comes
/// twice is not taken for the next command's in the same place.
const PLACE_BITS: u32 = 6;
/// Ids of this round are not used: the highest one has a meaning of its own (5.14.1.1).
const LAST_ROUND: u16 = u16::MAX >> PLACE_BITS;

/// The most commands there can be.
pub(crate) const MOST_TAGS: usize = 1 << PLACE_BITS;

/// A table of what is outstanding. Its room is taken when it is made.
pub(crate) struct Tags<T> {
    places: Vec<Place<T>>,
    free: Vec<usize>,
}

struct Place<T> {
    round: u16,
    what: Option<T>,
}

impl<T> Tags<T> {
    /// Room for `count`, at most [`MOST_TAGS`].
    pub(crate) fn new(count: usize) -> Self {
        let count = count.min(MOST_TAGS);
        let place = || Place {
            round: 0,
            what: None,
        };
        Self {
            places: (0..count).map(|_| place()).collect(),
            free: (0..count).rev().collect(),
        }
    }

    /// Whether there is no room.
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Notes a command; returns its id.
    pub(crate) fn insert(&mut self, what: T) -> Result<u16, T> {
        let Some(index) = self.free.pop() else {
            return Err(what);
        };
        let Some(place) = self.places.get_mut(index) else {
            return Err(what);
        };
        place.round = (place.round + 1) % LAST_ROUND;
        place.what = Some(what);
        Ok(id(place.round, index))
    }

    /// Takes out the command that has this id; `None` if none has.
    pub(crate) fn take(&mut self, id: u16) -> Option<T> {
        let index = usize::from(id) & (MOST_TAGS - 1);
        let place = self.places.get_mut(index)?;
        if place.round != id >> PLACE_BITS {
            return None;
        }
        let what = place.what.take()?;
        self.free.push(index);
        Some(what)
    }

    /// The command that has this id.
    pub(crate) fn get(&self, id: u16) -> Option<&T> {
        let place = self.places.get(usize::from(id) & (MOST_TAGS - 1))?;
        place
            .what
            .as_ref()
            .filter(|_| place.round == id >> PLACE_BITS)
    }

    /// As [`get`](Self::get), to change it.
    pub(crate) fn get_mut(&mut self, id: u16) -> Option<&mut T> {
        let place = self.places.get_mut(usize::from(id) & (MOST_TAGS - 1))?;
        let round = place.round;
        place.what.as_mut().filter(|_| round == id >> PLACE_BITS)
    }

    /// Takes out any one.
    pub(crate) fn take_any(&mut self) -> Option<T> {
        let (index, place) = self
            .places
            .iter_mut()
            .enumerate()
            .find(|(_, place)| place.what.is_some())?;
        self.free.push(index);
        place.what.take()
    }

    /// Those outstanding, with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &T)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(index, place)| Some((id(place.round, index), place.what.as_ref()?)))
    }

    /// As [`iter`](Self::iter), to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut T)> {
        let places = self.places.iter_mut().enumerate();
        places.filter_map(|(index, place)| Some((id(place.round, index), place.what.as_mut()?)))
    }

    /// How many are outstanding.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

/// The id of a place in a round.
fn id(round: u16, index: usize) -> u16 {
    // No place is beyond `MOST_TAGS`.
    round << PLACE_BITS | (index & (MOST_TAGS - 1)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_once_and_not_again_when_its_place_is_in_use_once_more() {
        let mut tags = Tags::new(1);
        let first = tags.insert('a').unwrap();
        assert_eq!(tags.insert('b'), Err('b'));
        assert_eq!(tags.take(first), Some('a'));
        assert_eq!(tags.take(first), None, "twice");
        let second = tags.insert('c').unwrap();
        assert_eq!(tags.take(first), None, "the former id of the place");
        assert_eq!(tags.take(second), Some('c'));
    }

    #[test]
    fn no_id_is_the_highest_one_and_none_comes_back_soon() {
        let mut tags = Tags::new(MOST_TAGS);
        let mut seen = Vec::new();
        for _ in 0..2 * usize::from(LAST_ROUND) {
            let id = tags.insert(()).unwrap();
            assert_ne!(id, u16::MAX);
            let recent = seen.iter().rev().take(usize::from(LAST_ROUND) - 1);
            assert!(!recent.copied().any(|before| before == id));
            seen.push(id);
            assert_eq!(tags.take(id), Some(()));
        }
    }

    #[test]
    fn ids_beyond_the_table_are_nobodys() {
        let mut tags = Tags::new(3);
        let ids: Vec<u16> = (0..3).map(|what| tags.insert(what).unwrap()).collect();
        let unknown = (0..=u16::MAX).filter(|id| !ids.contains(id));
        assert!(unknown.into_iter().all(|id| tags.take(id).is_none()));
        assert_eq!((tags.len(), tags.iter().count()), (3, 3));
        assert!(tags.take_any().is_some());
        assert_eq!(tags.len(), 2);
    }
}
