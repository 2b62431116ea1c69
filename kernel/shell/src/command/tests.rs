//! Commands on providers, over disks in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use exec::Executor;
use geom::disk::{Command, Disk, DiskBio, DiskHandle, DiskParams};
use geom::{Access, Errno, Geom, Params};
use hv::Instant;

use super::target::Disks;
use super::{disk, fill, hexdump, sum};
use crate::output::Output;
use crate::pattern;
use crate::request::{ByteRange, GraphForm};

/// What a test sees of a disk in memory, and may change.
#[derive(Default)]
struct Medium {
    bytes: RefCell<Vec<u8>>,
    /// Requests are kept instead of answered.
    held: Cell<bool>,
    requests: RefCell<VecDeque<DiskBio>>,
    most: Cell<usize>,
    flushes: Cell<u32>,
    /// Writes to this offset are lost.
    loses: Cell<Option<u64>>,
    fails: Cell<bool>,
}

struct MemoryDisk(Rc<Medium>);

impl Disk for MemoryDisk {
    fn strategy(&mut self, bio: DiskBio) {
        let mut requests = self.0.requests.borrow_mut();
        requests.push_back(bio);
        self.0.most.set(self.0.most.get().max(requests.len()));
    }

    fn gone(self: Box<Self>) {
        for bio in self.0.requests.take() {
            bio.complete(Err(Errno::Io));
        }
    }
}

impl Medium {
    /// Answers what was asked for.
    fn serve(&self) {
        while !self.held.get() {
            let Some(bio) = self.requests.borrow_mut().pop_front() else {
                return;
            };
            let result = self.answer(&bio);
            bio.complete(result);
        }
    }

    fn answer(&self, bio: &DiskBio) -> Result<(), Errno> {
        let start = bio.offset as usize;
        let range = start..start + bio.length as usize;
        match bio.command {
            _ if self.fails.get() => return Err(Errno::Io),
            Command::Read => bio.data.write(0, &self.bytes.borrow()[range]).unwrap(),
            Command::Write if self.loses.get() == Some(bio.offset) => {}
            Command::Write => bio
                .data
                .read(0, &mut self.bytes.borrow_mut()[range])
                .unwrap(),
            Command::Flush => self.flushes.set(self.flushes.get() + 1),
            Command::Delete | Command::Erase => return Err(Errno::NotSupported),
        }
        Ok(())
    }
}

/// A disk `xbd0`, GEOM above it, and what a command printed.
struct Bench {
    geom: Geom,
    exec: Executor,
    medium: Rc<Medium>,
    handle: DiskHandle,
    out: Output,
}

impl Bench {
    fn new(change: impl FnOnce(&mut DiskParams)) -> Self {
        let mut params = DiskParams::new("xbd", 0, 1 << 20);
        params.limits.can_flush = true;
        change(&mut params);
        let medium = Rc::new(Medium::default());
        let mut bytes = vec![0; params.media_size as usize];
        pattern::write(99, 0, &mut bytes);
        medium.bytes.replace(bytes);
        let geom = Geom::new(Params::default());
        let handle = geom
            .disk_create(params, Box::new(MemoryDisk(medium.clone())))
            .unwrap();
        let bench = Self {
            geom,
            exec: Executor::new(),
            medium,
            handle,
            out: Output::new(),
        };
        bench.turns();
        bench
    }

    /// Runs everything until nothing moves.
    fn turns(&self) {
        for _ in 0..200 {
            self.geom.poll(Duration::ZERO);
            self.medium.serve();
            self.exec.turn(Instant(0));
        }
    }

