//! The stack, its guard pages and its high-water mark.
//!
//! There is one stack, since there is one run loop. Its guard pages are not mapped. Xen builds the
//! frame of an exception on the stack it interrupts, so an overflow cannot be reported by the
//! domain: the frame of its page fault does not fit, and Xen ends the domain. The sign is a domain
//! that crashed without an epitaph; `xl dmesg` in dom0 then shows, at its end:
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
//! `rsp` lies in the page below the stack (`xenolith_stack_guard_low` of the link script). `cargo
//! xtask symbolize` on these lines says so, and what ran at `RIP`. The shell's `crash stack` shows
//! it.
//!
//! [`usage`] says how close it ever came.
#![expect(unsafe_code, reason = "it looks at the whole stack")]

use core::ops::Range;
use core::ptr;

use crate::image;

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

/// The domain's one stack.
#[must_use]
pub fn usage() -> StackUse {
    let Range { start, end } = image::stack();
    let untouched = (start..end).step_by(8).position(|address| {
        let word = ptr::with_exposed_provenance::<u64>(address as usize);
        // SAFETY: the word lies in the stack, which is always mapped.
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
