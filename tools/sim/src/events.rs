//! Event channels, on the bits in shared_info (2-level ABI, event_channel.h).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hv::{DomId, Errno, Port, Virq};

use crate::fault::Call;
use crate::frame::Frame;
use crate::layout::shared_info as at;
use crate::{ActorId, Xen};

/// What a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Port 0, which is never valid.
    Reserved,
    /// Not in use.
    Free,
    /// Open for one domain to bind to.
    Unbound {
        remote: DomId,
        owner: Option<ActorId>,
    },
    /// One end of a pair.
    Bound {
        remote: DomId,
        remote_port: Port,
        owner: Option<ActorId>,
    },
    /// A virtual interrupt of a vCPU.
    Virq(Virq, u32),
    /// Its own other end, for a vCPU.
    Ipi(u32),
    /// A device's interrupt.
    Pirq(u32),
}

impl Channel {
    pub(crate) fn is_open(self) -> bool {
        !matches!(self, Self::Reserved | Self::Free)
    }

    fn owner(self) -> Option<ActorId> {
        match self {
            Self::Unbound { owner, .. } | Self::Bound { owner, .. } => owner,
            Self::Reserved | Self::Free | Self::Virq(..) | Self::Ipi(_) | Self::Pirq(_) => None,
        }
    }
}

impl Xen {
    fn channel(&self, dom: DomId, port: Port) -> Channel {
        self.with(dom, |domain| {
            domain
                .channels
                .get(port.0 as usize)
                .copied()
                .unwrap_or(Channel::Reserved)
        })
    }

    fn set_channel(&self, dom: DomId, port: Port, channel: Channel) {
        self.with(dom, |domain| {
            domain.channels[port.0 as usize] = channel;
        });
    }

    fn free_port(&self, dom: DomId) -> Result<Port, Errno> {
        self.with(dom, |domain| {
            let channels = &mut domain.channels;
            let index = match channels.iter().position(|c| *c == Channel::Free) {
                Some(index) => index,
                None if channels.len() <= domain.config.ports.min(at::PORTS - 1) as usize => {
                    channels.push(Channel::Free);
                    channels.len() - 1
                }
                None => return Err(Errno::ENOSPC),
            };
            Ok(Port(u32::try_from(index).expect("ports are few")))
        })
    }

    /// `EVTCHNOP_alloc_unbound`.
    ///
    /// # Errors
    /// `ENOSPC` without a free port, `ESRCH` without such a domain, or what the fault plan says.
    pub fn evtchn_alloc_unbound(&self, dom: DomId, remote: DomId) -> Result<Port, Errno> {
        if let Some(error) = self.fault(dom, Call::AllocUnbound) {
            return Err(error);
        }
        if !self.exists(remote) {
            return Err(Errno::ESRCH);
        }
        let port = self.free_port(dom)?;
        let owner = None;
        self.set_channel(dom, port, Channel::Unbound { remote, owner });
        Ok(port)
    }

    /// `EVTCHNOP_bind_interdomain`. The new port is pending once, as in Xen.
    ///
    /// # Errors
    /// `EINVAL` when the remote port is not open for `dom`, `ENOSPC`, `ESRCH`, or what the fault
    /// plan says.
    pub fn evtchn_bind_interdomain(
        &self,
        dom: DomId,
        remote: DomId,
        remote_port: Port,
    ) -> Result<Port, Errno> {
        if let Some(error) = self.fault(dom, Call::BindInterdomain) {
            return Err(error);
        }
        if !self.exists(remote) {
            return Err(Errno::ESRCH);
        }
        let Channel::Unbound {
            remote: allowed,
            owner,
        } = self.channel(remote, remote_port)
        else {
            return Err(Errno::EINVAL);
        };
        if allowed != dom {
            return Err(Errno::EINVAL);
        }
        let port = self.free_port(dom)?;
        self.set_channel(
            dom,
            port,
            Channel::Bound {
                remote,
                remote_port,
                owner: None,
            },
        );
        self.set_channel(
            remote,
            remote_port,
            Channel::Bound {
                remote: dom,
                remote_port: port,
                owner,
            },
        );
        self.raise(dom, port);
        Ok(port)
    }

    /// `EVTCHNOP_bind_virq`.
    ///
    /// # Errors
    /// `EEXIST` when it is bound already, `ENOENT` without such a vCPU, or what the fault plan
    /// says.
    pub fn evtchn_bind_virq(&self, dom: DomId, virq: Virq, vcpu: u32) -> Result<Port, Errno> {
        if let Some(error) = self.fault(dom, Call::BindVirq) {
            return Err(error);
        }
        self.has_vcpu(dom, vcpu)?;
        if self.virq_port(dom, virq, vcpu).is_some() {
            return Err(Errno::EEXIST);
        }
        let port = self.free_port(dom)?;
        self.set_channel(dom, port, Channel::Virq(virq, vcpu));
        self.set_vcpu(dom, port, vcpu);
        Ok(port)
    }

