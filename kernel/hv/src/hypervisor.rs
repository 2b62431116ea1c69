//! What a domain may ask of Xen.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::{DomId, Errno, GrantRef, Instant, Mfn, Port, SharedMem};

/// One page of this domain's own memory. Its owner alone may use it; dropping it frees it.
///
/// A page that a peer may still map must not be dropped: `pv`'s grant table sees to that.
pub trait Page: SharedMem {
    /// The machine frame behind the page, as grant entries name it.
    fn mfn(&self) -> Mfn;
}

/// Pages of this domain's own memory in a row, to be written by their owner and by nobody else.
/// Dropping it frees them.
///
/// So they may be granted to a peer for reading only, and are lent as plain bytes. A span that a
/// peer may still map must not be dropped: `pv`'s grant table sees to that.
pub trait Span {
    /// One of its pages.
    type Page: Page;

    /// How many pages.
    fn pages(&self) -> usize;

    /// The machine frame behind page `index`, one of [`pages`](Self::pages), as grant entries name
    /// it.
    fn mfn(&self, index: usize) -> Mfn;

    /// Lends all bytes. A peer that maps the pages may see them change meanwhile.
    fn write<R>(&mut self, fill: impl FnOnce(&mut [u8]) -> R) -> R;

    /// Takes it apart, into its pages in their order. Needs no memory.
    fn into_pages(self) -> impl Iterator<Item = Self::Page>;
}

/// A virtual interrupt (`VIRQ_*` in xen.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Virq {
    /// The one-shot timer set by [`Hypervisor::set_timer`] has expired.
    Timer = 0,
    /// The administrator asked for debug output (`xl debug-keys q` and the like).
    Debug = 1,
}

/// Whether a peer may write a granted page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The peer may only read.
    ReadOnly,
    /// The peer may read and write.
    ReadWrite,
}

/// How large the grant table is and may become, in pages (`GNTTABOP_query_size`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantLimits {
    /// Pages the table has now.
    pub frames: u32,
    /// Pages Xen will let it grow to.
    pub max_frames: u32,
}

/// A failed grant operation: one of the negative `GNTST_*` values of grant_table.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantStatus(pub i16);

impl fmt::Display for GrantStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            -1 => "general error",
            -2 => "bad domain",
            -3 => "bad grant reference",
            -4 => "bad handle",
            -5 => "bad virtual address",
            -6 => "bad device address",
            -7 => "no device space",
            -8 => "permission denied",
            -9 => "bad page",
            -10 => "bad copy argument",
            -11 => "address too big",
            -12 => "try again",
            -13 => "no space",
            other => return write!(f, "grant status {other}"),
        };
        f.write_str(name)
    }
}

/// One end of a grant copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyEnd {
    /// A page of this domain.
    Local(Mfn),
    /// A page that `0` granted to this domain.
    Foreign(DomId, GrantRef),
}

/// A copy that Xen makes between two pages; it must stay inside one page at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyGrant {
    /// Where to copy from.
    pub source: CopyEnd,
    /// Byte offset in the source page.
    pub source_offset: u16,
    /// Where to copy to.
    pub destination: CopyEnd,
    /// Byte offset in the destination page.
    pub destination_offset: u16,
    /// Bytes to copy.
    pub length: u16,
}

/// Memory of one of the two kinds that a domain has.
pub enum Shared<'a, H: Hypervisor> {
    /// A page of its own.
    Page(&'a H::Page),
    /// A page that Xen or another domain owns.
    Mapping(&'a H::Mapping),
}

/// Why a domain ends (`SHUTDOWN_*` in sched.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownReason {
    /// It has no more to do.
    Poweroff = 0,
    /// It wants to be started again.
    Reboot = 1,
    /// It is broken.
    Crash = 3,
}

/// How a domain goes on that had itself suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// As if nothing was: it was not saved after all, or goes on beside its copy.
    Cancelled,
    /// In a domain made anew, maybe on another host: its memory is as it was; every port but those
    /// of xenstore and of the console is closed, its grant table is empty, nothing is asked of Xen
    /// any more, and it has another number.
    Anew,
}

