//! [`Dom`]: one domain's view of the simulated Xen.

use std::time::Duration;

use hv::{
    Access, CopyGrant, DomId, Errno, GrantLimits, GrantRef, GrantStatus, Hypervisor, Instant,
    MemoryUse, PAGE_SIZE, Port, Resumed, Shared, SharedMem as _, ShutdownReason, Virq,
};
use pv::pagetable::device_frames;

use crate::frame::{Hold, Memory};
use crate::lent::Lent;
use crate::{Call, Ended, Rng, Xen};

/// The wall clock when the machine was started: 2026-01-01 00:00 UTC.
const STARTED_AT: Duration = Duration::from_secs(1_767_225_600);

/// The hypervisor as one domain sees it.
#[derive(Clone)]
pub struct Dom {
    xen: Xen,
    id: DomId,
}

impl Dom {
    pub(crate) fn new(xen: Xen, id: DomId) -> Self {
        Self { xen, id }
    }

    /// The domain's number.
    #[must_use]
    pub fn id(&self) -> DomId {
        self.id
    }

    /// The Xen it runs on.
    #[must_use]
    pub fn xen(&self) -> &Xen {
        &self.xen
    }

    /// The first page of the grant table, which is there from the start: for a test that writes its
    /// entries itself.
    #[must_use]
    pub fn grant_table(&self) -> Memory {
        self.fixed(
            self.xen
                .with(self.id, |domain| domain.grant_table[0].clone()),
        )
    }

    fn fixed(&self, frame: std::rc::Rc<crate::Frame>) -> Memory {
        Memory::new(frame, self.id, Hold::Fixed)
    }
}

impl Hypervisor for Dom {
    type Page = Memory;
    type Span = Lent;
    type Mapping = Memory;

    fn vcpu(&self) -> u32 {
        self.xen.with(self.id, |domain| domain.vcpu)
    }

    fn vcpus(&self) -> u32 {
        self.xen.with(self.id, |domain| domain.config.vcpus)
    }

    fn vcpu_prepare(&self, vcpu: u32) -> Result<(), Errno> {
        if let Some(error) = self.xen.fault(self.id, Call::VcpuPrepare) {
            return Err(error);
        }
        if vcpu == 0 || vcpu >= self.vcpus() {
            return Err(Errno::ENOENT);
        }
        Ok(())
    }

    fn vcpu_up(&self, vcpu: u32) {
        self.xen.vcpu_up(self.id, vcpu);
    }

    fn vcpu_down(&self) {
        let vcpu = self.vcpu();
        self.xen.with(self.id, |domain| domain.up.remove(&vcpu));
    }

    fn vcpu_is_up(&self, vcpu: u32) -> bool {
        self.xen.with(self.id, |domain| domain.up.contains(&vcpu))
    }

    fn alloc_page(&self) -> Option<Memory> {
        if self.xen.fault(self.id, Call::AllocPage).is_some() {
            return None;
        }
        self.xen.with(self.id, |domain| {
            if domain.pages_used >= domain.pages {
                return None;
            }
            domain.pages_used += 1;
            Some(())
        })?;
        let frame = self.xen.new_frame();
        self.xen.remember_frame(&frame, self.id);
        Some(Memory::new(frame, self.id, Hold::Own(self.xen.clone())))
    }

    fn alloc_span(&self, pages: usize) -> Option<Lent> {
        Lent::new(
            (0..pages)
                .map(|_| self.alloc_page())
                .collect::<Option<_>>()?,
        )
    }

    fn memory_use(&self) -> MemoryUse {
        self.xen.with(self.id, |domain| MemoryUse {
            total: domain.pages,
            free: domain.pages - domain.pages_used,
            heap_size: 0,
            heap_used: 0,
            stack_size: 0,
            stack_used: 0,
        })
    }

    /// As in a domain of Xen's: one page in eight is not the heap's.
    fn heap_room(&self) -> usize {
        let memory = self.memory_use();
        memory.free.saturating_sub(memory.total / 8) * PAGE_SIZE
    }

