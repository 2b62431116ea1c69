//! Turning run loops, and saying what is next.

use alloc::rc::Rc;
use core::cell::Cell;
use core::convert::Infallible;

use exec::error;
use hv::{Hypervisor, Instant, ShutdownReason};
use pv::{Channel, Pv};

use crate::alarm::Alarm;
use crate::service;
use crate::vcpus::placement::Placement;
use crate::vcpus::shard::Shard;

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

/// A shard, which one vCPU at a time has, and can hand to another.
pub trait ShardCell<H: Hypervisor> {
    /// Has `act` use it, once, if the vCPU that calls this has it, and does nothing otherwise. It
    /// is not handed on meanwhile.
    fn with(&self, act: &mut dyn FnMut(&Shard<H>));

    /// Hands it to `vcpu`; to be called by the vCPU that has it, and not within
    /// [`with`](Self::with).
    fn pass(&self, vcpu: u32);
}

/// None, for a domain that has no shards.
impl<H: Hypervisor> ShardCell<H> for Infallible {
    fn with(&self, _act: &mut dyn FnMut(&Shard<H>)) {}

    fn pass(&self, _vcpu: u32) {}
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
    fn deadline(&self) -> Option<Instant> {
        let deadlines = self.pv.exec.next_deadline().into_iter();
        deadlines.chain(self.pv.events.next_deadline()).min()
    }
}

/// Runs, once round, every task that has something to do in `own` and in those of `shards` that
/// this vCPU has.
pub(crate) fn turn<H: Hypervisor>(own: Option<&RunLoop<H>>, shards: &[impl ShardCell<H>]) -> Next {
    let mut pending = None;
    each(own, shards, |run_loop| {
        run_loop.pv.exec.woke();
        let words = *pending.get_or_insert_with(|| run_loop.pv.events.take_pending());
        run_loop.pv.events.deliver(words);
    });
    if pending.is_none() {
        return Next::Stop;
    }
    let mut more = false;
    each(own, shards, |run_loop| {
        // One that came just now, when what this vCPU was sent had been taken.
        more |= run_loop.pv.events.are_to_be_delivered();
        more |= run_loop.pv.exec.turn(run_loop.pv.hv.now());
    });
    for shard in shards {
        more |= hand_over(shard);
    }
    if more {
        return Next::Turn;
    }
    let (mut sleeps, mut until): (bool, Option<Instant>) = (true, None);
    each(own, shards, |run_loop| {
        sleeps = sleeps && run_loop.pv.exec.may_sleep();
        until = until.into_iter().chain(run_loop.deadline()).min();
    });
    if !sleeps {
        return Next::Turn;
    }
    // The first is the one whose timer is this vCPU's.
    let mut first = true;
    each(own, shards, |run_loop| {
        if core::mem::take(&mut first)
            && let Some(at) = run_loop.alarm.next(until)
        {
            run_loop.pv.hv.set_timer(Some(at));
        }
    });
    Next::Sleep
}

/// Has `act` use `own`, and then those of `shards` that this vCPU has.
#[inline]
fn each<H: Hypervisor>(
    own: Option<&RunLoop<H>>,
    shards: &[impl ShardCell<H>],
    mut act: impl FnMut(&RunLoop<H>),
) {
    if let Some(own) = own {
        act(own);
    }
    for shard in shards {
        // The domain may live anew since what was turned just now.
        shard.with(&mut |shard| act(shard.run_loop()));
    }
}

/// Runs, once round, every task that has something to do in those of `shards` that this vCPU has,
/// which is not the first. The caller then does what it is told, and calls again.
#[must_use = "it says what to do next"]
pub fn turn_shards<H: Hypervisor>(shards: &[impl ShardCell<H>]) -> Next {
    turn(None, shards)
}

/// Hands a shard to the vCPU that is to have it, if it is this one's to hand on; says whether it
/// was.
fn hand_over<H: Hypervisor>(held: &impl ShardCell<H>) -> bool {
    let mut leaving = None;
    held.with(&mut |shard| leaving = shard.begin_move());
    let Some((vcpu, tell)) = leaving else {
        return false;
    };
    held.pass(vcpu);
    tell();
    true
}