/// The domain's memory, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Pages the domain has.
    pub total: usize,
    /// Pages nobody has asked for.
    pub free: usize,
    /// Bytes the heap spans.
    pub heap_size: usize,
    /// Bytes of the heap in use.
    pub heap_used: usize,
    /// Bytes of the run loop's stack; 0 if it is not known.
    pub stack_size: usize,
    /// Bytes of it that were ever in use.
    pub stack_used: usize,
}

/// What a domain may ask of Xen. A value is a handle: clones speak for the same domain.
///
/// Nothing here blocks but [`block`](Self::block). Errors are Xen's own.
pub trait Hypervisor: Clone + 'static {
    /// A page of the domain's own memory.
    type Page: Page + 'static;
    /// Pages that only the domain itself writes.
    type Span: Span<Page = Self::Page> + 'static;
    /// Memory that Xen or another domain owns, mapped into this one; dropping it unmaps a foreign
    /// page.
    type Mapping: SharedMem + 'static;

    /// The vCPU that calls this; they are counted from 0.
    fn vcpu(&self) -> u32;

    /// How many vCPUs the domain has, running or not (`maxvcpus`): from 1 to the 32 that the shared
    /// info page has room for.
    fn vcpus(&self) -> u32;

    /// Sees to it that vCPU `vcpu` can [run](Self::vcpu_up) in this life of the domain
    /// (`VCPUOP_initialise`). Only the first vCPU does.
    ///
    /// # Errors
    /// `ENOENT` for the first one, and when there is no such vCPU; `ENOMEM` without memory for its
    /// stack; Xen's.
    fn vcpu_prepare(&self, vcpu: u32) -> Result<(), Errno>;

    /// Lets vCPU `vcpu` run, which is prepared: from its beginning, or from where it
    /// [went down](Self::vcpu_down) (`VCPUOP_up`).
    fn vcpu_up(&self, vcpu: u32);

    /// Lets this vCPU run no more, until another one lets it (`VCPUOP_down`). It returns then; and
    /// not before, but in a simulation.
    fn vcpu_down(&self);

    /// Whether vCPU `vcpu` may run (`VCPUOP_is_up`).
    fn vcpu_is_up(&self, vcpu: u32) -> bool;

    /// Takes a page, filled with zeros; `None` when there is none left.
    fn alloc_page(&self) -> Option<Self::Page>;

    /// Takes `pages` pages in a row, filled with zeros; `None` when there are none left, or not so
    /// many in a row.
    fn alloc_span(&self, pages: usize) -> Option<Self::Span>;

    /// What the domain's memory is used for.
    fn memory_use(&self) -> MemoryUse;

    /// Bytes the heap can still take: what is free in it, and the pages it may grow by. Those it
    /// leaves for others are not among them, so this can be 0 while pages are free. A large piece
    /// may fail before: memory may be in parts. Cheap enough to be asked for each connection.
    ///
    /// Whatever outsiders can make the domain allocate has to ask first: an allocation that fails
    /// ends the domain.
    fn heap_room(&self) -> usize;

    /// How many pages the domain has room to have: at least those it started with.
    fn most_pages(&self) -> usize;

    /// Gives pages to Xen, the first of the list first, at most some hundred with one call
    /// (`XENMEM_decrease_reservation`). They leave the list, and the domain has fewer; those that
    /// Xen did not take stay in it. Returns how many were given, which may be none.
    ///
    /// Whoever has the memory next finds what is in the pages: they are to be as they came from
    /// [`alloc_page`](Self::alloc_page), filled with zeros. That nobody has granted them is sure,
    /// since `pv`'s grant table owns what is granted.
    ///
    /// # Errors
    /// Xen's; no page was given.
    fn give_pages(&self, pages: &mut Vec<Self::Page>) -> Result<usize, Errno>;

    /// Gets up to `count` pages from Xen, at most some hundred with one call
    /// (`XENMEM_populate_physmap`), which are free then. Returns how many: fewer, or none, when the
    /// domain has as many as it may have now, or Xen has no more. Page tables may take some of
    /// them.
    ///
    /// # Errors
    /// `ENOMEM` when the domain has [`most_pages`](Self::most_pages), or no memory for the page
    /// tables that more would need; Xen's own.
    fn get_pages(&self, count: usize) -> Result<usize, Errno>;

    /// The shared info page (`struct shared_info` in xen.h).
    fn shared_info(&self) -> Self::Mapping;

    /// The xenstore ring page and its port, as start_info names them.
    fn xenstore_ring(&self) -> (Self::Mapping, Port);

    /// The primary console's ring page and its port, as start_info names them.
    fn console_ring(&self) -> (Self::Mapping, Port);

    /// Opens a port that only `remote` may bind to (`EVTCHNOP_alloc_unbound`).
    ///
    /// # Errors
    /// `ENOSPC` when the domain has no port left, `ESRCH` when there is no such domain.
    fn evtchn_alloc_unbound(&self, remote: DomId) -> Result<Port, Errno>;

    /// Binds to a port that `remote` opened for this domain (`EVTCHNOP_bind_interdomain`). The new
    /// port is pending once without an event.
    ///
    /// # Errors
    /// `EINVAL` when the remote port is not open for this domain.
    fn evtchn_bind_interdomain(&self, remote: DomId, remote_port: Port) -> Result<Port, Errno>;

    /// Binds a virtual interrupt of vCPU `vcpu` (`EVTCHNOP_bind_virq`), where its events come to.
    ///
    /// # Errors
    /// `EEXIST` when it is bound already, `ENOENT` when there is no such vCPU.
    fn evtchn_bind_virq(&self, virq: Virq, vcpu: u32) -> Result<Port, Errno>;

    /// Opens a port whose other end is itself: what is [sent](Self::evtchn_send) there comes to
    /// vCPU `vcpu` (`EVTCHNOP_bind_ipi`).
    ///
    /// # Errors
    /// `ENOSPC` when the domain has no port left, `ENOENT` when there is no such vCPU.
    fn evtchn_bind_ipi(&self, vcpu: u32) -> Result<Port, Errno>;

    /// Has the events of `port` come to vCPU `vcpu` from now on (`EVTCHNOP_bind_vcpu`); before,
    /// they come to the first. One may be on its way to where they came before.
    ///
    /// # Errors
    /// `ENOENT` when there is no such vCPU, `EINVAL` for a port of a vCPU's own: a timer's, or one
    /// of [`evtchn_bind_ipi`](Self::evtchn_bind_ipi).
    fn evtchn_bind_vcpu(&self, port: Port, vcpu: u32) -> Result<(), Errno>;

    /// Binds a device's interrupt (`EVTCHNOP_bind_pirq`), which the toolstack or the device's
    /// backend must have given to this domain. `shared`: other devices may raise it too.
    ///
    /// # Errors
    /// `EPERM` when it is not the domain's, `EEXIST` when it is bound already; Xen's own.
    fn evtchn_bind_pirq(&self, pirq: u32, shared: bool) -> Result<Port, Errno>;

    /// Whether Xen keeps the interrupt back, once it was raised, until [`pirq_eoi`](Self::pirq_eoi)
    /// (`PHYSDEVOP_irq_status_query`).
    ///
    /// # Errors
    /// `EINVAL` when there cannot be such an interrupt.
    fn pirq_needs_eoi(&self, pirq: u32) -> Result<bool, Errno>;

    /// Says that the interrupt was served (`PHYSDEVOP_eoi`): it may come again.
    ///
    /// # Errors
    /// `EINVAL` when there cannot be such an interrupt.
    fn pirq_eoi(&self, pirq: u32) -> Result<(), Errno>;

    /// Maps `pages` pages of a device's registers, uncached, from machine address `address` on,
    /// which begins a page. Each aligned load and store of [`SharedMem`] is one access of that
    /// size; `read`, `write` and `fill` are of no certain size. Dropping the mapping unmaps it.
    ///
    /// # Errors
    /// `EINVAL` when the address does not begin a page, there are no pages or more than 512, or
    /// they are not the domain's to map; `ENOMEM` without room; Xen's own.
    fn map_device(&self, address: u64, pages: usize) -> Result<Self::Mapping, Errno>;

    /// Closes a port (`EVTCHNOP_close`).
    ///
    /// # Errors
    /// `EINVAL` when the port is not open.
    fn evtchn_close(&self, port: Port) -> Result<(), Errno>;

    /// Raises an event at the other end of `port` (`EVTCHNOP_send`).
    ///
    /// # Errors
    /// `EINVAL` when the port is not bound to another one.
    fn evtchn_send(&self, port: Port) -> Result<(), Errno>;

    /// What raises an event at the other end of `port`, as [`evtchn_send`](Self::evtchn_send) does,
    /// on whichever vCPU it is called.
    fn evtchn_sender(&self, port: Port) -> Box<dyn Fn() + Send + Sync>;

    /// Whether `port` is bound to one of another domain's that is still open (`EVTCHNOP_status`).
    ///
    /// # Errors
    /// `EINVAL` when there cannot be such a port.
    fn evtchn_is_interdomain(&self, port: Port) -> Result<bool, Errno>;

    /// The grant table's size (`GNTTABOP_query_size`).
    ///
    /// # Errors
    /// Xen's, as it is.
    fn grant_limits(&self) -> Result<GrantLimits, Errno>;

    /// The next page of the grant table, mapped, and its number, which is 0 for the first one asked
    /// for in each of the domain's lives (`GNTTABOP_setup_table`, version 1 entries). Each page is
    /// the caller's alone.
    ///
    /// # Errors
    /// `ENOMEM` when Xen refuses to grow the table.
    fn next_grant_table_page(&self) -> Result<(u32, Self::Mapping), Errno>;

    /// Maps pages that `domain` granted (`GNTTABOP_map_grant_ref`). One result per reference, each
    /// with Xen's own verdict; a dropped mapping is unmapped.
    fn grant_map(
        &self,
        domain: DomId,
        refs: &[GrantRef],
        access: Access,
    ) -> Vec<Result<Self::Mapping, GrantStatus>>;

    /// Lets Xen copy between pages (`GNTTABOP_copy`), in the order given. `refused` is called for
    /// each copy that Xen would not make, with its index and Xen's verdict; the others are made.
    /// Allocates nothing.
    fn grant_copy(&self, copies: &[CopyGrant], refused: &mut dyn FnMut(usize, GrantStatus));

    /// Copies `length` bytes between two memories of this domain's, each given with the offset to
    /// begin at. Each byte is read once and written once, and none is looked at.
    ///
    /// Panics if it would leave one of them, as [`SharedMem`]'s methods do.
    fn copy(
        &self,
        source: (Shared<'_, Self>, usize),
        destination: (Shared<'_, Self>, usize),
        length: usize,
    );

    /// The time since the domain's first instruction. It never goes back.
    fn now(&self) -> Instant;

    /// The time since 1970-01-01 00:00 UTC, as Xen's wall clock has it.
    fn wall_clock(&self) -> Duration;

    /// A number that nobody else can guess, as far as the machine allows: a source for sequence
    /// numbers, ports and the like, not for keys.
    fn random(&self) -> u64;

    /// Asks for one [`Virq::Timer`] of this vCPU at `at`, instead of any asked for before; `None`
    /// asks for none (`HYPERVISOR_set_timer_op`).
    fn set_timer(&self, at: Option<Instant>);

    /// Gives the CPU away until an unmasked port of this vCPU is pending (`SCHEDOP_block`); returns
    /// at once if one is.
    fn block(&self);

    /// Arms (or, with the same `id`, feeds) a watchdog that ends the domain `timeout` from now;
    /// whole seconds. `id` 0 asks for a new one; returns the id (`SCHEDOP_watchdog`).
    ///
    /// # Errors
    /// `ENOSPC` when the domain has no watchdog left.
    fn watchdog(&self, id: u32, timeout: Duration) -> Result<u32, Errno>;

    /// Suspends the domain, so that the toolstack can save it, and returns when it runs again
    /// (`SCHEDOP_shutdown` with `SHUTDOWN_suspend`). Mappings of Xen's own pages stay usable, but
    /// the grant table's are to be asked for again. In another life [`now`](Self::now) goes on from
    /// where it was; else the time has passed.
    ///
    /// # Errors
    /// `EBUSY` while a page of another domain is mapped, `ENOMEM` if the domain has no memory for
    /// what the toolstack needs; Xen's. Nothing has changed then.
    fn suspend(&self) -> Result<Resumed, Errno>;

    /// Ends the domain (`SCHEDOP_shutdown`). On real Xen this does not return.
    fn shutdown(&self, reason: ShutdownReason);
}
