//! Pages of memory, and who holds them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hv::{DomId, Mfn, PAGE_SIZE, SharedMem};

use crate::Xen;
use crate::grants::Pin;

/// Called after a domain read from a frame: the frame, who read, the offset and the length.
///
/// A hostile peer uses it to change memory between two reads.
pub type Snoop = Box<dyn FnMut(&Frame, DomId, usize, usize)>;

/// One machine frame: 4 KiB that several domains may hold at once; or a device's registers, which
/// may be several.
///
/// A frame number is used once: a page freed and taken again has another one, so a peer that still
/// uses the old number is caught.
pub struct Frame {
    mfn: u64,
    bytes: RefCell<Box<[u8]>>,
    snoop: RefCell<Option<Snoop>>,
    /// Mappings that other domains have of this frame.
    pub(crate) foreign_mappings: Cell<u32>,
    /// It is of a former life of the domain, where nothing is mapped any more.
    pub(crate) unmapped: Cell<bool>,
}

impl Frame {
    pub(crate) fn new(mfn: u64) -> Rc<Self> {
        Self::in_a_row(mfn, 1)
    }

    /// `pages` frames in a row, of which `mfn` is the first.
    pub(crate) fn in_a_row(mfn: u64, pages: usize) -> Rc<Self> {
        Rc::new(Self {
            mfn,
            bytes: RefCell::new(vec![0; pages * PAGE_SIZE].into()),
            snoop: RefCell::new(None),
            foreign_mappings: Cell::new(0),
            unmapped: Cell::new(false),
        })
    }

    /// The frame's number.
    #[must_use]
    pub fn mfn(&self) -> Mfn {
        Mfn(self.mfn)
    }

    /// Has `snoop` called after each read of this frame that goes through a [`Memory`], and after
    /// each time that Xen copies from it.
    pub fn set_snoop(&self, snoop: Option<Snoop>) {
        *self.snoop.borrow_mut() = snoop;
    }

    pub(crate) fn snooped(&self, reader: DomId, offset: usize, length: usize) {
        // Taken out while it runs: it may itself read and write the frame.
        let taken = self.snoop.borrow_mut().take();
        if let Some(mut snoop) = taken {
            snoop(self, reader, offset, length);
            let mut slot = self.snoop.borrow_mut();
            if slot.is_none() {
                *slot = Some(snoop);
            }
        }
    }

    /// Copies bytes out, without anyone's noticing.
    pub fn peek(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes.borrow()[offset..offset + into.len()]);
    }

    /// Copies bytes in.
    pub fn poke(&self, offset: usize, from: &[u8]) {
        self.bytes.borrow_mut()[offset..offset + from.len()].copy_from_slice(from);
    }

    pub(crate) fn word<const N: usize>(&self, offset: usize) -> [u8; N] {
        assert!(
            offset.is_multiple_of(N),
            "offset {offset} is not a multiple of {N}"
        );
        let mut word = [0; N];
        self.peek(offset, &mut word);
        word
    }

    /// The 16-bit value at `offset`.
    #[must_use]
    pub fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.word(offset))
    }

    /// The 32-bit value at `offset`.
    #[must_use]
    pub fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.word(offset))
    }

    /// The 64-bit value at `offset`.
    #[must_use]
    pub fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.word(offset))
    }

    pub(crate) fn set_u16(&self, offset: usize, value: u16) {
        self.poke(offset, &value.to_le_bytes());
    }

    /// Sets bit `bit` of the bit field at `offset`; returns whether it was set before.
    pub(crate) fn set_bit(&self, offset: usize, bit: u32) -> bool {
        let (at, mask) = (offset + (bit / 8) as usize, 1 << (bit % 8));
        let mut bytes = self.bytes.borrow_mut();
        let before = bytes[at] & mask != 0;
        bytes[at] |= mask;
        before
    }

    /// Clears bit `bit` of the bit field at `offset`; returns whether it was set before.
    pub(crate) fn clear_bit(&self, offset: usize, bit: u32) -> bool {
        let (at, mask) = (offset + (bit / 8) as usize, 1 << (bit % 8));
        let mut bytes = self.bytes.borrow_mut();
        let before = bytes[at] & mask != 0;
        bytes[at] &= !mask;
        before
    }

    /// Whether bit `bit` of the bit field at `offset` is set.
    pub(crate) fn bit(&self, offset: usize, bit: u32) -> bool {
        self.bytes.borrow()[offset + (bit / 8) as usize] & (1 << (bit % 8)) != 0
    }
}

