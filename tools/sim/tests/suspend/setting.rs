//! A machine with one disk, of which each block is written again and again, and how it is saved.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use geom::{Device, Errno};
use hv::{DomId, Resumed};
use sim::storage::XVDA;
use sim::{Blkback, BlkbackConfig, Detach, Disk, DomainConfig, Machine, Storage, Toolstack, Xen};

pub(crate) const GUEST: DomId = Machine::GUEST;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const BLOCK: u64 = 4096;
pub(crate) const BLOCKS: u64 = 512;
/// The second disk, `xbd1`.
pub(crate) const XVDB: u32 = XVDA + 16;

/// What is shown of a suspension that was cancelled, and of one after which the domain lives anew.
pub(crate) const CANCELLED: &str = "cancelled; the domain goes on";
pub(crate) const ANEW: &str = "the domain lives anew";

/// A backend that is slow enough for what is written in a second to be little work.
pub(crate) fn honest() -> BlkbackConfig {
    BlkbackConfig {
        latency: Duration::from_millis(5),
        ..BlkbackConfig::default()
    }
}

/// What a request came to, once it has.
pub(crate) type Outcome = Rc<Cell<Option<Result<(), Errno>>>>;

/// How a suspension goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is cancelled.
    Cancelled,
    /// The next life has the second disk.
    With,
    /// It has not.
    Without,
}

impl Then {
    pub(crate) const ALL: [Self; 3] = [Self::Cancelled, Self::With, Self::Without];

    /// What is shown of it.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Cancelled => CANCELLED,
            Self::With | Self::Without => ANEW,
        }
    }
}

/// How it is with a disk at the moment of the suspension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Both ends' states in xenstore.
    pub(crate) front: Option<String>,
    pub(crate) back: Option<String>,
    /// Requests that the backend has not answered.
    pub(crate) pending: usize,
    /// Whether GEOM has the disk.
    pub(crate) is_there: bool,
    /// Tastes under way.
    pub(crate) tastes: usize,
    /// Pages that a backend still maps after their grant ended.
    pub(crate) parked: usize,
    /// Whether a detach is under way.
    pub(crate) detaching: bool,
}

pub(crate) struct Scene {
    pub(crate) machine: Rc<Machine>,
    pub(crate) disk: Disk,
    pub(crate) backend: Rc<RefCell<Blkback>>,
    pub(crate) load: Rc<Load>,
}

#[derive(Default)]
pub(crate) struct Load {
    /// How often the block was written and acknowledged.
    pub(crate) written: RefCell<Vec<u64>>,
    pub(crate) errors: Cell<u64>,
    pub(crate) rounds: Cell<u64>,
    /// Nothing more is to be written.
    over: Cell<bool>,
    lanes: Cell<u64>,
}

impl Scene {
    pub(crate) fn new(seed: u64, config: BlkbackConfig) -> Self {
        Self::with_lanes(seed, config, 8)
    }

    /// The same with so many tasks that write.
    pub(crate) fn with_lanes(seed: u64, config: BlkbackConfig, lanes: u64) -> Self {
        let machine = Machine::boot(seed, "");
        machine.until_shown("ready");
        let disk = Disk::new();
        let backend = machine.attach(XVDA, &disk, config);
        machine.until_shown("xbd0: vbd");
        machine.run_for(SECOND);
        let load = Rc::new(Load::default());
        load.written.borrow_mut().resize(BLOCKS as usize, 0);
        load.lanes.set(lanes);
        let scene = Self {
            machine: Rc::new(machine),
            disk,
            backend: Rc::new(RefCell::new(backend)),
            load,
        };
        // Who closes what was open for writing has it tasted.
        let device = (lanes > 0).then(|| Rc::new(scene.open(geom::Access::READ_WRITE)));
        for (lane, device) in (0..lanes).zip(device.iter().cycle()) {
            let (device, load) = (device.clone(), scene.load.clone());
            scene.spawn(async move { write_on(&device, &load, lane, lanes).await });
        }
        scene
    }

    /// The same where nothing is written.
    pub(crate) fn idle(seed: u64, config: BlkbackConfig) -> Self {
        Self::with_lanes(seed, config, 0)
    }

