//! The handle to the real hypervisor.
#![expect(unsafe_code, reason = "grants are mapped and copied")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use hv::{
    Access, CopyEnd, CopyGrant, DomId, Errno, GrantLimits, GrantRef, GrantStatus, Hypervisor,
    Instant, MemoryUse, Port, Resumed, Shared, SharedMem, ShutdownReason, Virq,
};
use xen_abi::grant_table::{
    Copy, CopyPtr, GNTCOPY_DEST_GREF, GNTCOPY_SOURCE_GREF, GNTMAP_HOST_MAP, GNTMAP_READONLY,
    GNTST_OKAY, MapGrantRef,
};
use xen_abi::sched::{REASON_CRASH, REASON_POWEROFF, REASON_REBOOT};
use xen_abi::shared_info::{UPCALL_MASK, vcpu_info};
use xen_abi::xen::{DOMID_SELF, VIRQ_DEBUG, VIRQ_TIMER};

use crate::frame::{self, Page};
use crate::hypercall::{event, grant, physdev, sched};
use crate::lent::Lent;
use crate::span::Span;
use crate::start::{domain, page, vcpus};
use crate::window::{Mapping, Run, Slot};
use crate::{balloon, clock, direct, grant_frames, heap, random, stack, suspend, vcpu, vector};

/// What an operation that Xen did not come to is reported as (`GNTST_general_error`).
const GENERAL_ERROR: GrantStatus = GrantStatus(-1);
/// There is no address left to map a page at (`GNTST_no_device_space`).
const NO_SPACE: GrantStatus = GrantStatus(-7);
/// Copies that one hypercall makes at most: their list lies on the stack, and to clear it costs as
/// much as to copy a page if it is long.
const MANY: usize = 64;
/// A short list: what a single small request needs.
const FEW: usize = 4;
/// The farthest a timer is set ahead; Xen takes much farther ones for a mistake
/// (`do_set_timer_op`).
const TIMER_HORIZON: Duration = Duration::from_secs(86_400);

/// The real hypervisor. [`start`](crate::start()) makes the only one; clones speak for the same
/// domain.
#[derive(Clone, Debug)]
pub struct Xen(());

impl Xen {
    /// Only for a domain that has been taken over.
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// The handle on a further vCPU of a domain that has been taken over.
    ///
    /// Panics in a domain that has not.
    #[must_use]
    pub fn on_this_vcpu() -> Self {
        let _taken_over = domain();
        Self::new()
    }

    /// The command line from the domain's configuration.
    #[must_use]
    pub fn command_line(&self) -> &'static str {
        &domain().command_line
    }

    /// Whether pages are copied by AVX, which xl can hide from a domain (`cpuid=`).
    #[must_use]
    pub fn has_avx(&self) -> bool {
        vector::are_on()
    }
}

/// What Xen says of one element of a batch.
fn verdict(status: i16) -> Result<(), GrantStatus> {
    if status == GNTST_OKAY {
        Ok(())
    } else {
        Err(GrantStatus(status))
    }
}

fn copy_end(end: CopyEnd, offset: u16) -> CopyPtr {
    let (domid, frame) = match end {
        CopyEnd::Local(mfn) => (DOMID_SELF, mfn.0),
        CopyEnd::Foreign(domain, reference) => (domain.0, u64::from(reference.0)),
    };
    CopyPtr {
        frame,
        domid,
        offset,
    }
}

fn copy_argument(copy: &CopyGrant) -> Copy {
    let flag = |end, flag| {
        if matches!(end, CopyEnd::Foreign(..)) {
            flag
        } else {
            0
        }
    };
    Copy {
        source: copy_end(copy.source, copy.source_offset),
        dest: copy_end(copy.destination, copy.destination_offset),
        len: copy.length,
        flags: flag(copy.source, GNTCOPY_SOURCE_GREF) | flag(copy.destination, GNTCOPY_DEST_GREF),
        status: GENERAL_ERROR.0,
    }
}

