//! A controller's life: enabled, served, reset when that may help, and left.

use core::convert::Infallible;
use core::future::{pending, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use exec::{error, info, warn};
use futures_util::{FutureExt, select_biased};
use hv::Hypervisor;

use crate::controller::Controller;
use crate::fault::Fault;
use crate::registers::ControllerStatus;
use crate::resets::Resets;
use crate::slot::NotDone;

/// How often a controller is looked at that raises no interrupt.
const POLL: Duration = Duration::from_millis(1);
/// And how often if it is to do nothing.
const QUIET: Duration = Duration::from_millis(100);
/// How long what is under way may take when the controller is to be given back.
const DRAIN: Duration = Duration::from_secs(1);
/// How long it has to stop when nothing more is to be asked of it.
const STOP: Duration = Duration::from_millis(1500);

/// How a controller was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It uses no memory any more.
    Stopped,
    /// It may go on using what it was given.
    Running,
}

impl<H: Hypervisor> Controller<H> {
    /// Drives the controller until it is gone or of no use, and leaves it. Every request has ended
    /// and every disk is told to go when this returns.
    pub(crate) async fn live(&self) -> Left {
        let mut resets = Resets::default();
        loop {
            let fault = self.once().await;
            self.standing.borrow_mut().live = false;
            if fault == Fault::Removed {
                info!(self.pv.log, &self.name, "{fault}");
            } else {
                error!(self.pv.log, &self.name, "{fault}");
            }
            if !fault.asks_for_reset() || !resets.allow(self.pv.exec.now()) {
                return self.leave(fault == Fault::Removed).await;
            }
            warn!(self.pv.log, &self.name, "resetting it");
            self.standing.borrow_mut().resets += 1;
        }
    }

    /// Enables the controller and serves it until it cannot go on. Why not.
    async fn once(&self) -> Fault {
        let mut driven = pin!(self.drive().fuse());
        let mut gone = pin!(self.slot.gone().fuse());
        let ended = select_biased! {
            () = gone => Err(Fault::Removed),
            ended = driven => ended,
        };
        ended.err().unwrap_or(Fault::Removed)
    }

    async fn drive(&self) -> Result<(), Fault> {
        self.enable().await?;
        let mut served = pin!(self.serve().fuse());
        let mut watched = pin!(self.watch().fuse());
        let mut managed = pin!(self.manage().fuse());
        let mut giving = pin!(self.give_way().fuse());
        select_biased! {
            ended = served => ended,
            ended = managed => ended,
            ended = watched => ended,
            never = giving => match never {},
        }
    }

    /// Makes disks of the namespaces, and hears what the controller reports.
    async fn manage(&self) -> Result<(), Fault> {
        let facts = self.set_up().await?;
        self.shutdown_limit.set(facts.shutdown_limit);
        // Whatever waits is for namespaces as they are now.
        self.scan(&facts).await?;
        self.go_live(&facts);
        {
            let mut standing = self.standing.borrow_mut();
            standing.model.clone_from(&facts.model);
            standing.serial.clone_from(&facts.serial);
            standing.firmware.clone_from(&facts.firmware);
            standing.live = true;
        }
        info!(
            self.pv.log,
            &self.name,
            "{}, serial {}, firmware {}, {}",
            facts.model,
            facts.serial,
            facts.firmware,
            if self.polled.get() {
                "polled"
            } else {
                "interrupts"
            },
        );
        drop(self.start.take());
        self.look_after_health().await?;
        self.hear(&facts).await
    }

    /// Takes completions and gives requests, whenever there are any.
    async fn serve(&self) -> Result<(), Fault> {
        loop {
            let rang = {
                let mut interrupt = pin!(self.slot.interrupt().fuse());
                let mut work = pin!(self.door.work().notified().fuse());
                let mut time = pin!(self.time_to_look().fuse());
                select_biased! {
                    () = interrupt => true,
                    () = work => false,
                    () = time => false,
                }
            };
            let found = self.turn()?;
            if rang {
                // What it told of may have been taken a turn before.
                self.slot.interrupt_done(self.taken.take());
                // A line that another device holds, or that is not let go of yet, is raised again
                // at once: others have their turn before.
                if found == 0 {
                    self.next_turn().await;
                }
            }
        }
    }

    /// Lets go of what is kept for requests to come, each time that memory is wanted for something
    /// else.
    async fn give_way(&self) -> Infallible {
        let mut scarcity = self.pv.scarcity.watch();
        loop {
            scarcity.began().await;
            self.core.borrow_mut().io.trim();
        }
    }

    /// Waits for the run loop's next turn.
    async fn next_turn(&self) {
        let mut asked = false;
        poll_fn(|context| {
            if core::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            self.pv.exec.wake_next_turn(context.waker());
            Poll::Pending
        })
        .await;
    }

    /// Waits until a controller without interrupts is to be looked at.
    async fn time_to_look(&self) {
        if !self.polled.get() {
            pending::<()>().await;
        }
        let wait = if self.is_busy() { POLL } else { QUIET };
        self.pv.exec.sleep(wait).await;
    }

    /// Ends everything. `orderly` is for one that is given back: what is under way may end.
    async fn leave(&self, orderly: bool) -> Left {
        drop(self.start.take());
        self.lose_all();
        let present = self.core.borrow().health().is_ok();
        if orderly && present {
            let drained = self.pv.exec.timeout(DRAIN, self.drained()).await;
            let _late_or_broken = drained;
        }
        self.core.borrow_mut().abandon();
        // What failed while it drained may wait to be done once more.
        self.door.close();
        let stopped = self.stop(orderly && present).await;
        if !stopped {
            error!(
                self.pv.log,
                &self.name, "it cannot be stopped: the memory that it was given is not used again"
            );
        }
        if stopped {
            Left::Stopped
        } else {
            Left::Running
        }
    }

    /// Takes completions until no request is outstanding.
    async fn drained(&self) -> Result<(), Fault> {
        while self.core.borrow().io.outstanding() != 0 {
            self.pv.exec.sleep(POLL).await;
            self.turn()?;
        }
        Ok(())
    }

    /// Sees to it that the controller uses no memory any more.
    async fn stop(&self, orderly: bool) -> bool {
        if orderly {
            self.core.borrow().registers.shut_down();
            let limit = self.shutdown_limit.get();
            let is_down = ControllerStatus::is_shut_down;
            let _at_any_rate = self.comes_to("shutting down", limit, is_down).await;
        }
        let disabled = self.pv.exec.timeout(STOP, self.disable()).await;
        match self.slot.set_master(false).await {
            Ok(()) => true,
            // That it says so itself, or that its registers do not answer, is not enough,
            Err(NotDone::Refused) => false,
            // unless there is nobody else to ask: whoever had the bus has taken it back.
            Err(NotDone::Unreachable) => matches!(disabled, Ok(Ok(()) | Err(Fault::Removed))),
        }
    }
}
