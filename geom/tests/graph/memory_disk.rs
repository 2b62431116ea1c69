//! MD: what a memory disk does with its pages.

use std::rc::Rc;

use allocation_counter::measure;
use geom::class::md::{MdError, MdParams};
use geom::class::nop::NopParams;
use geom::disk::Command;
use geom::{Access, Buffer, Completions, DestroyError, Errno, Memory, Order};

use crate::pages::{Lazy, PAGE, Pages};
use crate::rig::Rig;

fn rig(pages: usize) -> (Rig, Rc<Pages>) {
    let (rig, pages) = (Rig::part(), Pages::new(pages));
    assert!(rig.geom.set_page_source(pages.clone()));
    (rig, pages)
}

/// One page is the zeros that everything unwritten reads from.
const ZEROS: usize = 1;

fn create(rig: &Rig, params: &MdParams) -> String {
    let name = rig.geom.md_create(params).expect("it is there");
    rig.settle();
    name
}

#[test]
fn a_thin_disk_has_pages_for_what_was_written_only() {
    let (rig, pages) = rig(20);
    let name = create(&rig, &MdParams::new(10 * PAGE as u64));
    assert_eq!(name, "md0");
    assert_eq!(pages.out.get(), ZEROS, "tasting reads, and takes nothing");
    let device = rig.open(&name, Access::READ_WRITE);
    assert_eq!(rig.block(device.read(0, 10 * PAGE)), Ok(vec![0; 10 * PAGE]));
    assert_eq!(pages.out.get(), ZEROS);
    assert_eq!(rig.block(device.write(512, vec![7; 512])), Ok(()));
    assert_eq!(
        rig.block(device.write(2 * PAGE as u64, vec![7; 2 * PAGE])),
        Ok(())
    );
    assert_eq!(pages.out.get(), ZEROS + 3);
    assert_eq!(rig.geom.mds()[0].used, 3 * PAGE as u64);
    let mut first = vec![0; PAGE];
    first[512..1024].fill(7);
    assert_eq!(rig.block(device.read(0, PAGE)), Ok(first));
    // Whole pages go back; a part of one is zeros, and the page stays.
    assert_eq!(rig.block(device.delete(0, 3 * PAGE as u64 + 512)), Ok(()));
    assert_eq!(pages.out.get(), ZEROS + 1);
    let mut last = vec![7; PAGE];
    last[..512].fill(0);
    assert_eq!(rig.block(device.read(3 * PAGE as u64, PAGE)), Ok(last));
    drop(device);
    rig.geom.destroy("MD", &name, false).unwrap();
    rig.settle();
    assert_eq!(pages.out.get(), ZEROS, "all pages are back");
    rig.assert_empty();
}

#[test]
fn a_write_without_a_page_fails_alone() {
    let (rig, pages) = rig(20);
    let name = create(&rig, &MdParams::new(10 * PAGE as u64));
    let device = rig.open(&name, Access::READ_WRITE);
    pages.limit.set(pages.out.get() + 2);
    let page = |number: usize| (number * PAGE) as u64;
    assert_eq!(rig.block(device.write(page(1), vec![1; 2 * PAGE])), Ok(()));
    let refused = rig.block(device.write(page(2), vec![2; 2 * PAGE]));
    assert_eq!(refused, Err(Errno::NoSpace));
    assert_eq!(rig.block(device.read(page(3), PAGE)), Ok(vec![0; PAGE]));
    assert_eq!(rig.block(device.write(page(1), vec![3; PAGE])), Ok(()));
    assert_eq!(rig.block(device.read(page(1), PAGE)), Ok(vec![3; PAGE]));
    assert_eq!(rig.block(device.delete(page(1), PAGE as u64)), Ok(()));
    assert_eq!(rig.block(device.write(page(9), vec![4; PAGE])), Ok(()));
}

