//! From a controller in any state to one with an I/O queue.

use core::time::Duration;

use hv::Hypervisor;

use crate::capabilities::Unfit;
use crate::command::{
    ADMIN_CREATE_CQ, ADMIN_CREATE_SQ, ADMIN_SET_FEATURES, CNS_CONTROLLER, Command, DataPointer,
    FEATURE_EVENTS, FEATURE_QUEUES, QUEUE_CONTIGUOUS, QUEUE_INTERRUPTS,
};
use crate::controller::Controller;
use crate::fault::Fault;
use crate::identify::controller::ControllerFacts;
use crate::offer::Offer;
use crate::registers::ControllerStatus;

/// How often a controller that is to come to a state is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// Asynchronous events that are asked for: whatever is critical, and changes of namespaces.
const CRITICAL: u32 = 0x1f;
const NAMESPACES: u32 = 1 << 8;
/// The queue's id.
const IO_QUEUE: u32 = 1;

impl<H: Hypervisor> Controller<H> {
    /// Stops the controller, whatever it does, and enables it with an empty admin queue.
    pub(crate) async fn enable(&self) -> Result<(), Fault> {
        self.disable().await?;
        // The pages of what it had are used for something else from now on.
        self.master(false).await?;
        self.core.borrow_mut().restart(&self.door);
        self.master(true).await?;
        {
            let core = self.core.borrow();
            let queue = core.admin.queue();
            core.registers.enable(queue.entries(), queue.addresses());
        }
        let limit = self.capabilities.ready_limit;
        self.comes_to("enabling", limit, ControllerStatus::is_ready)
            .await
    }

    /// Stops the controller: it uses no memory then, if it does as it should.
    pub(crate) async fn disable(&self) -> Result<(), Fault> {
        self.core.borrow().registers.disable();
        let limit = self.capabilities.ready_limit;
        self.comes_to("disabling", limit, |status| !status.is_ready())
            .await
    }

    /// Waits until the controller is in this state.
    pub(crate) async fn comes_to(
        &self,
        what: &'static str,
        limit: Duration,
        is_there: impl Fn(ControllerStatus) -> bool,
    ) -> Result<(), Fault> {
        let end = self.pv.exec.now().after(limit);
        loop {
            let status = self.core.borrow().registers.status();
            if status.is_absent() {
                return Err(Fault::Removed);
            }
            if is_there(status) {
                return Ok(());
            }
            if self.pv.exec.now() >= end {
                return Err(Fault::NotReady(what, limit));
            }
            self.pv.exec.sleep(LOOK).await;
        }
    }

    /// Asks the enabled controller who it is, and creates the I/O queue.
    pub(crate) async fn set_up(&self) -> Result<ControllerFacts, Fault> {
        let page = self.identify(CNS_CONTROLLER, 0).await?;
        let page = page.map_err(|status| Fault::Refused("Identify", status))?;
        let facts = ControllerFacts::parse(&page);
        if !facts.has_entry_sizes {
            return Err(Fault::Unfit(Unfit::EntrySizes));
        }
        // One of each, counted from 0. What is allotted is never fewer.
        self.needed("Set Features", set_feature(FEATURE_QUEUES, 0))
            .await?;
        let events = CRITICAL
            | if facts.reports_namespaces {
                NAMESPACES
            } else {
                0
            };
        // One that does not know them goes on without.
        let _without = self
            .command("Set Features", set_feature(FEATURE_EVENTS, events))
            .await?;
        let (commands, completions, size) = {
            let core = self.core.borrow();
            let queue = core.io.queue();
            let (commands, completions) = queue.addresses();
            (commands, completions, u32::from(queue.entries() - 1))
        };
        let create = |opcode, at, flags| Command {
            opcode,
            data: DataPointer::page(at),
            dwords: [IO_QUEUE | size << 16, flags, 0, 0, 0, 0],
            ..Command::default()
        };
        // Completions raise the first interrupt, as those of the admin queue do.
        let flags = QUEUE_CONTIGUOUS | QUEUE_INTERRUPTS;
        let command = create(ADMIN_CREATE_CQ, completions, flags);
        self.needed("Create I/O Completion Queue", command).await?;
        let flags = QUEUE_CONTIGUOUS | IO_QUEUE << 16;
        let command = create(ADMIN_CREATE_SQ, commands, flags);
        self.needed("Create I/O Submission Queue", command).await?;
        Ok(facts)
    }

    /// Requests go to the controller from now on.
    pub(crate) fn go_live(&self, facts: &ControllerFacts) {
        self.core.borrow_mut().io.go_live(Offer::of(facts));
        self.door.work().notify();
    }

    /// A command without which the controller is of no use.
    async fn needed(&self, what: &'static str, command: Command) -> Result<(), Fault> {
        let completion = self.command(what, command).await?;
        if completion.status.is_success() {
            Ok(())
        } else {
            Err(Fault::Refused(what, completion.status))
        }
    }
}

fn set_feature(feature: u32, value: u32) -> Command {
    Command {
        opcode: ADMIN_SET_FEATURES,
        dwords: [feature, value, 0, 0, 0, 0],
        ..Command::default()
    }
}
