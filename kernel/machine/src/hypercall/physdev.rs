//! `physdev_op`: interrupts of devices.
#![expect(unsafe_code, reason = "hypercalls")]

use hv::Errno;
use xen_abi::physdev::{EOI, Eoi, IRQ_STATUS_QUERY, IrqStatusQuery, NEEDS_EOI};
use xen_abi::xen::PHYSDEV_OP;

use super::{hypercall, pointer};

/// Whether Xen keeps the interrupt back until [`eoi`].
pub(crate) fn needs_eoi(pirq: u32) -> Result<bool, Errno> {
    let mut argument = IrqStatusQuery {
        irq: pirq,
        flags: 0,
    };
    let arguments = [IRQ_STATUS_QUERY, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads and writes `argument` only.
    unsafe { hypercall(PHYSDEV_OP, arguments) }?;
    Ok(argument.flags & NEEDS_EOI != 0)
}

/// Says that the interrupt was served.
pub(crate) fn eoi(pirq: u32) -> Result<(), Errno> {
    let mut argument = Eoi { irq: pirq };
    let arguments = [EOI, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads `argument` only.
    unsafe { hypercall(PHYSDEV_OP, arguments) }?;
    Ok(())
}
