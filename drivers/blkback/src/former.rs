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

use crate::claim::{Claims, Ended, Key};
use crate::listed::Listed;
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

/// All connections that have ended, until their frontends have let go of them: one of each device
/// at most. A handle; clones speak for the same ones.
pub(crate) struct Formers<H: Hypervisor> {
    all: Rc<Listed<Former<H>>>,
    claims: Claims,
}

/// The rings of one.
struct Former<H: Hypervisor> {
    queues: RefCell<Vec<Queue<H>>>,
    /// The frontend is not quiet yet.
    loud: Cell<bool>,
    /// What other run loops know of it.
    known: Cell<Option<Ended>>,
    ended: Notify,
}

impl<H: Hypervisor> Clone for Formers<H> {
    fn clone(&self) -> Self {
        Self {
            all: self.all.clone(),
            claims: self.claims.clone(),
        }
    }
}

impl<H: Hypervisor> Formers<H> {
    /// None yet, of exports that are claimed there.
    pub(crate) fn new(claims: Claims) -> Self {
        Self {
            all: Rc::default(),
            claims,
        }
    }

    /// Answers in `queues`, which are [retired](Queue::retire), until the frontend has closed its
    /// ports, for a minute at most.
    pub(crate) fn see_off(&self, pv: &Pv<H>, key: Key, queues: Vec<Queue<H>>) {
        self.end(key);
        let former = Rc::new(Former {
            queues: RefCell::new(queues),
            loud: Cell::new(true),
            known: Cell::new(Some(self.claims.ended(key))),
            ended: Notify::new(),
        });
        self.all.insert(key, former.clone());
        let (all, pv_of_task) = (self.clone(), pv.clone());
        pv.exec.spawn("export's end", async move {
            former.answer_until_let_go(&pv_of_task).await;
            if all.all.has(key, &former) {
                all.all.remove(key);
            }
        });
    }

    /// The device is connected anew: its frontend is done with the connection before, and may use
    /// the same pages and ports for this one. Unmaps that one's rings, and says whether another run
    /// loop has one whose rings it is still to unmap.
    pub(crate) fn end(&self, key: Key) -> bool {
        let former = self.all.remove(key);
        if let Some(former) = former {
            former.end();
        }
        self.claims.supersede(key)
    }

    /// Whether there is a frontend that is not quiet yet.
    pub(crate) fn any_is_loud(&self) -> bool {
        let all = self.all.all();
        all.iter().any(|(_, former)| former.loud.get())
    }

    /// The domain dies: answers what can be answered; says whether there was anything.
    pub(crate) fn last_words(&self) -> bool {
        let Some(all) = self.all.last() else {
            return false;
        };
        all.iter()
            .fold(false, |any, (_, one)| one.refuse(false) | any)
    }
}

impl<H: Hypervisor> Former<H> {
    /// Unmaps the rings now, after a last look at those that the frontend has not let go of.
    fn end(&self) {
        let connected = |queue: &mut Queue<H>| queue.channel().is_connected();
        self.queues.borrow_mut().retain_mut(connected);
        self.refuse(false);
        self.queues.borrow_mut().clear();
        self.loud.set(false);
        self.known.take();
        self.ended.notify();
    }

    /// Whether another run loop's connection takes the place of this one.
    fn is_superseded(&self) -> bool {
        let known = self.known.take();
        let superseded = known.as_ref().is_some_and(Ended::is_superseded);
        self.known.set(known);
        superseded
    }

    /// Answers whatever is in the rings with an error; says whether there was anything. With
    /// `nudge`, a frontend is sent an event for nothing, too.
    fn refuse(&self, nudge: bool) -> bool {
        let mut found = false;
        // Whoever holds them is at work on them: there is only the end of the domain beside.
        if let Ok(mut queues) = self.queues.try_borrow_mut() {
            for queue in queues.iter_mut() {
                let any = queue.refuse_new();
                if queue.publish() || nudge && !any {
                    queue.channel().notify();
                }
                found |= any;
            }
        }
        found
    }

    fn is_let_go(&self) -> bool {
        let queues = self.queues.borrow();
        queues.iter().all(|queue| !queue.channel().is_connected())
    }

    async fn answer_until_let_go(&self, pv: &Pv<H>) {
        let begun = pv.exec.now();
        let (mut heard, mut pause) = (begun, FIRST);
        loop {
            let now = pv.exec.now();
            if now.since(begun) >= PATIENCE || self.is_let_go() || self.is_superseded() {
                return self.end();
            }
            // Linux has stopped its queues by now, and starts them again at an event: what waits in
            // them is then put into the ring.
            let found = self.refuse(self.loud.get());
            if found {
                (heard, pause) = (now, FIRST);
            } else {
                pause = (pause * 2).min(LONGEST);
            }
            if now.since(heard) >= QUIET || now.since(begun) >= LOUD {
                self.loud.set(false);
            }
            // Ended by another: there is nothing left to be let go of.
            let _ended = pv.exec.timeout(pause, self.ended.notified()).await;
        }
    }
}