    /// Runs a command to its end, or until nothing moves: what it printed, or its error.
    fn start(&self, run: impl AsyncFnOnce(&Disks<'_>, &Output) -> Result<(), String> + 'static) {
        let (geom, exec, out) = (self.geom.clone(), self.exec.clone(), self.out.clone());
        self.exec.spawn("command", async move {
            let disks = Disks {
                geom: &geom,
                exec: &exec,
            };
            if let Err(error) = run(&disks, &out).await {
                out.line(format_args!("{error}"));
            }
            out.line(format_args!("done"));
        });
        self.turns();
    }

    fn sum(&self, range: Option<ByteRange>) -> String {
        self.start(async move |disks, out| sum::run(disks, "xbd0", range, out).await);
        self.out.try_take()
    }

    fn fill(&self, seed: u64, range: Option<ByteRange>) -> String {
        self.start(async move |disks, out| fill::run(disks, "xbd0", seed, range, out).await);
        self.out.try_take()
    }

    fn hexdump(&self, offset: u64, length: u64) -> String {
        let range = ByteRange { offset, length };
        self.start(async move |disks, out| hexdump::run(disks, "xbd0", range, out).await);
        self.out.try_take()
    }
}

fn at(offset: u64, length: u64) -> Option<ByteRange> {
    Some(ByteRange { offset, length })
}

/// What `sum` must print for these bytes.
fn summed(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digits: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{digits}  xbd0\ndone\n")
}

#[test]
fn sum_is_sha_256_of_the_whole_or_of_any_range() {
    let bench = Bench::new(|_| {});
    let bytes = bench.medium.bytes.borrow().clone();
    assert_eq!(bench.sum(None), summed(&bytes));
    for (offset, length) in [
        (0, 0),
        (5, 0),
        (0, 1),
        (511, 2),
        (1000, 300_001),
        (65_536, 65_536),
    ] {
        let range = offset as usize..(offset + length) as usize;
        assert_eq!(
            bench.sum(at(offset, length)),
            summed(&bytes[range]),
            "{offset} {length}"
        );
    }
    let end = bytes.len() as u64;
    assert_eq!(bench.sum(at(end, 0)), summed(&[]));
    assert_eq!(bench.sum(at(end - 1, 1)), summed(&bytes[bytes.len() - 1..]));
}

/// Known from `head -c 1048576 /dev/zero | sha256sum`.
#[test]
fn sum_prints_what_sha256sum_prints() {
    let bench = Bench::new(|_| {});
    bench.medium.bytes.borrow_mut().fill(0);
    let expected = "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58  xbd0\ndone\n";
    assert_eq!(bench.sum(None), expected);
}

#[test]
fn several_reads_are_under_way_but_not_more_than_fit() {
    let bench = Bench::new(|_| {});
    bench.medium.held.set(true);
    bench.start(async |disks, out| sum::run(disks, "xbd0", None, out).await);
    assert_eq!(
        bench.medium.requests.borrow().len(),
        super::reader::IN_FLIGHT
    );
    bench.medium.held.set(false);
    bench.turns();
    assert_eq!(bench.out.try_take(), summed(&bench.medium.bytes.borrow()));
}

#[test]
fn a_range_beyond_the_end_is_refused_before_anything_is_read() {
    let bench = Bench::new(|_| {});
    for (offset, length) in [(0, 1_048_577), (1_048_576, 1), (u64::MAX, 1), (1, u64::MAX)] {
        let expected =
            format!("sum: xbd0: {length} bytes at {offset} reach beyond its end, 1048576\ndone\n");
        assert_eq!(bench.sum(at(offset, length)), expected);
    }
}

#[test]
fn what_is_not_there_and_what_fails_is_told_in_one_line() {
    let bench = Bench::new(|_| {});
    bench.start(async |disks, out| sum::run(disks, "xbd9", None, out).await);
    assert_eq!(bench.out.try_take(), "sum: xbd9: no such provider\ndone\n");
    bench.medium.fails.set(true);
    assert_eq!(bench.sum(None), "sum: xbd0: EIO\ndone\n");
    assert_eq!(bench.fill(1, None), "fill: xbd0: EIO\ndone\n");
    assert_eq!(bench.hexdump(0, 16), "hexdump: xbd0: EIO\ndone\n");
}

#[test]
fn a_disk_that_leaves_ends_the_command() {
    let bench = Bench::new(|_| {});
    bench.medium.held.set(true);
    bench.start(async |disks, out| sum::run(disks, "xbd0", None, out).await);
    bench.handle.gone();
    bench.turns();
    bench.medium.held.set(false);
    for bio in bench.medium.requests.take() {
        bio.complete(Err(Errno::Io));
    }
    bench.turns();
    assert_eq!(bench.out.try_take(), "sum: xbd0: EIO\ndone\n");
    bench.start(async |_, out| {
        out.line(format_args!("later"));
        Ok(())
    });
    let counters = bench.geom.counters();
    assert_eq!((counters.disks_created, counters.disks_gone), (1, 1));
}

#[test]
fn hexdump_prints_any_range() {
    let bench = Bench::new(|_| {});
    bench.medium.bytes.borrow_mut()[510..530].copy_from_slice(b"\x55\xaaEFI PART 012345678");
    let expected = concat!(
        "000001fe  55 aa 45 46 49 20 50 41  52 54 20 30 31 32 33 34  |U.EFI PART 01234|\n",
        "0000020e  35 36 37 38                                       |5678|\n",
        "done\n",
    );
    assert_eq!(bench.hexdump(510, 20), expected);
    assert_eq!(bench.hexdump(0, 0), "done\n");
}

#[test]
fn hexdump_waits_for_room_and_prints_every_line_once() {
    let bench = Bench::new(|_| {});
    let mut text = bench.hexdump(8, 200_000);
    assert!(text.len() < 8192, "it must wait for the console");
    while !text.ends_with("done\n") {
        bench.turns();
        text += &bench.out.try_take();
    }
    let offsets: Vec<u64> = text
        .lines()
        .filter_map(|line| u64::from_str_radix(line.get(..8)?, 16).ok())
        .collect();
    assert_eq!(offsets, (8..200_008).step_by(16).collect::<Vec<_>>());
}

#[test]
fn fill_writes_the_pattern_flushes_and_leaves_the_rest_alone() {
    let bench = Bench::new(|_| {});
    let before = bench.medium.bytes.borrow().clone();
    let mut expected = before.clone();
    pattern::write(7, 0, &mut expected[512..512 + 200 * 512]);
    let text = bench.fill(7, at(512, 200 * 512));
    assert!(
        text.starts_with("xbd0: 102400 bytes at 512 written, flushed, read back\n"),
        "{text}"
    );
    assert!(
        text.ends_with(&summed(&expected[512..512 + 200 * 512])),
        "{text}"
    );
    assert!(*bench.medium.bytes.borrow() == expected);
    assert_eq!(bench.medium.flushes.get(), 1);
}

#[test]
fn fill_without_a_range_is_the_whole_provider() {
    let bench = Bench::new(|params| params.limits.can_flush = false);
    let mut expected = vec![0; 1 << 20];
    pattern::write(u64::MAX, 0, &mut expected);
    let text = bench.fill(u64::MAX, None);
    let first =
        "xbd0: 1048576 bytes at 0 written, not flushed: the device has no flush, read back\n";
    assert!(text.starts_with(first), "{text}");
    assert!(*bench.medium.bytes.borrow() == expected);
}

#[test]
fn fill_tells_a_byte_that_reads_back_wrong() {
    let bench = Bench::new(|_| {});
    bench.medium.bytes.borrow_mut().fill(0);
    bench.medium.loses.set(Some(65_536));
    let mut block = [0; 8];
    pattern::write(3, 65_536, &mut block);
    let expected = format!(
        "fill: xbd0: byte 65536 reads back as 0x00, {:#04x} was written\ndone\n",
        block[0]
    );
    assert_ne!(block[0], 0, "the seed must tell the difference");
    assert_eq!(bench.fill(3, None), expected);
}

#[test]
fn fill_refuses_a_read_only_disk_and_half_sectors() {
    let bench = Bench::new(|params| params.read_only = true);
    assert_eq!(bench.fill(1, None), "fill: xbd0: EROFS\ndone\n");
    let bench = Bench::new(|params| params.sector_size = 4096);
    let expected = "fill: xbd0: 512 bytes at 0 are not whole sectors of 4096\ndone\n";
    assert_eq!(bench.fill(1, at(0, 512)), expected);
    let text = bench.sum(at(100, 5000));
    assert_eq!(text, summed(&bench.medium.bytes.borrow()[100..5100]));
}

#[test]
fn a_refusal_names_who_refused_and_who_holds() {
    let bench = Bench::new(|params| params.read_only = true);
    // An MBR with one partition: sectors 8 to 107.
    let mut mbr = [0; 512];
    mbr[446 + 4] = 0x83;
    mbr[446 + 8] = 8;
    mbr[446 + 12] = 100;
    mbr[510..].copy_from_slice(b"\x55\xaa");
    bench.medium.bytes.borrow_mut()[..512].copy_from_slice(&mbr);
    bench.handle.media_changed().unwrap();
    bench.turns();
    bench.start(async |disks, out| fill::run(disks, "xbd0s1", 1, None, out).await);
    assert_eq!(bench.out.try_take(), "fill: xbd0s1: EROFS at xbd0\ndone\n");
    let bench = Bench::new(|_| {});
    let _held = bench
        .geom
        .open_as("xbd0", Access::EXCLUSIVE, "backup")
        .unwrap();
    assert_eq!(
        bench.fill(1, None),
        "fill: xbd0: EPERM, held by backup\ndone\n"
    );
}

#[test]
fn disk_list_counts_what_was_created_and_is_gone() {
    let bench = Bench::new(|params| params.read_only = true);
    disk::list(&bench.geom, &bench.out);
    let expected = concat!(
        "name   state            bytes  sector      max io  in flight\n",
        "xbd0   live           1048576     512       65536          0  read-only  flush\n",
        "created: 1, gone: 0, live: 1\n",
    );
    assert_eq!(bench.out.try_take(), expected);
    bench.handle.destroy().unwrap();
    bench.turns();
    disk::list(&bench.geom, &bench.out);
    assert_eq!(bench.out.try_take(), "created: 1, gone: 1, live: 0\n");
}

#[test]
fn the_graph_is_printed_in_every_form() {
    let bench = Bench::new(|_| {});
    for (form, expected) in [
        (GraphForm::Tree, bench.geom.tree()),
        (GraphForm::List, bench.geom.list()),
        (GraphForm::Dot, bench.geom.dot()),
        (GraphForm::Json, bench.geom.json()),
    ] {
        disk::graph(&bench.geom, form, &bench.out);
        let text = bench.out.try_take();
        assert!(text.contains("xbd0") && text.ends_with('\n'), "{form:?}");
        assert_eq!(text.trim_end(), expected.trim_end());
    }
}