/// Makes the copies, at most `N` with each hypercall.
fn copy_batches<const N: usize>(copies: &[CopyGrant], refused: &mut dyn FnMut(usize, GrantStatus)) {
    let mut batch = [Copy::default(); N];
    for (copies, first) in copies.chunks(N).zip((0..).step_by(N)) {
        let Some(batch) = batch.get_mut(..copies.len()) else {
            return;
        };
        for (element, copy) in batch.iter_mut().zip(copies) {
            *element = copy_argument(copy);
        }
        // SAFETY: local frames are named by `Page::mfn`, and pages are only accessed as shared
        // memory.
        let done = unsafe { grant::copy(batch) };
        for (element, index) in batch.iter().zip(first..) {
            let made = done.map_err(|_| GENERAL_ERROR);
            if let Err(status) = made.and_then(|()| verdict(element.status)) {
                refused(index, status);
            }
        }
    }
}

fn span<'a>(memory: &Shared<'a, Xen>) -> &'a Span {
    match *memory {
        Shared::Page(page) => page.span(),
        Shared::Mapping(mapping) => mapping.span(),
    }
}

impl Hypervisor for Xen {
    type Page = Page;
    type Span = Lent;
    type Mapping = Mapping;

    fn vcpu(&self) -> u32 {
        vcpu::current()
    }

    fn vcpus(&self) -> u32 {
        vcpus()
    }

    fn vcpu_prepare(&self, vcpu: u32) -> Result<(), Errno> {
        vcpu::prepare(vcpu)
    }

    fn vcpu_up(&self, vcpu: u32) {
        vcpu::up(vcpu);
    }

    fn vcpu_down(&self) {
        vcpu::down();
    }

    fn vcpu_is_up(&self, vcpu: u32) -> bool {
        vcpu::is_up(vcpu)
    }

    fn alloc_page(&self) -> Option<Page> {
        Page::take()
    }

    fn alloc_span(&self, pages: usize) -> Option<Lent> {
        Lent::take(pages)
    }

    fn memory_use(&self) -> MemoryUse {
        let (frames, heap, stack) = (frame::usage(), heap::usage(), stack::usage());
        MemoryUse {
            total: frames.total,
            free: frames.free,
            heap_size: heap.size,
            heap_used: heap.used,
            stack_size: stack.size,
            stack_used: stack.used,
        }
    }

    fn heap_room(&self) -> usize {
        heap::room()
    }

    fn most_pages(&self) -> usize {
        usize::try_from(direct::room()).unwrap_or(usize::MAX)
    }

    fn give_pages(&self, pages: &mut Vec<Page>) -> Result<usize, Errno> {
        balloon::give(pages)
    }

    fn get_pages(&self, count: usize) -> Result<usize, Errno> {
        balloon::get(count)
    }

    fn shared_info(&self) -> Mapping {
        page(domain().shared_info)
    }

    fn xenstore_ring(&self) -> (Mapping, Port) {
        (page(domain().store), domain().store_port())
    }

    fn console_ring(&self) -> (Mapping, Port) {
        (page(domain().console), domain().console_port())
    }

    fn evtchn_alloc_unbound(&self, remote: DomId) -> Result<Port, Errno> {
        event::alloc_unbound(remote)
    }

    fn evtchn_bind_interdomain(&self, remote: DomId, remote_port: Port) -> Result<Port, Errno> {
        event::bind_interdomain(remote, remote_port)
    }

    fn evtchn_bind_virq(&self, virq: Virq, vcpu: u32) -> Result<Port, Errno> {
        let virq = match virq {
            Virq::Timer => VIRQ_TIMER,
            Virq::Debug => VIRQ_DEBUG,
        };
        event::bind_virq(virq, vcpu)
    }

    fn evtchn_bind_ipi(&self, vcpu: u32) -> Result<Port, Errno> {
        event::bind_ipi(vcpu)
    }

    fn evtchn_bind_vcpu(&self, port: Port, vcpu: u32) -> Result<(), Errno> {
        event::bind_vcpu(port, vcpu)
    }

    fn evtchn_bind_pirq(&self, pirq: u32, shared: bool) -> Result<Port, Errno> {
        event::bind_pirq(pirq, shared)
    }

    fn pirq_needs_eoi(&self, pirq: u32) -> Result<bool, Errno> {
        physdev::needs_eoi(pirq)
    }

    fn pirq_eoi(&self, pirq: u32) -> Result<(), Errno> {
        physdev::eoi(pirq)
    }

    fn map_device(&self, address: u64, pages: usize) -> Result<Mapping, Errno> {
        Run::map_device(address, pages)
    }

