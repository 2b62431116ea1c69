//! What nobody reports: requests without an end, a controller that has failed or vanished,
//! interrupts that do not come.

use core::time::Duration;

use exec::{info, warn};
use hv::Hypervisor;

use crate::controller::Controller;
use crate::fault::Fault;

/// How often a controller that is to do something is looked at.
const BUSY: Duration = Duration::from_secs(1);
/// And one that is not: it may get something to do just after that, and its interrupt get lost,
/// which is to be seen within the limit of an admin command.
const IDLE: Duration = Duration::from_secs(5);
/// How long a request may take before the controller is told to abort it.
const LIMIT: Duration = Duration::from_secs(30);
/// How long it may take from then on.
const GRACE: Duration = Duration::from_secs(5);
/// Interrupts that may get lost before none is waited for.
const FORGIVEN: u32 = 1;

impl<H: Hypervisor> Controller<H> {
    /// Watches until the controller cannot go on.
    pub(crate) async fn watch(&self) -> Result<(), Fault> {
        let mut lost = 0;
        loop {
            let busy = self.is_busy();
            self.pv.exec.sleep(if busy { BUSY } else { IDLE }).await;
            self.core.borrow().health()?;
            if self.look_unasked()? {
                lost += 1;
            }
            if lost > FORGIVEN && !self.polled.replace(true) {
                let name = &self.name;
                warn!(
                    self.pv.log,
                    name, "its interrupts get lost: none is waited for"
                );
                self.door.work().notify();
            }
            let now = self.pv.exec.now();
            let overdue = self.core.borrow().io.overdue(now, LIMIT);
            if let Some(id) = overdue {
                self.end_overdue(id).await?;
            }
        }
    }

    /// Looks for completions. Says whether something old has ended that no interrupt told of.
    fn look_unasked(&self) -> Result<bool, Fault> {
        let now = self.pv.exec.now();
        let (request, command) = {
            let core = self.core.borrow();
            let old = core.admin.oldest();
            let old = old.filter(|(_, since)| now.since(*since) >= BUSY);
            (core.io.overdue(now, BUSY), old)
        };
        self.turn()?;
        let core = self.core.borrow();
        let request_ended = request.is_some_and(|id| !core.io.has(id));
        Ok(request_ended || command.is_some_and(|(id, _)| !core.admin.has(id)))
    }

    /// Has the controller abort a request that takes too long.
    async fn end_overdue(&self, id: u16) -> Result<(), Fault> {
        let name = &self.name;
        let exec = &self.pv.exec;
        warn!(
            self.pv.log,
            name, "request {id:#06x} takes longer than {LIMIT:?}"
        );
        self.core.borrow_mut().io.set_aborting(id);
        self.abort(id).await?;
        let end = exec.now().after(GRACE);
        while self.core.borrow().io.has(id) {
            if exec.now() >= end {
                return Err(Fault::Stuck);
            }
            exec.sleep(GRACE / 50).await;
            self.turn()?;
        }
        info!(self.pv.log, name, "request {id:#06x} has ended");
        Ok(())
    }
}
