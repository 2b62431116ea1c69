//! NOP: failing and delaying as told, and living and dying with the provider below.

use std::time::Duration;

use geom::class::nop::{Effect, Fault, MILLION, NopError, NopParams};
use geom::disk::Command;
use geom::{Access, Buffer, Completions, DestroyError, Errno, Order};

use crate::rig::{Rig, SECTOR, pattern, with_head};
use crate::wakes::Bell;

fn fault(command: impl Into<Option<Command>>, rate: u32, effect: Effect) -> Fault {
    Fault {
        command: command.into(),
        range: None,
        rate,
        effect,
    }
}

fn nop(rig: &Rig, below: &str, faults: Vec<Fault>) -> String {
    let params = NopParams {
        faults,
        seed: 1,
        ..NopParams::default()
    };
    let name = rig.geom.nop_create(below, &params).expect("it is there");
    rig.settle();
    name
}

const FAIL: Effect = Effect::Fail(Errno::Io);

#[test]
fn s65_no_provider_appears_above_one_that_fails_all_reads() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 20)]));
    let name = nop(&rig, "xbd0", vec![fault(Command::Read, MILLION, FAIL)]);
    assert_eq!(rig.live_names(), ["xbd0", "xbd0h1", "xbd0.nop"]);
    // What keeps it away is the failing, not the NOP.
    rig.geom.nop_configure(&name, &[]).unwrap();
    drop(rig.open(&name, Access::READ_WRITE));
    rig.settle();
    assert!(rig.live_names().contains(&"xbd0.noph1".into()));
}

#[test]
fn faults_hit_their_command_and_their_range_at_their_rate() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let mut first = fault(Command::Write, MILLION, Effect::Fail(Errno::NoSpace));
    first.range = Some(0..SECTOR);
    let half = fault(Command::Read, MILLION / 2, FAIL);
    let name = nop(&rig, "xbd0", vec![first, half]);
    rig.geom.nop_reset(&name).unwrap();
    let device = rig.open(&name, Access::READ_WRITE);
    rig.settle();
    fake.log.borrow_mut().clear();
    let write = |sector: u64, sectors: usize| {
        rig.block(device.write(sector * SECTOR, vec![1; sectors * 512]))
    };
    assert_eq!(write(0, 1), Err(Errno::NoSpace));
    assert_eq!(write(0, 2), Err(Errno::NoSpace));
    assert_eq!(write(1, 1), Ok(()));
    assert_eq!(rig.block(device.flush()), Ok(()));
    assert_eq!(
        fake.log.borrow().len(),
        2,
        "what fails does not reach the disk"
    );
    let failed = (0..1000)
        .filter(|_| rig.block(device.read(0, 512)).is_err())
        .count();
    assert!((400..600).contains(&failed), "{failed} of 1000");
    let info = &rig.geom.nops()[0];
    let counts = info.counts;
    assert_eq!((counts.reads, counts.writes, counts.flushes), (1000, 3, 1));
    assert_eq!(counts.written_bytes, 4 * SECTOR);
    assert_eq!(counts.failed, 2 + failed as u64);
}

