//! Locks that several vCPUs take.

use spin::RelaxStrategy;

use crate::hypercall::sched;

/// A lock. It is held for a moment only, and never while Xen is waited for; but Xen may let the
/// vCPU that has it run no more just then.
pub(crate) type Mutex<T> = spin::mutex::Mutex<T, GiveWay>;

/// Whoever waits for a lock lets other vCPUs run: one of them has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GiveWay;

impl RelaxStrategy for GiveWay {
    fn relax() {
        sched::yield_cpu();
    }
}