    fn evtchn_close(&self, port: Port) -> Result<(), Errno> {
        event::close(port)
    }

    fn evtchn_send(&self, port: Port) -> Result<(), Errno> {
        event::send(port)
    }

    fn evtchn_sender(&self, port: Port) -> Box<dyn Fn() + Send + Sync> {
        // As for every event, a peer that is gone is learned of otherwise.
        Box::new(move || _ = event::send(port))
    }

    fn evtchn_is_interdomain(&self, port: Port) -> Result<bool, Errno> {
        event::is_interdomain(port)
    }

    fn grant_limits(&self) -> Result<GrantLimits, Errno> {
        let size = grant::query_size()?;
        verdict(size.status).map_err(|_| Errno::EINVAL)?;
        Ok(GrantLimits {
            frames: size.nr_frames,
            max_frames: size.max_nr_frames,
        })
    }

    fn next_grant_table_page(&self) -> Result<(u32, Mapping), Errno> {
        grant_frames::next()
    }

    fn grant_map(
        &self,
        domain: DomId,
        refs: &[GrantRef],
        access: Access,
    ) -> Vec<Result<Mapping, GrantStatus>> {
        let slots: Vec<_> = refs.iter().map_while(|_| Slot::take()).collect();
        let read_only = if access == Access::ReadOnly {
            GNTMAP_READONLY
        } else {
            0
        };
        let mut batch: Vec<_> = slots
            .iter()
            .zip(refs)
            .map(|(slot, reference)| MapGrantRef {
                host_addr: slot.address(),
                flags: GNTMAP_HOST_MAP | read_only,
                gref: reference.0,
                dom: domain.0,
                status: GENERAL_ERROR.0,
                ..MapGrantRef::default()
            })
            .collect();
        // SAFETY: each address is a slot's own, and nothing is mapped there.
        let done = unsafe { grant::map(&mut batch) };
        let mut results: Vec<_> = slots
            .into_iter()
            .zip(batch)
            .map(|(slot, element)| {
                done.map_err(|_| GENERAL_ERROR)?;
                verdict(element.status)?;
                // SAFETY: Xen has mapped the page at this slot's address, and this is its handle.
                Ok(unsafe { slot.granted(element.handle) })
            })
            .collect();
        results.resize_with(refs.len(), || Err(NO_SPACE));
        results
    }

    fn grant_copy(&self, copies: &[CopyGrant], refused: &mut dyn FnMut(usize, GrantStatus)) {
        if copies.len() <= FEW {
            copy_batches::<FEW>(copies, refused);
        } else {
            copy_batches::<MANY>(copies, refused);
        }
    }

    #[inline]
    fn copy(
        &self,
        (source, offset): (Shared<'_, Self>, usize),
        (destination, destination_offset): (Shared<'_, Self>, usize),
        length: usize,
    ) {
        span(&source).copy_to(offset, span(&destination), destination_offset, length);
    }

    fn now(&self) -> Instant {
        clock::now()
    }

    fn wall_clock(&self) -> Duration {
        clock::wall()
    }

    fn random(&self) -> u64 {
        random::next()
    }

    fn set_timer(&self, at: Option<Instant>) {
        let horizon = clock::latest().after(TIMER_HORIZON);
        // 0 would mean no timer.
        sched::set_timer(at.map_or(0, |at| clock::system_time(at.min(horizon)).max(1)));
    }

    fn block(&self) {
        sched::block();
        // The upcall leaves events masked. Without one (the domain was paused, say) they are not.
        let mask = vcpu_info(vcpu::current()) + UPCALL_MASK;
        page(domain().shared_info).write(mask, &[1]);
    }

    fn watchdog(&self, id: u32, timeout: Duration) -> Result<u32, Errno> {
        let seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        let new = sched::watchdog(id, seconds)?;
        Ok(if id == 0 {
            u32::try_from(new).unwrap_or(0)
        } else {
            id
        })
    }

    fn suspend(&self) -> Result<Resumed, Errno> {
        suspend::suspend()
    }

    fn shutdown(&self, reason: ShutdownReason) {
        sched::shutdown(match reason {
            ShutdownReason::Poweroff => REASON_POWEROFF,
            ShutdownReason::Reboot => REASON_REBOOT,
            ShutdownReason::Crash => REASON_CRASH,
        })
    }
}