#[test]
fn a_reserved_disk_has_all_its_pages_and_keeps_them() {
    let (rig, pages) = rig(20);
    let params = MdParams {
        reserve: true,
        ..MdParams::new(10 * PAGE as u64 - 512)
    };
    let name = create(&rig, &params);
    assert_eq!(pages.out.get(), ZEROS + 10);
    pages.limit.set(0);
    let device = rig.open(&name, Access::READ_WRITE);
    let all = 10 * PAGE - 512;
    assert_eq!(rig.block(device.write(0, vec![9; all])), Ok(()));
    assert_eq!(rig.block(device.delete(0, all as u64)), Ok(()));
    assert_eq!(pages.out.get(), ZEROS + 10);
    assert_eq!(rig.block(device.read(0, all)), Ok(vec![0; all]));
}

#[test]
fn a_disk_that_cannot_be_is_refused_with_the_reason() {
    let bare = Rig::part();
    let size = 4 * PAGE as u64;
    assert_eq!(
        bare.geom.md_create(&MdParams::new(size)),
        Err(MdError::NoSource)
    );
    assert!(!bare.geom.set_page_source(Pages::new(0)));
    let (rig, pages) = rig(20);
    let refuse = |params: MdParams| rig.geom.md_create(&params).unwrap_err();
    assert_eq!(refuse(MdParams::new(0)), MdError::Size(0));
    assert_eq!(refuse(MdParams::new(700)), MdError::Size(700));
    let sector_size = |sector_size| MdParams {
        sector_size,
        ..MdParams::new(size)
    };
    assert_eq!(refuse(sector_size(1024)), MdError::SectorSize(1024));
    let free = 19 * PAGE as u64;
    let size_plus = free + 512;
    assert_eq!(
        refuse(MdParams::new(size_plus)),
        MdError::TooLarge {
            size: size_plus,
            free
        }
    );
    let named = MdParams {
        unit: Some(3),
        label: "ram".into(),
        ..MdParams::new(size)
    };
    assert_eq!(create(&rig, &named), "md3");
    assert_eq!(refuse(named.clone()), MdError::UnitInUse(3));
    let other = MdParams {
        unit: None,
        ..named
    };
    assert_eq!(refuse(other), MdError::LabelInUse("ram".into()));
    assert_eq!(create(&rig, &MdParams::new(size)), "md0");
    assert_eq!(pages.out.get(), ZEROS);
    let list = rig.geom.mds();
    assert_eq!((&*list[0].label, &*list[1].name), ("ram", "md0"));
}

#[test]
fn a_label_stands_for_the_name() {
    let (rig, _pages) = rig(20);
    for label in ["ram", "ram2"] {
        let params = MdParams {
            label: label.into(),
            ..MdParams::new(4 * PAGE as u64)
        };
        create(&rig, &params);
    }
    let found = |name: &str| rig.geom.provider(name).map(|provider| provider.name);
    assert_eq!(found("ram"), Some("md0".into()));
    assert_eq!(found("ram2"), Some("md1".into()));
    let label = |name: &str| rig.geom.provider(name).map(|provider| provider.label);
    assert_eq!(label("md1"), Some("ram2".into()));
    assert_eq!((found("ra"), found("ram3"), found("")), (None, None, None));
    assert_eq!(
        rig.geom.nop_create("ram2", &NopParams::default()),
        Ok("md1.nop".into())
    );
    assert_eq!(found("ram2.nop"), Some("md1.nop".into()));
    let held = rig.open("ram", Access::READ);
    assert!(rig.geom.destroy("MD", "md0", false).is_err());
    drop(held);
    rig.geom.destroy("MD", "md0", false).unwrap();
    assert_eq!(found("ram"), None);
}