    pub(crate) fn open(&self, access: geom::Access) -> Device {
        let geom = &self.machine.domain.geom;
        geom.open("xbd0", access).expect("a disk")
    }

    /// Has the domain do something beside.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let pv = self.machine.domain.pv.clone();
        let running = pv.clone();
        pv.exec.spawn("load", async move {
            future.await;
            drop(running);
        });
        self.machine.world.wake_domain(GUEST);
    }

    /// Starts a request; what it comes to appears in the cell.
    pub(crate) fn ask(
        &self,
        request: impl Future<Output = Result<(), Errno>> + 'static,
    ) -> Outcome {
        let outcome = Rc::new(Cell::new(None));
        let told = outcome.clone();
        self.spawn(async move { told.set(Some(request.await)) });
        outcome
    }

    pub(crate) fn backend(&self) -> Blkback {
        self.backend.borrow().clone()
    }

    /// Has the next suspension be a whole save and restore; the backend of the next life has
    /// `config`, or there is none.
    pub(crate) fn save(&self, config: Option<BlkbackConfig>) {
        self.save_beside(config, |_| {}, |_, _| {});
    }

    /// The same; `before` sees the end of the former life, and `after` adds to the next one.
    pub(crate) fn save_beside(
        &self,
        config: Option<BlkbackConfig>,
        before: impl FnOnce(&Xen) + 'static,
        after: impl FnOnce(&Xen, &Toolstack) + 'static,
    ) {
        let (backend, disk) = (self.backend.clone(), self.disk.clone());
        let toolstack = self.machine.toolstack.clone();
        let console = self.machine.console.clone();
        self.machine.world.at_suspension(GUEST, move |xen: &Xen| {
            let former = backend.borrow().clone();
            if former.pending() > 0 {
                xen.violation("requests are out while the domain is saved".into());
            }
            before(xen);
            former.crash();
            toolstack.renew_domain(GUEST, "xenolith", DomainConfig::default());
            console.bind(GUEST);
            if let Some(config) = config {
                let vbd = Storage::vbd(XVDA);
                *backend.borrow_mut() = Blkback::attach(xen, &toolstack, vbd, &disk, config);
            }
            after(xen, &toolstack);
            Resumed::Anew
        });
    }

    /// Has the next suspension go on as `then` says, with `other` as the second disk of this life
    /// and `disk` as that of the next. What was seen of `other` then appears in the cell.
    pub(crate) fn save_two(
        &self,
        then: Then,
        other: &Blkback,
        disk: &Disk,
        detach: Option<&Detach>,
    ) -> Rc<RefCell<Option<Seen>>> {
        let seen = Rc::new(RefCell::new(None));
        let (machine, told) = (Rc::downgrade(&self.machine), seen.clone());
        let (former, disk, detach) = (other.clone(), disk.clone(), detach.cloned());
        let look = move || {
            let machine = machine.upgrade().expect("it is suspended");
            *told.borrow_mut() = Some(look(&machine, &former, detach.as_ref()));
        };
        if then == Then::Cancelled {
            self.machine.world.at_suspension(GUEST, move |_: &Xen| {
                look();
                Resumed::Cancelled
            });
            return seen;
        }
        let former = other.clone();
        let before = move |_: &Xen| {
            look();
            former.crash();
        };
        self.save_beside(Some(honest()), before, move |xen, toolstack| {
            if then == Then::With {
                let vbd = Storage::vbd(XVDB);
                let _serves = Blkback::attach(xen, toolstack, vbd, &disk, honest());
            }
        });
        seen
    }

    pub(crate) fn suspend(&self, until: &str) {
        let shown = self.shown(until);
        self.ask_to_suspend();
        self.machine
            .until(until, |machine| shown_in(machine, until) > shown);
    }

    pub(crate) fn ask_to_suspend(&self) {
        self.machine.toolstack.shutdown(GUEST, "suspend");
    }

    pub(crate) fn shown(&self, text: &str) -> usize {
        shown_in(&self.machine, text)
    }

    /// Lets the load go on for a while, and checks that it does.
    pub(crate) fn works(&self) {
        let rounds = self.load.rounds.get();
        self.machine.run_for(SECOND);
        assert!(self.load.rounds.get() > rounds, "{}", self.output());
        assert_eq!(self.load.errors.get(), 0, "{}", self.output());
        assert_eq!(self.shown("xbd0 gone"), 0, "{}", self.output());
        assert_eq!(self.machine.world.violations(), Vec::<String>::new());
    }

    /// Has the load come to its end; returns how many writes were acknowledged.
    pub(crate) fn end_load(&self) -> u64 {
        self.load.over.set(true);
        let load = self.load.clone();
        self.machine
            .until("the end of the load", |_| load.lanes.get() == 0);
        assert_eq!(self.load.errors.get(), 0, "{}", self.output());
        self.load.written.borrow().iter().sum()
    }

    pub(crate) fn output(&self) -> String {
        self.machine.console.output()
    }

    /// Requests, and pieces of them, that `xbd` and this number have been given and not answered.
    pub(crate) fn handed_over(&self, unit: usize) -> u32 {
        let name = format!("xbd{unit}");
        let disks = self.machine.domain.geom.disks();
        let disk = disks.iter().find(|disk| disk.name == name);
        disk.expect("a disk").in_flight
    }

    /// Disks that came and that went.
    pub(crate) fn came_and_went(&self) -> (u64, u64) {
        let counters = self.machine.domain.geom.counters();
        (counters.disks_created, counters.disks_gone)
    }

    /// Waits until the second disk is there and tasted.
    pub(crate) fn has_second(&self) {
        self.machine.until("the other disk", |machine| {
            let geom = &machine.domain.geom;
            geom.provider("xbd1").is_some() && geom.is_settled()
        });
    }

    /// Everything that was acknowledged is on the disk.
    pub(crate) fn is_whole(&self) {
        for (block, count) in self.load.written.borrow().iter().enumerate() {
            let bytes = self.disk.bytes(block as u64 * BLOCK, BLOCK as usize);
            let found = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
            // The next one may be there without its acknowledgement.
            assert!(
                found == *count || found == count + 1,
                "block {block}: {found} where {count} were acknowledged"
            );
            assert!(bytes.chunks(8).all(|word| word == &bytes[..8]), "{block}");
        }
    }
}

