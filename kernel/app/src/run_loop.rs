//! A run loop, and what a vCPU does after it has turned those that it has.

use alloc::rc::Rc;
use core::cell::Cell;

use exec::error;
use hv::{Hypervisor, Instant, ShutdownReason};
use pv::{Channel, Pv};

use crate::alarm::Alarm;
use crate::placement::Placement;
use crate::service;

/// What a vCPU does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another turn at once: something is ready.
    Turn,
    /// Sleep until an event comes: Xen sends one when the time has come for what waits for a time.
    Sleep,
    /// Run no more until another vCPU lets this one: there is nothing for it to turn.
    Stop,
    /// End the domain.
    End(ShutdownReason),
}

/// A run loop: its tasks, and what ends a sleep.
pub(crate) struct RunLoop<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    pub(crate) alarm: Rc<Alarm>,
    /// The vCPU that it is for, and the port that wakes that. Without another vCPU there is none.
    vcpu: u32,
    bell: Option<Rc<Channel<H>>>,
    placement: Placement,
    /// Which of the domain's lives it lives in.
    life: Cell<u32>,
}

impl<H: Hypervisor> RunLoop<H> {
    /// That of vCPU `vcpu`. No task has run yet. From now on others wake its tasks by the bell of
    /// the vCPU that turns it, and those of that vCPU by its own.
    pub(crate) fn new(pv: &Pv<H>, vcpu: u32, placement: &Placement) -> Self {
        let alarm = Rc::<Alarm>::default();
        let timer = service::timer(pv.clone(), vcpu, alarm.clone());
        pv.exec.spawn("timer", timer);
        let this = Self {
            pv: pv.clone(),
            alarm,
            vcpu,
            bell: placement
                .is_shared()
                .then(|| service::bell(pv, vcpu))
                .flatten(),
            placement: placement.clone(),
            life: Cell::new(placement.life()),
        };
        this.tell_bell();
        this
    }

    /// Says by which port the vCPU is woken.
    fn tell_bell(&self) {
        if let Some(bell) = &self.bell {
            let sender = self.pv.hv.evtchn_sender(bell.port());
            self.placement.set_bell(self.vcpu, sender);
        }
    }

    /// Becomes one of the life that the domain is in, of which Xen knows nothing yet if it is not
    /// the one that this has known: Xen is asked for nothing any more, and all ports are others.
    pub(crate) fn catch_up(&self) {
        let life = self.placement.life();
        if self.life.replace(life) != life {
            self.begin_anew();
        }
    }

    #[cold]
    fn begin_anew(&self) {
        for (port, errno) in self.pv.begin_anew() {
            error!(
                self.pv.log,
                "suspend", "no events of {port} any more: {errno}"
            );
        }
        self.alarm.came();
        self.tell_bell();
    }

    /// Has its events come to the vCPU that is to turn it, if that is another one than this, which
    /// is to hand it on then, and to call what comes back once it has.
    pub(crate) fn begin_move(&self) -> Option<(u32, impl FnOnce() + use<H>)> {
        let (number, placement) = (self.vcpu, self.placement.clone());
        let wanted = placement.wanted(number);
        if wanted == self.pv.hv.vcpu() {
            return None;
        }
        self.pv.events.move_to(wanted);
        Some((wanted, move || placement.set_holder(number, wanted)))
    }

    /// When it is to be turned again, whatever happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let deadlines = self.pv.exec.next_deadline().into_iter();
        deadlines.chain(self.pv.events.next_deadline()).min()
    }
}