#[test]
fn a_held_disk_is_destroyed_by_force_only() {
    let (rig, _pages) = rig(20);
    let name = create(&rig, &MdParams::new(4 * PAGE as u64));
    let device = rig.geom.open_as(&name, Access::READ, "the shell").unwrap();
    assert_eq!(
        rig.geom.destroy("MD", &name, false),
        Err(DestroyError::Held {
            name: name.clone(),
            holder: "the shell".into()
        })
    );
    assert_eq!(device.error(), None);
    rig.geom.destroy("MD", &name, true).unwrap();
    let again = rig.geom.destroy("MD", &name, true);
    assert!(matches!(again, Err(DestroyError::NotFound { .. })));
    assert_eq!(create(&rig, &MdParams::new(4 * PAGE as u64)), "md0");
    drop(device);
    rig.settle();
    assert_eq!(rig.geom.counters().disks_gone, 1);
    assert!(
        rig.geom.destroy("ZERO", "md0", false).is_err(),
        "of its class"
    );
    rig.geom.destroy("MD", "md0", false).unwrap();
    rig.settle();
    rig.assert_empty();
}

/// A request of another domain, whose copies wait.
fn lazy(command: Command, offset: usize, memory: &Rc<Lazy>) -> Order {
    let memory: Rc<dyn Memory> = memory.clone();
    Order {
        command,
        offset: offset as u64,
        length: memory.len() as u64,
        data: Buffer::over(memory),
        ordered: false,
    }
}

#[test]
fn a_copy_that_waits_keeps_its_page_and_finds_the_bytes_that_were_there() {
    let (rig, pages) = rig(20);
    let name = create(&rig, &MdParams::new(4 * PAGE as u64));
    let device = rig.open(&name, Access::READ_WRITE);
    rig.block(device.write(0, vec![7; PAGE])).unwrap();
    let completions = Completions::with_capacity(4);
    let read = Lazy::new(vec![1; PAGE], &pages.queue);
    device.submit(lazy(Command::Read, 0, &read), 1, &completions);
    assert_eq!(completions.pop(), Some((1, Ok(()))));
    assert_eq!(pages.queue.len(), 1, "it waits");
    rig.block(device.delete(0, PAGE as u64)).unwrap();
    assert_eq!(rig.geom.mds()[0].used, 0);
    assert_eq!(pages.out.get(), ZEROS + 1, "the copy has the page");
    rig.block(device.write(0, vec![8; PAGE])).unwrap();
    pages.queue.make();
    assert_eq!(read.bytes(), vec![7; PAGE]);
    assert_eq!(pages.out.get(), ZEROS + 1, "and now it is back");
    assert_eq!(rig.block(device.read(0, PAGE)), Ok(vec![8; PAGE]));
}

#[test]
fn bytes_that_are_cleared_in_place_are_not_written_by_an_earlier_copy() {
    let (rig, pages) = rig(20);
    let name = create(&rig, &MdParams::new(4 * PAGE as u64));
    let device = rig.open(&name, Access::READ_WRITE);
    let completions = Completions::with_capacity(4);
    for command in [Command::Delete, Command::Erase] {
        let written = Lazy::new(vec![7; PAGE], &pages.queue);
        device.submit(lazy(Command::Write, 0, &written), 1, &completions);
        assert_eq!(completions.pop(), Some((1, Ok(()))));
        let clear = Order {
            command,
            offset: 512,
            length: 512,
            data: Buffer::zeroed(0),
            ordered: false,
        };
        pages.settled();
        device.submit(clear, 2, &completions);
        assert_eq!(completions.pop(), Some((2, Ok(()))));
        assert_eq!(pages.settled(), 1);
        pages.queue.make();
        let mut expected = vec![7; PAGE];
        expected[512..1024].fill(0);
        assert_eq!(rig.block(device.read(0, PAGE)), Ok(expected), "{command:?}");
    }
    // A page that is erased as a whole goes back without what was on it.
    let written = Lazy::new(vec![7; PAGE], &pages.queue);
    device.submit(lazy(Command::Write, 0, &written), 1, &completions);
    let kept = Lazy::new(vec![0; PAGE], &pages.queue);
    rig.block(device.erase(0, PAGE as u64)).unwrap();
    device.submit(lazy(Command::Read, 0, &kept), 2, &completions);
    pages.queue.make();
    assert_eq!(kept.bytes(), vec![0; PAGE]);
    assert_eq!(rig.geom.mds()[0].used, 0);
}

