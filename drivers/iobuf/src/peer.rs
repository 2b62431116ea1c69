//! What one request of another domain is about: parts of pages that it granted.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::any::Any;
use core::cell::{Cell, RefCell};

use geom::{Errno, Memory};
use hv::{CopyEnd, CopyGrant, DomId, GrantRef, Hypervisor, PAGE_SIZE, Page, Shared};

use crate::page::own;
use crate::{Copies, PersistentGrants};

/// A part of a page that the peer granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The page.
    pub reference: GrantRef,
    /// Where in the page it starts, in bytes.
    pub offset: u16,
    /// Its bytes; at least one, and `offset + length` is at most a page.
    pub length: u16,
}

/// Parts of a peer's pages in a row, as one memory.
///
/// A page that stays mapped is copied to and from at once. What else is copied to and from pages of
/// this domain is put off and made by Xen, with everything else that waits, when somebody settles;
/// copies of the bytes themselves are made at once, through a page of this domain's. A page that
/// the peer did not grant, or has taken back, is found out then: [`settle`](Memory::settle) tells.
///
/// One that is used again for another request allocates only for more segments than it ever had.
pub struct PeerMemory<H: Hypervisor> {
    copies: Copies<H>,
    peer: DomId,
    persistent: Option<Rc<PersistentGrants<H>>>,
    parts: RefCell<Parts<H>>,
    refused: Rc<Cell<bool>>,
}

struct Parts<H: Hypervisor> {
    list: Vec<Part<H>>,
    length: usize,
    /// Every part but the last is a whole page.
    whole_pages: bool,
}

struct Part<H: Hypervisor> {
    /// Where it starts in the whole.
    start: usize,
    segment: Segment,
    /// Its page, if that stays mapped.
    page: Option<Rc<H::Mapping>>,
}

impl<H: Hypervisor> Default for Part<H> {
    fn default() -> Self {
        Self {
            start: 0,
            segment: Segment {
                reference: GrantRef(0),
                offset: 0,
                length: 0,
            },
            page: None,
        }
    }
}

/// Which way bytes go: to the peer's pages.
const TO_PEER: bool = true;
/// From them.
const FROM_PEER: bool = false;

/// Where bytes come from and where they go, by the way that they go.
fn ends<T>(to_peer: bool, ours: T, theirs: T) -> (T, T) {
    if to_peer {
        (ours, theirs)
    } else {
        (theirs, ours)
    }
}

/// Some bytes of a page of this domain's.
struct Piece<'a, H: Hypervisor> {
    memory: &'a Rc<dyn Memory>,
    page: &'a H::Page,
    at: usize,
    length: usize,
}

impl<H: Hypervisor> PeerMemory<H> {
    /// Memory of `peer` without a byte. `persistent` has the pages of this peer that stay mapped.
    #[must_use]
    pub fn new(
        copies: &Copies<H>,
        peer: DomId,
        persistent: Option<&Rc<PersistentGrants<H>>>,
    ) -> Self {
        let parts = Parts {
            list: Vec::new(),
            length: 0,
            whole_pages: true,
        };
        Self {
            copies: copies.clone(),
            peer,
            persistent: persistent.cloned(),
            parts: RefCell::new(parts),
            refused: Rc::default(),
        }
    }

    /// Makes it the memory of another request. The last one's copies must be settled.
    ///
    /// # Errors
    /// That of the first segment that is none; it is the memory of nothing then.
    pub fn reset<E>(
        &self,
        segments: impl ExactSizeIterator<Item = Result<Segment, E>>,
    ) -> Result<(), E> {
        self.refused.set(false);
        let mut parts = self.parts.borrow_mut();
        let result = parts.fill(segments, self.persistent.as_deref());
        if result.is_err() {
            parts.clear();
        }
        result
    }

    /// Makes it the memory of nothing, and lets go of its pages.
    pub fn clear(&self) {
        self.refused.set(false);
        self.parts.borrow_mut().clear();
    }

    /// Makes or notes the copies of `piece` to or from the bytes at `at`.
    #[inline]
    fn copy<const WAY: bool>(&self, at: usize, piece: &Piece<'_, H>) {
        let parts = self.parts.borrow();
        let mut index = parts.index(at);
        let mut done = 0;
        while done < piece.length {
            let Some(part) = parts.list.get(index) else {
                self.refused.set(true);
                return;
            };
            let skipped = at + done - part.start;
            let left = usize::from(part.segment.length) - skipped;
            let length = left.min(piece.length - done);
            let theirs = usize::from(part.segment.offset) + skipped;
            let ours = piece.at + done;
            if let Some(page) = &part.page {
                let theirs = (Shared::Mapping(&**page), theirs);
                let ours = (Shared::Page(piece.page), ours);
                // What was put off comes first: it may be about the same bytes of ours.
                self.copies.flush();
                let (from, to) = ends(WAY, ours, theirs);
                self.copies.hv().copy(from, to, length);
            } else {
                self.put_off::<WAY>(part.segment.reference, theirs, piece, ours, length);
            }
            done += length;
            index += 1;
        }
    }

