//! The stacks, their guard pages and their high-water mark.
//!
//! There is one for each vCPU, since each turns one run loop at a time: the first one's is in the
//! image, the others are made by [`vcpu`](crate::vcpu). Their guard pages are not mapped. Xen
//! builds the frame of an exception on the stack it interrupts, so an overflow cannot be reported
//! by the domain: the frame of its page fault does not fit, and Xen ends the domain. The sign is a
//! domain that crashed without an epitaph; `xl dmesg` in dom0 then shows, at its end:
//!
//! ```text
//! (XEN) domain_crash_sync called from entry.S: fault at ... domain_crash_page_fault_6x8+0/0x4
//! (XEN) Domain 7 (vcpu#0) crashed on cpu#1:
//! (XEN) RIP:    e033:[<ffffffff8000c07b>]
//! (XEN) rbp: ffffffff80045030   rsp: ffffffff80044e30   r8:  0000000000000000
//! (XEN) Guest stack trace from rsp=ffffffff80044e30:
//! (XEN)   Fault while accessing guest memory.
//! ```
//!
//! `rsp` lies in the page below the first vCPU's stack (`xenolith_stack_guard_low` of the link
//! script). `cargo xtask symbolize` on these lines says so, and what ran at `RIP`. The shell's
//! `crash stack` shows it. For another vCPU, `vcpu#1` and so on, only the second is told: its stack
//! lies in the window (`WINDOW_BASE`), with a page below it that is not mapped.
//!
//! [`usage`] says how close it ever came.
#![expect(unsafe_code, reason = "it looks at the whole stack")]

use core::ops::Range;
use core::ptr;

use crate::{image, vcpu};

/// What the first instructions fill the stack with.
pub const PATTERN: u64 = 0x6b63_6174_735f_6e78;

/// How much of a stack was ever used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackUse {
    /// Whose stack.
    pub name: &'static str,
    /// Bytes used at most, so far.
    pub used: usize,
    /// Bytes it has.
    pub size: usize,
}

/// Fills a stack with the pattern.
///
/// # Safety
/// It is mapped, and nobody uses it yet.
pub(crate) unsafe fn fill(stack: &Range<u64>) {
    for address in stack.clone().step_by(8) {
        let word = ptr::with_exposed_provenance_mut::<u64>(address as usize);
        // SAFETY: the caller's promise.
        unsafe { word.write_volatile(PATTERN) };
    }
}

/// The stack that came closest to its end.
#[must_use]
pub fn usage() -> StackUse {
    let mut most = usage_of(&image::stack());
    for stack in vcpu::stacks() {
        let other = usage_of(&stack);
        if other.used > most.used {
            most = other;
        }
    }
    most
}

fn usage_of(stack: &Range<u64>) -> StackUse {
    let Range { start, end } = *stack;
    let untouched = (start..end).step_by(8).position(|address| {
        let word = ptr::with_exposed_provenance::<u64>(address as usize);
        // SAFETY: the word lies in a stack, which is always mapped; it may be another vCPU's, which
        // writes it: either value tells the same.
        let value = unsafe { word.read_volatile() };
        value != PATTERN
    });
    let size = (end - start) as usize;
    StackUse {
        name: "run loop",
        used: size - untouched.map_or(size, |words| words * 8),
        size,
    }
}
