//! NVMe controllers that do what they should: requests, limits, namespaces, interrupts.

use std::rc::Rc;
use std::time::Duration;

use balloon::{Balloon, plan};
use geom::{Access, Errno};
use hv::Hypervisor;
use sim::nvme::{Bay, Namespace, NvmeConfig};
use sim::pirq::Trigger;
use sim::storage::GUEST;
use sim::{Disk, DomainConfig};

const MIB: u64 = 1 << 20;
const BLOCKS: u64 = 64 * MIB / 512;

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| ((at + seed) % 251) as u8).collect()
}

#[test]
fn a_namespace_is_a_disk_and_its_bytes_come_and_go() {
    let disk = Disk::with(&pattern(8192, 0));
    let bay = Bay::ready(1, NvmeConfig::new(&disk, BLOCKS));
    bay.expect("nvd0", 0, &pattern(8192, 0));
    // Of every number of pages, and across the largest request.
    for length in [512, 4096, 4608, 8192, 12_288, 128 << 10, (1 << 20) + 512] {
        let bytes = pattern(length, length);
        assert_eq!(bay.write("nvd0", 5 * 512, &bytes), Ok(()));
        assert_eq!(disk.bytes(5 * 512, length), bytes);
        bay.expect("nvd0", 5 * 512, &bytes);
    }
    assert_eq!(bay.device.counted().largest, 128 << 10);
    assert_eq!(bay.device.counted().lists, 0);
    let provider = bay.guest.geom.provider("nvd0").expect("it is there");
    assert_eq!(provider.media_size, 64 * MIB);
    assert!(bay.logged("nvme0: Simulated NVMe controller, serial sim, firmware 1.0"));
}

#[test]
fn scatter_gather_lists_are_used_where_they_are_offered() {
    let disk = Disk::new();
    let config = NvmeConfig {
        scatters: true,
        ..NvmeConfig::new(&disk, BLOCKS)
    };
    let bay = Bay::ready(2, config);
    let bytes = pattern(300 << 10, 3);
    assert_eq!(bay.write("nvd0", 4096, &bytes), Ok(()));
    bay.expect("nvd0", 4096, &bytes);
    assert!(bay.device.counted().lists > 0);
}

#[test]
fn no_transfer_is_larger_than_the_controller_takes() {
    let disk = Disk::new();
    let config = NvmeConfig {
        largest: 1,
        ..NvmeConfig::new(&disk, BLOCKS)
    };
    let bay = Bay::ready(3, config);
    let bytes = pattern(64 << 10, 3);
    assert_eq!(bay.write("nvd0", 0, &bytes), Ok(()));
    bay.expect("nvd0", 0, &bytes);
    assert_eq!(bay.device.counted().largest, 8192);
}

#[test]
fn flush_delete_and_erase_reach_the_controller() {
    let disk = Disk::with(&pattern(1 << 20, 0));
    let bay = Bay::ready(4, NvmeConfig::new(&disk, 512 * MIB / 512));
    let device = bay.open("nvd0", Access::READ_WRITE);
    let done = bay.ask(async move {
        let deleted = device.delete(4096, 8192).await;
        // More blocks than one Write Zeroes can name.
        let erased = device.erase(65_536, 70_000 * 512).await;
        (deleted, erased, device.flush().await)
    });
    assert_eq!(done, (Ok(()), Ok(()), Ok(())));
    let counted = bay.device.counted();
    assert_eq!(
        (counted.deallocated, counted.zeroed, counted.flushes),
        (16, 70_000, 1)
    );
    assert_eq!(disk.bytes(4096, 8192), [0; 8192]);
    assert_eq!(disk.bytes(0, 4096), pattern(4096, 0));
}

#[test]
fn a_controller_without_a_cache_is_not_flushed_and_one_without_deallocation_not_asked() {
    let disk = Disk::new();
    let config = NvmeConfig {
        caches_writes: false,
        deallocates: false,
        ..NvmeConfig::new(&disk, BLOCKS)
    };
    let bay = Bay::ready(5, config);
    let device = bay.open("nvd0", Access::READ_WRITE);
    let done = bay.ask(async move {
        let deleted = device.delete(0, 512).await;
        (device.flush().await, deleted, device.erase(0, 512).await)
    });
    let no = Err(Errno::NotSupported);
    assert_eq!(done, (Ok(()), no, no));
    assert_eq!(bay.device.counted().flushes, 0);
}

