//! Load with verification over an export: nothing is ever read that was not written there.
//!
//! Each job has a part of the disk of its own and knows of each sector what may stand there: what
//! was written last, and whatever a failed request was to put there since. A minute of simulated
//! time, or an hour with `XENOLITH_LONG`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use geom::{Access, Device, Errno};
use hv::{DomId, Instant, SharedMem};
use pv::Pv;
use sim::blkback::request::{OKAY, READ, WRITE_BARRIER};
use sim::exports::DRIVER;
use sim::frontend::{Abi, Ask, Frontend, PeerRing, whole};
use sim::schedule::Next;
use sim::storage::{XVDA, mbr};
use sim::{
    Actor, DomainConfig, Exports, Guest, Machine, RamConfig, Rng, Toolstack, Vbd, World, Xen,
};

const SECOND: Duration = Duration::from_secs(1);
const SECTOR: u64 = 512;
const LARGEST: u64 = 2 << 20;
const JOBS: u64 = 6;
/// Bytes at the start of the disk that no job uses: a partition table, and the barriers' page.
const KEPT: u64 = 64 << 10;
const CLIENT: DomId = DomId(30);
const BARRIERS: DomId = DomId(31);

fn time() -> Duration {
    let long = std::env::var_os("XENOLITH_LONG").is_some();
    SECOND * if long { 3600 } else { 60 }
}

/// What came of it all.
#[derive(Debug, Default)]
struct Sum {
    done: Cell<u64>,
    failed: Cell<u64>,
    bytes: Cell<u64>,
    barriers: Cell<u64>,
}

fn add(to: &Cell<u64>, count: u64) {
    to.set(to.get() + count);
}

