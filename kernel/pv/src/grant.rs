//! The grant table: pages that a peer may map.
//!
//! Version 1 entries of grant_table.h, 8 bytes each: flags, domain, frame. The rule that everything
//! here serves: **a page that a peer may still map is never used again**. Ending a grant is a
//! compare-and-swap (XSA-396); what is still mapped is parked, its page and reference with it, and
//! tried again by [`Grants::sweep`]. What a peer may still come to, mapped or not, its owner parks
//! by [`Granted::park`].

mod granted;
mod peers;
pub mod span;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::time::Duration;

use exec::{Executor, Notify};
use hv::{Access, DomId, Errno, Hypervisor, Mfn, Page, SharedMem};
use xen_abi::grant_table::{
    self, ENTRY_SIZE, GTF_PERMIT_ACCESS, GTF_READING, GTF_READONLY, GTF_WRITING,
};

pub use granted::Granted;
use peers::Peers;

const ENTRIES_PER_PAGE: usize = grant_table::ENTRIES_PER_PAGE as usize;
const RESERVED_ENTRIES: usize = grant_table::RESERVED_ENTRIES as usize;

/// How often ending a grant is tried when its flags change under our feet; Xen changes them only
/// while a peer maps or unmaps.
const TRIES: usize = 8;

/// How long a page stays parked before the first sweep.
const FIRST_SWEEP: Duration = Duration::from_millis(10);
/// The longest pause between two sweeps.
const RAREST_SWEEP: Duration = Duration::from_secs(1);

/// What Xen sets in an entry's flags while a peer maps the page or a copy is under way.
const IN_USE: u16 = GTF_READING | GTF_WRITING;

/// What a run loop has of the domain's grant table: pages of it that are its own. Clones speak for
/// the same ones.
pub struct Grants<H: Hypervisor> {
    inner: Rc<Inner<H>>,
}

impl<H: Hypervisor> Clone for Grants<H> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

struct Inner<H: Hypervisor> {
    hv: H,
    /// Which of the domain's lives it is: a grant of a former one is none any more.
    life: Cell<u32>,
    table: RefCell<Table<H>>,
    granted: Cell<usize>,
    peers: Peers,
    /// Parked by their owners, who still have them.
    parked_by_owner: Cell<usize>,
    parked_ever: Cell<u64>,
    parked: Notify,
}

struct Table<H: Hypervisor> {
    /// By their numbers; those that are not there are another run loop's.
    frames: Vec<Option<H::Mapping>>,
    /// How many there are.
    count: usize,
    max_frames: u32,
    free: Vec<u32>,
    /// Pages whose grant has ended but which a peer still maps. Room for every entry is reserved
    /// when the table grows, so that parking never allocates.
    parked: Vec<(u32, DomId, H::Page)>,
}

/// Why a page could not be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantRefusal {
    /// Every entry is in use and the table cannot grow.
    TableFull,
    /// Xen refused to grow the table.
    Xen(Errno),
    /// The page's frame number does not fit a version 1 entry (it lies above 16 TiB).
    FrameTooHigh,
}

impl fmt::Display for GrantRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableFull => f.write_str("the grant table is full"),
            Self::Xen(errno) => write!(f, "the grant table cannot grow: {errno}"),
            Self::FrameTooHigh => f.write_str("the page lies above 16 TiB"),
        }
    }
}

/// A page that could not be granted, and why.
pub struct GrantError<P> {
    /// The page, given back.
    pub page: P,
    /// Why.
    pub refusal: GrantRefusal,
}

impl<P> fmt::Debug for GrantError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantError({})", self.refusal)
    }
}

/// How the grant table is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantUse {
    /// Pages that peers may map and that are of use.
    pub granted: usize,
    /// Pages that cannot be used again yet: a peer still maps them, or may still come to what names
    /// them.
    pub parked: usize,
    /// Pages parked since the start.
    pub parked_ever: u64,
    /// Entries nobody uses.
    pub free: usize,
    /// Entries there are now.
    pub entries: usize,
    /// Entries the domain's whole table may grow to.
    pub max_entries: usize,
}

