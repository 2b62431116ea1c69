//! [`World`], which owns a simulation, and [`Xen`], the handle everyone else holds.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hv::{DomId, Instant, Mfn, PAGE_SIZE, Port};

use crate::domain::Domain;
use crate::fault::Fault;
use crate::frame::Frame;
use crate::registers::Registers;
use crate::rng::Rng;
use crate::schedule::Scheduler;

/// A whole simulated machine. It ends when this is dropped: actors and handles refer to each other,
/// and this cuts the circle.
pub struct World {
    xen: Xen,
}

/// The simulated Xen; clones are the same one.
#[derive(Clone)]
pub struct Xen(Rc<State>);

pub(crate) struct State {
    now: Cell<Instant>,
    rng: Rng,
    pub(crate) domains: RefCell<BTreeMap<u16, Domain>>,
    /// Pages that domains own, and their owner.
    frames: RefCell<HashMap<u64, (Rc<Frame>, DomId)>>,
    /// Registers of devices, by their machine address.
    pub(crate) registers: RefCell<BTreeMap<u64, Registers>>,
    next_mfn: Cell<u64>,
    next_pirq: Cell<u32>,
    pub(crate) faults: RefCell<Vec<Fault>>,
    pub(crate) scheduler: Scheduler,
    violations: RefCell<Vec<String>>,
    /// Who is to send an event on which port: raised by what may be called on any thread.
    pub(crate) senders: RefCell<Vec<(DomId, Port, Arc<AtomicBool>)>>,
    /// What copying a page costs, in nanoseconds.
    page_copy: Cell<u64>,
    /// What was copied in the current step, in nanoseconds.
    copied: Cell<u64>,
}

impl World {
    /// A machine with domain 0 and nothing else; all chance in it follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let xen = Xen(Rc::new(State {
            now: Cell::new(Instant(0)),
            rng: Rng::new(seed),
            domains: RefCell::new(BTreeMap::new()),
            frames: RefCell::new(HashMap::new()),
            registers: RefCell::new(BTreeMap::new()),
            next_mfn: Cell::new(0x1000),
            next_pirq: Cell::new(100),
            faults: RefCell::new(Vec::new()),
            scheduler: Scheduler::default(),
            violations: RefCell::new(Vec::new()),
            senders: RefCell::new(Vec::new()),
            page_copy: Cell::new(0),
            copied: Cell::new(0),
        }));
        let dom0 = crate::DomainConfig {
            pages: 1 << 20,
            most_pages: 0,
            ports: 4095,
            grant_frames: 64,
            vcpus: 1,
        };
        // Domain 0's own ring pages are not used.
        xen.create_domain(DomId(0), dom0);
        Self { xen }
    }

    /// A handle that may outlive this borrow; it does not keep the actors alive.
    #[must_use]
    pub fn xen(&self) -> Xen {
        self.xen.clone()
    }
}

impl Deref for World {
    type Target = Xen;

    fn deref(&self) -> &Xen {
        &self.xen
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.xen.dismiss_all();
    }
}

impl Xen {
    pub(crate) fn state(&self) -> &State {
        &self.0
    }

    /// The time since the machine was started.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// Whatever domains have Xen copy keeps them busy from now on: so much for each page, and at
    /// least a quarter of that for each copy. Copying takes no time otherwise.
    pub fn set_page_copy(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).expect("less than centuries");
        self.0.page_copy.set(nanos);
    }

    pub(crate) fn note_copy(&self, length: u16) {
        let share = u64::from(length).max(PAGE_SIZE as u64 / 4);
        let took = self.0.page_copy.get() * share / PAGE_SIZE as u64;
        self.0.copied.set(self.0.copied.get() + took);
    }

    /// The time that copies took since this was asked last.
    pub(crate) fn take_copied(&self) -> u64 {
        self.0.copied.take()
    }

    /// Lets time pass; it never goes back.
    pub fn pass_to(&self, at: Instant) {
        self.0.now.set(self.now().max(at));
    }

    /// The source of chance.
    #[must_use]
    pub fn rng(&self) -> &Rng {
        &self.0.rng
    }

    pub(crate) fn with<T>(&self, dom: DomId, ask: impl FnOnce(&mut Domain) -> T) -> T {
        let mut domains = self.0.domains.borrow_mut();
        let domain = domains
            .get_mut(&dom.0)
            .unwrap_or_else(|| panic!("there is no domain {dom}"));
        ask(domain)
    }

    pub(crate) fn knows(&self, dom: DomId) -> bool {
        // A domain's state may be borrowed by the very call that drops a page: then it is there.
        self.0
            .domains
            .try_borrow()
            .map_or(true, |domains| domains.contains_key(&dom.0))
    }

    /// A frame that belongs to Xen.
    pub(crate) fn new_frame(&self) -> Rc<Frame> {
        let mfn = self.0.next_mfn.get();
        self.0.next_mfn.set(mfn + 1);
        Frame::new(mfn)
    }

    /// The number of an interrupt that nobody has.
    pub(crate) fn new_pirq(&self) -> u32 {
        let pirq = self.0.next_pirq.get();
        self.0.next_pirq.set(pirq + 1);
        pirq
    }

    pub(crate) fn remember_frame(&self, frame: &Rc<Frame>, owner: DomId) {
        let mut frames = self.0.frames.borrow_mut();
        frames.insert(frame.mfn().0, (frame.clone(), owner));
    }

    pub(crate) fn forget_frame(&self, mfn: Mfn) {
        self.0.frames.borrow_mut().remove(&mfn.0);
    }

    /// The frame of that number, if `owner` owns it.
    pub(crate) fn find_frame(&self, mfn: Mfn, owner: DomId) -> Option<Rc<Frame>> {
        let frames = self.0.frames.borrow();
        let (frame, of) = frames.get(&mfn.0)?;
        (*of == owner).then(|| frame.clone())
    }

    /// The numbers of the frames that `owner` owns.
    pub(crate) fn frames_of(&self, owner: DomId) -> Vec<u64> {
        let frames = self.0.frames.borrow();
        let own = frames.iter().filter(|(_, (_, of))| *of == owner);
        own.map(|(mfn, _)| *mfn).collect()
    }

    /// Records that a law was broken.
    pub fn violation(&self, what: String) {
        self.0.violations.borrow_mut().push(what);
    }

    /// The laws broken so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.0.violations.borrow().clone()
    }
}