#[test]
fn the_same_seed_has_the_same_faults() {
    let run = |seed: u64| {
        let rig = Rig::new();
        let (_fake, _handle) = rig.settled_disk(0, pattern(64));
        let params = NopParams {
            faults: vec![fault(None, MILLION / 3, FAIL)],
            seed,
            ..NopParams::default()
        };
        let name = rig.geom.nop_create("xbd0", &params).unwrap();
        rig.settle();
        let device = rig.open(&name, Access::READ);
        let read = |_| rig.block(device.read(0, 512)).is_ok();
        (0..64).map(read).collect::<Vec<_>>()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_delay_holds_a_request_until_its_time_and_no_longer() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let name = nop(&rig, "xbd0", vec![]);
    let delay = Duration::from_millis(20);
    let faults = [
        fault(Command::Read, MILLION, Effect::Delay(delay)),
        fault(Command::Flush, MILLION, Effect::Delay(delay / 2)),
        fault(Command::Flush, MILLION, FAIL),
    ];
    rig.geom.nop_configure(&name, &faults).unwrap();
    let device = rig.open(&name, Access::READ_WRITE);
    rig.settle();
    let before = fake.strategies.get();
    let (bell, waker) = Bell::new();
    rig.geom.set_waker(&waker);
    let completions = Completions::with_capacity(4);
    let order = |command| Order {
        command,
        offset: 0,
        length: 512,
        data: Buffer::zeroed(512),
        ordered: false,
    };
    assert_eq!(rig.geom.next_deadline(), None);
    device.submit(order(Command::Read), 1, &completions);
    assert!(bell.count() > 0, "the next poll must fix its time");
    device.submit(order(Command::Write), 2, &completions);
    assert_eq!(completions.pop(), Some((2, Ok(()))), "not delayed");
    rig.settle();
    rig.wait(Duration::from_millis(5));
    device.submit(order(Command::Flush), 3, &completions);
    rig.settle();
    let deadlines = [5 + 10, 20].map(Duration::from_millis);
    assert_eq!(rig.geom.next_deadline(), Some(deadlines[0]));
    rig.wait(Duration::from_millis(10));
    let failed = Some((3, Err(Errno::Io)));
    assert_eq!(completions.pop(), failed, "delayed, then failed");
    assert_eq!(rig.geom.next_deadline(), Some(deadlines[1]));
    rig.wait(Duration::from_millis(4));
    assert_eq!(completions.pop(), None);
    assert_eq!(fake.strategies.get(), before + 1);
    rig.wait(Duration::from_millis(1));
    assert_eq!(completions.pop(), Some((1, Ok(()))));
    assert_eq!(rig.geom.next_deadline(), None);
    let counts = rig.geom.nops()[0].counts;
    assert_eq!((counts.delayed, counts.failed), (2, 1));
}

#[test]
fn it_stands_on_a_part_and_follows_the_size_below() {
    let rig = Rig::new();
    let (_fake, handle) = rig.settled_disk(0, pattern(64));
    let range = |offset: u64, size: Option<u64>| NopParams {
        offset: offset * SECTOR,
        size: size.map(|size| size * SECTOR),
        ..NopParams::default()
    };
    for (offset, size) in [(64, None), (1, Some(64)), (65, None), (0, Some(0))] {
        let refused = rig.geom.nop_create("xbd0", &range(offset, size));
        assert_eq!(refused, Err(NopError::Range), "{offset} {size:?}");
    }
    let odd = NopParams {
        offset: 100,
        ..NopParams::default()
    };
    assert_eq!(rig.geom.nop_create("xbd0", &odd), Err(NopError::Range));
    let name = rig.geom.nop_create("xbd0", &range(8, None)).unwrap();
    rig.settle();
    let device = rig.open(&name, Access::READ);
    assert_eq!(device.media_size(), 56 * SECTOR);
    let read = rig.block(device.read(SECTOR, 512)).unwrap();
    assert_eq!(read, pattern(64)[9 * 512..10 * 512]);
    handle.resize(32 * SECTOR).unwrap();
    rig.settle();
    assert_eq!(device.media_size(), 24 * SECTOR);
    let fixed = rig.geom.nop_create(&name, &range(8, Some(16))).unwrap();
    rig.settle();
    let above = rig.open(&fixed, Access::READ);
    assert_eq!(above.media_size(), 16 * SECTOR);
    handle.resize(64 * SECTOR).unwrap();
    rig.settle();
    assert_eq!((above.media_size(), above.error()), (16 * SECTOR, None));
    handle.resize(31 * SECTOR).unwrap();
    rig.settle();
    assert_eq!(device.media_size(), 23 * SECTOR);
    assert_eq!(above.error(), Some(Errno::NoDevice), "its part is cut");
}

#[test]
fn limits_attributes_and_media_are_those_below() {
    let rig = Rig::new();
    let (_fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 20)]));
    let name = nop(&rig, "xbd0", vec![]);
    let above = nop(&rig, &name, vec![]);
    let device = rig.open(&above, Access::READ);
    let mut limits = device.limits().unwrap();
    assert!(limits.can_erase);
    limits.can_erase = false;
    limits.max_io = 1024;
    let generation = device.generation();
    handle.set_limits(limits).unwrap();
    assert_eq!(device.limits(), Some(limits));
    assert!(device.generation() > generation);
    assert!(rig.block(device.read(0, 16384)).is_ok(), "cut as below");
    let colour = device
        .attribute("FAKE::colour")
        .map(|text| text.to_string());
    assert_eq!(colour, Ok("green".into()));
    assert_eq!(device.attribute("GEOM::nothing"), Err(Errno::NotFound));
    let generation = device.generation();
    handle.media_changed().unwrap();
    rig.settle();
    assert!(device.generation() > generation);
}

