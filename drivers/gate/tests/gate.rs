//! A disk of one run loop in the graph of another, both turned by one thread.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use exec::{Executor, Log, Mailbox};
use gate::{Client, Server};
use geom::disk::{Command, Disk, DiskBio, DiskHandle, DiskLimits, DiskParams};
use geom::{Access, Errno, Geom, Params};
use hv::Instant;

const SIZE: u64 = 1 << 20;

/// What is known of the disk behind the gate.
#[derive(Default)]
struct Medium {
    bytes: RefCell<Vec<u8>>,
    commands: RefCell<Vec<Command>>,
    /// Requests are kept here while this is set.
    held: RefCell<Vec<DiskBio>>,
    holds: Cell<bool>,
    fails: Cell<bool>,
    gone: Cell<u32>,
}

struct Memory(Rc<Medium>);

impl Disk for Memory {
    fn strategy(&mut self, bio: DiskBio) {
        if self.0.holds.get() {
            self.0.held.borrow_mut().push(bio);
        } else {
            self.0.carry_out(bio);
        }
    }

    fn gone(self: Box<Self>) {
        self.0.gone.set(self.0.gone.get() + 1);
    }
}

impl Medium {
    fn carry_out(&self, bio: DiskBio) {
        self.commands.borrow_mut().push(bio.command);
        if self.fails.get() {
            return bio.complete(Err(Errno::Io));
        }
        let (offset, length) = (bio.offset as usize, bio.length as usize);
        let mut bytes = self.bytes.borrow_mut();
        let range = &mut bytes[offset..offset + length];
        let done = match bio.command {
            Command::Read => bio.data.write(0, range).map_err(|_| Errno::Io),
            Command::Write => bio.data.read(0, range).map_err(|_| Errno::Io),
            Command::Delete | Command::Erase => {
                range.fill(0);
                Ok(())
            }
            Command::Flush => Ok(()),
        };
        drop(bytes);
        bio.complete(done);
    }
}

/// Two run loops: one has the disk, one the graph.
struct Two {
    here: Executor,
    there: Executor,
    graph: Geom,
    disks: Geom,
    server: Server,
    /// Bytes that the heap can take.
    room: Rc<Cell<usize>>,
}

impl Two {
    fn new() -> Self {
        let (here, there) = (Executor::new(), Executor::new());
        let graph = Geom::new(Params::default());
        let disks = Geom::with_classes(Params::default(), Vec::new());
        let mailbox = Mailbox::default();
        let room = Rc::new(Cell::new(usize::MAX));
        let left = room.clone();
        let log = Log::new(|| Instant(0));
        let client = Client::new(&here, &log, &graph, move || left.get());
        here.spawn("client", mailbox.clone().serve(here.clone(), client));
        let server = Server::start(&there, &disks, &mailbox, 1);
        Self {
            here,
            there,
            graph,
            disks,
            server,
            room,
        }
    }

    /// Creates `xbd1` at the server side.
    fn create(&self, read_only: bool) -> (Rc<Medium>, DiskHandle) {
        self.create_of(SIZE, read_only)
    }

    fn create_of(&self, size: u64, read_only: bool) -> (Rc<Medium>, DiskHandle) {
        let medium = Rc::new(Medium {
            bytes: RefCell::new(vec![0; size as usize]),
            ..Medium::default()
        });
        let params = DiskParams {
            limits: limits(16 << 10),
            read_only,
            ..DiskParams::new("xbd", 1, size)
        };
        let driver = Box::new(Memory(medium.clone()));
        let handle = self.disks.disk_create(params, driver).unwrap();
        self.turn();
        (medium, handle)
    }

    /// Turns both loops until nothing is left to do.
    fn turn(&self) {
        for _ in 0..200 {
            for (exec, geom) in [(&self.there, &self.disks), (&self.here, &self.graph)] {
                geom.poll(Duration::ZERO);
                exec.turn(Instant(0));
                geom.poll(Duration::ZERO);
            }
            self.server.look();
            self.graph.check().unwrap();
            self.disks.check().unwrap();
        }
    }

    /// Runs a task of the graph's loop to its end.
    fn ask<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> T {
        let done = Rc::new(RefCell::new(None));
        let put = done.clone();
        self.here.spawn("test", async move {
            let value = task.await;
            *put.borrow_mut() = Some(value);
        });
        self.turn();
        done.take().expect("it is done")
    }
}

fn limits(max_io: u64) -> DiskLimits {
    DiskLimits {
        max_io,
        max_delete: u64::MAX,
        can_delete: true,
        can_flush: true,
        can_erase: false,
        delete_granularity: 0,
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 % 251) as u8).collect()
}

#[test]
fn what_is_written_through_a_gate_is_on_the_disk_and_comes_back() {
    let two = Two::new();
    let (medium, _handle) = two.create(false);
    let device = two.graph.open("xbd1", Access::READ_WRITE).unwrap();
    let data = pattern(100 * 512);
    let written = data.clone();
    let read = two.ask(async move {
        device.write(1024, written).await?;
        device.flush().await?;
        device.delete(1024, 512).await?;
        device.read(0, 102 * 512).await
    });
    let mut expected = vec![0; 1024];
    expected.extend(&data);
    expected[1024..1536].fill(0);
    assert_eq!(read, Ok(expected.clone()));
    assert_eq!(medium.bytes.borrow()[..expected.len()], expected);
    let last = [Command::Flush, Command::Delete];
    let commands = medium.commands.borrow();
    assert!(commands.windows(2).any(|two| two == last), "{commands:?}");
}

