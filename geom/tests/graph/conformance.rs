//! What every disk must do, whoever makes it: each subject passes each check.

use std::rc::Rc;

use geom::class::md::MdParams;
use geom::class::nop::NopParams;
use geom::disk::{Command, DiskHandle};
use geom::{Access, Buffer, Completions, Device, Errno, Order};

use crate::fake::Fake;
use crate::pages::Pages;
use crate::rig::{Rig, params};

/// A disk to be judged, with all that must live as long.
struct Subject {
    rig: Rig,
    name: String,
    /// Whether it keeps what is written.
    keeps: bool,
    /// Its class, if it is destroyed by name; otherwise it has a handle.
    class: &'static str,
    handle: Option<DiskHandle>,
    fake: Option<Rc<Fake>>,
}

const SIZE: u64 = 1 << 20;

fn rig_with_pages() -> Rig {
    let rig = Rig::part();
    assert!(rig.geom.set_page_source(Pages::new(1000)));
    rig
}

fn subject(rig: Rig, name: String, class: &'static str) -> Subject {
    rig.settle();
    Subject {
        rig,
        name,
        keeps: class != "ZERO",
        class,
        handle: None,
        fake: None,
    }
}

fn fake(sector_size: u32, hold: bool) -> Subject {
    let rig = Rig::part();
    let fake = Fake::new(vec![0; SIZE as usize]);
    let mut params = params(0, SIZE);
    params.sector_size = sector_size;
    params.limits.max_io = 16384;
    let handle = rig.create(params, &fake);
    rig.settle();
    fake.hold.set(hold);
    Subject {
        handle: Some(handle),
        fake: Some(fake),
        ..subject(rig, "xbd0".into(), "DISK")
    }
}

fn md(sector_size: u32, reserve: bool) -> Subject {
    let rig = rig_with_pages();
    let params = MdParams {
        sector_size,
        reserve,
        ..MdParams::new(SIZE)
    };
    let name = rig.geom.md_create(&params).expect("it is there");
    subject(rig, name, "MD")
}

fn zero() -> Subject {
    let rig = rig_with_pages();
    let name = rig.geom.zero_create(SIZE).expect("it is there");
    subject(rig, name, "ZERO")
}

fn nop(below: Subject) -> Subject {
    let Subject {
        rig,
        name,
        handle,
        fake,
        ..
    } = below;
    let name = rig
        .geom
        .nop_create(&name, &NopParams::default())
        .expect("it is there");
    Subject {
        handle,
        fake,
        ..subject(rig, name, "NOP")
    }
}

/// All that there are.
fn subjects() -> Vec<Subject> {
    vec![
        fake(512, false),
        fake(4096, false),
        fake(512, true),
        md(512, false),
        md(4096, false),
        md(512, true),
        zero(),
        nop(fake(512, false)),
        nop(fake(512, true)),
        nop(md(512, false)),
        nop(nop(md(4096, false))),
    ]
}

impl Subject {
    fn open(&self, access: Access) -> Device {
        self.rig.open(&self.name, access)
    }

    fn settle(&self) {
        self.rig.settle();
        while let Some(fake) = self.fake.as_ref().filter(|fake| fake.held() > 0) {
            fake.finish(0);
            self.rig.settle();
        }
    }

    /// Does one request to its end.
    fn run(&self, device: &Device, order: Order) -> Result<(), Errno> {
        let completions = Completions::with_capacity(1);
        device.submit(order, 7, &completions);
        self.settle();
        let ended = completions.pop().expect("it ends");
        assert_eq!((ended.0, completions.pop()), (7, None), "{}", self.name);
        ended.1
    }

    fn write(&self, device: &Device, offset: u64, bytes: Vec<u8>) -> Result<(), Errno> {
        self.run(device, order(Command::Write, offset, Buffer::from(bytes)))
    }

    fn read(&self, device: &Device, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let data = Buffer::zeroed(length);
        let result = self.run(device, order(Command::Read, offset, data.clone()));
        result.map(|()| data.to_vec())
    }