#[test]
fn access_passes_through_and_refusals_name_the_holder() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 20)]));
    let name = nop(&rig, "xbd0", vec![]);
    assert!(!fake.is_open(), "a NOP that nobody has open holds nothing");
    let part = rig.open("xbd0h1", Access::READ_WRITE);
    let refused = rig
        .geom
        .open(&name, Access::READ_WRITE)
        .map(drop)
        .unwrap_err();
    assert_eq!(
        (refused.errno, &*refused.provider),
        (Errno::NotPermitted, "xbd0")
    );
    assert_eq!(
        refused.holder.as_deref(),
        Some("HEAD xbd0 (xbd0h1 held by test)")
    );
    drop(part);
    rig.settle();
    let writer = rig.open(&name, Access::EXCLUSIVE);
    assert!(fake.is_open());
    assert_eq!(
        rig.geom.provider("xbd0").unwrap().counts.to_string(),
        "r1w1e1"
    );
    let refused = rig
        .geom
        .open("xbd0", Access::READ_WRITE)
        .map(drop)
        .unwrap_err();
    assert_eq!(
        refused.holder.as_deref(),
        Some("NOP xbd0.nop (xbd0.nop held by test)")
    );
    drop(writer);
    rig.settle();
    assert!(!fake.is_open());
    fake.fail_open.set(Some(Errno::Io));
    let failed = rig.try_open(&name, Access::READ).map(drop);
    assert_eq!(failed, Err(Errno::Io));
    fake.fail_open.set(None);
    assert!(rig.try_open(&name, Access::READ).is_ok());
}

#[test]
fn the_loss_of_the_disk_below_is_its_own_and_each_is_gone_once() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let name = nop(&rig, "xbd0", vec![]);
    let above = nop(&rig, &name, vec![]);
    let delay = fault(
        Command::Read,
        MILLION,
        Effect::Delay(Duration::from_secs(1)),
    );
    let device = rig.open(&above, Access::READ_WRITE);
    rig.settle();
    rig.geom.nop_configure(&above, &[delay]).unwrap();
    fake.hold.set(true);
    let (delayed, passed) = (device.read(0, 512), device.write(0, vec![0; 512]));
    rig.settle();
    assert_eq!(fake.held(), 1);
    handle.gone();
    rig.settle();
    assert_eq!(device.error(), Some(Errno::NoDevice));
    assert_eq!(rig.block(device.read(0, 512)), Err(Errno::NoDevice));
    assert!(rig.geom.nops().is_empty(), "it is leaving");
    fake.fail_all(Errno::Io);
    rig.settle();
    assert_eq!(passed.result(), Some(Err(Errno::Io)));
    drop(device);
    rig.settle();
    assert_eq!(rig.geom.counters().disks_gone, 0, "a request is out");
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.try_block(delayed), Some(Err(Errno::NoDevice)));
    rig.settle();
    assert_eq!((fake.gone.get(), rig.geom.counters().disks_gone), (1, 3));
    drop(handle);
    rig.assert_empty();
}

