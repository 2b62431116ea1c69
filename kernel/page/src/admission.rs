//! Who is served at once.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use net::{IpAddress, peer};

/// The most clients at once.
const ALL: usize = 16;
/// The most of one peer.
const ONE: usize = 8;

/// Who is being served. A handle.
#[derive(Clone, Default)]
pub struct Admission {
    present: Rc<RefCell<Vec<IpAddress>>>,
}

/// A place among those that are served; dropping it leaves it.
pub struct Place {
    admission: Admission,
    peer: IpAddress,
}

impl Admission {
    /// A place for a client, unless there are too many, or too many of its peer.
    #[must_use]
    pub fn admit(&self, address: IpAddress) -> Option<Place> {
        let peer = peer::of(address);
        let mut present = self.present.borrow_mut();
        let same = present.iter().filter(|known| **known == peer).count();
        if present.len() >= ALL || same >= ONE {
            return None;
        }
        present.push(peer);
        Some(Place {
            admission: self.clone(),
            peer,
        })
    }

    /// Whether there are so few that one who has had an answer may stay for another.
    #[must_use]
    pub fn is_roomy(&self) -> bool {
        self.present() <= ALL / 2
    }

    /// How many are served.
    #[must_use]
    pub fn present(&self) -> usize {
        self.present.borrow().len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.admission.present.borrow_mut();
        if let Some(at) = present.iter().position(|known| *known == self.peer) {
            present.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_half_of_the_places_and_gives_them_back() {
        let admission = Admission::default();
        let address = |last| IpAddress::v4(10, 0, 0, last);
        let mut greedy: Vec<_> = (0..20)
            .filter_map(|_| admission.admit(address(1)))
            .collect();
        assert_eq!(greedy.len(), ONE);
        let others: Vec<_> = (2..40)
            .filter_map(|n| admission.admit(address(n)))
            .collect();
        assert_eq!(others.len(), ALL - ONE);
        greedy.pop();
        assert!(admission.admit(address(1)).is_some());
        drop((greedy, others));
        assert_eq!(admission.present(), 0);
    }

    #[test]
    fn p10_a_network_of_addresses_is_one_host() {
        let admission = Admission::default();
        let address = |net, last| IpAddress::v6(0x2001, 0xdb8, 0, net, last, 1, 2, last);
        let greedy = (0..40).filter_map(|last| admission.admit(address(1, last)));
        let greedy: Vec<_> = greedy.collect();
        assert_eq!(greedy.len(), ONE);
        assert!(admission.is_roomy(), "one host alone may stay");
        let other = admission.admit(address(2, 0));
        assert!(other.is_some() && !admission.is_roomy());
        drop((greedy, other));
        assert_eq!(admission.present(), 0);
    }
}
