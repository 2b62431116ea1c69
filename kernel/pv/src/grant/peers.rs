//! How many pages each peer has; pure.

use alloc::vec::Vec;
use core::cell::RefCell;

use hv::DomId;

/// The pages of every peer that has any. There are few peers: they are looked up in turn.
#[derive(Debug, Default)]
pub(super) struct Peers(RefCell<Vec<Peer>>);

#[derive(Debug)]
struct Peer {
    domain: DomId,
    /// Granted or parked.
    pages: usize,
    /// Those of them that are parked.
    parked: usize,
}

impl Peers {
    /// A page is granted. Only this may need memory: ending a grant and parking do not.
    pub(super) fn grant(&self, domain: DomId) {
        let mut peers = self.0.borrow_mut();
        match peers.iter_mut().find(|peer| peer.domain == domain) {
            Some(peer) => peer.pages += 1,
            None => peers.push(Peer {
                domain,
                pages: 1,
                parked: 0,
            }),
        }
    }

    /// A granted page is parked.
    pub(super) fn park(&self, domain: DomId) {
        let mut peers = self.0.borrow_mut();
        if let Some(peer) = peers.iter_mut().find(|peer| peer.domain == domain) {
            peer.parked += 1;
        }
    }

    /// The peer has a page no more, which was `parked` until now or was not.
    pub(super) fn release(&self, domain: DomId, parked: bool) {
        let mut peers = self.0.borrow_mut();
        let Some(place) = peers.iter().position(|peer| peer.domain == domain) else {
            return;
        };
        let peer = &mut peers[place];
        peer.pages -= 1;
        peer.parked -= usize::from(parked);
        if peer.pages == 0 {
            peers.swap_remove(place);
        }
    }

    /// No peer has any page.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    /// How many pages of a peer's are parked.
    pub(super) fn parked(&self, domain: DomId) -> usize {
        let peers = self.0.borrow();
        let peer = peers.iter().find(|peer| peer.domain == domain);
        peer.map_or(0, |peer| peer.parked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_is_counted_for_itself_and_forgotten_with_its_last_page() {
        let peers = Peers::default();
        for domain in [1, 1, 2] {
            peers.grant(DomId(domain));
        }
        peers.park(DomId(1));
        assert_eq!(
            [1, 2, 3].map(|domain| peers.parked(DomId(domain))),
            [1, 0, 0]
        );
        peers.release(DomId(1), false);
        assert_eq!(peers.parked(DomId(1)), 1);
        peers.release(DomId(1), true);
        peers.release(DomId(2), false);
        assert!(peers.0.borrow().is_empty());
    }
}
