//! The side that has the graph.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::{Executor, Level, Log, Mailbox, error};
use geom::disk::{Command, Disk, DiskBio, DiskHandle, DiskParams};
use geom::{Errno, Geom};

use crate::server::{GateId, Request, Server, Standing};

/// Bytes that are on their way through one gate at most, but for one request of any length: each
/// costs memory at both sides.
const WINDOW: u64 = 1 << 20;
/// Bytes of memory that are left to the rest of the domain, whose allocations may not fail.
const KEPT: u64 = 512 << 10;
/// The pause before it is looked again whether there is memory.
const AGAIN: Duration = Duration::from_millis(10);

/// A gate: whose it is, and which of those.
type Gate = (u32, GateId);

/// The gates of all other run loops. A handle; clones speak for the same ones.
#[derive(Clone)]
pub struct Client(Rc<Inner>);

struct Inner {
    exec: Executor,
    log: Log,
    geom: Geom,
    memory: Rc<Memory>,
    disks: RefCell<BTreeMap<Gate, DiskHandle>>,
}

impl Client {
    /// None yet; they become disks of `geom`, whose requests wait while the heap cannot take their
    /// bytes and some more: `room` says how many it can take.
    #[must_use]
    pub fn new(
        exec: &Executor,
        log: &Log,
        geom: &Geom,
        room: impl Fn() -> usize + 'static,
    ) -> Self {
        Self(Rc::new(Inner {
            exec: exec.clone(),
            log: log.clone(),
            geom: geom.clone(),
            memory: Rc::new(Memory {
                room: Box::new(room),
                under_way: Cell::new(0),
            }),
            disks: RefCell::default(),
        }))
    }

    /// Makes a disk of a gate to what is behind `server`.
    pub(crate) fn create(&self, gate: Gate, params: DiskParams, server: Mailbox<Server>) {
        let (name, unit, size) = (params.name.clone(), params.unit, params.media_size);
        let log = &self.0.log;
        let passage = Rc::new(Passage {
            exec: self.0.exec.clone(),
            memory: self.0.memory.clone(),
            server: server.clone(),
            id: gate.1,
            state: RefCell::default(),
        });
        let driver = GateDisk {
            passage,
            gate,
            client: Rc::downgrade(&self.0),
        };
        match self.0.geom.disk_create(params, Box::new(driver)) {
            Ok(disk) => {
                self.0.disks.borrow_mut().insert(gate, disk);
                // A backend can have it made again and again.
                let text = format_args!("{name}{unit}: {size} bytes, on vCPU {}", gate.0);
                log.limited_by(&format!("{name}{unit}"), Level::Info, "gate", text);
            }
            Err(why) => {
                error!(log, "gate", "{name}{unit}: {why}");
                server.send(move |_, server| server.refused(gate.1));
            }
        }
    }

    /// A disk has another size or other limits.
    pub(crate) fn change(&self, gate: Gate, standing: Standing) {
        let disks = self.0.disks.borrow();
        if let Some(disk) = disks.get(&gate) {
            let changed = disk
                .set_limits(standing.limits)
                .and_then(|()| disk.resize(standing.media_size));
            // One that is gone already has no use for either.
            let _gone = changed;
        }
    }

    /// A disk is lost.
    pub(crate) fn lose(&self, gate: Gate) {
        if let Some(disk) = self.0.disks.borrow().get(&gate) {
            disk.gone();
        }
    }
}

/// The heap, which the bytes of requests take.
struct Memory {
    /// Bytes that it can take.
    room: Box<dyn Fn() -> usize>,
    /// Those of all requests that do not wait. Nobody knows which of them are taken already.
    under_way: Cell<u64>,
}

impl Memory {
    /// Whether there is room for so many bytes more, which are under way then.
    fn take(&self, bytes: u64) -> bool {
        let under_way = self.under_way.get() + bytes;
        let is_room = (self.room)() as u64 >= under_way + KEPT;
        if is_room {
            self.under_way.set(under_way);
        }
        is_room
    }

    fn give_back(&self, bytes: u64) {
        self.under_way.set(self.under_way.get() - bytes);
    }
}

/// The client side of a gate, as GEOM sees it.
struct GateDisk {
    passage: Rc<Passage>,
    gate: Gate,
    client: Weak<Inner>,
}

/// What is on its way through a gate.
struct Passage {
    exec: Executor,
    memory: Rc<Memory>,
    server: Mailbox<Server>,
    id: GateId,
    state: RefCell<Traffic>,
}

#[derive(Default)]
struct Traffic {
    waiting: VecDeque<DiskBio>,
    /// Bytes of those that do not wait.
    under_way: u64,
    /// It is looked again soon whether there is memory.
    wants_memory: bool,
}

impl Disk for GateDisk {
    fn strategy(&mut self, bio: DiskBio) {
        self.passage.state.borrow_mut().waiting.push_back(bio);
        self.passage.send();
    }

    fn gone(self: Box<Self>) {
        let gate = self.gate;
        if let Some(client) = self.client.upgrade() {
            let disk = client.disks.borrow_mut().remove(&gate);
            drop(disk);
        }
        self.passage
            .server
            .send(move |_, server| server.close(gate.1));
    }
}

impl Passage {
    /// Sends as many of those that wait as there is room for.
    fn send(self: &Rc<Self>) {
        loop {
            let bio = {
                let mut state = self.state.borrow_mut();
                let Some(next) = state.waiting.front() else {
                    return;
                };
                let cost = cost(next);
                if state.under_way > 0 && state.under_way + cost > WINDOW {
                    return;
                }
                if !self.memory.take(cost) {
                    if !core::mem::replace(&mut state.wants_memory, true) {
                        self.exec.spawn("gate", self.clone().send_later());
                    }
                    return;
                }
                state.under_way += cost;
                state.waiting.pop_front()
            };
            if let Some(bio) = bio {
                self.exec.spawn("gate", self.clone().pass(bio));
            }
        }
    }

    async fn send_later(self: Rc<Self>) {
        self.exec.sleep(AGAIN).await;
        self.state.borrow_mut().wants_memory = false;
        self.send();
    }

    async fn pass(self: Rc<Self>, bio: DiskBio) {
        let cost = cost(&bio);
        let done = self.carried_out(&bio).await;
        bio.complete(done);
        self.memory.give_back(cost);
        self.state.borrow_mut().under_way -= cost;
        self.send();
    }

    async fn carried_out(&self, bio: &DiskBio) -> Result<(), Errno> {
        let data = match bio.command {
            Command::Write => {
                let data = bio.data.to_vec();
                // Whether those bytes could be had is known behind it.
                bio.data.settle()?;
                data
            }
            _ => Vec::new(),
        };
        let request = Request {
            command: bio.command,
            offset: bio.offset,
            length: bio.length,
            data,
        };
        let id = self.id;
        let answer = self
            .server
            .ask(move |server: &Server| server.clone().carry_out(id, request));
        let bytes = answer.await.unwrap_or(Err(Errno::NoDevice))?;
        if bio.command == Command::Read {
            bio.data.write(0, &bytes).map_err(|_| Errno::Io)?;
            bio.data.settle()?;
        }
        Ok(())
    }
}

/// The bytes that a request takes on its way.
fn cost(bio: &DiskBio) -> u64 {
    bio.data.len() as u64
}