    fn most_pages(&self) -> usize {
        self.xen.with(self.id, |domain| {
            domain.config.pages.max(domain.config.most_pages)
        })
    }

    fn give_pages(&self, pages: &mut Vec<Memory>) -> Result<usize, Errno> {
        self.xen.give_pages(self.id, pages)
    }

    fn get_pages(&self, count: usize) -> Result<usize, Errno> {
        self.xen.get_pages(self.id, count, self.most_pages())
    }

    fn shared_info(&self) -> Memory {
        self.fixed(self.xen.with(self.id, |domain| domain.shared_info.clone()))
    }

    fn xenstore_ring(&self) -> (Memory, Port) {
        self.xen.xenstore_ring_of(self.id, self.id)
    }

    fn console_ring(&self) -> (Memory, Port) {
        self.xen.console_ring_of(self.id, self.id)
    }

    fn evtchn_alloc_unbound(&self, remote: DomId) -> Result<Port, Errno> {
        self.xen.evtchn_alloc_unbound(self.id, remote)
    }

    fn evtchn_bind_interdomain(&self, remote: DomId, remote_port: Port) -> Result<Port, Errno> {
        self.xen
            .evtchn_bind_interdomain(self.id, remote, remote_port)
    }

    fn evtchn_bind_virq(&self, virq: Virq, vcpu: u32) -> Result<Port, Errno> {
        self.xen.evtchn_bind_virq(self.id, virq, vcpu)
    }

    fn evtchn_bind_ipi(&self, vcpu: u32) -> Result<Port, Errno> {
        self.xen.evtchn_bind_ipi(self.id, vcpu)
    }

    fn evtchn_bind_vcpu(&self, port: Port, vcpu: u32) -> Result<(), Errno> {
        self.xen.evtchn_bind_vcpu(self.id, port, vcpu)
    }

    fn evtchn_bind_pirq(&self, pirq: u32, shared: bool) -> Result<Port, Errno> {
        self.xen.evtchn_bind_pirq(self.id, pirq, shared)
    }

    fn pirq_needs_eoi(&self, pirq: u32) -> Result<bool, Errno> {
        self.xen.pirq_needs_eoi(self.id, pirq)
    }

    fn pirq_eoi(&self, pirq: u32) -> Result<(), Errno> {
        self.xen.pirq_eoi(self.id, pirq)
    }

    fn map_device(&self, address: u64, pages: usize) -> Result<Memory, Errno> {
        let memory = self.xen.frames_of(self.id);
        let frames = device_frames(address, pages, memory)?;
        self.xen.map_device(self.id, frames)
    }

    fn evtchn_close(&self, port: Port) -> Result<(), Errno> {
        self.xen.evtchn_close(self.id, port)
    }

    fn evtchn_send(&self, port: Port) -> Result<(), Errno> {
        self.xen.evtchn_send(self.id, port)
    }

    fn evtchn_sender(&self, port: Port) -> Box<dyn Fn() + Send + Sync> {
        self.xen.evtchn_sender(self.id, port)
    }

    fn evtchn_is_interdomain(&self, port: Port) -> Result<bool, Errno> {
        self.xen.evtchn_is_interdomain(self.id, port)
    }

    fn grant_limits(&self) -> Result<GrantLimits, Errno> {
        if let Some(error) = self.xen.fault(self.id, Call::GrantLimits) {
            return Err(error);
        }
        Ok(self.xen.with(self.id, |domain| GrantLimits {
            frames: u32::try_from(domain.grant_table.len()).expect("grant tables are small"),
            max_frames: domain.config.grant_frames,
        }))
    }

