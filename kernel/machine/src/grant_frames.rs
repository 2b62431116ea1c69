//! The pages of the domain's grant table. Each has its address for good; what is mapped there goes
//! while the domain is suspended, since a saved domain's page tables name its own frames only.
#![expect(unsafe_code, reason = "it maps Xen's pages")]

use alloc::vec;
use alloc::vec::Vec;

use hv::Errno;
use spin::Mutex;
use xen_abi::grant_table::GNTST_OKAY;

use crate::hypercall::grant;
use crate::mmu;
use crate::start::page;
use crate::window::{Mapping, Slot};

/// The address of each page that was ever mapped, in their order.
static ADDRESSES: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Grows the table to `count` pages, and maps the last of them.
///
/// # Errors
/// `ENOMEM` when Xen refuses to grow it, or there is no room to map the page.
pub(crate) fn map_last(count: u32) -> Result<Mapping, Errno> {
    let frames = frames(count)?;
    let last = *frames.last().ok_or(Errno::EINVAL)?;
    let mut addresses = ADDRESSES.lock();
    if let Some(address) = addresses.get(frames.len() - 1) {
        // SAFETY: the address is this page's; what was there is another domain's past, or the same.
        unsafe { mmu::map_foreign(*address, last) }?;
        return Ok(page(*address));
    }
    addresses.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let slot = Slot::take().ok_or(Errno::ENOMEM)?;
    let address = slot.address();
    // SAFETY: the grant table's pages are Xen's, shared with this domain as long as it runs.
    let mapping = unsafe { slot.map_shared(last) }?;
    addresses.push(address);
    Ok(mapping)
}

/// Unmaps all pages.
///
/// # Errors
/// Xen's; some of them are unmapped then.
///
/// # Safety
/// Nobody looks at the table before it is mapped again.
pub(crate) unsafe fn unmap() -> Result<(), Errno> {
    let addresses = ADDRESSES.lock();
    // SAFETY: the caller's promise.
    addresses
        .iter()
        .try_for_each(|address| unsafe { mmu::unmap(*address) })
}

/// Maps all pages again, in a domain that has kept its table.
///
/// # Errors
/// Xen's.
pub(crate) fn map() -> Result<(), Errno> {
    let addresses = ADDRESSES.lock();
    let count = u32::try_from(addresses.len()).map_err(|_| Errno::EINVAL)?;
    if count == 0 {
        return Ok(());
    }
    let mut pages = addresses.iter().zip(frames(count)?);
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