#[test]
fn copies_that_wait_are_made_in_the_order_of_the_requests() {
    let (rig, pages) = rig(20);
    let name = create(&rig, &MdParams::new(4 * PAGE as u64));
    let device = rig.open(&name, Access::READ_WRITE);
    let completions = Completions::with_capacity(8);
    let memories: Vec<_> = (0..4)
        .map(|number| Lazy::new(vec![number; PAGE], &pages.queue))
        .collect();
    let commands = [Command::Write, Command::Read, Command::Write, Command::Read];
    for (memory, command) in memories.iter().zip(commands) {
        device.submit(lazy(command, 512, memory), 0, &completions);
    }
    pages.queue.make();
    assert_eq!(memories[1].bytes(), vec![0; PAGE]);
    assert_eq!(memories[3].bytes(), vec![2; PAGE]);
}

#[test]
fn requests_allocate_nothing_but_new_pages() {
    let (rig, pages) = rig(20);
    let name = create(&rig, &MdParams::new(8 * PAGE as u64));
    let device = rig.open(&name, Access::READ_WRITE);
    rig.settle();
    let completions = Completions::with_capacity(8);
    let data = Buffer::zeroed(2 * PAGE);
    let nothing = Buffer::zeroed(0);
    let round = || {
        for (tag, command) in [
            Command::Write,
            Command::Read,
            Command::Flush,
            Command::Delete,
        ]
        .into_iter()
        .enumerate()
        {
            let carries = matches!(command, Command::Read | Command::Write);
            let order = Order {
                command,
                offset: 512,
                length: if carries { 2 * PAGE as u64 } else { 512 },
                data: if carries { &data } else { &nothing }.clone(),
                ordered: false,
            };
            device.submit(order, tag as u64, &completions);
            assert_eq!(completions.pop(), Some((tag as u64, Ok(()))));
        }
    };
    round();
    assert_eq!(pages.out.get(), ZEROS + 3);
    assert_eq!(measure(round).count_total, 0);
}

#[test]
fn a_partition_table_written_to_a_memory_disk_is_found() {
    let (rig, _pages) = rig(200);
    let name = create(&rig, &MdParams::new(100 * PAGE as u64));
    let mut sector = vec![0; 512];
    // One primary partition of type 0x83: sectors 8 to 207.
    sector[446 + 4] = 0x83;
    sector[446 + 8..446 + 12].copy_from_slice(&8_u32.to_le_bytes());
    sector[446 + 12..446 + 16].copy_from_slice(&200_u32.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let device = rig.open(&name, Access::READ_WRITE);
    rig.block(device.write(0, sector)).unwrap();
    drop(device);
    rig.settle();
    assert_eq!(rig.live_names(), ["md0", "md0s1"]);
    let held = rig.open("md0s1", Access::READ_WRITE);
    let refused = rig.geom.destroy("MD", "md0", false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "md0 is held by PART md0 (md0s1 held by test)"
    );
    drop(held);
}

#[test]
fn zero_disks_are_numbered_and_leave_by_name() {
    let rig = Rig::part();
    let sizes = [geom::class::zero::ZERO_SIZE, 1 << 20];
    let names = sizes.map(|size| rig.geom.zero_create(size).unwrap());
    rig.settle();
    assert_eq!(names, ["zero0", "zero1"]);
    assert!(rig.geom.zero_create(700).is_err());
    let device = rig.open("zero0", Access::READ_WRITE);
    assert_eq!(device.media_size(), 1 << 60);
    let data = Buffer::from(vec![1; 3 * PAGE + 512]);
    rig.block(device.read_into((1 << 60) - 3 * PAGE as u64 - 512, data.clone()))
        .unwrap();
    assert_eq!(
        data.to_vec(),
        vec![0; 3 * PAGE + 512],
        "every byte was written"
    );
    assert!(rig.geom.destroy("ZERO", "zero0", false).is_err());
    for name in names {
        rig.geom.destroy("ZERO", &name, true).unwrap();
    }
    drop(device);
    rig.settle();
    rig.assert_empty();
}
