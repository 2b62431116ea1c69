//! `physdev.h`: the interrupts of devices that a domain was given.

/// Asks whether a pirq needs [`EOI`] ([`IrqStatusQuery`]).
pub const IRQ_STATUS_QUERY: u64 = 5;
/// Says that a pirq was served ([`Eoi`]).
pub const EOI: u64 = 12;

/// `struct physdev_irq_status_query`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct IrqStatusQuery {
    /// The pirq.
    pub irq: u32,
    /// Xen's answer: [`NEEDS_EOI`] or not.
    pub flags: u32,
}

/// [`IrqStatusQuery::flags`]: Xen keeps the interrupt back until [`EOI`].
pub const NEEDS_EOI: u32 = 1;

/// `struct physdev_eoi`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Eoi {
    /// The pirq.
    pub irq: u32,
}