/// The word that fills a sector in its `version`; version 0 is zeros.
fn word(sector: u64, version: u64) -> u64 {
    match version {
        0 => 0,
        _ => (sector << 32 | version).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// One job: one request after the other in its part of the disk.
struct Job {
    device: Rc<Device>,
    exec: exec::Executor,
    rng: Rng,
    /// The first sector of its part.
    first: u64,
    /// What may stand in each.
    versions: Vec<Vec<u64>>,
    next: u64,
    /// Requests may fail.
    faults: bool,
    sum: Rc<Sum>,
}

impl Job {
    async fn run(mut self, end: Instant, pause: Duration) {
        while self.exec.now() < end {
            let (start, count) = self.range();
            let kind = self.rng.below(100);
            let ended = match kind {
                0..=44 => self.read(start, count).await,
                45..=84 => self.write(start, count, kind < 50).await,
                85..=92 => self.delete(start, count).await,
                _ => self.device.flush().await,
            };
            match ended {
                Ok(()) => add(&self.sum.done, 1),
                Err(error) => {
                    assert!(self.faults, "{kind} at {start}: {error}");
                    assert_eq!(error, Errno::Io);
                    add(&self.sum.failed, 1);
                }
            }
            if kind < 85 {
                add(&self.sum.bytes, count as u64 * SECTOR);
            }
            let nanos = u64::try_from(pause.as_nanos()).expect("short");
            let pause = Duration::from_nanos(self.rng.below(nanos));
            self.exec.sleep(pause).await;
        }
        // All of it, in the end.
        let all = self.versions.len();
        let step = (LARGEST / SECTOR) as usize;
        for start in (0..all).step_by(step) {
            let ended = self.read(start, step.min(all - start)).await;
            assert!(self.faults || ended.is_ok(), "{ended:?}");
        }
    }

    /// A range of its part, in sectors: each order of size is as likely.
    fn range(&self) -> (usize, usize) {
        let sectors = self.versions.len() as u64;
        let most = sectors.min(LARGEST / SECTOR);
        let most = most >> self.rng.below(u64::from(most.ilog2()) + 1);
        let count = 1 + self.rng.below(most);
        let start = self.rng.below(sectors - count + 1);
        (start as usize, count as usize)
    }

    fn offset(&self, start: usize) -> u64 {
        (self.first + start as u64) * SECTOR
    }

    async fn write(&mut self, start: usize, count: usize, ordered: bool) -> Result<(), Errno> {
        self.next += 1;
        let version = self.next;
        let mut bytes = Vec::with_capacity(count * SECTOR as usize);
        for sector in start..start + count {
            let word = word(self.first + sector as u64, version).to_le_bytes();
            bytes.extend(word.iter().cycle().take(SECTOR as usize));
        }
        let offset = self.offset(start);
        let write = if ordered {
            self.device.write_ordered(offset, bytes)
        } else {
            self.device.write(offset, bytes)
        };
        let ended = write.await;
        if ended.is_ok() {
            self.versions[start..start + count]
                .iter_mut()
                .for_each(Vec::clear);
        }
        self.may_have(start, count, version);
        ended
    }

    async fn delete(&mut self, start: usize, count: usize) -> Result<(), Errno> {
        let ended = self
            .device
            .delete(self.offset(start), count as u64 * SECTOR);
        // What was deleted may read as zeros or as it was.
        let ended = ended.await;
        self.may_have(start, count, 0);
        ended
    }

    fn may_have(&mut self, start: usize, count: usize, version: u64) {
        for known in &mut self.versions[start..start + count] {
            if !known.contains(&version) {
                known.push(version);
            }
        }
    }

    async fn read(&mut self, start: usize, count: usize) -> Result<(), Errno> {
        let length = count * SECTOR as usize;
        let bytes = self.device.read(self.offset(start), length).await?;
        for (index, found) in bytes.chunks(SECTOR as usize).enumerate() {
            let sector = self.first + (start + index) as u64;
            let known = &mut self.versions[start + index];
            let head = &found[..8];
            assert!(
                found.chunks(8).all(|one| one == head),
                "sector {sector} is torn"
            );
            let version = known
                .iter()
                .find(|version| word(sector, **version).to_le_bytes() == head);
            let Some(&version) = version else {
                panic!("sector {sector} has {head:?}; it may have {known:?}");
            };
            known.clear();
            known.push(version);
        }
        Ok(())
    }
}

/// Writes a page with a barrier now and then, and reads it: a frontend driven by hand, since the
/// shipped one orders its requests itself.
struct Barriers {
    ring: Rc<PeerRing>,
    page: pv::Granted<sim::Dom>,
    written: u8,
    /// What is under way.
    asked: Option<u8>,
    faults: bool,
    sum: Rc<Sum>,
}

impl Actor for Barriers {
    fn turn(&mut self, xen: &Xen) -> Next {
        let _woken = self.ring.take_event();
        let Some(operation) = self.asked.take() else {
            self.written = self.written.wrapping_add(1);
            self.page.fill(0, 4096, self.written);
            return self.ask(WRITE_BARRIER);
        };
        let Some(answer) = self.ring.take() else {
            self.asked = Some(operation);
            return Next::Wait;
        };
        if answer.status != OKAY {
            assert!(self.faults, "operation {operation} failed");
        } else if operation == WRITE_BARRIER {
            add(&self.sum.barriers, 1);
            self.page.fill(0, 4096, !self.written);
            return self.ask(READ);
        } else {
            let mut bytes = [0; 4096];
            self.page.read(0, &mut bytes);
            assert_eq!(bytes, [self.written; 4096]);
        }
        Next::At(xen.now().after(Self::PAUSE))
    }
}

impl Barriers {
    const PAUSE: Duration = Duration::from_millis(20);
    const SECTOR: u64 = 8;

    fn ask(&mut self, operation: u8) -> Next {
        let ask = Ask::new(operation, 1, Self::SECTOR, &[whole(&self.page)]);
        self.ring.submit(&ask);
        self.asked = Some(operation);
        Next::Wait
    }
}

/// Attaches a client with several rings, and one for the barriers, and has them at it.
fn load(
    (world, toolstack): (&World, &Toolstack),
    (backend, target): (DomId, &str),
    (faults, pause): (bool, Duration),
) -> Rc<Sum> {
    let vbd = |guest| Vbd {
        guest,
        backend,
        devid: XVDA,
    };
    let config = DomainConfig {
        pages: 16384,
        ..DomainConfig::default()
    };
    let guest = Guest::with_queues(world, toolstack, CLIENT, config, 4);
    toolstack.create_vbd_of(&vbd(CLIENT), target, "w!");
    let has_disk = |_: &Xen| guest.geom.provider("xbd0").is_some() && guest.geom.is_settled();
    world.run_until(has_disk, 30 * SECOND).expect("a disk");
    let dom = toolstack.create_domain(BARRIERS, "peer", DomainConfig::default());
    toolstack.create_vbd_of(&vbd(BARRIERS), target, "w!");
    let peer = Frontend::new(toolstack, &Pv::new(dom), vbd(BARRIERS), Abi::X86_32);
    let is_in = |state| move |_: &Xen| peer_state(toolstack, &vbd(BARRIERS)) == Some(state);
    world.run_until(is_in(2), 30 * SECOND).expect("an offer");
    peer.make_rings(1, 0);
    peer.publish(&[]);
    world
        .run_until(is_in(4), 30 * SECOND)
        .expect("a connection");
    peer.set_state(4);

    let sum = Rc::new(Sum::default());
    let ring = peer.ring();
    let port = ring.port();
    let barriers = world.spawn(
        "barriers",
        Rc::new(RefCell::new(Barriers {
            ring,
            page: peer.page(hv::Access::ReadWrite, 0),
            written: 0,
            asked: None,
            faults,
            sum: sum.clone(),
        })),
    );
    world.own_port(BARRIERS, port, barriers);
    let device = guest.geom.open("xbd0", Access::READ_WRITE);
    let device = Rc::new(device.expect("nobody holds it"));
    let part = (device.media_size() - KEPT) / JOBS / SECTOR;
    let end = guest.pv.exec.now().after(time());
    let jobs: Vec<_> = (0..JOBS)
        .map(|number| {
            let job = Job {
                device: device.clone(),
                exec: guest.pv.exec.clone(),
                rng: Rng::new(number),
                first: KEPT / SECTOR + number * part,
                versions: vec![vec![0]; part as usize],
                next: number << 24,
                faults,
                sum: sum.clone(),
            };
            guest.spawn(world, job.run(end, pause))
        })
        .collect();
    let limit = world.now().after(time() + 60 * SECOND);
    while jobs.iter().any(|job| job.borrow().is_none()) {
        world.run_for(SECOND).expect("no law is broken");
        assert!(world.now() < limit, "a request never ended");
    }
    world.dismiss(barriers);
    world.run_for(SECOND).expect("no law is broken");
    println!("{target}: {sum:?}, {} steps", world.steps());
    sum
}

fn peer_state(toolstack: &Toolstack, vbd: &Vbd) -> Option<u32> {
    let state = format!("{}/state", vbd.backend_path());
    toolstack.store().read(&state)?.parse().ok()
}

/// The composition that the image runs, with a memory disk.
fn machine(seed: u64) -> Machine {
    let config = DomainConfig {
        pages: 12288,
        ..DomainConfig::default()
    };
    let machine = Machine::boot_with(seed, "md=ram:24M", config, |_, _| {});
    machine.until_shown("ready");
    machine
}

#[test]
fn a_memory_disk_under_load_keeps_every_byte() {
    let machine = machine(1);
    let parts = (&machine.world, &machine.toolstack);
    let pause = Duration::from_millis(300);
    let sum = load(parts, (Machine::GUEST, "ram"), (false, pause));
    let seconds = time().as_secs();
    assert!(sum.done.get() > 20 * seconds, "{sum:?}");
    assert!(sum.barriers.get() > 10 * seconds, "{sum:?}");
    assert_eq!(machine.domain.geom.counters().requests, 0);
}

#[test]
fn faults_below_an_export_under_load_are_errors_and_never_wrong_data() {
    let machine = machine(2);
    let nop = "gnop create -r 2 -w 2 -q 5 -x 5 -d 30 -R 9 ram";
    assert_eq!(machine.command(nop), "md0.nop\n");
    let parts = (&machine.world, &machine.toolstack);
    let pause = Duration::from_millis(300);
    let sum = load(parts, (Machine::GUEST, "md0.nop"), (true, pause));
    let (done, failed) = (sum.done.get(), sum.failed.get());
    assert!(
        done > 15 * time().as_secs() && failed > done / 100,
        "{sum:?}"
    );
    assert_eq!(machine.domain.geom.counters().requests, 0);
}

#[test]
fn a_partition_of_a_disk_that_is_served_on_keeps_every_byte_under_load() {
    const MIDDLE: DomId = DomId(20);
    let config = RamConfig {
        size: 24 << 20,
        ..RamConfig::default()
    };
    let exports = Exports::with(3, config);
    exports.disk.put(0, &mbr(&[(64, (24 << 11) - 64)]));
    let resources = DomainConfig {
        pages: 8192,
        ..DomainConfig::default()
    };
    let middle = Guest::with_exports(&exports.world, &exports.toolstack, MIDDLE, resources);
    let vbd = Vbd {
        guest: MIDDLE,
        backend: DRIVER,
        devid: XVDA,
    };
    exports.attach(&vbd, "ram0");
    exports.until("the middle has the partition", || {
        middle.geom.provider("xbd0s1").is_some() && middle.geom.is_settled()
    });
    exports.disk.set_latency(Duration::from_millis(3));
    let parts = (&exports.world, &exports.toolstack);
    let pause = Duration::from_millis(300);
    let sum = load(parts, (MIDDLE, "xbd0s1"), (false, pause));
    let seconds = time().as_secs();
    assert!(
        sum.done.get() > 20 * seconds && sum.barriers.get() > 10 * seconds,
        "{sum:?}"
    );
    assert!(exports.disk.bytes(0, 512) == mbr(&[(64, (24 << 11) - 64)]));
}
