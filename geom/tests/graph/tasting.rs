//! What tasters may cause, and what they may not.

use std::cell::Cell;
use std::rc::Rc;

use geom::class::{Class, Slice, Table, Verdict};
use geom::media::{Media, Need};
use geom::{Access, Errno, Tasted};

use crate::rig::{Rig, pattern, with_head, write_head};

/// A class that does what its function does.
struct Any<F>(F);

impl<F: Fn(&Media) -> Result<Verdict, Need>> Class for Any<F> {
    fn name(&self) -> &'static str {
        "ANY"
    }

    fn taste(&self, media: &Media, _outer: &[&'static str]) -> Result<Verdict, Need> {
        (self.0)(media)
    }
}

#[test]
fn a_taster_that_never_has_enough_is_stopped() {
    let greedy = |media: &Media| {
        for sector in 0..media.sector_count() {
            let _ = media.read_sector(sector)?;
        }
        Ok(Verdict::NotMine)
    };
    let insane = |_: &Media| {
        Err(Need {
            offset: 0,
            length: u64::MAX,
        })
    };
    let outside = |_: &Media| {
        Err(Need {
            offset: 1 << 40,
            length: 512,
        })
    };
    let rig = Rig::with_classes(vec![
        Rc::new(Any(greedy)),
        Rc::new(Any(insane)),
        Rc::new(Any(outside)),
    ]);
    let (fake, _handle) = rig.settled_disk(0, pattern(4096));
    assert_eq!(rig.geom.provider("xbd0").unwrap().tasted, Tasted::Done);
    assert_eq!(fake.strategies.get(), 512);
    assert_eq!(rig.geom.counters().consumers, 0);
    let notices: Vec<_> = std::iter::from_fn(|| rig.geom.take_notice()).collect();
    assert_eq!(notices.len(), 3, "{notices:?}");
}

#[test]
fn slices_that_a_class_invents_are_left_out() {
    let liar = |_: &Media| {
        let slice = |suffix: &str, start, length| Slice {
            suffix: suffix.into(),
            start,
            length,
            ..Slice::default()
        };
        let slices = vec![
            slice("a", 0, 512),
            slice("b", 0, 0),
            slice("c", 1, 512),
            slice("d", 0, 511),
            slice("e", 63 * 512, 1024),
            slice("f", u64::MAX - 511, 1024),
            slice("g", 63 * 512, 512),
        ];
        Ok(Verdict::Mine(Table {
            scheme: "ANY",
            slices,
            ..Table::default()
        }))
    };
    let rig = Rig::with_classes(vec![Rc::new(Any(liar))]);
    let (_fake, _handle) = rig.settled_disk(0, pattern(64));
    assert_eq!(rig.names().iter().filter(|name| name.len() == 5).count(), 2);
}

#[test]
fn nesting_ends_at_the_depth_limit() {
    // Every provider has a table in its first sector that makes a provider of itself.
    let own = |media: &Media| {
        let slice = Slice {
            suffix: "s".into(),
            length: media.size(),
            ..Slice::default()
        };
        Ok(Verdict::Mine(Table {
            scheme: "ANY",
            slices: vec![slice],
            ..Table::default()
        }))
    };
    let rig = Rig::with_classes(vec![Rc::new(Any(own))]);
    let (_fake, handle) = rig.settled_disk(0, pattern(64));
    assert_eq!(rig.names(), ["xbd0", "xbd0s", "xbd0ss", "xbd0sss"]);
    drop(handle);
    rig.settle();
    rig.assert_empty();
}

#[test]
fn a_read_error_under_a_taste_is_the_classes_to_judge() {
    let rig = Rig::new();
    let (fake, handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    fake.fail_io.set(Some(Errno::Io));
    rig.settle();
    assert_eq!(rig.names(), ["xbd0"]);
    assert_eq!(rig.geom.provider("xbd0").unwrap().tasted, Tasted::Done);
    fake.fail_io.set(None);
    handle.media_changed().unwrap();
    rig.settle();
    assert_eq!(rig.names(), ["xbd0", "xbd0h1"]);
}

#[test]
fn a_damaged_table_is_told() {
    let broken = |_: &Media| Ok(Verdict::Damaged("both copies are bad".into()));
    let rig = Rig::with_classes(vec![Rc::new(Any(broken))]);
    let (_fake, _handle) = rig.settled_disk(0, pattern(64));
    assert_eq!(
        rig.geom.take_notice().unwrap(),
        "xbd0: ANY: both copies are bad"
    );
    assert_eq!(rig.names(), ["xbd0"]);
}

#[test]
fn a_media_change_under_a_taste_begins_it_anew() {
    let rig = Rig::new();
    let (fake, handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    fake.hold.set(true);
    rig.settle();
    let old = fake.take().unwrap();
    old.data.write(0, &fake.media.borrow()[..512]).unwrap();
    write_head(&mut fake.media.borrow_mut(), 0, &[(2, 4), (8, 4)]);
    handle.media_changed().unwrap();
    rig.settle();
    fake.hold.set(false);
    old.complete(Ok(()));
    rig.settle();
    assert_eq!(
        rig.live_names(),
        ["xbd0", "xbd0h1", "xbd0h2"],
        "the old bytes are not used"
    );
}

#[test]
fn a_driver_that_changes_its_media_at_each_open_does_not_hang_a_poll() {
    let rig = Rig::new();
    let (fake, handle) = rig.disk(0, pattern(64));
    let handle = Rc::new(handle);
    let count = Rc::new(Cell::new(0));
    arm(&fake, &handle, &count);
    rig.geom.poll(rig.now.get());
    assert!(count.get() > 10, "it is tasted again and again");
    handle.gone();
    *fake.on_open.borrow_mut() = None;
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
}

fn arm(fake: &Rc<crate::fake::Fake>, handle: &Rc<geom::disk::DiskHandle>, count: &Rc<Cell<u32>>) {
    let (fake2, handle2, count2) = (Rc::downgrade(fake), Rc::downgrade(handle), count.clone());
    *fake.on_open.borrow_mut() = Some(Box::new(move || {
        count2.set(count2.get() + 1);
        if let (Some(fake), Some(handle)) = (fake2.upgrade(), handle2.upgrade()) {
            let _ = handle.media_changed();
            arm(&fake, &handle, &count2);
        }
    }));
}

#[test]
fn a_driver_that_opens_itself_is_refused_and_not_entered() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let (geom, seen) = (rig.geom.clone(), Rc::new(Cell::new(None)));
    let inner = seen.clone();
    *fake.on_open.borrow_mut() = Some(Box::new(move || {
        geom.poll(std::time::Duration::ZERO);
        inner.set(
            geom.open("xbd0", Access::READ)
                .err()
                .map(|error| error.errno),
        );
    }));
    let device = rig.open("xbd0", Access::READ);
    assert_eq!(seen.get(), Some(Errno::Busy));
    assert!(rig.block(device.read(0, 512)).is_ok());
}
