//! One random life of a guest with disks, from its seed: disks come, are tasted, read, written,
//! resized, held back, lied about, and leave in every way, in any order.
//!
//! What is asked of it: no law is broken at any step; data written comes back; a request fails only
//! if something was done to its disk; and when all is over, everything is back at its baseline and
//! each disk created is gone, once.
//!
//! The guest may serve its disks to other domains meanwhile, which come and go as they like.
//!
//! - `act`: what may happen next
//! - `export`: what may happen to those who are served
//! - `io`: requests, and what they must come to

mod act;
mod export;
mod io;

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use geom::Device;
use hv::Instant;

use self::export::Client;
use crate::guest::Holdings;
use crate::storage::{GUEST, XVDA};
use crate::xenstored::StoreUsage;
use crate::{Blkback, Detach, Disk, Rng, Storage, Vbd};

/// Slots for disks: `xvda` to `xvdd`.
const SLOTS: u32 = 4;
/// The domain of the first client.
const FIRST_CLIENT: u16 = 50;
/// How long everything has to settle at the end.
const SETTLE: Duration = Duration::from_secs(200);

/// How a life is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Things that happen.
    pub steps: u32,
    /// Whether the guest's log keeps what is of interest only to its developers.
    pub verbose: bool,
    /// Domains that are served the guest's disks.
    pub clients: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps: 60,
            verbose: false,
            clients: 0,
        }
    }
}

/// What a life came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened, line by line, with the guest's own log.
    pub transcript: Vec<String>,
    /// What went wrong, if anything did.
    pub failure: Option<String>,
    /// Disks that were created, and so gone.
    pub disks: u64,
    /// Requests that ended well and that failed.
    pub requests: (u64, u64),
    /// Those of clients that ended well.
    pub served: u64,
    /// Steps of the scheduler.
    pub steps: u64,
}

