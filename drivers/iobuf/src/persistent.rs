//! Pages of a peer's that stay mapped.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use hv::{Access, DomId, GrantRef, Hypervisor};

/// Places that pages are kept at, by the low bits of their references: a power of two. Those of a
/// peer are near to each other, so a place has few.
const PLACES: usize = 512;
/// Pages at one place at most, whatever references a peer makes up.
const CROWD: usize = 16;

/// The pages of one peer that stay mapped here, since it uses them again and again
/// (`feature-persistent` in blkif.h). They are unmapped when this [ends](Self::end) or is dropped.
///
/// A page is mapped when a request first names it, up to a number of pages, and of pages with like
/// references; what is beyond is copied by Xen, and so is everything after the first page that Xen
/// does not map: the peer did not grant it, or not for writing.
pub struct PersistentGrants<H: Hypervisor> {
    hv: H,
    peer: DomId,
    most: usize,
    mapped: Cell<usize>,
    refused: Cell<bool>,
    places: RefCell<Vec<Place<H>>>,
}

type Place<H> = Vec<(GrantRef, Rc<<H as Hypervisor>::Mapping>)>;

impl<H: Hypervisor> PersistentGrants<H> {
    /// At most `most` pages of `peer`'s; none is mapped yet.
    #[must_use]
    pub fn new(hv: H, peer: DomId, most: usize) -> Self {
        Self {
            hv,
            peer,
            most,
            mapped: Cell::new(0),
            refused: Cell::new(false),
            places: RefCell::new((0..PLACES).map(|_| Vec::new()).collect()),
        }
    }

    /// Pages that are mapped.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.mapped.get()
    }

    /// Unmaps all pages, and maps none from now on. A memory that is about some of them keeps those
    /// until it is about something else.
    pub fn end(&self) {
        self.refused.set(true);
        self.mapped.set(0);
        self.places.borrow_mut().iter_mut().for_each(Vec::clear);
    }

    /// The page of this reference, mapped now if it is new; `None` if Xen has to copy.
    #[inline]
    pub(crate) fn page(&self, reference: GrantRef) -> Option<Rc<H::Mapping>> {
        let mut places = self.places.borrow_mut();
        let place = places.get_mut(reference.0 as usize % PLACES)?;
        match place.iter().find(|(known, _)| *known == reference) {
            Some((_, page)) => Some(page.clone()),
            None => self.map(reference, place),
        }
    }

    #[cold]
    fn map(&self, reference: GrantRef, place: &mut Place<H>) -> Option<Rc<H::Mapping>> {
        let full = self.mapped.get() >= self.most || place.len() >= CROWD;
        if self.refused.get() || full {
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
        place.push((reference, page.clone()));
        self.mapped.set(self.mapped.get() + 1);
        Some(page)
    }
}
