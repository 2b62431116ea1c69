//! Pages that all data passes through, on its way between the device and whoever asked for it.
//!
//! The device only ever sees these: a request that was given up cannot be written to by it later.
//! They are pages as GEOM has them, so what was read is copied once, by Xen if it is for another
//! domain.

use alloc::rc::Rc;
use alloc::vec::Vec;

use hv::Hypervisor;
use iobuf::IoPage;
use pv::{Pv, Scarcity};

/// A page of a pool.
pub(crate) type PoolPage<H> = Rc<IoPage<H>>;

/// Pages that no request uses, and the means to take more.
pub(crate) struct Pool<H: Hypervisor> {
    hv: H,
    scarcity: Scarcity,
    free: Vec<PoolPage<H>>,
    taken: usize,
    least: usize,
    most: usize,
}

impl<H: Hypervisor> Pool<H> {
    /// A pool of `least` pages, taken now, that may grow to `most`. With them a request of that
    /// many can always be made. `None` without memory.
    pub(crate) fn new(pv: &Pv<H>, least: usize, most: usize) -> Option<Self> {
        let most = most.max(least);
        let mut pool = Self {
            hv: pv.hv.clone(),
            scarcity: pv.scarcity.clone(),
            free: Vec::with_capacity(most),
            taken: 0,
            least,
            most,
        };
        pool.grow(least).then_some(pool)
    }

    fn grow(&mut self, wanted: usize) -> bool {
        while self.free.len() < wanted {
            let Some(page) = self.hv.alloc_page() else {
                return false;
            };
            self.taken += 1;
            self.free.push(Rc::new(IoPage::new(page)));
        }
        true
    }

    /// How many pages there may be now.
    fn most(&self) -> usize {
        if self.scarcity.is() {
            self.least
        } else {
            self.most
        }
    }

    /// Moves `count` pages to `into`; all or none. `false` means: ask again when pages have come
    /// back.
    pub(crate) fn take(&mut self, count: usize, into: &mut Vec<PoolPage<H>>) -> bool {
        let missing = count.saturating_sub(self.free.len());
        if missing != 0 && (self.taken + missing > self.most() || !self.grow(count)) {
            return false;
        }
        into.extend(self.free.drain(self.free.len() - count..));
        true
    }

    /// Takes back the pages in `from`, which neither the device nor a copy still uses.
    pub(crate) fn give(&mut self, from: &mut Vec<PoolPage<H>>) {
        self.free.append(from);
        self.trim();
    }

    /// Lets go of free pages beyond what there may be now.
    pub(crate) fn trim(&mut self) {
        // The first ones were not used for the longest time.
        let beyond = self.taken.saturating_sub(self.most());
        let beyond = beyond.min(self.free.len());
        self.taken -= beyond;
        self.free.drain(..beyond);
    }
}
