//! A list that a domain that dies can still read.
//!
//! Who puts something into a list may be what dies: when there is no memory for it, say. So a
//! change is made to a copy, which takes the list's place in one step that needs nothing.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::claim::Key;

/// What each device has, in the order of their keys; one at most.
pub(crate) struct Listed<T>(RefCell<List<T>>);

/// The list as it was at some moment.
pub(crate) type List<T> = Rc<Vec<(Key, Rc<T>)>>;

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Listed<T> {
    /// The list as it is now.
    pub(crate) fn all(&self) -> List<T> {
        self.0.borrow().clone()
    }

    /// The same in a domain that dies; `None` if that happened in the step itself.
    pub(crate) fn last(&self) -> Option<List<T>> {
        self.0.try_borrow().ok().map(|list| list.clone())
    }

    /// What device `key` has.
    pub(crate) fn get(&self, key: Key) -> Option<Rc<T>> {
        let list = self.0.borrow();
        let at = list.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        list.get(at).map(|(_, one)| one.clone())
    }

    /// Gives device `key` another one in place of what it has.
    pub(crate) fn insert(&self, key: Key, one: Rc<T>) {
        self.change(|list| {
            list.retain(|(other, _)| *other != key);
            let at = list.partition_point(|(other, _)| *other < key);
            list.insert(at, (key, one));
        });
    }

    /// Takes what device `key` has.
    pub(crate) fn remove(&self, key: Key) -> Option<Rc<T>> {
        let one = self.get(key)?;
        self.change(|list| list.retain(|(other, _)| *other != key));
        Some(one)
    }

    /// Whether device `key` has this one.
    pub(crate) fn has(&self, key: Key, one: &Rc<T>) -> bool {
        self.get(key).is_some_and(|known| Rc::ptr_eq(&known, one))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<(Key, Rc<T>)>)) {
        let mut list = Vec::clone(&self.all());
        change(&mut list);
        // Dropped when the step is done: whatever that does, it finds the new one.
        let _before = self.0.replace(Rc::new(list));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use hv::DomId;

    use super::Listed;

    #[test]
    fn each_device_has_one_at_most_and_they_are_in_order() {
        let list = Listed::default();
        let key = |device| (DomId(1), device);
        for (device, one) in [(2, 'b'), (1, 'a'), (3, 'c'), (2, 'd')] {
            list.insert(key(device), Rc::new(one));
        }
        let all: Vec<_> = list.all().iter().map(|(key, one)| (key.1, **one)).collect();
        assert_eq!(all, [(1, 'a'), (2, 'd'), (3, 'c')]);
        let former = list.remove(key(2)).expect("it is there");
        assert!(!list.has(key(2), &former));
        assert!(list.remove(key(2)).is_none());
        assert_eq!(list.all().len(), 2);
    }

    #[test]
    fn it_can_be_read_wherever_a_change_of_it_stops() {
        let list = Listed::default();
        list.insert((DomId(1), 0), Rc::new(()));
        list.change(|copy| {
            copy.clear();
            assert_eq!(list.last().map(|list| list.len()), Some(1));
        });
        assert_eq!(list.last().map(|list| list.len()), Some(0));
    }
}
