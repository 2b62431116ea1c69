//! What Xen is still to copy.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use geom::Memory;
use hv::{CopyGrant, Hypervisor, PAGE_SIZE};

use crate::IoPage;

/// Copies that wait at most: one more has them made. So many 4 KiB pages are 1 MiB.
const WAITING: usize = 256;

/// The copies between this domain's pages and those of others that were asked for and not made
/// yet, in their order. A handle; one for the domain, so that one hypercall serves all.
pub struct Copies<H: Hypervisor>(Rc<Inner<H>>);

struct Inner<H: Hypervisor> {
    hv: H,
    waiting: RefCell<Waiting>,
    /// A page for what is no page, taken when first needed.
    bounce: RefCell<Option<Rc<dyn Memory>>>,
    counts: Cell<CopyUse>,
}

struct Waiting {
    copies: Vec<CopyGrant>,
    owners: Vec<Owner>,
}

/// Who hears if Xen refuses a copy, and the page of this domain's that it is about: alive until it
/// is made.
struct Owner {
    refused: Rc<Cell<bool>>,
    _page: Rc<dyn Memory>,
}

/// How much was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyUse {
    /// Copies that Xen was asked for.
    pub copies: u64,
    /// Times it was asked.
    pub batches: u64,
    /// Copies that it refused.
    pub refused: u64,
}

impl<H: Hypervisor> Clone for Copies<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<H: Hypervisor> Copies<H> {
    /// Nothing to copy yet.
    #[must_use]
    pub fn new(hv: H) -> Self {
        let waiting = Waiting {
            copies: Vec::with_capacity(WAITING),
            owners: Vec::with_capacity(WAITING),
        };
        Self(Rc::new(Inner {
            hv,
            waiting: RefCell::new(waiting),
            bounce: RefCell::default(),
            counts: Cell::default(),
        }))
    }

    /// How much was copied so far.
    #[must_use]
    pub fn usage(&self) -> CopyUse {
        self.0.counts.get()
    }

    /// Notes a copy to or from `page`. `refused` is set if Xen does not make it.
    pub(crate) fn add(&self, copy: CopyGrant, refused: &Rc<Cell<bool>>, page: &Rc<dyn Memory>) {
        let mut waiting = self.0.waiting.borrow_mut();
        if waiting.copies.len() == WAITING {
            self.make(&mut waiting);
        }
        waiting.copies.push(copy);
        waiting.owners.push(Owner {
            refused: refused.clone(),
            _page: page.clone(),
        });
    }

    /// Who makes them.
    pub(crate) fn hv(&self) -> &H {
        &self.0.hv
    }

    /// Has Xen make all that wait.
    pub fn flush(&self) {
        let mut waiting = self.0.waiting.borrow_mut();
        if !waiting.copies.is_empty() {
            self.make(&mut waiting);
        }
    }

    fn make(&self, waiting: &mut Waiting) {
        let mut counts = self.0.counts.get();
        let Waiting { copies, owners } = waiting;
        self.0.hv.grant_copy(copies, &mut |index, _| {
            counts.refused += 1;
            if let Some(owner) = owners.get(index) {
                owner.refused.set(true);
            }
        });
        counts.copies += copies.len() as u64;
        counts.batches += 1;
        self.0.counts.set(counts);
        copies.clear();
        owners.clear();
    }

    /// A page that everybody may use for a moment: who does flushes before he returns. `None` if
    /// there is no memory.
    pub(crate) fn bounce(&self) -> Option<Rc<dyn Memory>> {
        let mut bounce = self.0.bounce.borrow_mut();
        if bounce.is_none() {
            let page = IoPage::<H>::new(self.0.hv.alloc_page()?);
            debug_assert_eq!(page.len(), PAGE_SIZE);
            *bounce = Some(Rc::new(page));
        }
        bounce.clone()
    }
}
