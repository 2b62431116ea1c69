//! From start_info to a running domain.
#![expect(unsafe_code, reason = "it takes over what the domain builder left")]

use alloc::string::String;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use hv::{Errno, Port};
use spin::Once;
use xen_abi::sched::REASON_CRASH;
use xen_abi::shared_info::VCPUS;
use xen_abi::xen::{START_INFO_MAGIC, StartInfo};

use crate::hypercall::{cpu, memory, sched};
use crate::window::{Mapping, Slot};
use crate::xen::Xen;
use crate::{clock, direct, epitaph, frame, heap, mmu, p2m, trap, vcpu, vector};

/// A domain may grow to this many times the memory it starts with: the list of its frames has room
/// for all of them from the start, which takes one part in 128 of that memory then.
const GROWTH: u64 = 256;

static DOMAIN: Once<Domain> = Once::new();

/// What the domain builder said.
pub(crate) struct Domain {
    /// The address of start_info.
    pub(crate) start_info: u64,
    /// The address that the shared info page is mapped at.
    pub(crate) shared_info: u64,
    /// The xenstore ring's address.
    pub(crate) store: u64,
    store_port: AtomicU32,
    /// The console ring's address.
    pub(crate) console: u64,
    console_port: AtomicU32,
    pub(crate) command_line: String,
    pub(crate) vcpus: u32,
}

impl Domain {
    /// The port of xenstore in this life of the domain.
    pub(crate) fn store_port(&self) -> Port {
        Port(self.store_port.load(Ordering::Relaxed))
    }

    /// The port of the console in this life of the domain.
    pub(crate) fn console_port(&self) -> Port {
        Port(self.console_port.load(Ordering::Relaxed))
    }

    /// The domain has a new life, and its ports are others.
    pub(crate) fn set_ports(&self, store: u32, console: u32) {
        self.store_port.store(store, Ordering::Relaxed);
        self.console_port.store(console, Ordering::Relaxed);
        epitaph::set_console_port(Port(console));
    }
}

/// The address that the shared info page is mapped at; `None` before it is.
pub(crate) fn shared_info() -> Option<u64> {
    Some(DOMAIN.get()?.shared_info)
}

/// How many vCPUs the domain has, as far as it is known.
pub(crate) fn vcpus() -> u32 {
    DOMAIN.get().map_or(1, |domain| domain.vcpus)
}

pub(crate) fn domain() -> &'static Domain {
    DOMAIN
        .get()
        .expect("the domain is started before anybody has a handle to it")
}

/// Takes over the domain: entry points, memory, clock. Ends it if that fails, which is a defect or
/// a domain too small: with an epitaph as soon as there is a console.
///
/// # Safety
/// To be called once, by the first instructions: with the address of start_info, the first address
/// that the builder did not use (the top of its stack), and the time stamp counter at entry.
pub unsafe fn start(start_info: usize, unused: usize, tsc: u64) -> Xen {
    let info = ptr::with_exposed_provenance::<StartInfo>(start_info);
    // SAFETY: Xen passed the address, and the builder mapped the page.
    let info = unsafe { info.read() };
    let entered = trap::register().and_then(|()| vcpu::begin_first());
    if !info.magic.starts_with(START_INFO_MAGIC) || entered.is_err() {
        sched::shutdown(REASON_CRASH);
    }
    // SAFETY: this is the one start.
    unsafe { heap::open_boot() };
    let command_line = command_line(&info);
    // SAFETY: this is the one start, with what the builder passed.
    unsafe { mmu::learn(&info, unused as u64) };
    let console = mmu::builder_page(info.console_mfn);
    let console_port = Port(info.console_evtchn);
    epitaph::set_console(page(console), console_port);
    let most = memory::most_frames().unwrap_or(info.nr_pages);
    let room = most.clamp(info.nr_pages, info.nr_pages.saturating_mul(GROWTH));
    // SAFETY: the frames are known, and nobody uses the spare ones yet.
    let spare = unsafe { mmu::take_over(room) }
        .unwrap_or_else(|why| panic!("cannot map the domain's {} pages: {why:?}", info.nr_pages));
    // SAFETY: this is the one start; the spare frames have just been mapped.
    unsafe { frame::init(spare) };
    heap::open_main();
    direct::open(spare.plan);
    p2m::open(&spare.plan, direct::room());
    vector::start();
    let shared_info = map_shared_info(info.shared_info)
        .unwrap_or_else(|errno| panic!("cannot map the shared info page: {errno}"));
    clock::start(page(shared_info), tsc);
    cpu::stop_periodic_timer(vcpu::current());
    // More would need a place of their own for their events.
    let vcpus = (0..VCPUS)
        .take_while(|number| cpu::is_up(*number).is_some())
        .count();
    DOMAIN.call_once(|| Domain {
        start_info: start_info as u64,
        shared_info,
        store: mmu::builder_page(info.store_mfn),
        store_port: AtomicU32::new(info.store_evtchn),
        console,
        console_port: AtomicU32::new(info.console_evtchn),
        command_line,
        vcpus: vcpus as u32,
    });
    p2m::publish();
    Xen::new()
}

/// A page that stays mapped where it is.
pub(crate) fn page(address: u64) -> Mapping {
    // SAFETY: only called with pages that the builder or `map_shared_info` mapped for good.
    unsafe { Mapping::fixed(address) }
}

/// Maps the shared info page, and returns its address.
fn map_shared_info(machine_address: u64) -> Result<u64, Errno> {
    let slot = Slot::take().ok_or(Errno::ENOMEM)?;
    let address = slot.address();
    // SAFETY: Xen shares this page with the domain for as long as it runs.
    unsafe { slot.map_shared(machine_address / hv::PAGE_SIZE as u64) }?;
    Ok(address)
}

/// The command line as text; bytes that are none are replaced.
fn command_line(info: &StartInfo) -> String {
    let bytes = info
        .cmd_line
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    String::from(String::from_utf8_lossy(bytes).trim())
}
