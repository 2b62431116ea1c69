//! Where Xen enters the domain: exceptions, the non-maskable interrupt, and the event upcall.
//!
//! Xen pushes its frame on the stack it interrupts (from low to high: rcx, r11, an error code for
//! some vectors, rip, cs, rflags, rsp, ss). An exception ends the domain with an epitaph, and so
//! does the non-maskable interrupt, which an administrator can raise to see where a domain hangs
//! (`xl trigger DOMAIN nmi`). The upcall returns at once with events masked: the run loop looks at
//! the pending bits itself.
#![expect(unsafe_code, reason = "entry points are assembly")]

use core::arch::naked_asm;
use core::fmt;

use hv::Errno;
use xen_abi::arch_x86::{KERNEL_CS, TRAP_MASKS_EVENTS, TrapInfo};
use xen_abi::callback::{CallbackRegister, MASK_EVENTS, TYPE_EVENT, TYPE_FAILSAFE, TYPE_NMI};

use crate::epitaph;
use crate::hypercall::cpu;

/// The registers when Xen entered the domain, as the entry points store them.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    pub(crate) rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    /// The exception's number.
    pub(crate) vector: u64,
    /// The exception's error code; 0 for those without one.
    pub(crate) error: u64,
    pub(crate) rip: u64,
    /// The code selector; the upper half holds the event mask.
    cs: u64,
    rflags: u64,
    pub(crate) rsp: u64,
    ss: u64,
}

impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = [
            ("rip", self.rip),
            ("rsp", self.rsp),
            ("rbp", self.rbp),
            ("rflags", self.rflags),
            ("cs", self.cs & 0xffff),
            ("ss", self.ss),
            ("rax", self.rax),
            ("rbx", self.rbx),
            ("rcx", self.rcx),
            ("rdx", self.rdx),
            ("rsi", self.rsi),
            ("rdi", self.rdi),
            ("r8", self.r8),
            ("r9", self.r9),
            ("r10", self.r10),
            ("r11", self.r11),
            ("r12", self.r12),
            ("r13", self.r13),
            ("r14", self.r14),
            ("r15", self.r15),
        ];
        for (name, value) in pairs {
            writeln!(f, "{name}: {value:#018x}")?;
        }
        Ok(())
    }
}

/// What an exception is called (Intel's manual, volume 3, table 6-1).
pub(crate) fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack segment fault",
        13 => "general protection",
        14 => "page fault",
        16 => "floating point",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating point",
        20 => "virtualization",
        21 => "control protection",
        FAILSAFE => "failed return to the domain",
        _ => "exception",
    }
}

/// Not a vector: the failsafe callback.
const FAILSAFE: u64 = 32;

/// Saves what Xen has not saved, and ends the domain. The frame starts at the error code.
#[unsafe(naked)]
unsafe extern "C" fn trap() -> ! {
    naked_asm!(
        "push rax",
        "push rbx",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push rbp",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "cld",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {trapped}",
        "ud2",
        trapped = sym trapped,
    )
}

extern "C" fn trapped(registers: &Registers) -> ! {
    epitaph::trap(registers)
}

/// An entry point for a vector: with an error code on the stack, or with a 0 pushed in its place.
macro_rules! entry {
    ($name:ident, $vector:literal, error) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() -> ! {
            naked_asm!(
                "pop rcx",
                "pop r11",
                concat!("push ", $vector),
                "jmp {trap}",
                trap = sym trap,
            )
        }
    };
    ($name:ident, $vector:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() -> ! {
            naked_asm!(
                "pop rcx",
                "pop r11",
                "push 0",
                concat!("push ", $vector),
                "jmp {trap}",
                trap = sym trap,
            )
        }
    };
}

entry!(divide_error, 0);
entry!(debug, 1);
entry!(nmi, 2);
entry!(breakpoint, 3);
entry!(overflow, 4);
entry!(bound_range, 5);
entry!(invalid_opcode, 6);
entry!(device_not_available, 7);
entry!(double_fault, 8, error);
entry!(invalid_tss, 10, error);
entry!(segment_not_present, 11, error);
entry!(stack_segment, 12, error);
entry!(general_protection, 13, error);
entry!(page_fault, 14, error);
entry!(floating_point, 16);
entry!(alignment_check, 17, error);
entry!(machine_check, 18);
entry!(simd_floating_point, 19);
entry!(virtualization, 20);
entry!(control_protection, 21, error);

/// Xen could not return to the domain. The frame has the segment registers in front: ds, es, fs,
/// gs.
#[unsafe(naked)]
unsafe extern "C" fn failsafe() -> ! {
    naked_asm!(
        "pop rcx",
        "pop r11",
        "add rsp, 32",
        "push 0",
        "push 32",
        "jmp {trap}",
        trap = sym trap,
    )
}

/// An event came. Returns where it came from, with events masked, as Xen has left them. The kernel
/// runs in ring 3, so the processor can do that without Xen; only the privilege levels that Xen has
/// taken out of the selectors are missing. No Rust runs here, so no register is touched.
#[unsafe(naked)]
unsafe extern "C" fn upcall() -> ! {
    naked_asm!(
        "pop rcx",
        "pop r11",
        "or byte ptr [rsp + 8], 3",
        "or byte ptr [rsp + 32], 3",
        "iretq",
    )
}

type Entry = unsafe extern "C" fn() -> !;

const EXCEPTIONS: [(u8, Entry); 19] = [
    (0, divide_error),
    (1, debug),
    (3, breakpoint),
    (4, overflow),
    (5, bound_range),
    (6, invalid_opcode),
    (7, device_not_available),
    (8, double_fault),
    (10, invalid_tss),
    (11, segment_not_present),
    (12, stack_segment),
    (13, general_protection),
    (14, page_fault),
    (16, floating_point),
    (17, alignment_check),
    (18, machine_check),
    (19, simd_floating_point),
    (20, virtualization),
    (21, control_protection),
];

fn address(entry: Entry) -> u64 {
    entry as usize as u64
}

/// Tells Xen every entry point.
///
/// # Errors
/// Xen's: it refuses an address that is not the domain's.
pub(crate) fn register() -> Result<(), Errno> {
    let end = TrapInfo {
        vector: 0,
        flags: 0,
        cs: 0,
        address: 0,
    };
    let mut table = [end; EXCEPTIONS.len() + 1];
    for (line, (vector, entry)) in table.iter_mut().zip(EXCEPTIONS) {
        *line = TrapInfo {
            vector,
            flags: TRAP_MASKS_EVENTS,
            cs: KERNEL_CS,
            address: address(entry),
        };
    }
    // SAFETY: the last line's address is 0, and each entry point is made for its vector's frame.
    unsafe { cpu::set_trap_table(&mut table) }?;
    for (kind, entry) in [
        (TYPE_EVENT, upcall as Entry),
        (TYPE_FAILSAFE, failsafe),
        (TYPE_NMI, nmi),
    ] {
        let callback = CallbackRegister {
            kind,
            flags: MASK_EVENTS,
            address: address(entry),
        };
        // SAFETY: each entry point is made for its callback's frame.
        unsafe { cpu::register_callback(callback) }?;
    }
    Ok(())
}
