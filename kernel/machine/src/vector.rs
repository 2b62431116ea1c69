//! Copies by the widest registers that Xen lets a domain have: the 32-byte ones of AVX.
//!
//! A page takes 256 moves then. `rep movsq`, which is used without AVX, takes 512 repetitions, each
//! of which counts as an instruction where there is no fast path for it (under emulation, and for
//! what QEMU's deterministic clock measures). On hardware both move about 32 bytes a cycle from the
//! cache, and the string instruction takes some 30 cycles before it gets there, by Intel's and
//! AMD's optimization manuals; that was not measured here. The rest of the domain uses the
//! registers' lower halves anyway, and Xen keeps them across a change of domains; the upper halves
//! are cleared behind each copy, so there is no more to keep than before.
#![expect(unsafe_code, reason = "vector registers are used by assembly")]

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::xcontrol::{XCr0, XCr0Flags};

/// What is copied at a time.
pub(crate) const BLOCK: usize = 1024;

/// Leaf 1 of CPUID, in ecx: XSAVE and AVX.
const XSAVE_AND_AVX: u32 = 1 << 26 | 1 << 28;

/// What [`are_on`] says, for assembly: a byte that is 0 or 1.
pub(crate) static ON: AtomicBool = AtomicBool::new(false);

/// Whether [`copy_blocks`] can be used.
#[inline]
pub(crate) fn are_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Turns the registers on if Xen offers them: it carries out these privileged instructions for a
/// PV domain.
pub(crate) fn start() {
    if features() & XSAVE_AND_AVX != XSAVE_AND_AVX {
        return;
    }
    // SAFETY: it allows XGETBV and XSAVE and changes nothing else.
    unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::OSXSAVE)) };
    if !Cr4::read().contains(Cr4Flags::OSXSAVE) {
        return;
    }
    let states = XCr0Flags::X87 | XCr0Flags::SSE | XCr0Flags::AVX;
    // SAFETY: Xen offers AVX; what was enabled stays so.
    unsafe { XCr0::write(states) };
    ON.store(true, Ordering::Relaxed);
}

/// Leaf 1 of CPUID in ecx, as Xen wants this domain to see it. The plain instruction would tell of
/// the machine; Xen is asked by the bytes before it (`XEN_EMULATE_PREFIX` of arch-x86/xen.h).
pub(crate) fn features() -> u32 {
    let ecx: u32;
    // SAFETY: Xen writes the four registers, of which the compiler's own, rbx, is put back.
    unsafe {
        asm!(
            "mov {rbx}, rbx",
            "ud2",
            ".ascii \"xen\"",
            "cpuid",
            "mov rbx, {rbx}",
            rbx = out(reg) _,
            inout("eax") 1 => _,
            inout("ecx") 0 => ecx,
            out("edx") _,
            options(nostack, preserves_flags),
        );
    }
    ecx
}

/// Copies `blocks` times [`BLOCK`] bytes; at least once. Of a block each half is read before it is
/// written, so the destination may overlap the source from before it.
///
/// Changes no general register but rdi and rsi, which come to stand behind what was copied, and
/// rdx.
///
/// # Safety
/// [`are_on`] said so; `blocks` is not 0; otherwise as for a copy of as many bytes by `span`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn copy_blocks(
    destination: *mut u8,
    source: *const u8,
    blocks: usize,
) {
    naked_asm!(
        "2:",
        ".irp half, 0, 512",
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "vmovdqu ymm\\n, [rsi + \\half + 32 * \\n]",
        ".endr",
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "vmovdqu [rdi + \\half + 32 * \\n], ymm\\n",
        ".endr",
        ".endr",
        "add rsi, {block}",
        "add rdi, {block}",
        "dec rdx",
        "jnz 2b",
        "vzeroupper",
        "ret",
        block = const BLOCK,
    )
}
