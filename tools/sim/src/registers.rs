//! Registers of devices, and what devices do in a domain's memory.
//!
//! Registers are plain memory that a device's model shares with the domain: it is woken by every
//! write, and looks at what is there then.

use std::ops::Range;
use std::rc::Rc;

use hv::{DomId, Errno, Mfn, PAGE_SIZE};

use crate::fault::Call;
use crate::frame::{Frame, Hold, Memory};
use crate::{ActorId, Xen};

const PAGE: u64 = PAGE_SIZE as u64;

/// A device's registers.
pub(crate) struct Registers {
    frame: Rc<Frame>,
    pages: usize,
    /// Who may map them.
    owner: DomId,
    /// The device's model.
    device: Option<ActorId>,
}

impl Xen {
    /// Makes a device's registers, `pages` pages at `address`, which `owner` may map
    /// (`XEN_DOMCTL_iomem_permission`).
    ///
    /// # Panics
    /// If the address does not begin a page.
    pub fn add_registers(&self, address: u64, pages: usize, owner: DomId) -> Rc<Frame> {
        assert!(address.is_multiple_of(PAGE), "registers begin a page");
        let frame = Frame::in_a_row(address / PAGE, pages);
        let registers = Registers {
            frame: frame.clone(),
            pages,
            owner,
            device: None,
        };
        self.state()
            .registers
            .borrow_mut()
            .insert(address, registers);
        frame
    }

    /// Has every write to the registers at `address` wake `device`.
    pub fn watch_registers(&self, address: u64, device: ActorId) {
        if let Some(registers) = self.state().registers.borrow_mut().get_mut(&address) {
            registers.device = Some(device);
        }
    }

    /// The device is pulled out: its registers cannot be mapped any more. Who has them mapped reads
    /// what the model leaves in them: all ones, to be true.
    pub fn remove_registers(&self, address: u64) {
        self.state().registers.borrow_mut().remove(&address);
    }

    pub(crate) fn registers_written(&self, frame: &Rc<Frame>) {
        let device = {
            let all = self.state().registers.borrow();
            let found = all.get(&(frame.mfn().0 * PAGE));
            found.and_then(|registers| registers.device)
        };
        if let Some(device) = device {
            self.wake(device);
        }
    }

    /// Maps these machine frames, which the domain has seen to be none of its memory.
    pub(crate) fn map_device(&self, dom: DomId, mfns: Range<u64>) -> Result<Memory, Errno> {
        if let Some(error) = self.fault(dom, Call::MapDevice) {
            return Err(error);
        }
        let all = self.state().registers.borrow();
        let found = all.get(&(mfns.start * PAGE)).ok_or(Errno::EINVAL)?;
        let pages = mfns.count();
        if found.owner != dom || pages > found.pages {
            return Err(Errno::EINVAL);
        }
        self.with(dom, |domain| domain.mappings += 1);
        let hold = Hold::Device {
            xen: self.clone(),
            length: pages * PAGE_SIZE,
        };
        Ok(Memory::new(found.frame.clone(), dom, hold))
    }

    pub(crate) fn unmap_device(&self, dom: DomId) {
        if self.knows(dom) {
            self.with(dom, |domain| domain.mappings -= 1);
        }
    }

    /// The frame of `dom` that a device finds at machine address `address`, and the offset in it.
    /// An address that is none of the domain's is a violation: a driver gave the device memory that
    /// it does not have, or not any more.
    fn found_by_device(&self, dom: DomId, address: u64) -> Option<(Rc<Frame>, usize)> {
        let frame = self.find_frame(Mfn(address / PAGE), dom);
        if frame.is_none() {
            self.violation(format!("a device of domain {dom} went for {address:#x}"));
        }
        let offset = usize::try_from(address % PAGE).expect("less than a page");
        Some((frame?, offset))
    }

    /// A device reads a domain's memory, in one page.
    ///
    /// # Errors
    /// `EFAULT` when the memory is none of the domain's, which is a violation.
    ///
    /// # Panics
    /// If the bytes leave the page.
    pub fn dma_read(&self, dom: DomId, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let (frame, offset) = self.found_by_device(dom, address).ok_or(Errno::EFAULT)?;
        frame.peek(offset, into);
        Ok(())
    }

    /// A device writes a domain's memory, in one page.
    ///
    /// # Errors
    /// `EFAULT` when the memory is none of the domain's, which is a violation.
    ///
    /// # Panics
    /// If the bytes leave the page.
    pub fn dma_write(&self, dom: DomId, address: u64, from: &[u8]) -> Result<(), Errno> {
        let (frame, offset) = self.found_by_device(dom, address).ok_or(Errno::EFAULT)?;
        frame.poke(offset, from);
        Ok(())
    }
}
