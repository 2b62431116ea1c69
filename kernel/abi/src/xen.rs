//! `xen.h`: hypercall numbers, page-table operations, and what a domain finds at its start.
//!
//! A hypercall takes its number in rax, up to five arguments in rdi, rsi, rdx, r10, r8, and returns
//! in rax; rcx, r11 and the argument registers are clobbered. Errors are negative Xen errnos.

pub use xen_sys::mmu_update as MmuUpdate;
pub use xen_sys::multicall_entry as MulticallEntry;

/// `HYPERVISOR_set_trap_table`.
pub const SET_TRAP_TABLE: u64 = xen_sys::__HYPERVISOR_set_trap_table as u64;
/// `HYPERVISOR_mmu_update`.
pub const MMU_UPDATE: u64 = xen_sys::__HYPERVISOR_mmu_update as u64;
/// `HYPERVISOR_stack_switch`.
pub const STACK_SWITCH: u64 = xen_sys::__HYPERVISOR_stack_switch as u64;
/// `HYPERVISOR_fpu_taskswitch`.
pub const FPU_TASKSWITCH: u64 = xen_sys::__HYPERVISOR_fpu_taskswitch as u64;
/// `HYPERVISOR_memory_op`: see [`memory`](crate::memory).
pub const MEMORY_OP: u64 = xen_sys::__HYPERVISOR_memory_op as u64;
/// `HYPERVISOR_multicall`.
pub const MULTICALL: u64 = xen_sys::__HYPERVISOR_multicall as u64;
/// `HYPERVISOR_update_va_mapping`: address, new entry, `UVMF_*`.
pub const UPDATE_VA_MAPPING: u64 = xen_sys::__HYPERVISOR_update_va_mapping as u64;
/// `HYPERVISOR_set_timer_op`: absolute system time in nanoseconds, 0 for none.
pub const SET_TIMER_OP: u64 = xen_sys::__HYPERVISOR_set_timer_op as u64;
/// `HYPERVISOR_xen_version`: see [`version`](crate::version).
pub const XEN_VERSION: u64 = xen_sys::__HYPERVISOR_xen_version as u64;
/// `HYPERVISOR_console_io`.
pub const CONSOLE_IO: u64 = xen_sys::__HYPERVISOR_console_io as u64;
/// `HYPERVISOR_grant_table_op`: see [`grant_table`](crate::grant_table).
pub const GRANT_TABLE_OP: u64 = xen_sys::__HYPERVISOR_grant_table_op as u64;
/// `HYPERVISOR_vm_assist`.
pub const VM_ASSIST: u64 = xen_sys::__HYPERVISOR_vm_assist as u64;
/// `HYPERVISOR_iret`: see [`IretContext`](crate::arch_x86::IretContext).
pub const IRET: u64 = xen_sys::__HYPERVISOR_iret as u64;
/// `HYPERVISOR_vcpu_op`.
pub const VCPU_OP: u64 = xen_sys::__HYPERVISOR_vcpu_op as u64;
/// `HYPERVISOR_set_segment_base`.
pub const SET_SEGMENT_BASE: u64 = xen_sys::__HYPERVISOR_set_segment_base as u64;
/// `HYPERVISOR_mmuext_op`.
pub const MMUEXT_OP: u64 = xen_sys::__HYPERVISOR_mmuext_op as u64;
/// `HYPERVISOR_sched_op`: see [`sched`](crate::sched).
pub const SCHED_OP: u64 = xen_sys::__HYPERVISOR_sched_op as u64;
/// `HYPERVISOR_callback_op`: see [`callback`](crate::callback).
pub const CALLBACK_OP: u64 = xen_sys::__HYPERVISOR_callback_op as u64;
/// `HYPERVISOR_event_channel_op`: see [`event_channel`](crate::event_channel).
pub const EVENT_CHANNEL_OP: u64 = xen_sys::__HYPERVISOR_event_channel_op as u64;
/// `HYPERVISOR_physdev_op`.
pub const PHYSDEV_OP: u64 = xen_sys::__HYPERVISOR_physdev_op as u64;

/// The caller itself.
pub const DOMID_SELF: u16 = 0x7ff0;

/// `console_io`: write to Xen's own console; length, address.
pub const CONSOLEIO_WRITE: u64 = xen_sys::CONSOLEIO_write as u64;

/// The one-shot timer.
pub const VIRQ_TIMER: u32 = xen_sys::VIRQ_TIMER;
/// A request for debug output.
pub const VIRQ_DEBUG: u32 = xen_sys::VIRQ_DEBUG;

/// `MmuUpdate::ptr`, low two bits: write a page-table entry at this machine address.
pub const MMU_NORMAL_PT_UPDATE: u64 = xen_sys::MMU_NORMAL_PT_UPDATE as u64;
/// `MmuUpdate::ptr`, low two bits: say which pseudo-physical frame this machine frame is.
pub const MMU_MACHPHYS_UPDATE: u64 = xen_sys::MMU_MACHPHYS_UPDATE as u64;
/// `MmuUpdate::ptr`, low two bits: write an entry but keep its accessed and dirty bits.
pub const MMU_PT_UPDATE_PRESERVE_AD: u64 = xen_sys::MMU_PT_UPDATE_PRESERVE_AD as u64;

