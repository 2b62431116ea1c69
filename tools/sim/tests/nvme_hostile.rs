//! NVMe controllers that lie: each costs its own disks, and nothing else.

use geom::Errno;
use sim::Disk;
use sim::nvme::{Bay, Malice, NvmeConfig};

const BLOCKS: u64 = 131_072;

/// A controller in use begins to do this, and is asked for something.
fn lies(seed: u64, lie: impl FnOnce(&mut Malice)) -> Bay {
    let disk = Disk::with(&[7; 65_536]);
    let bay = Bay::ready(seed, NvmeConfig::new(&disk, BLOCKS));
    bay.device.misbehave(lie);
    let reads: Vec<_> = (0..4)
        .map(|at| bay.begin_read("nvd0", at * 4096, 4096))
        .collect();
    bay.until_left();
    let ended = reads.iter().all(|read| read.outcome().is_some());
    assert!(ended, "each request ends");
    assert_eq!(bay.count_logged("nvd0 gone"), 1);
    assert!(!bay.device.is_ready(), "it was stopped");
    assert_eq!(
        bay.device.counted().enabled,
        1,
        "a lie is no reason for a reset"
    );
    bay
}

#[test]
fn a_controller_that_completes_a_command_twice_is_given_up() {
    let bay = lies(1, |malice| malice.twice = true);
    assert!(bay.logged("which is not outstanding"));
}

#[test]
fn a_controller_that_completes_what_it_was_not_given_is_given_up() {
    for id in [1, 63, 64, 0x8000, u16::MAX] {
        let bay = lies(2, |malice| malice.id = id);
        assert!(bay.logged("which is not outstanding"));
    }
}

#[test]
fn a_controller_that_names_another_queue_is_given_up() {
    let bay = lies(3, |malice| malice.queue = 1);
    assert!(bay.logged("a completion of queue 1 names queue 2"));
}

#[test]
fn a_controller_that_read_what_was_not_written_is_given_up() {
    for head in [30, 64, 0x8000] {
        let bay = lies(4, |malice| malice.head = head);
        assert!(bay.logged("where nothing was written"));
    }
}

/// A controller that says this of itself from the start.
fn says(seed: u64, lie: impl FnOnce(&mut Malice)) -> Bay {
    let disk = Disk::new();
    let config = NvmeConfig::new(&disk, BLOCKS);
    let bay = Bay::with(seed, config, |device| device.misbehave(lie), true);
    bay.run_for(std::time::Duration::from_secs(30));
    assert_eq!(bay.created_and_gone(), (0, 0));
    bay
}

#[test]
fn a_list_of_namespaces_out_of_order_is_not_believed() {
    for list in [vec![2, 1], vec![1, 1], vec![1, 999], vec![u32::MAX]] {
        let disk = Disk::new();
        let config = NvmeConfig::new(&disk, BLOCKS);
        let prepare =
            |device: &sim::nvme::NvmeDevice| device.misbehave(|malice| malice.list = Some(list));
        let bay = Bay::with(5, config, prepare, true);
        bay.until_left();
        assert!(bay.logged("where it cannot be"));
    }
}

#[test]
fn a_list_of_a_thousand_namespaces_that_are_not_there_makes_no_disk() {
    let bay = says(6, |malice| malice.list = Some((2..250).collect()));
    assert!(bay.logged("only the first 16 namespaces are used"));
    assert!(!bay.plug.has_ended(), "it is only empty");
}

#[test]
fn pages_that_are_cut_short_make_no_disk() {
    // Nothing; within the list's first entry, the names, a namespace's size, and its format.
    for cut in [0, 3, 5, 63, 130] {
        says(9, |malice| malice.cut = Some(cut));
    }
}

#[test]
fn a_list_that_ends_before_its_last_namespace_makes_disks_of_those_in_it() {
    let disk = Disk::new();
    let mut config = NvmeConfig::new(&disk, BLOCKS);
    let mut second = config.namespaces[0].clone();
    second.id = 2;
    config.namespaces.push(second);
    let prepare =
        |device: &sim::nvme::NvmeDevice| device.misbehave(|malice| malice.list = Some(vec![1]));
    let bay = Bay::with(10, config, prepare, true);
    bay.run_for(std::time::Duration::from_secs(5));
    assert_eq!(bay.created_and_gone(), (1, 0));
    assert!(!bay.plug.has_ended());
}

#[test]
fn a_namespace_that_cannot_be_is_no_disk() {
    // More blocks than there can be, blocks of 256 bytes, of 2^255, and a format beyond the list.
    let lies: [(usize, Vec<u8>); 4] = [
        (0, vec![0xff; 8]),
        (134, vec![8]),
        (134, vec![255]),
        (26, vec![15]),
    ];
    for lie in lies {
        let bay = says(7, |malice| malice.namespace = vec![lie]);
        assert!(bay.logged("namespace 1 is no disk"));
        assert!(!bay.plug.has_ended());
    }
}

#[test]
fn capabilities_that_cannot_be_driven_end_before_they_are_used() {
    let good = 1 << 16 | 1 << 24 | 1u64 << 37 | 63;
    let bad = [
        0,
        u64::MAX,
        good & !(1 << 37),
        good | 3 << 48,
        good & !0xffff,
        // Doorbells so far apart that they are beyond the registers.
        good | 15 << 32,
    ];
    for cap in bad {
        let bay = says(8, |malice| malice.capabilities = Some(cap));
        assert!(bay.plug.has_ended(), "{cap:#x}");
        assert_eq!(bay.device.counted().enabled, 0);
    }
}

#[test]
fn the_disk_beside_a_lying_controller_goes_on() {
    use sim::BlkbackConfig;
    let good = Disk::with(&[3; 4096]);
    let bay = Bay::ready(9, NvmeConfig::new(&Disk::new(), BLOCKS));
    let _backend = bay.attach_ready(&good, BlkbackConfig::default());
    bay.device.misbehave(|malice| malice.twice = true);
    let _read = bay.begin_read("nvd0", 0, 4096);
    bay.until("it is given up", |_| bay.plug.has_ended());
    bay.expect("xbd0", 0, &[3; 4096]);
    assert_eq!(bay.read("xbd0", 1 << 60, 512), Err(Errno::BeyondEnd));
}