    /// `EVTCHNOP_bind_ipi`.
    ///
    /// # Errors
    /// `ENOSPC` without a free port, `ENOENT` without such a vCPU.
    pub fn evtchn_bind_ipi(&self, dom: DomId, vcpu: u32) -> Result<Port, Errno> {
        self.has_vcpu(dom, vcpu)?;
        let port = self.free_port(dom)?;
        self.set_channel(dom, port, Channel::Ipi(vcpu));
        self.set_vcpu(dom, port, vcpu);
        Ok(port)
    }

    /// `EVTCHNOP_bind_vcpu`.
    ///
    /// # Errors
    /// `ENOENT` without such a vCPU, `EINVAL` for a port that is not open or a vCPU's own.
    pub fn evtchn_bind_vcpu(&self, dom: DomId, port: Port, vcpu: u32) -> Result<(), Errno> {
        self.has_vcpu(dom, vcpu)?;
        match self.channel(dom, port) {
            Channel::Unbound { .. } | Channel::Bound { .. } | Channel::Pirq(_) => {
                self.set_vcpu(dom, port, vcpu);
                Ok(())
            }
            Channel::Reserved | Channel::Free | Channel::Virq(..) | Channel::Ipi(_) => {
                Err(Errno::EINVAL)
            }
        }
    }

    fn has_vcpu(&self, dom: DomId, vcpu: u32) -> Result<(), Errno> {
        let count = self.with(dom, |domain| domain.config.vcpus);
        if vcpu < count {
            Ok(())
        } else {
            Err(Errno::ENOENT)
        }
    }

    fn set_vcpu(&self, dom: DomId, port: Port, vcpu: u32) {
        self.with(dom, |domain| domain.comes_to.insert(port, vcpu));
    }

    /// `EVTCHNOP_bind_pirq`, for an interrupt that the domain was given.
    ///
    /// # Errors
    /// `EPERM` when it was not, `EEXIST` when it is bound already, or what the fault plan says.
    pub fn evtchn_bind_pirq(&self, dom: DomId, pirq: u32, shared: bool) -> Result<Port, Errno> {
        if let Some(error) = self.fault(dom, Call::BindPirq) {
            return Err(error);
        }
        self.may_bind_pirq(dom, pirq, shared)?;
        if self.pirq_port(dom, pirq).is_some() {
            return Err(Errno::EEXIST);
        }
        let port = self.free_port(dom)?;
        self.set_channel(dom, port, Channel::Pirq(pirq));
        self.pirq_was_bound(dom, pirq);
        Ok(port)
    }

    pub(crate) fn virq_port(&self, dom: DomId, virq: Virq, vcpu: u32) -> Option<Port> {
        self.port_of(dom, Channel::Virq(virq, vcpu))
    }

    pub(crate) fn pirq_port(&self, dom: DomId, pirq: u32) -> Option<Port> {
        self.port_of(dom, Channel::Pirq(pirq))
    }

    fn port_of(&self, dom: DomId, channel: Channel) -> Option<Port> {
        self.with(dom, |domain| {
            let found = domain.channels.iter().position(|c| *c == channel)?;
            Some(Port(u32::try_from(found).expect("ports are few")))
        })
    }

    /// `EVTCHNOP_close`. The other end becomes unbound, and may be bound by this domain again.
    ///
    /// # Errors
    /// `EINVAL` when the port is not open.
    pub fn evtchn_close(&self, dom: DomId, port: Port) -> Result<(), Errno> {
        let channel = self.channel(dom, port);
        if !channel.is_open() {
            return Err(Errno::EINVAL);
        }
        if let Channel::Bound {
            remote,
            remote_port,
            ..
        } = channel
        {
            let owner = self.channel(remote, remote_port).owner();
            let unbound = Channel::Unbound { remote: dom, owner };
            self.set_channel(remote, remote_port, unbound);
        }
        self.set_channel(dom, port, Channel::Free);
        let info = self.with(dom, |domain| {
            domain.comes_to.remove(&port);
            domain.shared_info.clone()
        });
        info.clear_bit(at::EVTCHN_PENDING, port.0);
        Ok(())
    }

