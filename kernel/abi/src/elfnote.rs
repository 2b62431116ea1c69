//! `elfnote.h`: the notes that tell the domain builder how to start an image. Their name is "Xen".

/// The name of every Xen note, with its NUL.
pub const NAME: &[u8; 4] = b"Xen\0";

/// The virtual address of the first instruction.
pub const ENTRY: u32 = xen_sys::XEN_ELFNOTE_ENTRY;
/// A page that the builder fills with hypercall stubs.
pub const HYPERCALL_PAGE: u32 = xen_sys::XEN_ELFNOTE_HYPERCALL_PAGE;
/// The virtual address at which pseudo-physical memory starts.
pub const VIRT_BASE: u32 = xen_sys::XEN_ELFNOTE_VIRT_BASE;
/// What is to be subtracted from the ELF file's physical addresses.
pub const PADDR_OFFSET: u32 = xen_sys::XEN_ELFNOTE_PADDR_OFFSET;
/// The interface the kernel was built for, "xen-3.0".
pub const XEN_VERSION: u32 = xen_sys::XEN_ELFNOTE_XEN_VERSION;
/// The kernel's name.
pub const GUEST_OS: u32 = xen_sys::XEN_ELFNOTE_GUEST_OS;
/// The kernel's version.
pub const GUEST_VERSION: u32 = xen_sys::XEN_ELFNOTE_GUEST_VERSION;
/// The kind of loader, "generic".
pub const LOADER: u32 = xen_sys::XEN_ELFNOTE_LOADER;
/// Features the kernel supports (a leading `!` requires one), separated by `|`.
pub const FEATURES: u32 = xen_sys::XEN_ELFNOTE_FEATURES;
/// Whether a cancelled suspend returns 1 to the kernel.
pub const SUSPEND_CANCEL: u32 = xen_sys::XEN_ELFNOTE_SUSPEND_CANCEL;
/// Where the builder shall map the initial table of frames.
pub const INIT_P2M: u32 = xen_sys::XEN_ELFNOTE_INIT_P2M;
/// Features the kernel supports, as bits.
pub const SUPPORTED_FEATURES: u32 = xen_sys::XEN_ELFNOTE_SUPPORTED_FEATURES;