impl<H: Hypervisor> Grants<H> {
    /// None of the domain's grant table yet: no page of it is mapped before the first grant.
    ///
    /// A table whose limits Xen does not tell cannot grow: every grant is refused then.
    pub fn new(hv: H) -> Self {
        let max_frames = hv.grant_limits().map_or(0, |limits| limits.max_frames);
        let table = Table {
            frames: Vec::new(),
            count: 0,
            max_frames,
            free: Vec::new(),
            parked: Vec::new(),
        };
        let inner = Inner {
            hv,
            life: Cell::new(0),
            table: RefCell::new(table),
            granted: Cell::new(0),
            peers: Peers::default(),
            parked_by_owner: Cell::new(0),
            parked_ever: Cell::new(0),
            parked: Notify::new(),
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    /// Lets `peer` map `page`. What the page holds, `peer` can read.
    ///
    /// # Errors
    /// The page, and why it was not granted.
    pub fn grant(
        &self,
        page: H::Page,
        peer: DomId,
        access: Access,
    ) -> Result<Granted<H>, GrantError<H::Page>> {
        match self.enter(page.mfn(), peer, access) {
            Ok(reference) => Ok(Granted {
                grants: self.clone(),
                life: self.inner.life.get(),
                reference,
                peer,
                page: Some(page),
                parked_by_owner: Cell::new(false),
            }),
            Err(refusal) => Err(GrantError { page, refusal }),
        }
    }

    /// Makes an entry for a page.
    fn enter(&self, page: Mfn, peer: DomId, access: Access) -> Result<u32, GrantRefusal> {
        let frame = u32::try_from(page.0).map_err(|_| GrantRefusal::FrameTooHigh)?;
        let mut table = self.inner.table.borrow_mut();
        if table.free.is_empty() {
            table.grow(&self.inner.hv)?;
        }
        let reference = table.free.pop().ok_or(GrantRefusal::TableFull)?;
        let flags = match access {
            Access::ReadOnly => GTF_PERMIT_ACCESS | GTF_READONLY,
            Access::ReadWrite => GTF_PERMIT_ACCESS,
        };
        let mut entry = [0; ENTRY_SIZE - 2];
        entry[..2].copy_from_slice(&peer.0.to_le_bytes());
        entry[2..].copy_from_slice(&frame.to_le_bytes());
        let (frame, offset) = place(reference);
        if let Some(Some(frame)) = table.frames.get(frame) {
            frame.write(offset + 2, &entry);
            // The flags make the entry valid, so they come last. Nobody else writes a free entry.
            let _was_zero = frame.compare_exchange_u16(offset, 0, flags);
        }
        self.inner.granted.set(self.inner.granted.get() + 1);
        self.inner.peers.grant(peer);
        Ok(reference)
    }

    /// Tries again to take back what peers still mapped when its grant ended. Returns how many
    /// pages came back.
    pub fn sweep(&self) -> usize {
        let mut table = self.inner.table.borrow_mut();
        let table = &mut *table;
        let before = table.parked.len();
        let mut index = 0;
        while let Some((reference, peer, _)) = table.parked.get(index) {
            let (reference, peer) = (*reference, *peer);
            if table.revoke(reference) {
                table.parked.swap_remove(index);
                table.free.push(reference);
                self.inner.peers.release(peer, true);
            } else {
                index += 1;
            }
        }
        before - table.parked.len()
    }

    /// Sweeps for ever: soon after a page was parked, then ever more rarely, and not at all while
    /// nothing is parked. To be spawned once per domain.
    pub async fn reclaim(self, exec: Executor) {
        loop {
            self.inner.parked.notified().await;
            let mut pause = FIRST_SWEEP;
            while !self.inner.table.borrow().parked.is_empty() {
                exec.sleep(pause).await;
                self.sweep();
                pause = (pause * 2).min(RAREST_SWEEP);
            }
        }
    }

    /// How the table is used.
    #[must_use]
    pub fn usage(&self) -> GrantUse {
        let table = self.inner.table.borrow();
        GrantUse {
            granted: self.inner.granted.get(),
            parked: table.parked.len() + self.inner.parked_by_owner.get(),
            parked_ever: self.inner.parked_ever.get(),
            free: table.free.len(),
            entries: table.count * ENTRIES_PER_PAGE,
            max_entries: table.max_frames as usize * ENTRIES_PER_PAGE,
        }
    }

    /// How many pages that were granted to `peer` are parked, as [`GrantUse::parked`] counts them.
    #[must_use]
    pub fn parked_by(&self, peer: DomId) -> usize {
        self.inner.peers.parked(peer)
    }

    /// The domain lives anew ([`Resumed::Anew`](hv::Resumed)), with an empty table: nobody maps a
    /// page of it, and what is parked comes back. What was granted is of no use any more; its
    /// owners drop it when they like.
    pub fn begin_anew(&self) {
        let inner = &self.inner;
        inner.life.set(inner.life.get().wrapping_add(1));
        let mut table = inner.table.borrow_mut();
        table.max_frames = inner
            .hv
            .grant_limits()
            .map_or(0, |limits| limits.max_frames);
        table.frames.clear();
        table.count = 0;
        table.free.clear();
        table.parked.clear();
        inner.granted.set(0);
        inner.parked_by_owner.set(0);
        inner.peers.clear();
    }

    /// Counts a page as parked by its owner.
    fn park(&self, life: u32, peer: DomId) {
        let inner = &self.inner;
        if life != inner.life.get() {
            return;
        }
        inner.peers.park(peer);
        inner.granted.set(inner.granted.get() - 1);
        let parked = &inner.parked_by_owner;
        parked.set(parked.get() + 1);
        inner.parked_ever.set(inner.parked_ever.get() + 1);
    }

    fn end(
        &self,
        life: u32,
        reference: u32,
        peer: DomId,
        page: H::Page,
        parked_by_owner: bool,
    ) -> Option<H::Page> {
        if life != self.inner.life.get() {
            return Some(page);
        }
        let mut table = self.inner.table.borrow_mut();
        let count = if parked_by_owner {
            &self.inner.parked_by_owner
        } else {
            &self.inner.granted
        };
        count.set(count.get() - 1);
        if table.revoke(reference) {
            table.free.push(reference);
            self.inner.peers.release(peer, parked_by_owner);
            return Some(page);
        }
        table.parked.push((reference, peer, page));
        if !parked_by_owner {
            self.inner.peers.park(peer);
            self.inner.parked_ever.set(self.inner.parked_ever.get() + 1);
        }
        self.inner.parked.notify();
        None
    }
}

impl<H: Hypervisor> Table<H> {
    fn grow(&mut self, hv: &H) -> Result<(), GrantRefusal> {
        // Also where other run loops have the rest, which Xen says.
        if self.count >= self.max_frames as usize {
            return Err(GrantRefusal::TableFull);
        }
        let (number, page) = hv.next_grant_table_page().map_err(GrantRefusal::Xen)?;
        let number = number as usize;
        if self.frames.len() <= number {
            self.frames.resize_with(number + 1, || None);
        }
        if let Some(frame) = self.frames.get_mut(number) {
            *frame = Some(page);
        }
        self.count += 1;
        let room = self.count * ENTRIES_PER_PAGE;
        let (known, parked) = (self.free.len(), self.parked.len());
        self.free.reserve(room - known);
        self.parked.reserve(room - parked);
        let entries = (number + 1) * ENTRIES_PER_PAGE;
        let first = (entries - ENTRIES_PER_PAGE).max(RESERVED_ENTRIES);
        // Lowest reference on top: it is the next one used.
        self.free.extend(
            (first..entries)
                .rev()
                .filter_map(|entry| u32::try_from(entry).ok()),
        );
        Ok(())
    }

    fn is_mapped(&self, reference: u32) -> bool {
        let (frame, offset) = place(reference);
        let frame = self.frames.get(frame).and_then(Option::as_ref);
        frame.is_some_and(|frame| flags(frame, offset) & IN_USE != 0)
    }

    /// Takes the permission away unless the peer maps the page; says whether it did.
    fn revoke(&self, reference: u32) -> bool {
        let (frame, offset) = place(reference);
        let Some(Some(frame)) = self.frames.get(frame) else {
            return false;
        };
        for _ in 0..TRIES {
            let flags = flags(frame, offset);
            if flags & IN_USE != 0 {
                return false;
            }
            if frame.compare_exchange_u16(offset, flags, 0).is_ok() {
                return true;
            }
        }
        false
    }
}

fn flags(frame: &impl SharedMem, offset: usize) -> u16 {
    let mut flags = [0; 2];
    frame.read(offset, &mut flags);
    u16::from_le_bytes(flags)
}

/// The table page that holds an entry, and the entry's offset in it.
fn place(reference: u32) -> (usize, usize) {
    let reference = reference as usize;
    (
        reference / ENTRIES_PER_PAGE,
        reference % ENTRIES_PER_PAGE * ENTRY_SIZE,
    )
}