    fn clear(&self, device: &Device, command: Command, offset: u64, length: u64) {
        let order = Order {
            length,
            ..order(command, offset, Buffer::zeroed(0))
        };
        assert_eq!(self.run(device, order), Ok(()), "{}", self.name);
    }

    /// What a write of these bytes leaves.
    fn kept(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.keeps {
            bytes
        } else {
            vec![0; bytes.len()]
        }
    }
}

fn order(command: Command, offset: u64, data: Buffer) -> Order {
    Order {
        command,
        offset,
        length: data.len() as u64,
        data,
        ordered: false,
    }
}

fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn its_sizes_fit_each_other() {
    for subject in subjects() {
        let device = subject.open(Access::READ);
        let (size, sector) = (device.media_size(), device.sector_size());
        let limits = device.limits().expect("it lives");
        assert_eq!(size, SIZE, "{}", subject.name);
        assert_eq!(size % u64::from(sector), 0);
        assert!(limits.max_io >= u64::from(sector));
        assert_eq!(limits.delete_granularity % u64::from(sector), 0);
        assert_eq!(device.error(), None);
    }
}

#[test]
fn what_is_written_is_read_wherever_and_however_long() {
    for subject in subjects() {
        let device = subject.open(Access::READ_WRITE);
        let sector = u64::from(device.sector_size());
        let places = [
            (0, sector),
            (SIZE - sector, sector),
            (3 * sector, 5 * sector),
            (8192 - sector, 2 * sector),
            (65536, 300 * 1024),
            (0, SIZE),
        ];
        for (number, (offset, length)) in places.into_iter().enumerate() {
            let written = bytes(number as u64, length as usize);
            assert_eq!(subject.write(&device, offset, written.clone()), Ok(()));
            let read = subject.read(&device, offset, length as usize);
            assert_eq!(read, Ok(subject.kept(written)), "{} {offset}", subject.name);
        }
    }
}

#[test]
fn it_is_the_same_after_it_was_closed() {
    for subject in subjects() {
        let device = subject.open(Access::READ_WRITE);
        let written = bytes(9, 8192);
        assert_eq!(subject.write(&device, 16384, written.clone()), Ok(()));
        drop(device);
        subject.settle();
        let device = subject.open(Access::READ);
        let read = subject.read(&device, 16384, 8192);
        assert_eq!(read, Ok(subject.kept(written)), "{}", subject.name);
    }
}

#[test]
fn what_it_must_refuse_changes_nothing() {
    for subject in subjects() {
        let device = subject.open(Access::READ_WRITE);
        let sector = u64::from(device.sector_size());
        let before = subject.read(&device, 0, SIZE as usize);
        let data = |length: u64| Buffer::from(vec![0xee; length as usize]);
        let refused = [
            (1, data(sector), Errno::Invalid),
            (0, data(sector - 1), Errno::Invalid),
            (SIZE, data(sector), Errno::BeyondEnd),
            (SIZE - sector, data(2 * sector), Errno::BeyondEnd),
            (u64::MAX - sector + 1, data(sector), Errno::BeyondEnd),
        ];
        for (offset, data, errno) in refused {
            for command in [Command::Read, Command::Write] {
                let result = subject.run(&device, order(command, offset, data.clone()));
                assert_eq!(result, Err(errno), "{} {command:?} {offset}", subject.name);
            }
        }
        assert_eq!(subject.read(&device, 0, SIZE as usize), before);
        drop(device);
        subject.settle();
        let reader = subject.open(Access::READ);
        let result = subject.write(&reader, 0, vec![1; sector as usize]);
        assert_eq!(result, Err(Errno::NotPermitted), "{}", subject.name);
    }
}

#[test]
fn deleting_and_erasing_touch_nothing_beside() {
    for subject in subjects() {
        for command in [Command::Delete, Command::Erase] {
            let device = subject.open(Access::READ_WRITE);
            let sector = u64::from(device.sector_size());
            let written = bytes(5, SIZE as usize);
            assert_eq!(subject.write(&device, 0, written.clone()), Ok(()));
            let (start, end) = (8192 - sector, 40960 + sector);
            subject.clear(&device, command, start, end - start);
            let read = subject.read(&device, 0, SIZE as usize).unwrap();
            let kept = subject.kept(written);
            let (start, end) = (start as usize, end as usize);
            assert_eq!(read[..start], kept[..start], "{}", subject.name);
            assert_eq!(read[end..], kept[end..], "{}", subject.name);
            if command == Command::Erase {
                assert!(read[start..end].iter().all(|byte| *byte == 0));
            }
            subject.clear(&device, command, 0, SIZE);
        }
    }
}

