//! Random life: three units, up to six holders, everything that can happen in any order, and the
//! laws after every piece of work.
//!
//! The media never changes its content: whatever is written is what is there already. So every
//! read that succeeds has one right answer, at any time, through any stack of partitions.
//!
//! A failure prints its seed; `XENOLITH_SEED=n` runs that one alone, `XENOLITH_LONG=1` runs
//! 100,000.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use geom::class::nop::{Effect, Fault, NopParams};
use geom::disk::{Command, DiskHandle};
use geom::{Access, Device, Errno};

use crate::fake::Fake;
use crate::rig::{Rig, params, pattern, poll_once, write_head};

const SECTORS: u64 = 64;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick(&mut self, length: usize) -> Option<usize> {
        (length > 0).then(|| self.below(length as u64) as usize)
    }
}

/// A disk that was created, and its handle until that is dropped.
struct Unit {
    fake: Rc<Fake>,
    handle: Option<DiskHandle>,
}

/// The end of a request: a read's bytes, or nothing.
type End = Result<Option<Vec<u8>>, Errno>;

/// A request whose end was not seen yet.
struct Out {
    future: Pin<Box<dyn Future<Output = End>>>,
    /// What a read must bring.
    expected: Option<Vec<u8>>,
}

struct Life {
    rig: Rig,
    random: Random,
    units: Vec<Unit>,
    devices: Vec<Device>,
    out: Vec<Out>,
    image: Vec<u8>,
    /// What has happened, for the coverage test.
    seen: Seen,
}

/// How often what was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    read: u64,
    written: u64,
    failed: u64,
    refused: u64,
    nested: u64,
    late: u64,
    draining: u64,
    gone_before_create: u64,
    nops: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.read += other.read;
        self.written += other.written;
        self.failed += other.failed;
        self.refused += other.refused;
        self.nested += other.nested;
        self.late += other.late;
        self.draining += other.draining;
        self.gone_before_create += other.gone_before_create;
        self.nops += other.nops;
    }
}

fn image() -> Vec<u8> {
    let mut media = pattern(SECTORS);
    write_head(&mut media, 0, &[(1, 20), (21, 10), (40, 24)]);
    write_head(&mut media, 1, &[(2, 8), (10, 10)]);
    write_head(&mut media, 3, &[(1, 4)]);
    media
}

impl Life {
    fn new(seed: u64) -> Self {
        Self {
            rig: Rig::new(),
            random: Random(seed),
            units: Vec::new(),
            devices: Vec::new(),
            out: Vec::new(),
            image: image(),
            seen: Seen::default(),
        }
    }

    fn act(&mut self) {
        match self.random.below(25) {
            0 | 1 => self.create(),
            2..=8 => drop(self.rig.step()),
            9 => self.rig.settle(),
            10..=12 => self.finish(),
            13 => self.disturb(),
            14 | 15 => self.open(),
            16 => self.close(),
            17..=20 => self.request(),
            21 => self.resize(),
            22 => self.reopen(),
            23 => self.nop(),
            _ => self.pass_time(),
        }
        self.rig.check();
        self.look();
    }

    fn create(&mut self) {
        let unit = self.random.below(3) as u32;
        let mut params = params(unit, SECTORS * 512);
        params.read_only = self.random.one_in(8);
        params.limits.max_io = 512 << self.random.below(5);
        let fake = Fake::new(self.image.clone());
        fake.hold.set(!self.random.one_in(3));
        if self.random.one_in(10) {
            fake.fail_open.set(Some(Errno::Io));
        }
        if let Ok(handle) = self.rig.geom.disk_create(params, fake.driver()) {
            if self.random.one_in(10) {
                handle.gone();
                self.seen.gone_before_create += 1;
            }
            self.units.push(Unit {
                fake,
                handle: Some(handle),
            });
        }
    }

    /// Ends a request of some driver, well or badly.
    fn finish(&mut self) {
        let Some(unit) = self.random.pick(self.units.len()) else {
            return;
        };
        let fake = self.units[unit].fake.clone();
        let Some(index) = self.random.pick(fake.held()) else {
            return;
        };
        if self.random.one_in(5) {
            let bio = fake
                .held
                .borrow_mut()
                .remove(index)
                .expect("a held request");
            bio.complete(Err(Errno::Io));
        } else {
            fake.finish(index);
        }
    }