/// Why a domain may use a frame, and what ends when it lets go.
pub(crate) enum Hold {
    /// The domain's own page, taken with `alloc_page`.
    Own(Xen),
    /// Memory that stays as long as the domain: shared info, the ring pages, the grant table.
    Fixed,
    /// A page that another domain granted.
    Granted { xen: Xen, pin: Pin, writable: bool },
    /// A device's registers: their first `length` bytes.
    Device { xen: Xen, length: usize },
}

/// A domain's hold on one frame: its own page, or a mapping.
///
/// Dropping it frees the page or unmaps it. Freeing a page that a peer may still use is recorded as
/// a violation (`Xen::violations`).
pub struct Memory {
    pub(crate) frame: Rc<Frame>,
    who: DomId,
    hold: Hold,
}

impl Memory {
    pub(crate) fn new(frame: Rc<Frame>, who: DomId, hold: Hold) -> Self {
        Self { frame, who, hold }
    }

    /// The frame itself.
    #[must_use]
    pub fn frame(&self) -> &Rc<Frame> {
        &self.frame
    }

    /// Whether the hold allows writing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !matches!(
            self.hold,
            Hold::Granted {
                writable: false,
                ..
            }
        )
    }

    fn check_writable(&self) {
        assert!(
            self.is_writable(),
            "page fault: write through a read-only mapping of a granted page"
        );
    }

    fn check(&self, offset: usize, length: usize) {
        assert!(
            !self.frame.unmapped.get(),
            "page fault: a page of a former life of the domain"
        );
        assert!(
            offset <= self.len() && length <= self.len() - offset,
            "{length} bytes at {offset} leave the memory"
        );
    }

    /// A device sees at once what is written to its registers.
    fn written(&self) {
        if let Hold::Device { xen, .. } = &self.hold {
            xen.registers_written(&self.frame);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match &self.hold {
            Hold::Own(xen) => xen.free_page(self.who, &self.frame),
            Hold::Fixed => {}
            Hold::Granted { xen, pin, .. } => xen.unpin(pin),
            Hold::Device { xen, .. } => xen.unmap_device(self.who),
        }
    }
}

impl hv::Page for Memory {
    fn mfn(&self) -> Mfn {
        self.frame.mfn()
    }
}

impl SharedMem for Memory {
    fn len(&self) -> usize {
        match self.hold {
            Hold::Device { length, .. } => length,
            Hold::Own(_) | Hold::Fixed | Hold::Granted { .. } => PAGE_SIZE,
        }
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        self.check(offset, into.len());
        self.frame.peek(offset, into);
        self.frame.snooped(self.who, offset, into.len());
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.check(offset, from.len());
        self.check_writable();
        self.frame.poke(offset, from);
        self.written();
    }

    fn fill(&self, offset: usize, length: usize, value: u8) {
        self.check(offset, length);
        self.check_writable();
        self.frame.bytes.borrow_mut()[offset..offset + length].fill(value);
        self.written();
    }

    fn load_u32(&self, offset: usize) -> u32 {
        self.check(offset, 4);
        let value = self.frame.u32(offset);
        self.frame.snooped(self.who, offset, 4);
        value
    }

    fn store_u32(&self, offset: usize, value: u32) {
        assert!(offset.is_multiple_of(4), "offset {offset} is not aligned");
        self.write(offset, &value.to_le_bytes());
    }

    fn load_u64(&self, offset: usize) -> u64 {
        self.check(offset, 8);
        let value = self.frame.u64(offset);
        self.frame.snooped(self.who, offset, 8);
        value
    }

    fn store_u64(&self, offset: usize, value: u64) {
        assert!(offset.is_multiple_of(8), "offset {offset} is not aligned");
        self.write(offset, &value.to_le_bytes());
    }

    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16> {
        self.check(offset, 2);
        self.check_writable();
        let found = self.frame.u16(offset);
        if found != current {
            return Err(found);
        }
        self.frame.set_u16(offset, new);
        Ok(found)
    }

    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
        let before = self.frame.u64(offset);
        self.store_u64(offset, before | mask);
        before
    }

    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
        let before = self.frame.u64(offset);
        self.store_u64(offset, before & mask);
        before
    }
}
