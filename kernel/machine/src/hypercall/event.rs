//! `event_channel_op`: event channels.
#![expect(unsafe_code, reason = "hypercalls")]

use hv::{DomId, Errno, Port};
use xen_abi::event_channel::{
    ALLOC_UNBOUND, AllocUnbound, BIND_INTERDOMAIN, BIND_IPI, BIND_PIRQ, BIND_PIRQ_WILL_SHARE,
    BIND_VCPU, BIND_VIRQ, BindInterdomain, BindIpi, BindPirq, BindVcpu, BindVirq, CLOSE, Close,
    SEND, STATUS, STATUS_INTERDOMAIN, Send, Status, StatusDetail,
};
use xen_abi::xen::{DOMID_SELF, EVENT_CHANNEL_OP};

use super::{hypercall, pointer};

pub(crate) fn alloc_unbound(remote: DomId) -> Result<Port, Errno> {
    let mut argument = AllocUnbound {
        dom: DOMID_SELF,
        remote_dom: remote.0,
        port: 0,
    };
    let arguments = [ALLOC_UNBOUND, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads and writes `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(Port(argument.port))
}

pub(crate) fn bind_interdomain(remote: DomId, port: Port) -> Result<Port, Errno> {
    let mut argument = BindInterdomain {
        remote_dom: remote.0,
        remote_port: port.0,
        local_port: 0,
    };
    let arguments = [BIND_INTERDOMAIN, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads and writes `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(Port(argument.local_port))
}

pub(crate) fn bind_virq(virq: u32, vcpu: u32) -> Result<Port, Errno> {
    let mut argument = BindVirq {
        virq,
        vcpu,
        port: 0,
    };
    let arguments = [BIND_VIRQ, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads and writes `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(Port(argument.port))
}

pub(crate) fn bind_ipi(vcpu: u32) -> Result<Port, Errno> {
    let mut argument = BindIpi { vcpu, port: 0 };
    let arguments = [BIND_IPI, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads and writes `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(Port(argument.port))
}

pub(crate) fn bind_vcpu(port: Port, vcpu: u32) -> Result<(), Errno> {
    let mut argument = BindVcpu { port: port.0, vcpu };
    let arguments = [BIND_VCPU, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(())
}

pub(crate) fn bind_pirq(pirq: u32, shared: bool) -> Result<Port, Errno> {
    let mut argument = BindPirq {
        pirq,
        flags: if shared { BIND_PIRQ_WILL_SHARE } else { 0 },
        port: 0,
    };
    let arguments = [BIND_PIRQ, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads and writes `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(Port(argument.port))
}

pub(crate) fn close(port: Port) -> Result<(), Errno> {
    let mut argument = Close { port: port.0 };
    let arguments = [CLOSE, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(())
}

pub(crate) fn send(port: Port) -> Result<(), Errno> {
    let mut argument = Send { port: port.0 };
    let arguments = [SEND, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(())
}

pub(crate) fn is_interdomain(port: Port) -> Result<bool, Errno> {
    let mut argument = Status {
        dom: DOMID_SELF,
        port: port.0,
        status: 0,
        vcpu: 0,
        u: StatusDetail { pirq: 0 },
    };
    let arguments = [STATUS, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads and writes `argument` only.
    unsafe { hypercall(EVENT_CHANNEL_OP, arguments) }?;
    Ok(argument.status == STATUS_INTERDOMAIN)
}