    /// Has Xen copy between one of the peer's pages and a piece, later.
    #[inline(never)]
    fn put_off<const WAY: bool>(
        &self,
        reference: GrantRef,
        their_offset: usize,
        piece: &Piece<'_, H>,
        our_offset: usize,
        length: usize,
    ) {
        let theirs = (CopyEnd::Foreign(self.peer, reference), narrow(their_offset));
        let ours = (CopyEnd::Local(piece.page.mfn()), narrow(our_offset));
        let (source, destination) = ends(WAY, ours, theirs);
        let copy = CopyGrant {
            source: source.0,
            source_offset: source.1,
            destination: destination.0,
            destination_offset: destination.1,
            length: narrow(length),
        };
        self.copies.add(copy, &self.refused, piece.memory);
    }

    /// Copies at once to the bytes at `at` from something that is not a page, through one that is:
    /// `fill` fills it for a piece, given the piece's start and length.
    // Apart from the copies between pages, which are many and small.
    #[inline(never)]
    fn bounce_in(&self, at: usize, length: usize, fill: impl Fn(&Rc<dyn Memory>, usize, usize)) {
        let Some(page) = self.copies.bounce() else {
            self.refused.set(true);
            return;
        };
        for start in (0..length).step_by(PAGE_SIZE) {
            let length = PAGE_SIZE.min(length - start);
            fill(&page, start, length);
            self.copy_from(at + start, &page, 0, length);
            self.copies.flush();
        }
    }

    /// The same from the bytes at `at`: `empty` empties the page.
    #[inline(never)]
    fn bounce_out(
        &self,
        at: usize,
        length: usize,
        mut empty: impl FnMut(&Rc<dyn Memory>, usize, usize),
    ) {
        let Some(page) = self.copies.bounce() else {
            self.refused.set(true);
            return;
        };
        for start in (0..length).step_by(PAGE_SIZE) {
            let length = PAGE_SIZE.min(length - start);
            self.copy_to(at + start, &page, 0, length);
            self.copies.flush();
            // After a refusal the page still holds what somebody else copied through it.
            if !self.refused.get() {
                empty(&page, start, length);
            }
        }
    }
}

/// An offset or length within a page.
fn narrow(within_page: usize) -> u16 {
    debug_assert!(within_page <= PAGE_SIZE);
    u16::try_from(within_page).unwrap_or(u16::MAX)
}

impl<H: Hypervisor> Parts<H> {
    fn fill<E>(
        &mut self,
        segments: impl ExactSizeIterator<Item = Result<Segment, E>>,
        persistent: Option<&PersistentGrants<H>>,
    ) -> Result<(), E> {
        if self.list.len() != segments.len() {
            self.list.resize_with(segments.len(), Part::default);
        }
        let (mut length, mut whole_pages) = (0, true);
        for (part, segment) in self.list.iter_mut().zip(segments) {
            let segment = segment?;
            // A peer that uses its pages again often uses the same for the same.
            if part.page.is_none() || part.segment.reference != segment.reference {
                part.page = persistent.and_then(|pages| pages.page(segment.reference));
            }
            part.start = length;
            part.segment = segment;
            whole_pages &= length.is_multiple_of(PAGE_SIZE);
            length += usize::from(segment.length);
        }
        self.length = length;
        self.whole_pages = whole_pages;
        Ok(())
    }

    fn clear(&mut self) {
        self.list.clear();
        self.length = 0;
    }

    /// The part that holds the byte at `at`.
    fn index(&self, at: usize) -> usize {
        if self.whole_pages {
            return at / PAGE_SIZE;
        }
        let after = self.list.partition_point(|part| part.start <= at);
        after.saturating_sub(1)
    }
}

impl<H: Hypervisor> Memory for PeerMemory<H> {
    fn len(&self) -> usize {
        self.parts.borrow().length
    }

    fn copy_in(&self, at: usize, from: &[u8]) {
        self.bounce_in(at, from.len(), |page, start, length| {
            if let Some(from) = from.get(start..start + length) {
                page.copy_in(0, from);
            }
        });
    }

    fn copy_out(&self, at: usize, to: &mut [u8]) {
        self.bounce_out(at, to.len(), |page, start, length| {
            if let Some(to) = to.get_mut(start..start + length) {
                page.copy_out(0, to);
            }
        });
    }

    fn copy_from(&self, at: usize, source: &Rc<dyn Memory>, from: usize, length: usize) {
        let Some(page) = own::<H>(&**source) else {
            self.bounce_in(at, length, |page, start, length| {
                source.copy_to(from + start, page, 0, length);
            });
            return;
        };
        let piece = Piece {
            memory: source,
            page,
            at: from,
            length,
        };
        self.copy::<TO_PEER>(at, &piece);
    }

    fn copy_to(&self, at: usize, target: &Rc<dyn Memory>, to: usize, length: usize) {
        let Some(page) = own::<H>(&**target) else {
            self.bounce_out(at, length, |page, start, length| {
                target.copy_from(to + start, page, 0, length);
            });
            return;
        };
        let piece = Piece {
            memory: target,
            page,
            at: to,
            length,
        };
        self.copy::<FROM_PEER>(at, &piece);
    }

    #[inline]
    fn settle(&self) -> Result<(), Errno> {
        self.copies.flush();
        if self.refused.get() {
            Err(Errno::Io)
        } else {
            Ok(())
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
