//! Answers that come when their requests have been failed.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::Notify;
use hv::Hypervisor;
use pv::Pv;

use crate::queues::Remnant;

/// How long late answers are counted.
const LATE: Duration = Duration::from_secs(60);

/// The task that looks at a ring whose requests have been failed. It is there as long as the
/// connection is, so that leaving needs no memory.
pub(crate) struct Late<H: Hypervisor>(Rc<Left<H>>);

/// What the connection leaves.
struct Left<H: Hypervisor> {
    remnant: RefCell<Option<Remnant<H>>>,
    ended: Notify,
}

impl<H: Hypervisor> Late<H> {
    /// Starts the task. It adds to `count` what comes too late for the device `name`.
    pub(crate) fn start(pv: &Pv<H>, name: &str, count: Rc<Cell<u64>>) -> Self {
        let left = Rc::new(Left {
            remnant: RefCell::new(None),
            ended: Notify::new(),
        });
        let look = look(pv.clone(), left.clone(), count, String::from(name));
        pv.exec.spawn("late answers", look);
        Self(left)
    }

    /// Hands over the rings of a connection that has ended.
    pub(crate) fn look_at(self, remnant: Remnant<H>) {
        *self.0.remnant.borrow_mut() = Some(remnant);
    }
}

/// The connection has ended. If it left no ring, it had never begun.
impl<H: Hypervisor> Drop for Late<H> {
    fn drop(&mut self) {
        self.0.ended.notify();
    }
}

/// Looks at the ring that is left until the backend lets go of it.
async fn look<H: Hypervisor>(pv: Pv<H>, left: Rc<Left<H>>, count: Rc<Cell<u64>>, name: String) {
    left.ended.notified().await;
    let Some(mut remnant) = left.remnant.take() else {
        return;
    };
    let until = pv.exec.now().after(LATE);
    let mut late = 0;
    let mut pause = Duration::from_millis(10);
    while remnant.is_mapped() && pv.exec.now() < until {
        pv.exec.sleep(pause).await;
        late += remnant.late();
        pause = (pause * 2).min(Duration::from_secs(1));
    }
    late += remnant.late();
    count.set(count.get() + late);
    if late != 0 {
        exec::info!(
            pv.log,
            &name,
            "{late} answers came too late and were dropped"
        );
    }
}
