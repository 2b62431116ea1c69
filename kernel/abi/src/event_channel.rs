//! `event_channel.h`: event channels, 2-level ABI.

pub use xen_sys::evtchn_alloc_unbound as AllocUnbound;
pub use xen_sys::evtchn_bind_interdomain as BindInterdomain;
pub use xen_sys::evtchn_bind_ipi as BindIpi;
pub use xen_sys::evtchn_bind_vcpu as BindVcpu;
pub use xen_sys::evtchn_bind_virq as BindVirq;
pub use xen_sys::evtchn_close as Close;
pub use xen_sys::evtchn_reset as Reset;
pub use xen_sys::evtchn_send as Send;
pub use xen_sys::evtchn_status as Status;
/// What else [`Status`] says, by the kind of port.
pub use xen_sys::evtchn_status__bindgen_ty_1 as StatusDetail;

/// `struct evtchn_bind_pirq`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct BindPirq {
    /// The pirq.
    pub pirq: u32,
    /// [`BIND_PIRQ_WILL_SHARE`], or 0.
    pub flags: u32,
    /// Xen's answer.
    pub port: u32,
}

/// Bind to a port that a remote domain opened ([`BindInterdomain`]).
pub const BIND_INTERDOMAIN: u64 = xen_sys::EVTCHNOP_bind_interdomain as u64;
/// Bind to a virtual interrupt ([`BindVirq`]).
pub const BIND_VIRQ: u64 = xen_sys::EVTCHNOP_bind_virq as u64;
/// Bind to a device's interrupt ([`BindPirq`]).
pub const BIND_PIRQ: u64 = 2;
/// [`BindPirq::flags`]: other domains may use the same interrupt.
pub const BIND_PIRQ_WILL_SHARE: u32 = 1;
/// Open a port whose other end is this domain itself, on one vCPU ([`BindIpi`]).
pub const BIND_IPI: u64 = xen_sys::EVTCHNOP_bind_ipi as u64;
/// Say which vCPU a port's events come to ([`BindVcpu`]).
pub const BIND_VCPU: u64 = xen_sys::EVTCHNOP_bind_vcpu as u64;
/// Close a port ([`Close`]).
pub const CLOSE: u64 = xen_sys::EVTCHNOP_close as u64;
/// Raise an event at the other end ([`Send`]).
pub const SEND: u64 = xen_sys::EVTCHNOP_send as u64;
/// Open a port for a remote domain ([`AllocUnbound`]).
pub const ALLOC_UNBOUND: u64 = xen_sys::EVTCHNOP_alloc_unbound as u64;
/// Close every port of a domain ([`Reset`]).
pub const RESET: u64 = xen_sys::EVTCHNOP_reset as u64;

/// Ask what a port is ([`Status`]).
pub const STATUS: u64 = xen_sys::EVTCHNOP_status as u64;
/// [`Status`]: the port is bound to another one.
pub const STATUS_INTERDOMAIN: u32 = xen_sys::EVTCHNSTAT_interdomain;

/// Ports that the 2-level ABI has (`EVTCHN_2L_NR_CHANNELS`); port 0 is never valid.
pub const PORTS: u32 = 4096;
/// Bits in one word of the pending and mask arrays.
pub const PORTS_PER_WORD: u32 = 64;
