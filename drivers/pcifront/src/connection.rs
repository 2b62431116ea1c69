//! The page, and one operation at a time.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::pending;
use core::pin::pin;
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

use exec::Notify;
use futures_util::{FutureExt, select_biased};
use hv::{Access, DomId, Hypervisor, SharedMem};
use pv::{Channel, Granted, Pv};
use xen_abi::io::pciif::{ACTIVE, AER_ACTIVE, AER_HANDLER, AER_OP, ERR, FLAGS, MAGIC, OP, OP_SIZE};

use crate::aer::{REPORT, Report, Verdict};
use crate::fault::Fault;
use crate::operation::{Answer, Operation};
use crate::turns::Turns;
use crate::{Address, Failure};

/// How long the backend may take for an operation; Linux's frontend gives it as long.
const LIMIT: Duration = Duration::from_secs(2);
/// So many operations in a row without an answer end the connection.
const PATIENCE: u32 = 3;
/// The flags that there are.
const KNOWN: u32 = 1 << ACTIVE | 1 << AER_HANDLER | 1 << AER_ACTIVE;

/// A page that the backend serves.
pub(crate) struct Connection<H: Hypervisor> {
    pv: Pv<H>,
    page: Granted<H>,
    channel: Channel<H>,
    turns: Turns,
    /// An operation lies on the page that is not answered.
    posted: Cell<bool>,
    /// The answer, copied.
    answer: RefCell<Option<[u8; OP_SIZE]>>,
    answered: Notify,
    unanswered: Cell<u32>,
    /// An error of a device that was not looked at.
    report: Cell<Option<Report>>,
    fault: Cell<Option<Fault>>,
    /// There is a fault or a report.
    alarm: Notify,
    ended: Cell<bool>,
    ending: Notify,
}

impl<H: Hypervisor> Connection<H> {
    /// A page and a port for the backend in `peer`. They are looked after until [`end`](Self::end).
    pub(crate) fn new(pv: &Pv<H>, peer: DomId) -> Result<Rc<Self>, Fault> {
        let page = pv.hv.alloc_page().ok_or(Fault::Page)?;
        page.store_u32(FLAGS, 1 << AER_HANDLER);
        let page = pv.grants.grant(page, peer, Access::ReadWrite);
        let page = page.map_err(|_| Fault::Page)?;
        let channel = pv.events.alloc_unbound(peer, "pcifront");
        let this = Rc::new(Self {
            pv: pv.clone(),
            page,
            channel: channel.map_err(Fault::Port)?,
            turns: Turns::default(),
            posted: Cell::new(false),
            answer: RefCell::new(None),
            answered: Notify::new(),
            unanswered: Cell::new(0),
            report: Cell::new(None),
            fault: Cell::new(None),
            alarm: Notify::new(),
            ended: Cell::new(false),
            ending: Notify::new(),
        });
        pv.exec.spawn("pcifront", Rc::clone(&this).follow());
        Ok(this)
    }

