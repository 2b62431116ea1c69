//! The pages of the domain's grant table. Each has its address for good; what is mapped there goes
//! while the domain is suspended, since a saved domain's page tables name its own frames only.
#![expect(unsafe_code, reason = "it maps Xen's pages")]

use alloc::vec;
use alloc::vec::Vec;

use hv::Errno;
use xen_abi::grant_table::GNTST_OKAY;

use crate::hypercall::grant;
use crate::lock::Mutex;
use crate::mmu;
use crate::start::page;
use crate::window::{Mapping, Slot};

static PAGES: Mutex<Pages> = Mutex::new(Pages {
    addresses: Vec::new(),
    given: 0,
});

struct Pages {
    /// The address of each page that was ever mapped, in their order.
    addresses: Vec<u64>,
    /// How many were given to who asked, in this life of the domain.
    given: u32,
}

/// Grows the table by a page, and maps it. Returns its number, too.
///
/// # Errors
/// `ENOMEM` when Xen refuses to grow it, or there is no room to map the page.
pub(crate) fn next() -> Result<(u32, Mapping), Errno> {
    let mut pages = PAGES.lock();
    let number = pages.given;
    let frames = frames(number + 1)?;
    let last = *frames.last().ok_or(Errno::EINVAL)?;
    let mapping = pages.map(number, last)?;
    pages.given += 1;
    Ok((number, mapping))
}

impl Pages {
    fn map(&mut self, number: u32, frame: u64) -> Result<Mapping, Errno> {
        if let Some(address) = self.addresses.get(number as usize) {
            // SAFETY: the address is this page's; what was there is another domain's past, or the
            // same.
            unsafe { mmu::map_foreign(*address, frame) }?;
            return Ok(page(*address));
        }
        self.addresses.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let slot = Slot::take().ok_or(Errno::ENOMEM)?;
        let address = slot.address();
        // SAFETY: the grant table's pages are Xen's, shared with this domain as long as it runs.
        let mapping = unsafe { slot.map_shared(frame) }?;
        self.addresses.push(address);
        Ok(mapping)
    }
}

/// The domain lives anew, with a table of which nobody has a page.
pub(crate) fn begin_anew() {
    PAGES.lock().given = 0;
}

/// Unmaps all pages.
///
/// # Errors
/// Xen's; some of them are unmapped then.
///
/// # Safety
/// Nobody looks at the table before it is mapped again.
pub(crate) unsafe fn unmap() -> Result<(), Errno> {
    let pages = PAGES.lock();
    // SAFETY: the caller's promise.
    pages
        .addresses
        .iter()
        .try_for_each(|address| unsafe { mmu::unmap(*address) })
}

/// Maps all pages again, in a domain that has kept its table.
///
/// # Errors
/// Xen's.
pub(crate) fn map() -> Result<(), Errno> {
    let pages = PAGES.lock();
    if pages.given == 0 {
        return Ok(());
    }
    let mut pages = pages.addresses.iter().zip(frames(pages.given)?);
    // SAFETY: the grant table's pages are Xen's, and each address is one's own.
    pages.try_for_each(|(address, frame)| unsafe { mmu::map_foreign(*address, frame) })
}

/// The machine frames of the table's first pages.
fn frames(count: u32) -> Result<Vec<u64>, Errno> {
    let mut list = vec![0; count as usize];
    if grant::setup_table(&mut list)? == GNTST_OKAY {
        Ok(list)
    } else {
        Err(Errno::ENOMEM)
    }
}
