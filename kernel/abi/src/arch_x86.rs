//! `arch-x86/xen.h` and `arch-x86/xen-x86_64.h`: traps, selectors, address space.

/// One line of the trap table (`struct trap_info`): `vector`, `flags`, `cs`, `address`. The table
/// ends with a line whose address is 0.
pub use xen_sys::trap_info as TrapInfo;

/// What the `iret` hypercall finds on the stack (`struct iret_context`), lowest address first.
pub use xen_sys::iret_context as IretContext;

/// `TrapInfo::flags`, low two bits: the least privileged ring that may raise the trap by `int`.
pub const TRAP_DPL_MASK: u8 = 3;
/// `TrapInfo::flags`: the trap's entry masks event delivery (`TI_SET_IF`).
pub const TRAP_MASKS_EVENTS: u8 = 4;

/// The 64-bit code selector of a guest kernel, which runs in ring 3 (`FLAT_KERNEL_CS64`).
pub const KERNEL_CS: u16 = xen_sys::FLAT_KERNEL_CS64 as u16;
/// The stack selector of a guest kernel (`FLAT_KERNEL_SS64`).
pub const KERNEL_SS: u16 = xen_sys::FLAT_KERNEL_SS64 as u16;

/// `IretContext::flags`: return by `sysret`; rcx, r11, cs and ss of the frame are not restored
/// (`VGCF_in_syscall`). 0 restores all of the frame.
pub const VGCF_IN_SYSCALL: u64 = xen_sys::VGCF_in_syscall as u64;

/// The first address that belongs to Xen (`HYPERVISOR_VIRT_START`).
pub const HYPERVISOR_START: u64 = 0xffff_8000_0000_0000;
/// The first address above Xen's that is the guest's again (`HYPERVISOR_VIRT_END`).
pub const HYPERVISOR_END: u64 = 0xffff_8800_0000_0000;
/// Where a guest may read the table from machine to pseudo-physical frames, 8 bytes each
/// (`MACH2PHYS_VIRT_START`).
pub const MACH2PHYS_START: u64 = 0xffff_8000_0000_0000;

/// `set_segment_base`: the base of fs.
pub const SEGBASE_FS: u64 = xen_sys::SEGBASE_FS as u64;
/// `set_segment_base`: the base of gs in the kernel.
pub const SEGBASE_GS_KERNEL: u64 = xen_sys::SEGBASE_GS_KERNEL as u64;
