//! What a request costs inside GEOM: N reads of 4 KiB through a partition, in batches of B, of a
//! disk that does nothing and completes at once. Made to run under a counter of instructions:
//!
//! ```text
//! valgrind --tool=callgrind target/release/examples/request_path N B
//! ```
//!
//! The difference of two runs, divided by the difference of their `N`, is the cost of one request.

use std::rc::Rc;
use std::time::Duration;

use geom::class::{Class, Slice, Table, Verdict};
use geom::disk::{Command, Disk, DiskBio, DiskParams};
use geom::media::{Media, Need};
use geom::{Access, Buffer, Completions, Geom, Order, Params};

struct Nothing;

impl Disk for Nothing {
    fn strategy(&mut self, bio: DiskBio) {
        bio.complete(Ok(()));
    }

    fn gone(self: Box<Self>) {}
}

/// Makes one partition of everything but the first MiB.
struct One;

impl Class for One {
    fn name(&self) -> &'static str {
        "ONE"
    }

    fn taste(&self, media: &Media, outer: &[&'static str]) -> Result<Verdict, Need> {
        if !outer.is_empty() {
            return Ok(Verdict::NotMine);
        }
        let slice = Slice {
            suffix: "p1".into(),
            start: 1 << 20,
            length: media.size() - (1 << 20),
            ..Slice::default()
        };
        Ok(Verdict::Mine(Table {
            scheme: "ONE",
            slices: vec![slice],
            ..Table::default()
        }))
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().ok());
    let mut number = || numbers.next().flatten();
    let requests: u64 = number().unwrap_or(100_000);
    let batch: u64 = number().unwrap_or(32).max(1);
    let geom = Geom::with_classes(Params::default(), vec![Rc::new(One)]);
    let params = DiskParams::new("xbd", 0, 1 << 30);
    let _handle = geom
        .disk_create(params, Box::new(Nothing))
        .expect("sound parameters");
    let now = Duration::ZERO;
    geom.poll(now);
    let device = geom
        .open("xbd0p1", Access::READ_WRITE)
        .expect("nobody in the way");
    geom.poll(now);
    let completions = Completions::with_capacity(64);
    let data = Buffer::zeroed(4096);
    let mut ended = 0;
    for first in (0..requests).step_by(batch as usize) {
        let submit = |tag: u64| {
            let order = Order {
                command: Command::Read,
                offset: tag % 1024 * 4096,
                length: 4096,
                data: data.clone(),
                ordered: false,
            };
            device.submit(order, tag, &completions);
        };
        let tags = first..(first + batch).min(requests);
        tags.for_each(submit);
        geom.poll(now);
        while let Some((_, result)) = completions.pop() {
            result.expect("a read of a disk that cannot fail");
            ended += 1;
        }
    }
    assert_eq!(ended, requests, "every request ends");
    println!("{ended} requests");
}
