//! Hypercalls: one function per operation, each with its own argument type.
//!
//! A hypercall is a `syscall` instruction with its number in rax and up to five arguments in rdi,
//! rsi, rdx, r10 and r8; Xen clobbers those, rcx and r11. There is no hypercall page.
#![expect(unsafe_code, reason = "the syscall instruction")]

use core::arch::asm;

use hv::Errno;

pub(crate) mod cpu;
pub(crate) mod event;
pub(crate) mod grant;
pub(crate) mod memory;
pub(crate) mod mmu;
pub(crate) mod physdev;
pub(crate) mod sched;

/// Makes hypercall `number`.
///
/// # Safety
/// The arguments must be what the hypercall wants: its pointers must be good for what Xen does with
/// them, and what it changes in the domain must be the caller's to change.
unsafe fn hypercall(number: u64, arguments: [u64; 5]) -> Result<u64, Errno> {
    let [a, b, c, d, e] = arguments;
    let result: i64;
    // No `nostack`: Xen may deliver an event on this stack when `SCHEDOP_block` returns.
    //
    // SAFETY: the caller's promise; every register Xen may change is named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            inlateout("rdi") a => _,
            inlateout("rsi") b => _,
            inlateout("rdx") c => _,
            inlateout("r10") d => _,
            inlateout("r8") e => _,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    Errno::check(result)
}

/// The address of a hypercall's argument.
fn pointer<T: ?Sized>(argument: &mut T) -> u64 {
    (&raw mut *argument).cast::<u8>().expose_provenance() as u64
}
