//! Who runs next, and when.
//!
//! At each step one of those that can run is picked by chance and runs to its next wait; if nobody
//! can, time passes to the next deadline.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use hv::{DomId, Instant, Virq};

use crate::{Dom, Ended, World, Xen};

/// Somebody who runs: a domain or a daemon.
pub trait Actor {
    /// Does what there is to do, and says what it waits for. Events on its ports wake it earlier.
    fn turn(&mut self, xen: &Xen) -> Next;
}

/// What an actor waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing but events.
    Wait,
    /// Events, or this moment of the machine's clock.
    At(Instant),
    /// It has more to do at once.
    Again,
    /// It is done for good.
    Finished,
}

/// An actor's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActorId(usize);

/// Why a run stopped before its condition came true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nobody can ever run again.
    Idle,
    /// The time is up.
    Timeout,
    /// So many steps were made that somebody must be running in a circle.
    Livelock,
    /// A law was broken.
    Violation(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("nobody can run and nothing is due"),
            Self::Timeout => f.write_str("the time is up"),
            Self::Livelock => f.write_str("many steps and no end: somebody runs in a circle"),
            Self::Violation(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Stop {}

/// A law checked after every step: the complaint, if it is broken.
pub type Oracle = Box<dyn FnMut(&Xen) -> Option<String>>;

#[derive(Default)]
pub(crate) struct Scheduler {
    actors: RefCell<Vec<Slot>>,
    oracles: RefCell<Vec<Oracle>>,
    steps: Cell<u64>,
    running: Cell<bool>,
}

struct Slot {
    name: String,
    actor: Option<Rc<RefCell<dyn Actor>>>,
    ready: bool,
    wake_at: Option<Instant>,
    /// What it had copied keeps its CPU so long; the others have CPUs of their own.
    busy_until: Instant,
}

/// Steps without an end to the run after which it is called a livelock.
const STEP_LIMIT: u64 = 20_000_000;

/// The longest a step takes besides its copies, in nanoseconds of virtual time.
const STEP_TIME: u64 = 10_000;

impl Xen {
    /// Adds an actor; it runs once soon.
    pub fn spawn(&self, name: impl Into<String>, actor: Rc<RefCell<dyn Actor>>) -> ActorId {
        let mut actors = self.state().scheduler.actors.borrow_mut();
        actors.push(Slot {
            name: name.into(),
            actor: Some(actor),
            ready: true,
            wake_at: None,
            busy_until: Instant::default(),
        });
        ActorId(actors.len() - 1)
    }

    /// Runs a domain: `turn` is one pass of its run loop and returns its next deadline, on the
    /// domain's own clock. It is called when an event is there or the deadline has come.
    pub fn run_domain(&self, dom: &Dom, turn: impl FnMut() -> Option<Instant> + 'static) {
        self.run_vcpu(dom, 0, turn);
    }

    /// Runs one of the vCPUs of a domain, as [`run_domain`](Self::run_domain) does the first.
    pub fn run_vcpu(&self, dom: &Dom, vcpu: u32, turn: impl FnMut() -> Option<Instant> + 'static) {
        let id = dom.id();
        let actor = Rc::new(RefCell::new(DomainLoop {
            dom: id,
            vcpu,
            turn: Box::new(turn),
        }));
        let actor = self.spawn(format!("domain {id} vCPU {vcpu}"), actor);
        self.with(id, |domain| domain.runs_as.insert(vcpu, actor));
    }

    /// Lets a vCPU of a domain run.
    pub(crate) fn vcpu_up(&self, dom: DomId, vcpu: u32) {
        let actor = self.with(dom, |domain| {
            domain.up.insert(vcpu);
            domain.runs_as.get(&vcpu).copied()
        });
        if let Some(actor) = actor {
            self.wake(actor);
        }
    }

    /// Lets a domain run soon, though it has no event: somebody outside gave it work.
    pub fn wake_domain(&self, dom: DomId) {
        for actor in self.with(dom, |domain| domain.runs_as.clone()).values() {
            self.wake(*actor);
        }
    }

    /// A domain panics: none of its tasks ever runs again. What is called in it from outside works
    /// as before.
    pub fn halt_domain(&self, dom: DomId) {
        let actors = self.with(dom, |domain| std::mem::take(&mut domain.runs_as));
        for actor in actors.into_values() {
            self.dismiss(actor);
        }
    }

    /// Lets an actor run soon.
    pub fn wake(&self, actor: ActorId) {
        let mut actors = self.state().scheduler.actors.borrow_mut();
        if let Some(slot) = actors.get_mut(actor.0) {
            slot.ready = true;
        }
    }

    /// Takes an actor out for good.
    pub fn dismiss(&self, actor: ActorId) {
        let gone = {
            let mut actors = self.state().scheduler.actors.borrow_mut();
            actors.get_mut(actor.0).and_then(|slot| slot.actor.take())
        };
        // Dropped here: what it holds may call back.
        drop(gone);
    }

    pub(crate) fn dismiss_all(&self) {
        let actors = std::mem::take(&mut *self.state().scheduler.actors.borrow_mut());
        drop(actors);
        let oracles = std::mem::take(&mut *self.state().scheduler.oracles.borrow_mut());
        drop(oracles);
    }

    /// Adds a law that is checked after every step.
    pub fn add_oracle(&self, oracle: impl FnMut(&Xen) -> Option<String> + 'static) {
        let mut oracles = self.state().scheduler.oracles.borrow_mut();
        oracles.push(Box::new(oracle));
    }

    /// The steps made so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().scheduler.steps.get()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state().scheduler.running.get()
    }

    /// Raises timers and watchdogs that are due; the next moment something of this kind is due.
    fn expire(&self) -> Option<Instant> {
        let now = self.now();
        let mut due = Vec::new();
        let mut bitten = Vec::new();
        let mut next: Option<Instant> = None;
        let mut later = |at: Instant| next = Some(next.map_or(at, |n: Instant| n.min(at)));
        for (id, domain) in self.state().domains.borrow_mut().iter_mut() {
            for (timer, vcpu) in domain.timers.iter_mut().zip(0..) {
                match *timer {
                    Some(at) if at <= now => {
                        *timer = None;
                        due.push((DomId(*id), vcpu));
                    }
                    Some(at) => later(at),
                    None => {}
                }
            }
            for at in domain.watchdogs.iter().flatten() {
                if *at <= now {
                    bitten.push(DomId(*id));
                } else {
                    later(*at);
                }
            }
        }
        for (dom, vcpu) in due {
            if let Some(port) = self.virq_port(dom, Virq::Timer, vcpu) {
                self.raise(dom, port);
            }
        }
        for dom in bitten {
            self.end(dom, Ended::Watchdog);
        }
        next
    }

    /// Makes one step.
    ///
    /// # Errors
    /// [`Stop::Idle`] when nobody can ever run again, [`Stop::Violation`] when a law was broken.
    pub fn step(&self) -> Result<(), Stop> {
        self.step_before(None)
    }

    /// Makes one step, but does not let time pass `limit`.
    fn step_before(&self, limit: Option<Instant>) -> Result<(), Stop> {
        let (index, actor) = loop {
            self.send_all();
            let timers = self.expire();
            let now = self.now();
            let mut ready = Vec::new();
            let mut next = timers;
            for (index, slot) in self.scheduler().actors.borrow().iter().enumerate() {
                if slot.actor.is_none() {
                    continue;
                }
                let wake_at = if slot.ready { Some(now) } else { slot.wake_at };
                match wake_at.map(|at| at.max(slot.busy_until)) {
                    Some(at) if at <= now => ready.push(index),
                    Some(at) => next = Some(next.map_or(at, |n| n.min(at))),
                    None => {}
                }
            }
            if !ready.is_empty() {
                let index = ready[self.rng().index(ready.len())];
                let mut actors = self.scheduler().actors.borrow_mut();
                let slot = &mut actors[index];
                slot.ready = false;
                slot.wake_at = None;
                break (
                    index,
                    slot.actor.clone().expect("a ready slot has an actor"),
                );
            }
            match (next, limit) {
                (None, _) => return Err(Stop::Idle),
                (Some(at), Some(limit)) if at > limit => {
                    self.pass_to(limit);
                    return Err(Stop::Timeout);
                }
                (Some(at), _) => self.pass_to(at),
            }
        };
        self.run_actor(index, &actor);
        drop(actor);
        let busy = Duration::from_nanos(self.take_copied());
        if let Some(slot) = self.scheduler().actors.borrow_mut().get_mut(index) {
            slot.busy_until = self.now().after(busy);
        }
        let spent = 1 + self.rng().below(STEP_TIME);
        self.pass_to(self.now().after(Duration::from_nanos(spent)));
        self.scheduler().steps.set(self.steps() + 1);
        self.check_laws()
    }

    fn scheduler(&self) -> &Scheduler {
        &self.state().scheduler
    }

    fn run_actor(&self, index: usize, actor: &Rc<RefCell<dyn Actor>>) {
        self.scheduler().running.set(true);
        let next = actor.borrow_mut().turn(self);
        self.scheduler().running.set(false);
        let mut gone = None;
        if let Some(slot) = self.scheduler().actors.borrow_mut().get_mut(index) {
            match next {
                Next::Wait => {}
                Next::At(at) => slot.wake_at = Some(at),
                Next::Again => slot.ready = true,
                Next::Finished => gone = slot.actor.take(),
            }
        }
        drop(gone);
    }

    fn check_laws(&self) -> Result<(), Stop> {
        let mut oracles = std::mem::take(&mut *self.scheduler().oracles.borrow_mut());
        for oracle in &mut oracles {
            if let Some(complaint) = oracle(self) {
                self.violation(complaint);
            }
        }
        let mut slot = self.scheduler().oracles.borrow_mut();
        oracles.append(&mut slot);
        *slot = oracles;
        drop(slot);
        match self.violations().first() {
            Some(first) => Err(Stop::Violation(first.clone())),
            None => Ok(()),
        }
    }

    /// The names of all actors, for a report.
    #[must_use]
    pub fn actor_names(&self) -> Vec<String> {
        let actors = self.scheduler().actors.borrow();
        actors.iter().map(|slot| slot.name.clone()).collect()
    }
}

impl World {
    /// Steps until `done` holds; it is asked before each step.
    ///
    /// # Errors
    /// Why it could not come true within `limit` of virtual time.
    pub fn run_until(
        &self,
        mut done: impl FnMut(&Xen) -> bool,
        limit: Duration,
    ) -> Result<(), Stop> {
        let end = self.now().after(limit);
        let last_step = self.steps() + STEP_LIMIT;
        loop {
            if done(self) {
                return Ok(());
            }
            if self.now() >= end {
                return Err(Stop::Timeout);
            }
            if self.steps() >= last_step {
                return Err(Stop::Livelock);
            }
            self.step_before(Some(end))?;
        }
    }

    /// Steps for `time`, however much or little there is to do.
    ///
    /// # Errors
    /// [`Stop::Violation`] or [`Stop::Livelock`].
    pub fn run_for(&self, time: Duration) -> Result<(), Stop> {
        let end = self.now().after(time);
        match self.run_until(|_| false, time) {
            Err(Stop::Timeout | Stop::Idle) => {
                self.pass_to(end);
                Ok(())
            }
            other => other,
        }
    }
}

/// What a vCPU of a domain runs.
struct DomainLoop {
    dom: DomId,
    vcpu: u32,
    turn: Box<dyn FnMut() -> Option<Instant>>,
}

impl Actor for DomainLoop {
    fn turn(&mut self, xen: &Xen) -> Next {
        let up = xen.with(self.dom, |domain| domain.up.contains(&self.vcpu));
        if xen.ended(self.dom).is_some() || !up {
            return Next::Wait;
        }
        xen.with(self.dom, |domain| domain.vcpu = self.vcpu);
        let deadline = (self.turn)();
        if xen.upcall_pending(self.dom, self.vcpu) {
            return Next::Again;
        }
        let started = xen.with(self.dom, |domain| domain.started);
        match deadline {
            Some(at) => Next::At(started.after(at.since_start())),
            None => Next::Wait,
        }
    }
}
