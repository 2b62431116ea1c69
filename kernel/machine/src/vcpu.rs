//! The domain's vCPUs: which of them runs this, and letting the others run.
//!
//! What is of use for each of them by itself is little: its number, which gs points to; its stack,
//! with a guard page below; and that Xen knows its entry points. Everything else that the machine
//! keeps is behind locks and atomics.
#![expect(unsafe_code, reason = "a vCPU begins with what it is given here")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::{asm, naked_asm};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hv::{Errno, SharedMem};
use spin::Once;
use xen_abi::arch_x86::{KERNEL_CS, KERNEL_SS, SEGBASE_GS_KERNEL};
use xen_abi::shared_info::{UPCALL_MASK, VCPUS, vcpu_info};
use xen_abi::vcpu::{GuestContext, IN_KERNEL, RUNNABLE, RUNNING};

use crate::frame::Page;
use crate::hypercall::{cpu, sched};
use crate::start::{domain, page, vcpus};
use crate::window::Stretch;
use crate::{clock, mmu, stack, trap, vector};

/// Pages of a vCPU's stack: 256 KiB, as the first one's.
const STACK_PAGES: usize = 64;
/// Interrupts are enabled: what a PV domain starts with.
const FLAGS: u64 = 1 << 9;
/// How long a vCPU may take to come to the end of its turn, when the domain dies.
const PATIENCE_NANOSECONDS: u64 = 50_000_000;
/// The same in turns of waiting, should the clock not go on.
const PATIENCE_TURNS: u32 = 2_000_000;

/// What gs points to on each of them.
static NUMBERS: [u32; VCPUS as usize] = {
    let mut numbers = [0; VCPUS as usize];
    let mut number = 0;
    while number < VCPUS {
        numbers[number as usize] = number;
        number += 1;
    }
    numbers
};

/// The domain dies.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// What they run.
static RUN: Once<fn() -> !> = Once::new();

/// Where the stacks of those begin that were started; 0 for the others.
static STACKS: [AtomicU64; VCPUS as usize] = [const { AtomicU64::new(0) }; VCPUS as usize];

/// The number of the vCPU that runs this.
#[inline]
pub(crate) fn current() -> u32 {
    let number: u32;
    // SAFETY: on each vCPU gs points to its number from its beginning on.
    unsafe {
        asm!("mov {:e}, gs:[0]", out(reg) number, options(pure, readonly, nostack, preserves_flags))
    };
    number
}

fn number_address(number: u32) -> u64 {
    let place = NUMBERS
        .get(number as usize)
        .map_or(core::ptr::null(), core::ptr::from_ref);
    place.expose_provenance() as u64
}

/// Has gs point to the first vCPU's number, which runs this.
pub(crate) fn begin_first() -> Result<(), Errno> {
    cpu::set_segment_base(SEGBASE_GS_KERNEL, number_address(0))
}

/// Says what the other vCPUs run. Only the first call counts.
pub fn set_run(run: fn() -> !) {
    RUN.call_once(|| run);
}