fn look(machine: &Machine, backend: &Blkback, detach: Option<&Detach>) -> Seen {
    let (store, vbd) = (machine.toolstack.store(), backend.vbd());
    let state = |folder: String| store.read(&format!("{folder}/state"));
    let geom = &machine.domain.geom;
    Seen {
        front: state(vbd.frontend_path()),
        back: state(vbd.backend_path()),
        pending: backend.pending(),
        is_there: geom.provider("xbd1").is_some(),
        tastes: geom.counters().tastes,
        parked: machine.domain.pv.grants.usage().parked,
        detaching: detach.is_some_and(|detach| detach.outcome().is_none()),
    }
}

pub(crate) fn shown_in(machine: &Machine, text: &str) -> usize {
    machine.console.output().matches(text).count()
}

/// Writes every block of its own in turn, each time with the number of the time.
async fn write_on(device: &Device, load: &Load, lane: u64, lanes: u64) {
    while !load.over.get() {
        for block in (lane..BLOCKS).step_by(lanes as usize) {
            let count = load.written.borrow()[block as usize] + 1;
            let bytes = count.to_le_bytes().repeat(BLOCK as usize / 8);
            match device.write(block * BLOCK, bytes).await {
                Ok(_) => load.written.borrow_mut()[block as usize] = count,
                Err(_) => return load.errors.set(load.errors.get() + 1),
            }
            // A backend that cannot is no error of ours.
            let flushes = device.limits().is_some_and(|limits| limits.can_flush);
            if flushes && count.is_multiple_of(4) && device.flush().await.is_err() {
                return load.errors.set(load.errors.get() + 1);
            }
            load.rounds.set(load.rounds.get() + 1);
        }
    }
    load.lanes.set(load.lanes.get() - 1);
}
