//! A page that a peer may map.

use core::cell::Cell;

use hv::{DomId, GrantRef, Hypervisor, Mfn, Page, SharedMem};

use super::Grants;

/// A page that a peer may map. It is shared memory: read it by copying.
///
/// Dropping it ends the grant; if the peer still maps the page, it is parked.
pub struct Granted<H: Hypervisor> {
    pub(super) grants: Grants<H>,
    pub(super) life: u32,
    pub(super) reference: u32,
    pub(super) peer: DomId,
    /// Taken only by [`end`](Self::end) and by drop.
    pub(super) page: Option<H::Page>,
    pub(super) parked_by_owner: Cell<bool>,
}

impl<H: Hypervisor> Granted<H> {
    /// What the peer maps the page by.
    #[must_use]
    pub fn reference(&self) -> GrantRef {
        GrantRef(self.reference)
    }

    /// Whether the peer maps the page now. It may map it again at any moment until the grant ends.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        let grants = &self.grants.inner;
        self.life == grants.life.get() && grants.table.borrow().is_mapped(self.reference)
    }

    /// Parks the page while its grant goes on: it is of no use any more, but the peer may still
    /// come to a request that names it. If the grant ended, that request would name whichever page
    /// is granted next under the same reference. The caller keeps it until the peer cannot.
    pub fn park(&self) {
        if !self.parked_by_owner.replace(true) {
            self.grants.park(self.life, self.peer);
        }
    }

    /// Ends the grant. Returns the page, or `None` if the peer still maps it: then it is parked
    /// until the peer lets go.
    pub fn end(mut self) -> Option<H::Page> {
        let page = self.page.take()?;
        let by_owner = self.parked_by_owner.get();
        self.grants
            .end(self.life, self.reference, self.peer, page, by_owner)
    }

    /// The page itself.
    #[must_use]
    pub fn page(&self) -> &H::Page {
        match &self.page {
            Some(page) => page,
            None => unreachable!("the page is taken only when the grant itself is consumed"),
        }
    }
}

impl<H: Hypervisor> Drop for Granted<H> {
    fn drop(&mut self) {
        if let Some(page) = self.page.take() {
            let by_owner = self.parked_by_owner.get();
            let grants = &self.grants;
            drop(grants.end(self.life, self.reference, self.peer, page, by_owner));
        }
    }
}

impl<H: Hypervisor> Page for Granted<H> {
    fn mfn(&self) -> Mfn {
        self.page().mfn()
    }
}

impl<H: Hypervisor> SharedMem for Granted<H> {
    fn len(&self) -> usize {
        self.page().len()
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        self.page().read(offset, into);
    }
    fn write(&self, offset: usize, from: &[u8]) {
        self.page().write(offset, from);
    }
    fn fill(&self, offset: usize, length: usize, value: u8) {
        self.page().fill(offset, length, value);
    }
    fn load_u32(&self, offset: usize) -> u32 {
        self.page().load_u32(offset)
    }
    fn store_u32(&self, offset: usize, value: u32) {
        self.page().store_u32(offset, value);
    }
    fn load_u64(&self, offset: usize) -> u64 {
        self.page().load_u64(offset)
    }
    fn store_u64(&self, offset: usize, value: u64) {
        self.page().store_u64(offset, value);
    }
    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16> {
        self.page().compare_exchange_u16(offset, current, new)
    }
    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
        self.page().fetch_or_u64(offset, mask)
    }
    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
        self.page().fetch_and_u64(offset, mask)
    }
}