/// Sees to it that vCPU `number` can run: gives it its first registers, if it has not had them in
/// this life of the domain.
///
/// # Errors
/// `ENOENT` if there is no such vCPU, `ENOMEM` without memory for its stack; Xen's.
pub(crate) fn prepare(number: u32) -> Result<(), Errno> {
    if number == 0 || number >= vcpus() {
        return Err(Errno::ENOENT);
    }
    let stack = stack_of(number)?;
    let mut context = first_registers(number, stack.end)?;
    // SAFETY: it begins in `begin`, on a stack of its own.
    match unsafe { cpu::initialise(number, &mut context) } {
        // It has had them.
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Lets a vCPU run that is prepared: from its beginning, or from where it went [`down`].
pub(crate) fn up(number: u32) {
    // Its events are masked as the first one's are.
    page(domain().shared_info).write(vcpu_info(number) + UPCALL_MASK, &[1]);
    cpu::up(number);
}

/// Lets this vCPU run no more, until another one lets it go on.
pub(crate) fn down() {
    cpu::down(current());
}

/// Whether a vCPU may run.
pub(crate) fn is_up(number: u32) -> bool {
    cpu::is_up(number) == Some(true)
}

/// Whether the domain dies, and what runs here is to end between two turns: then it calls
/// [`down`].
#[must_use]
pub fn is_stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// The domain dies: stops every other vCPU, between two turns of its run loops if it comes there
/// soon. Says whether they all stand still then.
pub(crate) fn stop_others() -> bool {
    STOPPED.store(true, Ordering::Relaxed);
    let others = || (0..vcpus()).filter(|number| *number != current());
    // One that is blocked is between two turns, and looks before the next one.
    let is_at_work = |number| matches!(cpu::state(number), Some(RUNNING | RUNNABLE));
    wait_while(PATIENCE_NANOSECONDS, || others().any(is_at_work));
    for number in others() {
        cpu::down(number);
        wait_while(PATIENCE_NANOSECONDS, || cpu::state(number) == Some(RUNNING));
    }
    others().all(|number| cpu::state(number) != Some(RUNNING))
}

/// Waits for others, for so long at most.
fn wait_while(limit: u64, condition: impl Fn() -> bool) {
    let start = clock::now();
    for _ in 0..PATIENCE_TURNS {
        let waited = clock::now().since(start).as_nanos();
        if waited >= u128::from(limit) || !condition() {
            return;
        }
        sched::yield_cpu();
    }
}

/// The stacks of the vCPUs that were started, but for the first.
pub(crate) fn stacks() -> impl Iterator<Item = Range<u64>> {
    let starts = STACKS.iter().map(|start| start.load(Ordering::Acquire));
    starts.filter(|start| *start != 0).map(stack_from)
}

fn stack_from(start: u64) -> Range<u64> {
    start..start + (STACK_PAGES * hv::PAGE_SIZE) as u64
}

/// The stack of a vCPU, which is made if there is none. Only the first vCPU starts others.
fn stack_of(number: u32) -> Result<Range<u64>, Errno> {
    let place = STACKS.get(number as usize).ok_or(Errno::ENOENT)?;
    let known = place.load(Ordering::Acquire);
    if known != 0 {
        return Ok(stack_from(known));
    }
    let stack = new_stack()?;
    place.store(stack.start, Ordering::Release);
    Ok(stack)
}

/// Maps pages of the domain in a row, for good, with one below that is not.
fn new_stack() -> Result<Range<u64>, Errno> {
    // Without memory for all of it nothing is taken.
    let pages: Option<Vec<Page>> = (0..STACK_PAGES).map(|_| Page::take()).collect();
    let pages = pages.ok_or(Errno::ENOMEM)?;
    let stretch = Stretch::take(STACK_PAGES + 1).ok_or(Errno::ENOMEM)?;
    for (page, index) in pages.into_iter().zip(1..) {
        let mfn = mmu::mfn(page.leak()).ok_or(Errno::EINVAL)?;
        // SAFETY: the address is the stretch's own and empty, and the frame nobody else's.
        unsafe { mmu::map_foreign(stretch.address(index), mfn) }?;
    }
    let stack = stack_from(stretch.address(1));
    // SAFETY: nobody uses it yet.
    unsafe { stack::fill(&stack) };
    Ok(stack)
}

/// What vCPU `number` begins with.
fn first_registers(number: u32, stack_end: u64) -> Result<Box<GuestContext>, Errno> {
    // SAFETY: every field is a number.
    let mut context = unsafe { Box::<GuestContext>::new_zeroed().assume_init() };
    let registers = &mut context.user_regs;
    registers.__bindgen_anon_8.rip = begin as *const () as usize as u64;
    registers.__bindgen_anon_9.rflags = FLAGS;
    registers.__bindgen_anon_10.rsp = stack_end;
    registers.cs = KERNEL_CS;
    registers.ss = KERNEL_SS;
    context.flags = IN_KERNEL;
    context.kernel_ss = u64::from(KERNEL_SS);
    context.kernel_sp = stack_end;
    context.gs_base_kernel = number_address(number);
    if let Some(base) = context.ctrlreg.get_mut(3) {
        *base = mmu::mfn(mmu::top()).ok_or(Errno::EINVAL)? * hv::PAGE_SIZE as u64;
    }
    Ok(context)
}

/// The first instructions of every vCPU but the first.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!(
        "cld",
        "xor ebp, ebp",
        "call {begun}",
        "ud2",
        begun = sym begun,
    )
}

extern "C" fn begun() -> ! {
    let registered = trap::register();
    assert!(registered.is_ok(), "no entry points: {registered:?}");
    vector::start();
    cpu::stop_periodic_timer(current());
    match RUN.get() {
        Some(run) => run(),
        None => loop {
            down();
        },
    }
}