    /// Something happens to a disk.
    fn disturb(&mut self) {
        let Some(unit) = self.random.pick(self.units.len()) else {
            return;
        };
        let unit = &mut self.units[unit];
        let Some(handle) = &unit.handle else { return };
        match self.random.below(8) {
            0 | 1 => handle.gone(),
            2 => drop(handle.destroy()),
            3 => unit.handle = None,
            4 => unit.fake.hold.set(!unit.fake.hold.get()),
            5 => drop(handle.media_changed()),
            6 => drop(handle.attr_changed()),
            _ => {
                let mut limits = params(0, 0).limits;
                limits.max_io = 512 << self.random.below(5);
                limits.can_flush = !self.random.one_in(4);
                drop(handle.set_limits(limits));
            }
        }
    }

    fn access(&mut self) -> Access {
        Access {
            read: !self.random.one_in(4),
            write: self.random.one_in(2),
            exclusive: self.random.one_in(4),
        }
    }

    fn open(&mut self) {
        let providers = self.rig.geom.providers();
        let Some(index) = self.random.pick(providers.len()) else {
            return;
        };
        if self.devices.len() == 6 {
            return;
        }
        let access = self.access();
        match self.rig.geom.open(&providers[index].name, access) {
            Ok(device) => self.devices.push(device),
            Err(_) => self.seen.refused += 1,
        }
    }

    fn reopen(&mut self) {
        let access = self.access();
        if let Some(index) = self.random.pick(self.devices.len()) {
            self.seen.refused += u64::from(self.devices[index].set_access(access).is_err());
        }
    }

    fn close(&mut self) {
        if let Some(index) = self.random.pick(self.devices.len()) {
            drop(self.devices.swap_remove(index));
        }
    }

    fn request(&mut self) {
        let Some(index) = self.random.pick(self.devices.len()) else {
            return;
        };
        let device = &self.devices[index];
        let info = self
            .rig
            .geom
            .providers()
            .into_iter()
            .find(|p| p.id == device.id());
        let Some(info) = info else { return };
        let sectors = info.media_size / 512;
        let start = self.random.below(sectors + 1);
        let length = self
            .random
            .below(12)
            .min(sectors - start + u64::from(self.random.one_in(9)));
        let (offset, length) = (start * 512, (length * 512) as usize);
        let at = (info.offset + offset) as usize;
        let expected = self.image.get(at..at + length).map(<[u8]>::to_vec);
        let wanted = expected.clone().unwrap_or_default();
        let out = match self.random.below(8) {
            0..=3 => {
                let read = device.read(offset, length);
                Out {
                    future: Box::pin(async { Ok(Some(read.await?)) }),
                    expected,
                }
            }
            4 | 5 => written(device.write(offset, wanted)),
            6 => written(device.write_ordered(offset, wanted)),
            _ => written(device.flush()),
        };
        if !self.random.one_in(12) {
            self.out.push(out);
        }
    }

    /// Has a NOP stand on a disk, or on another NOP, or has one do something else, or leave.
    fn nop(&mut self) {
        let geom = &self.rig.geom;
        let nops = geom.nops();
        if let Some(index) = self
            .random
            .pick(nops.len())
            .filter(|_| self.random.one_in(2))
        {
            let name = &nops[index].name;
            let faults = nops[index].faults.iter().skip(1).cloned();
            let faults: Vec<_> = faults.collect();
            match self.random.below(3) {
                0 => drop(geom.nop_configure(name, &faults)),
                1 => drop(geom.destroy("NOP", name, true)),
                _ => drop(geom.destroy("NOP", name, false)),
            }
            return;
        }
        let mut disks = geom.providers();
        disks.retain(|provider| provider.class != "HEAD");
        let Some(index) = self.random.pick(disks.len()) else {
            return;
        };
        let fault = |rate, effect| Fault {
            command: None,
            range: None,
            rate,
            effect,
        };
        let delay = Duration::from_secs(self.random.below(4));
        let faults = vec![
            fault(100_000, Effect::Fail(Errno::NoSpace)),
            fault(300_000, Effect::Delay(delay)),
        ];
        let params = NopParams {
            faults,
            seed: self.random.below(u64::MAX),
            ..NopParams::default()
        };
        if geom.nop_create(&disks[index].name, &params).is_ok() {
            self.seen.nops += 1;
        }
    }

