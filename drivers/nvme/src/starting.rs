//! Controllers that are still being looked at for the first time.

use alloc::rc::Rc;
use core::cell::Cell;

use exec::Notify;

/// How many there are. Clones count the same ones.
#[derive(Clone, Default)]
pub(crate) struct Starting(Rc<Count>);

#[derive(Default)]
struct Count {
    number: Cell<usize>,
    ended: Notify,
}

/// One of them, until this is dropped.
pub(crate) struct Start(Rc<Count>);

impl Starting {
    /// One more.
    pub(crate) fn begin(&self) -> Start {
        self.0.number.set(self.0.number.get() + 1);
        Start(self.0.clone())
    }

    /// Waits until there are none. For one waiting task.
    pub(crate) async fn none(&self) {
        while self.0.number.get() != 0 {
            self.0.ended.notified().await;
        }
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        self.0.number.set(self.0.number.get().saturating_sub(1));
        self.0.ended.notify();
    }
}