#[test]
fn many_requests_at_once_are_all_done_with_few_queue_entries() {
    for entries in [2, 3, 64] {
        let disk = Disk::with(&pattern(4 << 20, 0));
        let config = NvmeConfig {
            entries,
            ..NvmeConfig::new(&disk, BLOCKS)
        };
        let bay = Bay::ready(6, config);
        let reads: Vec<_> = (0..100)
            .map(|index| bay.begin_read("nvd0", index * 32_768, 32_768))
            .collect();
        bay.until("all are done", |_| {
            reads.iter().all(|read| read.outcome() == Some(Ok(32_768)))
        });
    }
}

#[test]
fn no_interrupt_of_a_busy_controller_counts_as_one_without_a_cause() {
    let disk = Disk::with(&pattern(4 << 20, 0));
    let config = NvmeConfig {
        trigger: Trigger::Message,
        ..NvmeConfig::new(&disk, BLOCKS)
    };
    let bay = Bay::ready(16, config);
    let device = Rc::new(bay.open("nvd0", Access::READ));
    for job in 0..8u64 {
        let device = device.clone();
        let exec = bay.guest.pv.exec.clone();
        let _beside = bay.guest.spawn(&bay.world, async move {
            for round in 0..50 {
                let at = (job * 50 + round) * 4096;
                assert!(device.read(at, 4096).await.is_ok());
                exec.sleep(Duration::from_micros(7 * job)).await;
            }
        });
    }
    bay.run_for(Duration::from_secs(2));
    assert!(bay.device.counted().reads >= 400);
    assert_eq!(bay.plug.useless(), 0);
}

#[test]
fn each_namespace_is_a_disk_of_its_own() {
    let (one, two) = (Disk::new(), Disk::new());
    let config = NvmeConfig {
        namespaces: vec![
            Namespace::new(1, &one, BLOCKS),
            Namespace {
                shift: 12,
                read_only: true,
                ..Namespace::new(7, &two, 1024)
            },
        ],
        ..NvmeConfig::new(&one, BLOCKS)
    };
    let bay = Bay::ready(7, config);
    bay.until("nvd1 is there", |bay| bay.is_ready("nvd1"));
    two.write(8192, &pattern(4096, 5));
    bay.expect("nvd1", 8192, &pattern(4096, 5));
    let provider = bay.guest.geom.provider("nvd1").expect("it is there");
    assert_eq!((provider.media_size, provider.sector_size), (4 * MIB, 4096));
    assert!(bay.guest.geom.open("nvd1", Access::READ_WRITE).is_err());
    assert_eq!(bay.write("nvd0", 0, &pattern(512, 1)), Ok(()));
    assert_eq!(two.bytes(0, 512), [0; 512]);
}

#[test]
fn namespaces_come_go_and_grow_while_the_controller_is_in_use() {
    let (one, two) = (Disk::new(), Disk::new());
    let bay = Bay::ready(8, NvmeConfig::new(&one, BLOCKS));
    bay.device.set_namespaces(vec![
        Namespace::new(1, &one, 2 * BLOCKS),
        Namespace::new(2, &two, BLOCKS),
    ]);
    bay.until("nvd1 is there and nvd0 has grown", |bay| {
        let size = bay.guest.geom.provider("nvd0").map(|one| one.media_size);
        size == Some(128 * MIB) && bay.is_ready("nvd1")
    });
    let held = bay.open("nvd0", Access::READ);
    bay.device
        .set_namespaces(vec![Namespace::new(2, &two, BLOCKS)]);
    bay.run_for(Duration::from_secs(3));
    assert_eq!(bay.created_and_gone(), (2, 0), "somebody holds it");
    let read = bay.ask(async move { held.read(0, 512).await });
    assert_eq!(read, Err(Errno::NoDevice));
    bay.until("nvd0 is gone", |bay| bay.created_and_gone() == (2, 1));
    assert_eq!(bay.write("nvd1", 0, &pattern(512, 1)), Ok(()));
}

