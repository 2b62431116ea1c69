//! The domain is saved: everything that only this life of it has is let go of, and taken up again.
//!
//! What the toolstack saves are the domain's own pages, by their pseudo-physical numbers. So the
//! page tables may name nothing else: the shared info page and the grant table's pages are unmapped
//! meanwhile. start_info names the rings of xenstore and of the console by pseudo-physical numbers
//! while the domain is saved, and the toolstack writes what they are in the next life (xen.h,
//! `struct start_info`).
#![expect(unsafe_code, reason = "Xen's pages are mapped anew")]

use core::mem::offset_of;

use hv::{Errno, Resumed, SharedMem};
use xen_abi::shared_info::{UPCALL_MASK, vcpu_info};
use xen_abi::xen::StartInfo;

use crate::hypercall::{cpu, sched};
use crate::span::Span;
use crate::start::{Domain, domain, page, vcpus};
use crate::{clock, grant_frames, mmu, p2m, trap, vcpu, window};

const STORE_MFN: usize = offset_of!(StartInfo, store_mfn);
const STORE_PORT: usize = offset_of!(StartInfo, store_evtchn);
const CONSOLE_MFN: usize = offset_of!(StartInfo, console_mfn);
const CONSOLE_PORT: usize = offset_of!(StartInfo, console_evtchn);
const SHARED_INFO: usize = offset_of!(StartInfo, shared_info);

/// Gives the domain to whoever saves it.
///
/// # Errors
/// `EBUSY`: a page of another domain is mapped, or another vCPU may run; `ENOMEM`: there is no list
/// of frames to save it by; Xen's. The domain goes on then as if nothing was.
pub(crate) fn suspend() -> Result<Resumed, Errno> {
    let is_another = |number: &u32| *number != vcpu::current();
    let another_is_up = (0..vcpus()).filter(is_another).any(vcpu::is_up);
    if another_is_up || window::has_foreign_pages() {
        return Err(Errno::EBUSY);
    }
    if !p2m::is_there() {
        return Err(Errno::ENOMEM);
    }
    let domain = domain();
    let info = start_info(domain);
    let frame = mmu::mfn(mmu::builder_frame(domain.start_info)).ok_or(Errno::EINVAL)?;
    // SAFETY: until they are mapped again, nothing runs but this: no other vCPU is up.
    let unmapped = unsafe { grant_frames::unmap() }
        // SAFETY: as before.
        .and_then(|()| unsafe { mmu::unmap(domain.shared_info) });
    let outcome = unmapped.and_then(|()| {
        name_rings_by(&info, domain, |address| Some(mmu::builder_frame(address).0));
        sched::suspend(frame)
    });
    let is_anew = outcome == Ok(0);
    if !is_anew {
        name_rings_by(&info, domain, |address| {
            mmu::mfn(mmu::builder_frame(address))
        });
    }
    map_shared_info(&info, domain);
    if is_anew {
        domain.set_ports(info.load_u32(STORE_PORT), info.load_u32(CONSOLE_PORT));
        grant_frames::begin_anew();
        clock::resume();
        cpu::stop_periodic_timer(vcpu::current());
        let registered = trap::register();
        debug_assert!(registered.is_ok(), "the entry points are where they were");
        p2m::publish();
        return Ok(Resumed::Anew);
    }
    let mapped = grant_frames::map();
    assert!(
        mapped.is_ok(),
        "the grant table cannot be mapped again: {mapped:?}"
    );
    outcome.map(|_| Resumed::Cancelled)
}

/// The builder's page, as memory: the toolstack writes it anew.
fn start_info(domain: &Domain) -> Span {
    // SAFETY: the page is mapped for good, and nobody has a reference into it.
    unsafe { Span::new(domain.start_info, hv::PAGE_SIZE) }
}

/// Says in start_info where the rings are, by `number` of a page's address.
fn name_rings_by(info: &Span, domain: &Domain, number: impl Fn(u64) -> Option<u64>) {
    for (place, address) in [(STORE_MFN, domain.store), (CONSOLE_MFN, domain.console)] {
        if let Some(number) = number(address) {
            info.store_u64(place, number);
        }
    }
}

/// Maps the shared info page where it was. Without it there is neither time nor an event.
fn map_shared_info(info: &Span, domain: &Domain) {
    let frame = info.load_u64(SHARED_INFO) / hv::PAGE_SIZE as u64;
    // SAFETY: the address is the page's own; Xen shares it with the domain for as long as it runs.
    let mapped = unsafe { mmu::map_foreign(domain.shared_info, frame) };
    assert!(
        mapped.is_ok(),
        "the shared info page cannot be mapped: {mapped:?}"
    );
    // The run loop takes events itself.
    page(domain.shared_info).write(vcpu_info(vcpu::current()) + UPCALL_MASK, &[1]);
}
