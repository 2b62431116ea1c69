//! A whole domain.
#![expect(unsafe_code, reason = "shards are handed from one vCPU to another")]

use alloc::vec::Vec;

use app::{Domain, Shard, ShardCell};
use machine::{VcpuCell, Xen, epitaph, vcpu};
use spin::Once;

use crate::run_loop;

static SHARDS: Once<Vec<XenShard>> = Once::new();

/// A shard, which one vCPU at a time has.
struct XenShard(VcpuCell<Shard<Xen>>);

impl ShardCell<Xen> for XenShard {
    fn with(&self, act: &mut dyn FnMut(&Shard<Xen>)) {
        self.0.with(act);
    }

    fn pass(&self, vcpu: u32) {
        self.0.pass(vcpu);
    }
}

/// Runs a whole domain until it ends; for [`image!`](crate::image!).
pub fn run(xen: &Xen) -> ! {
    let (domain, shards) = Domain::start(xen.clone(), xen.command_line());
    let shards = SHARDS.call_once(|| {
        // SAFETY: a shard shares with others what is `Send` and `Sync` only (`app::vcpus`).
        let handed = |shard| XenShard(unsafe { VcpuCell::new(shard) });
        shards.into_iter().map(handed).collect()
    });
    let (blkback, store) = (domain.blkback.clone(), domain.store.clone());
    let last_words = move || {
        let own = blkback.last_words() | blkback.close_last(&store);
        shards.iter().fold(own, |any, shard| {
            // SAFETY: every other vCPU was stopped before.
            unsafe { shard.0.seize() }.last_words(&store) | any
        })
    };
    // SAFETY: what it uses is the first vCPU's, or in the shards; whoever was at work on any of it
    // holds it borrowed, which last words see.
    unsafe { epitaph::set_last_words(last_words) };
    vcpu::set_run(run_shards);
    run_loop::run(xen, &domain.pv, || domain.turn(shards))
}

/// What the further vCPUs run.
fn run_shards() -> ! {
    let xen = Xen::on_this_vcpu();
    let shards = SHARDS.get().map_or(&[][..], Vec::as_slice);
    run_loop::turn_for_ever(&xen, || app::turn_shards(shards))
}