/// Runs the life of `seed`.
///
/// A panic of the code under test is a failure like any other, and is caught.
#[must_use]
pub fn run_seed(seed: u64, options: Options) -> Outcome {
    let diary = Rc::new(Diary::default());
    let life = Life::new(seed, diary.clone(), options.clients);
    if options.verbose {
        life.storage.guest.pv.log.set_level(exec::Level::Debug);
    }
    let mut life = AssertUnwindSafe(life);
    let result = catch_unwind(move || {
        let ran = life.run(options.steps);
        diary_of(&life);
        (ran, life.summary())
    });
    let (failure, (disks, steps)) = match result {
        Ok((Ok(()), summary)) => (None, summary),
        Ok((Err(failure), summary)) => (Some(failure), summary),
        Err(panic) => (Some(message(&*panic)), (0, 0)),
    };
    Outcome {
        transcript: diary.take(),
        failure,
        disks,
        requests: (diary.ended_well.get(), diary.failed.get()),
        served: diary.served.get(),
        steps,
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a message"))
}

/// Copies the guest's log into the diary.
fn diary_of(life: &Life) {
    let log = &life.storage.guest.pv.log;
    for line in log.lines_from(0) {
        let text = format!("    {}: {}", line.part, line.text);
        life.diary.lines.borrow_mut().push((line.at, text));
    }
}

/// What is written down of a life; it outlives a panic.
#[derive(Default)]
struct Diary {
    lines: RefCell<Vec<(Instant, String)>>,
    /// What the requests found wrong.
    complaints: RefCell<Vec<String>>,
    ended_well: Cell<u64>,
    failed: Cell<u64>,
    served: Cell<u64>,
    pending: Cell<u64>,
}

impl Diary {
    fn take(&self) -> Vec<String> {
        let mut lines = self.lines.take();
        lines.sort_by_key(|(at, _)| *at);
        let mut shown = Vec::with_capacity(lines.len());
        for (at, text) in lines {
            let mut line = String::new();
            // Writing to a string does not fail.
            let _ = write!(line, "[{at}] {text}");
            shown.push(line);
        }
        shown
    }
}

/// One of the places where a disk may be.
struct Slot {
    vbd: Vbd,
    /// `xbd0`.
    name: String,
    disk: Disk,
    backend: Option<Blkback>,
    detach: Option<Detach>,
    /// Something was done to the disk, so its requests may fail.
    trouble: Rc<Cell<bool>>,
    /// Regions of the disk that a request is using, by their number.
    busy: Rc<RefCell<Vec<u64>>>,
}

struct Life {
    storage: Storage,
    rng: Rng,
    slots: Vec<Slot>,
    /// Devices held open for no purpose.
    held: Vec<Device>,
    /// Backends whose disk is gone, but which may still hold pages.
    former: Vec<Blkback>,
    clients: Vec<Client>,
    /// The next client's domain.
    next_client: u16,
    before: Holdings,
    diary: Rc<Diary>,
}

impl Life {
    fn new(seed: u64, diary: Rc<Diary>, clients: u16) -> Self {
        let storage = match clients {
            0 => Storage::new(seed),
            _ => Storage::with_exports(seed),
        };
        let before = storage.holdings();
        let slots = (0..SLOTS)
            .map(|index| Slot {
                vbd: Storage::vbd(XVDA + 16 * index),
                name: format!("xbd{index}"),
                disk: Disk::new(),
                backend: None,
                detach: None,
                trouble: Rc::default(),
                busy: Rc::default(),
            })
            .collect();
        let mut life = Self {
            storage,
            rng: Rng::new(seed ^ 0x6c69_6665),
            slots,
            held: Vec::new(),
            former: Vec::new(),
            clients: Vec::new(),
            next_client: FIRST_CLIENT,
            before,
            diary,
        };
        (0..clients).for_each(|_| life.add_client());
        life
    }

    fn note(&self, text: impl Into<String>) {
        let at = self.storage.world.now();
        self.diary.lines.borrow_mut().push((at, text.into()));
    }

    fn run(&mut self, steps: u32) -> Result<(), String> {
        for _ in 0..steps {
            if !self.clients.is_empty() && self.rng.one_in(2) {
                self.act_on_export();
            } else {
                self.act();
            }
            let time = self.pause();
            self.pass(time)?;
        }
        self.settle()
    }

    /// How long until the next thing happens: mostly microseconds, sometimes seconds.
    fn pause(&self) -> Duration {
        let rng = &self.rng;
        match rng.below(20) {
            0 => Duration::from_millis(rng.below(12_000)),
            1..=4 => Duration::from_micros(rng.below(20_000)),
            _ => Duration::from_micros(rng.below(300)),
        }
    }

    fn pass(&self, time: Duration) -> Result<(), String> {
        self.storage
            .world
            .run_for(time)
            .map_err(|stop| stop.to_string())?;
        match self.diary.complaints.borrow().first() {
            Some(complaint) => Err(complaint.clone()),
            None => Ok(()),
        }
    }

    /// Ends everything that was begun, and compares with the beginning.
    fn settle(&mut self) -> Result<(), String> {
        self.note("settle: everybody behaves, all disks are detached");
        let world = &self.storage.world;
        world.clear_faults();
        let store = self.storage.toolstack.store();
        store.refuse_commits(0);
        store.set_latency(Duration::ZERO);
        store.set_silent(false);
        for slot in &self.slots {
            let Some(backend) = &slot.backend else {
                continue;
            };
            slot.trouble.set(true);
            backend.set_malice(crate::Malice::default());
            backend.set_held(false);
            backend.set_frozen(false);
            let _outcome = self.storage.toolstack.detach(&slot.vbd, true);
        }
        // What was not forced before may have come to nothing.
        for _ in 0..2 {
            self.detach_all_exports();
            self.pass(Duration::from_secs(30))?;
        }
        self.held.clear();
        for backend in self.slots.iter_mut().filter_map(|slot| slot.backend.take()) {
            backend.crash();
        }
        for backend in self.former.drain(..) {
            backend.crash();
        }
        let complaints = format!("/local/domain/{GUEST}/error/device");
        self.storage.toolstack.store().remove(&complaints);
        self.storage.world.wake_domain(GUEST);
        self.pass(SETTLE)?;
        self.check_clients()?;
        self.check_end()
    }

    fn check_end(&self) -> Result<(), String> {
        let (created, gone) = self.storage.created_and_gone();
        if created != gone {
            return Err(format!("{created} disks were created, {gone} are gone"));
        }
        let pending = self.diary.pending.get();
        if pending != 0 {
            return Err(format!("{pending} requests never ended"));
        }
        let after = self.storage.holdings();
        let before = Holdings {
            store: StoreUsage {
                nodes: after.store.nodes,
                ..self.before.store
            },
            ..self.before
        };
        if after != before {
            return Err(format!("not at the baseline:\n{after:?}\n{before:?}"));
        }
        Ok(())
    }

    /// Disks created and steps made.
    fn summary(&self) -> (u64, u64) {
        (
            self.storage.created_and_gone().0,
            self.storage.world.steps(),
        )
    }
}
