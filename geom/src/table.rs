//! All objects of one kind, found by their id in one step.
//!
//! An id names the slot that holds the object and the object itself, so a lookup is an index and a
//! comparison, and an id of a dead object finds nothing. Slots are used again, and their number
//! only grows: a table that has held as many objects before allocates nothing for one more.

use alloc::vec::Vec;

/// What names an object of a table. Younger objects have greater ids.
pub(crate) trait Id: Copy + Ord {
    /// The id of object number `serial` in `slot`.
    fn new(serial: u64, slot: usize) -> Self;

    /// The slot of the object.
    fn slot(self) -> usize;
}

/// See the module text.
pub(crate) struct Table<I, T> {
    slots: Vec<Slot<I, T>>,
    /// The first of the free slots; beyond the end if there is none.
    free: usize,
    count: usize,
}

enum Slot<I, T> {
    Used(I, T),
    /// And the next free one.
    Free(usize),
}

/// No slot.
const NONE: usize = usize::MAX;

impl<I, T> Default for Table<I, T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            count: 0,
        }
    }
}

impl<I: Id, T> Table<I, T> {
    /// Takes in the object that `make` makes for its id. No two objects have the same serial.
    pub(crate) fn add(&mut self, serial: u64, make: impl FnOnce(I) -> T) -> I {
        self.count += 1;
        if let Some(slot) = self.slots.get_mut(self.free) {
            let id = I::new(serial, self.free);
            if let Slot::Free(next) = *slot {
                self.free = next;
            }
            *slot = Slot::Used(id, make(id));
            return id;
        }
        let id = I::new(serial, self.slots.len());
        self.slots.push(Slot::Used(id, make(id)));
        id
    }

    pub(crate) fn remove(&mut self, id: I) -> Option<T> {
        let slot = self.slots.get_mut(id.slot())?;
        if !matches!(slot, Slot::Used(own, _) if *own == id) {
            return None;
        }
        let used = core::mem::replace(slot, Slot::Free(self.free));
        self.free = id.slot();
        self.count -= 1;
        match used {
            Slot::Used(_, value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn get(&self, id: I) -> Option<&T> {
        match self.slots.get(id.slot())? {
            Slot::Used(own, value) if *own == id => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        match self.slots.get_mut(id.slot())? {
            Slot::Used(own, value) if *own == id => Some(value),
            _ => None,
        }
    }

    pub(crate) fn contains(&self, id: I) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// All objects, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Used(id, value) => Some((*id, value)),
            Slot::Free(_) => None,
        })
    }

    /// All objects, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    /// All objects, in no order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Used(_, value) => Some(value),
            Slot::Free(_) => None,
        })
    }

    /// All objects, the oldest first. Allocates.
    pub(crate) fn sorted(&self) -> Vec<(I, &T)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::GeomId;

    /// What is in a table, by its iterator and by lookup.
    fn content(table: &Table<GeomId, u64>) -> Vec<u64> {
        let all = table.sorted();
        assert_eq!(all.len(), table.len());
        for (id, value) in &all {
            assert_eq!(table.get(*id), Some(*value));
        }
        let mut values: Vec<u64> = table.values().copied().collect();
        values.sort_unstable();
        assert!(
            all.iter()
                .map(|(_, value)| **value)
                .eq(values.iter().copied())
        );
        values
    }

    #[test]
    fn objects_are_listed_in_their_order_and_found_by_their_own_id_only() {
        let mut table = Table::<GeomId, u64>::default();
        let ids: Vec<_> = (1..=5).map(|n| table.add(n, |_| n)).collect();
        assert_eq!(content(&table), [1, 2, 3, 4, 5]);
        for index in [2, 0, 4] {
            assert_eq!(table.remove(ids[index]), Some(index as u64 + 1));
            assert_eq!(table.remove(ids[index]), None);
        }
        assert_eq!(content(&table), [2, 4]);
        let later: Vec<_> = (6..=9).map(|n| table.add(n, |_| n)).collect();
        assert_eq!(content(&table), [2, 4, 6, 7, 8, 9]);
        for id in [ids[2], ids[0], ids[4]] {
            assert_eq!(table.get(id), None, "dead, and its slot has another");
            assert_eq!(table.get_mut(id), None);
        }
        assert!(later.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(table.contains(later[3]) && !table.contains(ids[0]));
        table.values_mut().for_each(|value| *value += 10);
        assert_eq!(content(&table), [12, 14, 16, 17, 18, 19]);
        for id in later.iter().chain(&ids) {
            table.remove(*id);
        }
        assert_eq!((content(&table), table.len()), (vec![], 0));
        assert_eq!(table.add(10, |_| 1).slot(), ids[3].slot());
    }

    #[test]
    fn slots_are_used_again() {
        let mut table = Table::<GeomId, u64>::default();
        for serial in 0..1000 {
            let id = table.add(serial, |_| serial);
            if serial >= 3 {
                let oldest = table.sorted().first().map(|(id, _)| *id);
                assert_eq!(oldest.and_then(|id| table.remove(id)), Some(serial - 3));
            }
            assert!(id.slot() < 4);
        }
        assert_eq!(content(&table), [997, 998, 999]);
    }
}
