//! Turning what a vCPU has: shards, and on the first one the loop that has the rest.

use core::convert::Infallible;

use hv::{Hypervisor, Instant};

use crate::run_loop::{Next, RunLoop};
use crate::vcpus::shard::Shard;

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
        // One may have come just now, when what this vCPU was sent had been taken.
        let is_delivered = !run_loop.pv.events.are_to_be_delivered();
        sleeps = sleeps && is_delivered && run_loop.pv.exec.may_sleep();
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
