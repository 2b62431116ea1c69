//! Pages that stay granted to the backend, and that all data passes through.
//!
//! The backend only ever sees pages of this pool: what it writes after an answer cannot change what
//! a reader was given, and nothing but this disk's data is ever shown to it. So it may keep them
//! mapped for as long as it likes, whether it says so (persistent grants) or not.
//!
//! The page that came back last is taken first, so few pages are in use while few requests are, and
//! a backend that keeps a limited number mapped seldom maps another.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::fmt;

use hv::{Access, DomId, Hypervisor, PAGE_SIZE, SharedMem};
use iobuf::GrantedPage;
use pv::{GrantRefusal, Granted, Pv};

/// A page of a pool: memory as GEOM has it, so that bytes are moved to and from it as whoever owns
/// them knows best.
pub(crate) type PoolPage<H> = Rc<GrantedPage<H>>;

/// Granted pages that no request uses, and the means to make more.
pub(crate) struct Pool<H: Hypervisor> {
    pv: Pv<H>,
    peer: DomId,
    free: Vec<PoolPage<H>>,
    made: usize,
    least: usize,
    most: usize,
    /// The administrator does not trust the backend (`trusted=0`): it may see the bytes of the
    /// request a page is used for, and not those of an earlier one.
    zeroed: bool,
}

/// Why a pool has no page to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPage {
    Memory,
    Grant(GrantRefusal),
}

impl fmt::Display for NoPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("out of memory"),
            Self::Grant(refusal) => refusal.fmt(f),
        }
    }
}

/// Takes a zeroed page and grants it for reading and writing.
pub(crate) fn granted_page<H: Hypervisor>(pv: &Pv<H>, peer: DomId) -> Result<Granted<H>, NoPage> {
    let page = pv.hv.alloc_page().ok_or(NoPage::Memory)?;
    let granted = pv.grants.grant(page, peer, Access::ReadWrite);
    granted.map_err(|error| NoPage::Grant(error.refusal))
}

impl<H: Hypervisor> Pool<H> {
    /// A pool of `least` pages, made now, that may grow to `most`.
    ///
    /// With `least` pages at hand a request of that many can always be made, whatever the rest of
    /// the domain uses: the disk goes on, slowly, when memory or grants run out. And as many are
    /// left when memory is wanted for something else ([`pv::Scarcity`]).
    pub(crate) fn new(
        pv: &Pv<H>,
        peer: DomId,
        least: usize,
        most: usize,
        zeroed: bool,
    ) -> Result<Self, NoPage> {
        let most = most.max(least);
        let free = Vec::with_capacity(most);
        let mut pool = Self {
            pv: pv.clone(),
            peer,
            free,
            made: 0,
            least,
            most,
            zeroed,
        };
        pool.grow(least)?;
        Ok(pool)
    }

    fn grow(&mut self, wanted: usize) -> Result<(), NoPage> {
        while self.free.len() < wanted {
            let page = granted_page(&self.pv, self.peer)?;
            self.made += 1;
            self.free.push(Rc::new(GrantedPage::new(page)));
        }
        Ok(())
    }

    /// How many pages there may be now.
    fn most(&self) -> usize {
        if self.pv.scarcity.is() {
            self.least
        } else {
            self.most
        }
    }

    /// Moves `count` pages to `into`, which must have room for them; all or none. `false` means:
    /// ask again when pages have come back.
    pub(crate) fn take(&mut self, count: usize, into: &mut Vec<PoolPage<H>>) -> bool {
        let missing = count.saturating_sub(self.free.len());
        if missing != 0 && (self.made + missing > self.most() || self.grow(count).is_err()) {
            return false;
        }
        into.extend(self.free.drain(self.free.len() - count..));
        true
    }

    /// Takes back the pages in `from`, to and from which no copy is still to be made.
    pub(crate) fn give(&mut self, from: &mut Vec<PoolPage<H>>) {
        if self.zeroed {
            for page in from.iter() {
                page.granted().fill(0, PAGE_SIZE, 0);
            }
        }
        self.free.append(from);
        // The first ones were not used for the longest time.
        let beyond = self.beyond();
        self.made -= beyond;
        self.free.drain(..beyond);
    }

    /// Lets go of free pages beyond what there may be now, but for those that the backend maps: it
    /// would keep them, and this disk would have others in their place later.
    pub(crate) fn trim(&mut self) {
        let mut beyond = self.beyond();
        let made = &mut self.made;
        self.free.retain(|page| {
            let goes = beyond != 0 && !page.granted().is_mapped();
            if goes {
                beyond -= 1;
                *made -= 1;
            }
            !goes
        });
    }

    /// How many free pages there are beyond what there may be now.
    fn beyond(&self) -> usize {
        self.made.saturating_sub(self.most()).min(self.free.len())
    }
}