    fn next_grant_table_page(&self) -> Result<(u32, Memory), Errno> {
        if let Some(error) = self.xen.fault(self.id, Call::NextGrantTablePage) {
            return Err(error);
        }
        let spare = self.xen.new_frame();
        let (number, frame) = self.xen.with(self.id, |domain| {
            let number = domain.grant_pages;
            if number >= domain.config.grant_frames as usize {
                return Err(Errno::ENOMEM);
            }
            domain.grant_pages += 1;
            if number == domain.grant_table.len() {
                domain.grant_table.push(spare);
            }
            Ok((number, domain.grant_table[number].clone()))
        })?;
        let number = u32::try_from(number).expect("grant tables are small");
        Ok((number, self.fixed(frame)))
    }

    fn grant_map(
        &self,
        domain: DomId,
        refs: &[GrantRef],
        access: Access,
    ) -> Vec<Result<Memory, GrantStatus>> {
        refs.iter()
            .map(|entry| self.xen.grant_map_one(self.id, domain, *entry, access))
            .collect()
    }

    fn grant_copy(&self, copies: &[CopyGrant], refused: &mut dyn FnMut(usize, GrantStatus)) {
        for (index, copy) in copies.iter().enumerate() {
            self.xen.note_copy(copy.length);
            if let Err(status) = self.xen.grant_copy_one(self.id, copy) {
                refused(index, status);
            }
        }
    }

    fn copy(
        &self,
        (source, offset): (Shared<'_, Self>, usize),
        (destination, destination_offset): (Shared<'_, Self>, usize),
        length: usize,
    ) {
        let memory = |shared| match shared {
            Shared::Page(memory) | Shared::Mapping(memory) => memory,
        };
        let mut bytes = vec![0; length];
        memory(source).read(offset, &mut bytes);
        memory(destination).write(destination_offset, &bytes);
    }

    fn now(&self) -> Instant {
        let started = self.xen.with(self.id, |domain| domain.started);
        Instant(0).after(self.xen.now().since(started))
    }

    fn wall_clock(&self) -> Duration {
        STARTED_AT + self.xen.now().since_start()
    }

    /// Follows from the domain and how often it asked: the same in each run.
    fn random(&self) -> u64 {
        let asked = self.xen.with(self.id, |domain| {
            domain.randoms += 1;
            domain.randoms
        });
        Rng::new(u64::from(self.id.0) << 32 | asked).next()
    }

    fn set_timer(&self, at: Option<Instant>) {
        self.xen.with(self.id, |domain| {
            let vcpu = domain.vcpu as usize;
            domain.timers[vcpu] = at.map(|at| domain.started.after(at.since_start()));
        });
    }

    /// Lets the others run until this domain has an event. Called by the domain's own turn, where
    /// the scheduler waits already, it returns at once.
    fn block(&self) {
        if self.xen.is_running() {
            return;
        }
        while !self.xen.upcall_pending(self.id, self.vcpu()) {
            if let Err(stop) = self.xen.step() {
                panic!("domain {} blocks: {stop}", self.id);
            }
        }
    }

    fn watchdog(&self, id: u32, timeout: Duration) -> Result<u32, Errno> {
        if let Some(error) = self.xen.fault(self.id, Call::Watchdog) {
            return Err(error);
        }
        let at = self.xen.now().after(timeout);
        self.xen.with(self.id, |domain| {
            let slots = &mut domain.watchdogs;
            let index = match id {
                0 => slots
                    .iter()
                    .position(Option::is_none)
                    .ok_or(Errno::ENOSPC)?,
                id => (id - 1) as usize,
            };
            let slot = slots.get_mut(index).ok_or(Errno::EINVAL)?;
            // A timeout of 0 turns it off.
            *slot = (!timeout.is_zero()).then_some(at);
            Ok(u32::try_from(index + 1).expect("watchdogs are few"))
        })
    }

    fn suspend(&self) -> Result<Resumed, Errno> {
        if let Some(error) = self.xen.fault(self.id, Call::Suspend) {
            return Err(error);
        }
        self.xen.suspend(self.id)
    }

    fn shutdown(&self, reason: ShutdownReason) {
        self.xen.end(self.id, Ended::Shutdown(reason));
    }
}