    /// What the backend is told of it.
    pub(crate) fn keys(&self) -> [(&'static str, String); 3] {
        [
            ("pci-op-ref", self.page.reference().to_string()),
            ("event-channel", self.channel.port().to_string()),
            ("magic", MAGIC.to_string()),
        ]
    }

    /// Looks at the page whenever the backend has said so.
    async fn follow(self: Rc<Self>) {
        let mut ending = pin!(self.ending.notified().fuse());
        while !self.ended.get() {
            select_biased! {
                () = ending => break,
                () = self.channel.wait().fuse() => {
                    if self.look() {
                        self.channel.was_useful();
                    } else {
                        self.channel.was_spurious();
                    }
                }
            }
        }
    }

    /// Takes what the backend has put there. Says whether that was anything.
    fn look(&self) -> bool {
        if self.is_over() {
            return false;
        }
        let flags = self.page.load_u32(FLAGS);
        if flags & !KNOWN != 0 {
            self.fail(Fault::Misbehaviour(
                "set flags that the protocol does not have",
            ));
            return true;
        }
        let is_active = flags & 1 << ACTIVE != 0;
        if is_active && !self.posted.get() {
            self.fail(Fault::Misbehaviour("asked for an operation"));
            return true;
        }
        let mut any = false;
        if !is_active && self.posted.replace(false) {
            let mut answer = [0; OP_SIZE];
            self.page.read(OP, &mut answer);
            *self.answer.borrow_mut() = Some(answer);
            self.answered.notify();
            any = true;
        }
        if flags & 1 << AER_ACTIVE != 0 && self.report.get().is_none() {
            let mut report = [0; REPORT];
            self.page.read(AER_OP, &mut report);
            self.report.set(Some(Report::decode(&report)));
            self.alarm.notify();
            any = true;
        }
        any
    }

    /// Does an operation on a function that is not `disowned` when its turn comes. Returns the
    /// register's value, or the numbers of the interrupts.
    pub(crate) async fn operate(
        &self,
        address: Address,
        disowned: &Cell<bool>,
        operation: Operation,
    ) -> Result<Vec<u32>, Failure> {
        let _turn = self.turns.take().await;
        if disowned.get() {
            return Err(Failure::Gone);
        }
        // One that was given up may still be answered: nothing is put where the backend may read
        // and write.
        self.silence().await?;
        let asked = operation.encode(address);
        self.page.write(OP, &asked);
        fence(Ordering::SeqCst);
        self.answer.take();
        self.posted.set(true);
        // The word holds the flags, and the command, which stays.
        self.page.fetch_or_u64(FLAGS, 1 << ACTIVE);
        self.channel.notify();
        self.silence().await?;
        let Some(answer) = self.answer.take() else {
            return Err(Failure::TimedOut);
        };
        match operation.decode(&asked, &answer) {
            Answer::Mine(values) => values,
            Answer::ToAnother => {
                self.fail(Fault::Misbehaviour("answered what was not asked"));
                Err(Failure::Gone)
            }
        }
    }

    /// Waits until nothing lies on the page that is not answered.
    async fn silence(&self) -> Result<(), Failure> {
        let answered = async {
            while self.posted.get() && !self.is_over() {
                self.answered.notified().await;
            }
        };
        if self.pv.exec.timeout(LIMIT, answered).await.is_err() {
            // An event may have been lost; that the backend has answered is not.
            self.look();
        }
        if self.is_over() {
            return Err(Failure::Gone);
        }
        if !self.posted.get() {
            self.unanswered.set(0);
            return Ok(());
        }
        let unanswered = self.unanswered.get() + 1;
        self.unanswered.set(unanswered);
        if unanswered >= PATIENCE {
            self.fail(Fault::Silent(unanswered));
            return Err(Failure::Gone);
        }
        Err(Failure::TimedOut)
    }

    /// Answers the report that was taken last.
    pub(crate) fn answer_report(&self, verdict: Verdict) {
        self.page.store_u32(AER_OP + ERR, verdict as u32);
        self.report.set(None);
        self.page.fetch_and_u64(FLAGS, !(1 << AER_ACTIVE));
        self.channel.notify();
    }

    /// Waits for an error of a device that is to be answered, or for what ends the connection.
    /// For one waiting task.
    pub(crate) async fn alarm(&self) -> Result<Report, Fault> {
        loop {
            if let Some(fault) = self.fault.get() {
                return Err(fault);
            }
            if self.ended.get() {
                pending::<()>().await;
            }
            if let Some(report) = self.report.get() {
                return Ok(report);
            }
            self.alarm.notified().await;
        }
    }

    fn fail(&self, fault: Fault) {
        self.fault.set(Some(fault));
        self.alarm.notify();
        self.answered.notify();
    }

    /// Whether it serves no more.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.get() || self.fault.get().is_some()
    }

    /// The backend serves no more: whatever is asked from now on fails.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.answered.notify();
        self.ending.notify();
    }
}