/// Validate and pin a frame as a first-level table.
pub const MMUEXT_PIN_L1_TABLE: u32 = xen_sys::MMUEXT_PIN_L1_TABLE;
/// Validate and pin a frame as a second-level table.
pub const MMUEXT_PIN_L2_TABLE: u32 = xen_sys::MMUEXT_PIN_L2_TABLE;
/// Validate and pin a frame as a third-level table.
pub const MMUEXT_PIN_L3_TABLE: u32 = xen_sys::MMUEXT_PIN_L3_TABLE;
/// Validate and pin a frame as a fourth-level table.
pub const MMUEXT_PIN_L4_TABLE: u32 = xen_sys::MMUEXT_PIN_L4_TABLE;
/// Undo a pin.
pub const MMUEXT_UNPIN_TABLE: u32 = xen_sys::MMUEXT_UNPIN_TABLE;
/// Load the base of the page tables.
pub const MMUEXT_NEW_BASEPTR: u32 = xen_sys::MMUEXT_NEW_BASEPTR;
/// Flush the TLB of every CPU that the domain runs on.
pub const MMUEXT_TLB_FLUSH_ALL: u32 = xen_sys::MMUEXT_TLB_FLUSH_ALL;
/// Flush one address from this CPU's TLB.
pub const MMUEXT_INVLPG_LOCAL: u32 = xen_sys::MMUEXT_INVLPG_LOCAL;

/// `update_va_mapping`: flush nothing.
pub const UVMF_NONE: u64 = 0;
/// `update_va_mapping`: flush the whole TLB.
pub const UVMF_TLB_FLUSH: u64 = 1;
/// `update_va_mapping`: flush this one address.
pub const UVMF_INVLPG: u64 = 2;
/// `update_va_mapping`: flush that on every CPU that the domain runs on.
pub const UVMF_ALL: u64 = 4;

/// `vm_assist`: switch an assistance on.
pub const VMASST_CMD_ENABLE: u64 = xen_sys::VMASST_CMD_enable as u64;
/// `vm_assist`: Xen emulates writes to page tables.
pub const VMASST_TYPE_WRITABLE_PAGETABLES: u64 = xen_sys::VMASST_TYPE_writable_pagetables as u64;

/// `struct mmuext_op`, its unions flattened.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MmuextOp {
    /// One of `MMUEXT_*`.
    pub cmd: u32,
    /// A machine frame or a virtual address, as the command wants.
    pub arg1: u64,
    /// A second argument where the command has one.
    pub arg2: u64,
}

/// `StartInfo::flags`: this domain controls the machine.
pub const SIF_INITDOMAIN: u32 = xen_sys::SIF_INITDOMAIN;
/// `StartInfo::flags`: `mod_start` is a frame number.
pub const SIF_MOD_START_PFN: u32 = xen_sys::SIF_MOD_START_PFN;
/// How `StartInfo::magic` starts; "x86_64" follows.
pub const START_INFO_MAGIC: &[u8] = b"xen-3.0-";

/// `struct start_info` of a domain that is not dom0: what the domain builder says, once.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StartInfo {
    /// "xen-3.0-x86_64", NUL-terminated.
    pub magic: [u8; 32],
    /// Pages of the domain.
    pub nr_pages: u64,
    /// The machine address of the shared info page.
    pub shared_info: u64,
    /// `SIF_*`.
    pub flags: u32,
    /// The machine frame of the xenstore ring.
    pub store_mfn: u64,
    /// The port of xenstore.
    pub store_evtchn: u32,
    /// The machine frame of the primary console's ring.
    pub console_mfn: u64,
    /// The port of the primary console.
    pub console_evtchn: u32,
    /// The virtual address of the fourth-level page table.
    pub pt_base: u64,
    /// Frames of the builder's page tables.
    pub nr_pt_frames: u64,
    /// The virtual address of the array of machine frame numbers, one of 8 bytes for each page.
    pub mfn_list: u64,
    /// The virtual address of the ramdisk, 0 for none; a frame number with [`SIF_MOD_START_PFN`].
    pub mod_start: u64,
    /// The ramdisk's bytes.
    pub mod_len: u64,
    /// The command line, NUL-terminated if shorter than the field.
    pub cmd_line: [u8; CMD_LINE_LENGTH],
    /// The first frame of the array, if the builder placed it outside the initial mapping.
    pub first_p2m_pfn: u64,
    /// Its frames.
    pub nr_p2m_frames: u64,
}

/// Bytes of `StartInfo::cmd_line` (`MAX_GUEST_CMDLINE`).
pub const CMD_LINE_LENGTH: usize = xen_sys::MAX_GUEST_CMDLINE as usize;