    /// `EVTCHNOP_send`. As in Xen, an event into an unbound port is lost without an error.
    ///
    /// # Errors
    /// `EINVAL` when the port is not open or cannot be sent to, or what the fault plan says.
    pub fn evtchn_send(&self, dom: DomId, port: Port) -> Result<(), Errno> {
        if let Some(error) = self.fault(dom, Call::Send) {
            return Err(error);
        }
        match self.channel(dom, port) {
            Channel::Bound {
                remote,
                remote_port,
                ..
            } => {
                self.raise(remote, remote_port);
                Ok(())
            }
            Channel::Unbound { .. } => Ok(()),
            Channel::Ipi(_) => {
                self.raise(dom, port);
                Ok(())
            }
            Channel::Reserved | Channel::Free | Channel::Virq(..) | Channel::Pirq(_) => {
                Err(Errno::EINVAL)
            }
        }
    }

    /// What sends an event on a port when it is called: the simulator sees to it at its next step.
    pub(crate) fn evtchn_sender(&self, dom: DomId, port: Port) -> Box<dyn Fn() + Send + Sync> {
        let wanted = Arc::new(AtomicBool::new(false));
        let mut senders = self.state().senders.borrow_mut();
        senders.push((dom, port, wanted.clone()));
        Box::new(move || wanted.store(true, Ordering::Relaxed))
    }

    /// Sends what is wanted.
    pub(crate) fn send_all(&self) {
        let senders = self.state().senders.borrow();
        for (dom, port, wanted) in senders.iter() {
            if wanted.swap(false, Ordering::Relaxed) {
                // A port that is closed by now sends nothing.
                let _sent = self.evtchn_send(*dom, *port);
            }
        }
    }

    /// `EVTCHNOP_status`, as far as it tells whether the port has another end.
    ///
    /// # Errors
    /// `EINVAL` when there cannot be such a port.
    pub fn evtchn_is_interdomain(&self, dom: DomId, port: Port) -> Result<bool, Errno> {
        match self.channel(dom, port) {
            Channel::Reserved => Err(Errno::EINVAL),
            channel => Ok(matches!(channel, Channel::Bound { .. })),
        }
    }

    /// Makes a port pending, as an event does. A test may call it for a spurious event.
    pub fn raise(&self, dom: DomId, port: Port) {
        let info = self.with(dom, |domain| domain.shared_info.clone());
        if let Some(owner) = self.channel(dom, port).owner() {
            info.set_bit(at::EVTCHN_PENDING, port.0);
            self.wake(owner);
            return;
        }
        if info.set_bit(at::EVTCHN_PENDING, port.0) || info.bit(at::EVTCHN_MASK, port.0) {
            return;
        }
        self.upcall(dom, &info, port);
    }

    fn upcall(&self, dom: DomId, info: &Frame, port: Port) {
        let (vcpu, actor) = self.with(dom, |domain| {
            let vcpu = domain.comes_to.get(&port).copied().unwrap_or(0);
            (vcpu, domain.runs_as.get(&vcpu).copied())
        });
        let of_vcpu = at::vcpu_info(vcpu);
        let selector = u32::try_from(of_vcpu + at::PENDING_SEL).expect("it is in a page") * 8;
        info.set_bit(0, selector + port.0 / 64);
        info.poke(of_vcpu + at::UPCALL_PENDING, &[1]);
        if let Some(actor) = actor {
            self.wake(actor);
        }
    }

    /// Whether Xen would let this vCPU of the domain return from `SCHEDOP_block`.
    #[must_use]
    pub fn upcall_pending(&self, dom: DomId, vcpu: u32) -> bool {
        self.with(dom, |domain| {
            let pending = at::vcpu_info(vcpu) + at::UPCALL_PENDING;
            domain.shared_info.word::<1>(pending) != [0]
        })
    }

    /// Has events on `port` wake `actor`, not the domain: for daemons that live in one domain
    /// together.
    pub fn own_port(&self, dom: DomId, port: Port, actor: ActorId) {
        let mut channel = self.channel(dom, port);
        match &mut channel {
            Channel::Unbound { owner, .. } | Channel::Bound { owner, .. } => {
                *owner = Some(actor);
            }
            Channel::Reserved
            | Channel::Free
            | Channel::Virq(..)
            | Channel::Ipi(_)
            | Channel::Pirq(_) => {
                panic!("port {port} of domain {dom} cannot be owned")
            }
        }
        self.set_channel(dom, port, channel);
        self.wake(actor);
    }

    /// Takes a pending event off an owned port; false if there was none.
    pub fn take_event(&self, dom: DomId, port: Port) -> bool {
        let info = self.with(dom, |domain| domain.shared_info.clone());
        info.clear_bit(at::EVTCHN_PENDING, port.0)
    }

    /// The open ports of a domain.
    #[must_use]
    pub fn open_ports(&self, dom: DomId) -> Vec<Port> {
        self.with(dom, |domain| {
            domain
                .channels
                .iter()
                .zip(0u32..)
                .filter(|(channel, _)| channel.is_open())
                .map(|(_, port)| Port(port))
                .collect()
        })
    }
}
