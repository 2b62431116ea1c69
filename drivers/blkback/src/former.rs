//! A connection that has ended on this side: its rings stay mapped until the frontend lets go of
//! them, and whatever comes in them is answered with an error.
//!
//! Linux's blkfront says that it is Closed, or finds its directory removed, while requests are in
//! the ring and more are queued behind it. It puts those into the ring afterwards, and waits for
//! every answer (`del_gendisk`) in the one thread that sees to all xenbus devices of its domain. If
//! that is dom0, a backend that unmaps the ring too early wedges the whole host. Only when all is
//! answered does the frontend close its port, which is the sign that is waited for here.
//!
//! A frontend that was idle and says that it is done is spared this: there are some that lose the
//! pages of a ring that is still mapped when they free it.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::Notify;
use hv::Hypervisor;
use pv::Pv;

use crate::queue::Queue;

/// How long the frontend may take to close its ports. It costs a mapping for each ring page and a
/// port for each ring until then.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pauses between two looks: the first after a request, and the longest.
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(100);
/// A frontend that has asked for nothing for so long has nothing more to ask for.
const QUIET: Duration = Duration::from_millis(250);
/// When it is taken to be quiet in any case.
const LOUD: Duration = Duration::from_secs(2);

/// The rings of a connection that has ended. A handle; clones speak for the same ones.
pub(crate) struct Former<H: Hypervisor>(Rc<Inner<H>>);

struct Inner<H: Hypervisor> {
    queues: RefCell<Vec<Queue<H>>>,
    ended: Notify,
}

impl<H: Hypervisor> Clone for Former<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<H: Hypervisor> Former<H> {
    /// Answers in `queues`, which are [retired](Queue::retire), until the frontend has closed its
    /// ports, for a minute at most. Until the frontend is quiet, it counts as one of `loud`.
    pub(crate) fn see_off(pv: &Pv<H>, queues: Vec<Queue<H>>, loud: &Rc<Cell<usize>>) -> Self {
        let former = Self(Rc::new(Inner {
            queues: RefCell::new(queues),
            ended: Notify::new(),
        }));
        let (this, pv_of_task) = (former.clone(), pv.clone());
        let loud = Loud::new(loud);
        pv.exec.spawn("export's end", async move {
            this.answer_until_let_go(&pv_of_task, loud).await;
        });
        former
    }

    /// Unmaps the rings now, after a last look at those that the frontend has not let go of.
    pub(crate) fn end(&self) {
        let connected = |queue: &mut Queue<H>| queue.channel.is_connected();
        self.0.queues.borrow_mut().retain_mut(connected);
        self.refuse(false);
        self.0.queues.borrow_mut().clear();
        self.0.ended.notify();
    }

    /// Answers whatever is in the rings with an error; says whether there was anything. With
    /// `nudge`, a frontend is sent an event for nothing, too.
    pub(crate) fn refuse(&self, nudge: bool) -> bool {
        let mut found = false;
        // Whoever holds them is at work on them: there is only the end of the domain beside.
        if let Ok(mut queues) = self.0.queues.try_borrow_mut() {
            for queue in queues.iter_mut() {
                let any = queue.refuse_new();
                if queue.publish() || nudge && !any {
                    queue.channel.notify();
                }
                found |= any;
            }
        }
        found
    }

    fn is_let_go(&self) -> bool {
        let queues = self.0.queues.borrow();
        queues.iter().all(|queue| !queue.channel.is_connected())
    }

    async fn answer_until_let_go(&self, pv: &Pv<H>, loud: Loud) {
        let begun = pv.exec.now();
        let (mut heard, mut pause, mut loud) = (begun, FIRST, Some(loud));
        loop {
            let now = pv.exec.now();
            if now.since(begun) >= PATIENCE || self.is_let_go() {
                return self.end();
            }
            // Linux has stopped its queues by now, and starts them again at an event: what waits in
            // them is then put into the ring.
            let found = self.refuse(loud.is_some());
            if found {
                (heard, pause) = (now, FIRST);
            } else {
                pause = (pause * 2).min(LONGEST);
            }
            if now.since(heard) >= QUIET || now.since(begun) >= LOUD {
                loud = None;
            }
            // Ended by another: there is nothing left to be let go of.
            let _ended = pv.exec.timeout(pause, self.0.ended.notified()).await;
        }
    }
}

/// One of those that are not quiet yet, as long as it lives.
struct Loud(Rc<Cell<usize>>);

impl Loud {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Loud {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
