//! `callback.h`: where Xen enters the guest.

/// `callback_op`: register an entry; the argument is a [`CallbackRegister`].
pub const REGISTER: u64 = 0;
/// `callback_op`: forget an entry.
pub const UNREGISTER: u64 = 1;

/// The entry for events.
pub const TYPE_EVENT: u16 = 0;
/// The entry for a return to the guest that faulted.
pub const TYPE_FAILSAFE: u16 = 1;
/// The entry for `syscall` out of user mode.
pub const TYPE_SYSCALL: u16 = 2;
/// The entry for a non-maskable interrupt.
pub const TYPE_NMI: u16 = 4;

/// Event delivery is masked on entry (`CALLBACKF_mask_events`).
pub const MASK_EVENTS: u16 = 1;

/// `struct callback_register`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CallbackRegister {
    /// One of `TYPE_*`.
    pub kind: u16,
    /// 0 or [`MASK_EVENTS`].
    pub flags: u16,
    /// The entry's virtual address.
    pub address: u64,
}
