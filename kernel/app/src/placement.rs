//! Which vCPU turns which shard, as all of them know it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use spin::mutex::SpinMutex;

/// vCPUs that are used at most: each costs memory, and a look of the first one's in each of its
/// turns while it is down.
const MOST: u32 = 8;

type Bell = Arc<dyn Fn() + Send + Sync>;

/// What all vCPUs know of each other; clones are the same. Shards are counted from 1, as the vCPUs
/// that they are for.
#[derive(Clone)]
pub(crate) struct Placement(Arc<Inner>);

struct Inner {
    vcpus: Vec<Vcpu>,
    /// Which of the domain's lives it is.
    life: AtomicU32,
}

/// One vCPU, and the shard that is for it.
#[derive(Default)]
struct Vcpu {
    /// What ends its sleep.
    bell: SpinMutex<Option<Bell>>,
    /// The vCPU that has the shard.
    holder: AtomicU32,
    /// The vCPU that is to have it.
    wanted: AtomicU32,
}

impl Placement {
    /// Of a domain with so many vCPUs, of which no more are used than there can be: the first has
    /// everything.
    pub(crate) fn new(vcpus: u32) -> Self {
        let vcpus = vcpus.min(MOST);
        Self(Arc::new(Inner {
            vcpus: (0..vcpus).map(|_| Vcpu::default()).collect(),
            life: AtomicU32::new(0),
        }))
    }

    /// How many vCPUs there are.
    pub(crate) fn vcpus(&self) -> u32 {
        u32::try_from(self.0.vcpus.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is more than one.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.vcpus.len() > 1
    }

    /// Which of the domain's lives it is, counted from 0.
    pub(crate) fn life(&self) -> u32 {
        self.0.life.load(Ordering::SeqCst)
    }

    /// The domain lives anew; the first vCPU says so, and is the only one that runs.
    pub(crate) fn begin_anew(&self) {
        self.0.life.fetch_add(1, Ordering::SeqCst);
    }

    fn of(&self, number: u32) -> Option<&Vcpu> {
        self.0.vcpus.get(number as usize)
    }

    /// Says what ends the sleep of a vCPU.
    pub(crate) fn set_bell(&self, vcpu: u32, bell: Box<dyn Fn() + Send + Sync>) {
        if let Some(vcpu) = self.of(vcpu) {
            *vcpu.bell.lock() = Some(bell.into());
        }
    }

    /// Ends the sleep of a vCPU.
    pub(crate) fn ring(&self, vcpu: u32) {
        // Not locked while it is rung: Xen may run the vCPU that is woken instead of this one.
        let bell = self.of(vcpu).and_then(|vcpu| vcpu.bell.lock().clone());
        if let Some(bell) = bell {
            bell();
        }
    }

    /// What ends the sleep of whichever vCPU has shard `number`; 0 is what the first always has.
    pub(crate) fn ringer(&self, number: u32) -> impl Fn() + Send + Sync + use<> {
        let this = self.clone();
        move || this.ring(this.holder(number))
    }

    /// The vCPU that has a shard.
    pub(crate) fn holder(&self, number: u32) -> u32 {
        self.of(number)
            .map_or(0, |vcpu| vcpu.holder.load(Ordering::SeqCst))
    }

    /// The vCPU that is to have a shard.
    pub(crate) fn wanted(&self, number: u32) -> u32 {
        self.of(number)
            .map_or(0, |vcpu| vcpu.wanted.load(Ordering::SeqCst))
    }

    /// Wants a shard to be handed to a vCPU, by the one that has it.
    pub(crate) fn want(&self, number: u32, vcpu: u32) {
        if let Some(shard) = self.of(number) {
            shard.wanted.store(vcpu, Ordering::SeqCst);
            self.ring(self.holder(number));
        }
    }

    /// Says that a shard was handed to a vCPU, which is woken to turn it.
    pub(crate) fn set_holder(&self, number: u32, vcpu: u32) {
        if let Some(shard) = self.of(number) {
            shard.holder.store(vcpu, Ordering::SeqCst);
        }
        self.ring(vcpu);
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn who_has_a_shard_is_rung_when_another_is_to_have_it_and_the_other_when_it_has_it() {
        let placement = Placement::new(2);
        let rung = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        for (vcpu, index) in [(0, 0), (1, 1)] {
            let rung = rung.clone();
            placement.set_bell(
                vcpu,
                Box::new(move || _ = rung[index].fetch_add(1, Ordering::SeqCst)),
            );
        }
        let counts = || [0, 1].map(|index: usize| rung[index].load(Ordering::SeqCst));
        placement.want(1, 1);
        assert_eq!((placement.holder(1), counts()), (0, [1, 0]));
        placement.set_holder(1, 1);
        assert_eq!((placement.holder(1), counts()), (1, [1, 1]));
        placement.ringer(1)();
        placement.ringer(0)();
        assert_eq!(counts(), [2, 2]);
    }

    #[test]
    fn no_more_vcpus_are_used_than_there_can_be() {
        assert!(!Placement::new(1).is_shared());
        assert_eq!(Placement::new(128).vcpus(), MOST);
    }
}
