//! Pages of a peer's that stay mapped.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use hv::{Access, DomId, GrantRef, Hypervisor};

/// The pages of one peer that stay mapped here, since it uses them again and again
/// (`feature-persistent` in blkif.h). They are unmapped when this [ends](Self::end) or is dropped.
///
/// A page is mapped when a request first names it, up to a number of pages; what is beyond is
/// copied by Xen, and so is everything after the first page that Xen does not map: the peer did not
/// grant it, or not for writing.
pub struct PersistentGrants<H: Hypervisor> {
    hv: H,
    peer: DomId,
    most: usize,
    refused: Cell<bool>,
    pages: RefCell<BTreeMap<u32, Rc<H::Mapping>>>,
}

impl<H: Hypervisor> PersistentGrants<H> {
    /// At most `most` pages of `peer`'s; none is mapped yet.
    #[must_use]
    pub fn new(hv: H, peer: DomId, most: usize) -> Self {
        Self {
            hv,
            peer,
            most,
            refused: Cell::new(false),
            pages: RefCell::default(),
        }
    }

    /// Pages that are mapped.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.pages.borrow().len()
    }

    /// Unmaps all pages, and maps none from now on. A memory that is about some of them keeps those
    /// until it is about something else.
    pub fn end(&self) {
        self.refused.set(true);
        self.pages.borrow_mut().clear();
    }

    /// The page of this reference, mapped now if it is new; `None` if Xen has to copy.
    pub(crate) fn page(&self, reference: GrantRef) -> Option<Rc<H::Mapping>> {
        let mut pages = self.pages.borrow_mut();
        if let Some(page) = pages.get(&reference.0) {
            return Some(page.clone());
        }
        if self.refused.get() || pages.len() >= self.most {
            return None;
        }
        let mut mapped = self
            .hv
            .grant_map(self.peer, &[reference], Access::ReadWrite);
        let Some(Ok(page)) = mapped.pop() else {
            self.refused.set(true);
            return None;
        };
        let page = Rc::new(page);
        pages.insert(reference.0, page.clone());
        Some(page)
    }
}