#[test]
fn it_is_destroyed_under_a_holder_by_force_only_and_the_disk_below_stays() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let name = nop(&rig, "xbd0", vec![]);
    let twice = rig.geom.nop_create("xbd0", &NopParams::default());
    assert_eq!(twice, Err(NopError::NameInUse(name.clone())));
    let device = rig.open(&name, Access::READ);
    let refused = rig.geom.destroy("NOP", &name, false);
    assert!(matches!(refused, Err(DestroyError::Held { .. })));
    rig.geom.destroy("NOP", &name, true).unwrap();
    assert_eq!(device.error(), Some(Errno::NoDevice));
    let again = nop(&rig, "xbd0", vec![]);
    assert_eq!(again, name, "the name is free while the old one withers");
    drop(device);
    rig.settle();
    assert_eq!(rig.geom.counters().disks_gone, 1);
    rig.geom.destroy("NOP", &name, false).unwrap();
    rig.settle();
    assert_eq!((rig.names(), fake.gone.get()), (vec!["xbd0".into()], 0));
    assert!(!fake.is_open());
}

#[test]
fn what_cannot_be_made_is_refused() {
    let rig = Rig::new();
    let (_fake, handle) = rig.settled_disk(0, pattern(64));
    let create = |below: &str, rate: u32| {
        let params = NopParams {
            faults: vec![fault(None, rate, FAIL)],
            ..NopParams::default()
        };
        rig.geom.nop_create(below, &params)
    };
    assert_eq!(create("xbd1", 0), Err(NopError::NotFound("xbd1".into())));
    assert_eq!(
        create("xbd0", MILLION + 1),
        Err(NopError::Rate(MILLION + 1))
    );
    let missing = rig.geom.nop_configure("xbd0", &[]);
    assert_eq!(missing, Err(NopError::NotFound("xbd0".into())));
    let mut below = String::from("xbd0");
    while let Ok(name) = create(&below, 0) {
        below = name;
        assert!(below.len() < 100, "there is an end to it");
    }
    assert_eq!(create(&below, 0), Err(NopError::TooHigh));
    handle.gone();
    assert_eq!(create("xbd0", 0), Err(NopError::Lost(Errno::NoDevice)));
}

#[test]
fn a_request_passes_through_without_an_allocation() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let name = nop(&rig, "xbd0", vec![]);
    let device = rig.open(&name, Access::READ_WRITE);
    rig.settle();
    let completions = Completions::with_capacity(8);
    let data = Buffer::zeroed(8192);
    fake.mute.set(true);
    let round = || {
        for tag in 0..8 {
            let order = Order {
                command: Command::Read,
                offset: 0,
                length: 8192,
                data: data.clone(),
                ordered: tag % 2 == 1,
            };
            device.submit(order, tag, &completions);
            // The second half of an ordered one goes down when the first is back.
            rig.geom.poll(rig.now.get());
            assert_eq!(completions.pop(), Some((tag, Ok(()))));
        }
    };
    round();
    assert_eq!(allocation_counter::measure(round).count_total, 0);
}

#[test]
fn the_graph_shows_on_what_it_stands_and_what_it_does() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, pattern(64));
    let tenth = fault(Command::Read, MILLION / 10, FAIL);
    let name = nop(&rig, "xbd0", vec![tenth]);
    let device = rig.geom.open_as(&name, Access::READ, "shell").unwrap();
    let tree = "\
xbd0  DISK  32.0 KiB, sectors of 512  r1w0e0
  NOP xbd0.nop  r1w0e0
    xbd0.nop  NOP  32.0 KiB, sectors of 512  r1w0e0
      DEV shell  r1w0e0
";
    assert_eq!(rig.geom.tree(), tree);
    assert!(
        rig.geom
            .list()
            .contains("Class: NOP\nRank: 2\nstate: live\nfaults: Read 10% EIO\n")
    );
    assert!(
        rig.geom
            .json()
            .contains("\"class\":\"NOP\",\"name\":\"xbd0.nop\",\"rank\":2")
    );
    assert!(rig.geom.json().contains("\"faults\":\"Read 10% EIO\""));
    assert!(rig.geom.dot().contains("label=\"NOP\\nxbd0.nop\""));
    drop(device);
}
