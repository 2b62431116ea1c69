//! Admin commands, and what they bring back.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use hv::{Hypervisor, Instant, PAGE_SIZE, SharedMem};

use crate::admin::{Answer, Outcome};
use crate::command::{
    ADMIN_ABORT, ADMIN_ASYNC_EVENT, ADMIN_GET_LOG_PAGE, ADMIN_IDENTIFY, ALL_NAMESPACES, Command,
    LOG_HEALTH,
};
use crate::completion::{Completion, Status};
use crate::controller::Controller;
use crate::fault::Fault;
use crate::health::Health;

/// How long an admin command may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A page that a command filled, or why not.
pub(crate) type Filled = Result<Vec<u8>, Status>;

impl<H: Hypervisor> Controller<H> {
    /// Gives the controller a command without data and waits for its end.
    pub(crate) async fn command(
        &self,
        what: &'static str,
        command: Command,
    ) -> Result<Completion, Fault> {
        Ok(self.within_limit(what, command, None).await?.0)
    }

    /// The same of one that fills a page.
    async fn filled(&self, what: &'static str, command: Command) -> Result<Filled, Fault> {
        let page = self.pv.hv.alloc_page().ok_or(Fault::Memory)?;
        let (completion, page) = self.within_limit(what, command, Some(page)).await?;
        if !completion.status.is_success() {
            return Ok(Err(completion.status));
        }
        let mut bytes = vec![0; PAGE_SIZE];
        if let Some(page) = page {
            page.read(0, &mut bytes);
        }
        Ok(Ok(bytes))
    }

    async fn within_limit(
        &self,
        what: &'static str,
        command: Command,
        page: Option<H::Page>,
    ) -> Result<Outcome<H>, Fault> {
        let now = Some(self.pv.exec.now());
        let answer = self.submit(command, page, now)?;
        // One that raises no interrupt is to be looked at soon.
        if self.polled.get() {
            self.door.work().notify();
        }
        let ended = self.pv.exec.timeout(LIMIT, answer.outcome()).await;
        ended.map_err(|_elapsed| Fault::Silent(what))
    }

    fn submit(
        &self,
        command: Command,
        page: Option<H::Page>,
        since: Option<Instant>,
    ) -> Result<Rc<Answer<H>>, Fault> {
        let mut core = self.core.borrow_mut();
        let core = &mut *core;
        let answer = core.admin.submit(&core.registers, command, page, since);
        answer.ok_or(Fault::Silent("any admin command"))
    }

    /// Identify: the page that describes `what` of `namespace`.
    pub(crate) async fn identify(&self, what: u32, namespace: u32) -> Result<Filled, Fault> {
        let command = Command {
            opcode: ADMIN_IDENTIFY,
            namespace,
            dwords: [what, 0, 0, 0, 0, 0],
            ..Command::default()
        };
        self.filled("Identify", command).await
    }

    /// The first `length` bytes of a log page, at most a page. What was reported and led here may
    /// be reported again.
    pub(crate) async fn log_page(&self, log: u32, length: usize) -> Result<Filled, Fault> {
        let dwords = (length.clamp(4, PAGE_SIZE) / 4 - 1) as u32;
        let command = Command {
            opcode: ADMIN_GET_LOG_PAGE,
            namespace: ALL_NAMESPACES,
            dwords: [log | dwords << 16, 0, 0, 0, 0, 0],
            ..Command::default()
        };
        self.filled("Get Log Page", command).await
    }

    /// The controller's health, if it says.
    pub(crate) async fn read_health(&self) -> Result<Option<Health>, Fault> {
        let page = self.log_page(LOG_HEALTH, 512).await?;
        Ok(page.ok().map(|page| Health::parse(&page)))
    }

    /// Waits until the controller reports something: what, as the completion's first dword has it.
    /// `None` if it does not take the command.
    pub(crate) async fn event(&self) -> Result<Option<u32>, Fault> {
        let command = Command {
            opcode: ADMIN_ASYNC_EVENT,
            ..Command::default()
        };
        let (completion, _) = self.submit(command, None, None)?.outcome().await;
        let reported = completion.status.is_success();
        Ok(reported.then_some(completion.result))
    }

    /// Has the controller end a request of the I/O queue, if it can.
    pub(crate) async fn abort(&self, id: u16) -> Result<(), Fault> {
        let command = Command {
            opcode: ADMIN_ABORT,
            dwords: [1 | u32::from(id) << 16, 0, 0, 0, 0, 0],
            ..Command::default()
        };
        // Whether it could is seen by the request's end.
        self.command("Abort", command).await.map(|_| ())
    }
}