#[test]
fn an_error_behind_a_gate_is_the_request_s() {
    let two = Two::new();
    let (medium, _handle) = two.create(false);
    let device = Rc::new(two.graph.open("xbd1", Access::READ_WRITE).unwrap());
    medium.fails.set(true);
    let (read, write, again) = (device.clone(), device.clone(), device);
    assert_eq!(
        two.ask(async move { read.read(0, 512).await }),
        Err(Errno::Io)
    );
    assert_eq!(
        two.ask(async move { write.write(0, vec![1; 512]).await }),
        Err(Errno::Io)
    );
    medium.fails.set(false);
    assert!(two.ask(async move { again.read(0, 512).await }).is_ok());
}

#[test]
fn a_disk_that_cannot_be_written_cannot_be_written_through_its_gate() {
    let two = Two::new();
    let (_medium, _handle) = two.create(true);
    let refused = two.graph.open("xbd1", Access::READ_WRITE).map(drop);
    assert_eq!(refused.unwrap_err().errno, Errno::ReadOnly);
    let device = two.graph.open("xbd1", Access::READ).unwrap();
    assert!(two.ask(async move { device.read(0, 512).await }).is_ok());
}

#[test]
fn size_and_limits_follow() {
    let two = Two::new();
    let (_medium, handle) = two.create(false);
    handle.resize(SIZE / 2).unwrap();
    handle.set_limits(limits(4096)).unwrap();
    two.turn();
    let device = two.graph.open("xbd1", Access::READ).unwrap();
    assert_eq!(device.media_size(), SIZE / 2);
    assert_eq!(device.limits(), Some(limits(4096)));
}

#[test]
fn a_disk_that_goes_is_gone_once_on_both_sides_and_its_requests_end() {
    let two = Two::new();
    let (medium, handle) = two.create(false);
    let device = Rc::new(two.graph.open("xbd1", Access::READ_WRITE).unwrap());
    medium.holds.set(true);
    let reader = device.clone();
    let ended = Rc::new(Cell::new(None));
    let told = ended.clone();
    two.here.spawn("reader", async move {
        told.set(Some(reader.read(0, 64 << 10).await.map(drop)));
    });
    two.turn();
    assert!(!medium.held.borrow().is_empty() && ended.get().is_none());
    handle.gone();
    two.turn();
    assert_eq!(medium.gone.get(), 0, "a request is out, and it is held");
    for bio in medium.held.take() {
        bio.complete(Err(Errno::NoDevice));
    }
    two.turn();
    assert_eq!(ended.get(), Some(Err(Errno::NoDevice)));
    assert_eq!(device.error(), Some(Errno::NoDevice));
    assert_eq!(medium.gone.get(), 0, "it is still open at the client side");
    drop(device);
    two.turn();
    assert_eq!(medium.gone.get(), 1);
    let counters = two.graph.counters();
    assert_eq!((counters.disks_created, counters.disks_gone), (1, 1));
    assert_eq!(two.disks.counters().disks_live, 0);
}

#[test]
fn a_disk_that_comes_again_has_a_gate_again() {
    let two = Two::new();
    for round in 1..=3 {
        let (medium, handle) = two.create(false);
        assert!(two.graph.provider("xbd1").is_some(), "round {round}");
        drop(handle);
        two.turn();
        assert!(two.graph.provider("xbd1").is_none(), "round {round}");
        assert_eq!(medium.gone.get(), 1);
    }
}

#[test]
fn no_more_is_on_its_way_than_a_gate_and_the_heap_have_room_for() {
    for (room, most) in [(usize::MAX, 1 << 20), (768 << 10, 256 << 10)] {
        let two = Two::new();
        let (medium, _handle) = two.create(false);
        let device = two.graph.open("xbd1", Access::READ).unwrap();
        two.room.set(room);
        medium.holds.set(true);
        let ended = Rc::new(Cell::new(0));
        let device = Rc::new(device);
        for _ in 0..64 {
            let (device, ended) = (device.clone(), ended.clone());
            two.here.spawn("reader", async move {
                device.read(0, SIZE as usize).await.unwrap();
                ended.set(ended.get() + 1);
            });
        }
        two.turn();
        let under_way: u64 = medium.held.borrow().iter().map(|bio| bio.length).sum();
        assert_eq!(under_way, most);
        medium.holds.set(false);
        while ended.get() < 64 {
            for bio in medium.held.take() {
                medium.carry_out(bio);
            }
            two.turn();
        }
    }
}

#[test]
fn a_disk_that_comes_while_one_of_its_name_leaves_is_shown_as_it_is() {
    let two = Two::new();
    let (_, handle) = two.create(true);
    let used = two.graph.open("xbd1", Access::READ).unwrap();
    drop(handle);
    two.turn();
    assert_eq!(two.disks.counters().disks_live, 1, "it is still in use");
    let (_, _handle) = two.create_of(SIZE / 2, false);
    two.turn();
    drop(used);
    two.turn();
    assert_eq!(two.graph.provider("xbd1").unwrap().media_size, SIZE / 2);
    assert!(two.graph.open("xbd1", Access::READ_WRITE).is_ok());
}

#[test]
fn what_there_is_no_memory_for_waits() {
    let two = Two::new();
    let (medium, _handle) = two.create(false);
    let device = two.graph.open("xbd1", Access::READ_WRITE).unwrap();
    two.room.set(512 << 10);
    let ended = Rc::new(Cell::new(None));
    let told = ended.clone();
    two.here.spawn("writer", async move {
        told.set(Some(device.write(0, vec![7; 4096]).await));
    });
    two.turn();
    assert_eq!(ended.get(), None);
    let wrote = || medium.commands.borrow().contains(&Command::Write);
    assert!(!wrote());
    two.room.set((512 << 10) + 4096);
    let at = two.here.next_deadline().unwrap();
    two.here.turn(at);
    two.turn();
    assert_eq!(ended.get(), Some(Ok(())));
    assert!(wrote());
}