    fn resize(&mut self) {
        let Some(unit) = self.random.pick(self.units.len()) else {
            return;
        };
        let Some(handle) = &self.units[unit].handle else {
            return;
        };
        let size = self.random.below(SECTORS + 1) * 512;
        if self.random.one_in(4) {
            drop(handle.replace_media(SECTORS * 512, 512 << self.random.below(2)));
        } else if self.random.one_in(3) {
            drop(handle.resize(SECTORS * 512));
        } else {
            drop(handle.resize(size));
        }
    }

    fn pass_time(&mut self) {
        let seconds = Duration::from_secs(self.random.below(8));
        self.rig.now.set(self.rig.now.get() + seconds);
    }

    /// Takes the ends of requests, and judges them.
    fn look(&mut self) {
        for mut out in std::mem::take(&mut self.out) {
            match poll_once(out.future.as_mut()) {
                None => self.out.push(out),
                Some(Err(_)) => self.seen.failed += 1,
                Some(Ok(None)) => self.seen.written += 1,
                Some(Ok(Some(bytes))) => {
                    assert_eq!(Some(bytes), out.expected, "a read brought the wrong bytes");
                    self.seen.read += 1;
                }
            }
        }
        for provider in self.rig.geom.providers() {
            self.seen.nested += u64::from(provider.name.matches('h').count() > 1);
            self.seen.late += u64::from(provider.tasted == geom::Tasted::Late);
        }
        let draining = geom::disk::DiskState::Draining;
        let disks = self.rig.geom.disks();
        self.seen.draining += disks.iter().filter(|disk| disk.state == draining).count() as u64;
    }

    /// Lets everything go, in random order, and sees that nothing is left.
    fn end(mut self) -> Seen {
        for unit in &self.units {
            unit.fake.hold.set(false);
            if let Some(handle) = &unit.handle {
                handle.gone();
            }
        }
        while !self.devices.is_empty() {
            self.close();
            self.rig.step();
        }
        for unit in &self.units {
            unit.fake.finish_all();
        }
        self.rig.settle();
        self.rig.wait(Duration::from_secs(60));
        self.look();
        assert!(self.out.is_empty(), "a request did not end");
        for unit in self.units.drain(..) {
            drop(unit.handle);
            assert_eq!(unit.fake.gone.get(), 1);
            assert_eq!(unit.fake.opens.get(), unit.fake.closes.get());
            let media = unit.fake.media.borrow();
            assert!(*media == self.image, "a write went to the wrong place");
            let log = unit.fake.log.borrow();
            assert!(!log.iter().any(|(command, ..)| *command == Command::Delete));
        }
        self.rig.check();
        self.rig.assert_empty();
        self.seen
    }
}

fn written(io: geom::request::Io) -> Out {
    Out {
        future: Box::pin(async { io.await.map(|()| None) }),
        expected: None,
    }
}

fn live(seed: u64) -> Seen {
    let mut life = Life::new(seed);
    for _ in 0..120 {
        life.act();
    }
    life.end()
}

#[test]
fn laws_hold_over_random_lives() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse::<u64>().ok())
    };
    if let Some(seed) = number("XENOLITH_SEED") {
        live(seed);
        return;
    }
    let seeds = if number("XENOLITH_LONG").is_some() {
        100_000
    } else {
        5_000
    };
    let mut seen = Seen::default();
    for seed in 0..seeds {
        match std::panic::catch_unwind(|| live(seed)) {
            Ok(one) => seen.add(one),
            Err(panic) => {
                eprintln!("XENOLITH_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    let Seen {
        read,
        written,
        failed,
        refused,
        nested,
        late,
        draining,
        gone_before_create,
        nops,
    } = seen;
    let counts = [
        read,
        written,
        failed,
        refused,
        nested,
        late,
        draining,
        gone_before_create,
        nops,
    ];
    assert!(
        counts.iter().all(|count| *count > seeds / 20),
        "too little happened: {seen:?}"
    );
}