#[test]
fn many_requests_end_once_each_and_ordered_ones_in_their_order() {
    for subject in subjects() {
        let device = subject.open(Access::READ_WRITE);
        let sector = u64::from(device.sector_size());
        let completions = Completions::with_capacity(64);
        // Each write of one place comes after the one before, because it is ordered.
        for tag in 0..64 {
            let data = Buffer::from(bytes(tag, sector as usize));
            let mut order = order(Command::Write, 0, data);
            order.ordered = true;
            if tag % 8 == 7 {
                order = Order {
                    command: Command::Flush,
                    length: 0,
                    data: Buffer::zeroed(0),
                    ..order
                };
            }
            device.submit(order, tag, &completions);
        }
        subject.settle();
        for tag in 0..64 {
            assert_eq!(completions.pop(), Some((tag, Ok(()))), "{}", subject.name);
        }
        assert_eq!((completions.pop(), completions.outstanding()), (None, 0));
        let last = subject.kept(bytes(62, sector as usize));
        assert_eq!(subject.read(&device, 0, sector as usize), Ok(last));
    }
}

#[test]
fn it_agrees_with_a_plain_array_over_random_requests() {
    for subject in subjects() {
        let device = subject.open(Access::READ_WRITE);
        let sector = u64::from(device.sector_size());
        let mut model = vec![0; SIZE as usize];
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(7);
            (state >> 33) % below
        };
        for round in 0..300 {
            let sectors = SIZE / sector;
            let first = random(sectors);
            let count = 1 + random((sectors - first).min(64));
            let (offset, length) = (first * sector, count * sector);
            let range = offset as usize..(offset + length) as usize;
            match random(4) {
                0 | 1 => {
                    let written = bytes(round, length as usize);
                    assert_eq!(subject.write(&device, offset, written.clone()), Ok(()));
                    model[range].copy_from_slice(&subject.kept(written));
                }
                2 => {
                    subject.clear(&device, Command::Erase, offset, length);
                    model[range].fill(0);
                }
                _ => {
                    let read = subject.read(&device, offset, length as usize);
                    assert_eq!(read.as_deref(), Ok(&model[range]), "{}", subject.name);
                }
            }
        }
        let read = subject.read(&device, 0, SIZE as usize);
        assert!(read == Ok(model), "{}", subject.name);
    }
}

#[test]
fn it_leaves_under_a_holder_with_gone_exactly_once() {
    for subject in subjects() {
        let device = subject.open(Access::READ_WRITE);
        let completions = Completions::with_capacity(8);
        for tag in 0..4 {
            device.submit(
                order(Command::Read, 0, Buffer::zeroed(4096)),
                tag,
                &completions,
            );
        }
        let before = subject.rig.geom.counters().disks_gone;
        match &subject.handle {
            Some(handle) if subject.class == "DISK" => handle.gone(),
            _ => {
                let geom = &subject.rig.geom;
                geom.destroy(subject.class, &subject.name, true).unwrap();
            }
        }
        assert_eq!(device.error(), Some(Errno::NoDevice), "{}", subject.name);
        subject.settle();
        let gone = || subject.rig.geom.counters().disks_gone - before;
        assert_eq!(gone(), 0, "{} is held", subject.name);
        for tag in 0..4 {
            assert_eq!(completions.pop().map(|(tag, _)| tag), Some(tag));
        }
        let late = subject.read(&device, 0, 4096);
        assert_eq!(late, Err(Errno::NoDevice), "{}", subject.name);
        drop(device);
        subject.settle();
        assert_eq!(gone(), 1, "{}", subject.name);
        let reopened = subject.rig.try_open(&subject.name, Access::READ);
        assert!(reopened.is_err(), "{}", subject.name);
    }
}