#[test]
fn messages_and_no_interrupts_at_all_do_as_well_as_a_line() {
    let disk = Disk::with(&pattern(1 << 20, 0));
    let message = NvmeConfig {
        trigger: Trigger::Message,
        ..NvmeConfig::new(&disk, BLOCKS)
    };
    let bay = Bay::ready(9, message);
    bay.expect("nvd0", 0, &pattern(1 << 20, 0));
    let bay = Bay::with(9, NvmeConfig::new(&disk, BLOCKS), |_| {}, false);
    bay.until("nvd0 is there", |bay| bay.is_ready("nvd0"));
    bay.expect("nvd0", 0, &pattern(1 << 20, 0));
    assert!(bay.logged("polled"));
    // It sleeps while there is nothing to do.
    let before = bay.guest.pv.exec.polls();
    bay.run_for(Duration::from_secs(10));
    assert!(bay.guest.pv.exec.polls() - before < 500);
}

#[test]
fn a_line_that_is_shared_is_let_go_of_and_costs_nothing_while_idle() {
    let disk = Disk::new();
    let bay = Bay::ready(10, NvmeConfig::new(&disk, BLOCKS));
    let before = bay.guest.pv.exec.polls();
    bay.run_for(Duration::from_secs(60));
    assert!(bay.guest.pv.exec.polls() - before < 100);
}

#[test]
fn health_is_read_and_what_gets_critical_is_said() {
    let disk = Disk::new();
    let bay = Bay::ready(11, NvmeConfig::new(&disk, BLOCKS));
    let health = |bay: &Bay| bay.plug.standing()?.health;
    bay.until("its health is known", |_| health(&bay).is_some());
    assert_eq!(health(&bay).map(|health| health.critical), Some(0));
    bay.device.sicken(0b1001);
    bay.until("it is said", |bay| bay.logged("media is read only"));
    assert!(bay.logged("spare is low"));
    assert_eq!(health(&bay).map(|health| health.critical), Some(0b1001));
    // It is asked for again and again, and what is known is not said once more.
    bay.run_for(Duration::from_secs(200));
    assert_eq!(bay.count_logged("spare is low"), 1);
}

#[test]
fn health_is_asked_for_where_nothing_reports_it() {
    let disk = Disk::new();
    let bay = Bay::ready(17, NvmeConfig::new(&disk, BLOCKS));
    bay.run_for(Duration::from_secs(1));
    bay.device.sicken_silently(0b10);
    bay.run_for(Duration::from_secs(61));
    assert!(bay.logged("temperature is out of range"));
}

#[test]
fn the_pages_of_an_idle_controller_give_way_before_a_target_is_refused() {
    let disk = Disk::new();
    let bay = Bay::ready(18, NvmeConfig::new(&disk, BLOCKS));
    let _balloon = Balloon::start(&bay.guest.pv, &bay.guest.store);
    let reads: Vec<_> = (0..16)
        .map(|index| bay.begin_read("nvd0", index * 65_536, 65_536))
        .collect();
    bay.until("all are done", |_| {
        reads.iter().all(|read| read.outcome() == Some(Ok(65_536)))
    });
    bay.run_for(Duration::from_secs(1));
    let commands = bay.device.counted().reads;
    let target = plan::floor(&bay.guest.dom.memory_use()) - 60 * 8 / 7;
    bay.toolstack.set_memory(GUEST, target * 4);
    bay.until("it has less", |bay| bay.world.reservation(GUEST) == target);
    assert_eq!(bay.count_logged("refused"), 0);
    assert_eq!(bay.device.counted().reads, commands);
    bay.expect("nvd0", 0, &[0; 65_536]);
}

#[test]
fn a_controller_that_is_given_back_is_drained_shut_down_and_leaves_nothing_behind() {
    let disk = Disk::with(&pattern(1 << 20, 0));
    let bay = Bay::ready(12, NvmeConfig::new(&disk, BLOCKS));
    let storage = sim::storage::Storage::with(12, DomainConfig::default());
    let before = storage.holdings();
    let reads: Vec<_> = (0..20)
        .map(|index| bay.begin_read("nvd0", index * 32_768, 32_768))
        .collect();
    bay.run_for(Duration::from_micros(30));
    bay.plug.remove();
    bay.until_left();
    let ended = |read: &sim::storage::Pending| read.outcome().is_some();
    assert!(reads.iter().all(ended));
    assert_eq!(bay.device.counted().shutdowns, 1);
    assert!(!bay.device.is_ready());
    assert_eq!(bay.count_logged("nvd0 gone"), 1);
    assert_eq!(bay.driver.running_on(), 0);
    let after = bay.holdings();
    assert_eq!(after.tasks, before.tasks);
    assert_eq!(after.graph, before.graph);
    assert_eq!(after.xen.pages, before.xen.pages);
}
