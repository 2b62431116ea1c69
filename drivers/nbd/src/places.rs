//! How many clients there may be.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::IpAddr;

/// A number of places, of which one peer gets half at most.
pub(crate) struct Places {
    count: usize,
    taken: Rc<RefCell<Vec<IpAddr>>>,
}

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            count,
            taken: Rc::default(),
        }
    }

    /// `None` if all are taken, or half of all by the same.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<Place> {
        let mut taken = self.taken.borrow_mut();
        let same = taken.iter().filter(|known| **known == peer).count();
        if taken.len() >= self.count || same >= self.count / 2 {
            return None;
        }
        taken.push(peer);
        Some(Place {
            peer,
            taken: self.taken.clone(),
        })
    }
}

/// A place that is taken; dropping it frees it.
pub(crate) struct Place {
    peer: IpAddr,
    taken: Rc<RefCell<Vec<IpAddr>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.borrow_mut();
        if let Some(at) = taken.iter().position(|known| *known == self.peer) {
            taken.swap_remove(at);
        }
    }
}
