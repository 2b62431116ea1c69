//! NVMe controllers in trouble: silent, failed, pulled out, without interrupts.

use std::time::Duration;

use geom::{Access, Errno};
use hv::Hypervisor;
use nvme::slot::NotDone;
use sim::Disk;
use sim::nvme::{Bay, Namespace, NvmeConfig};

const BLOCKS: u64 = 131_072;
const SECOND: Duration = Duration::from_secs(1);

fn bay(seed: u64) -> (Bay, Disk) {
    let disk = Disk::with(&[7; 1 << 20]);
    let bay = Bay::ready(seed, NvmeConfig::new(&disk, BLOCKS));
    // The health was read, and it waits for events.
    bay.run_for(SECOND);
    (bay, disk)
}

#[test]
fn a_request_that_gets_lost_is_aborted_and_asked_for_once_more() {
    let (bay, _) = bay(1);
    bay.device.misbehave(|malice| malice.loses = 1);
    let read = bay.begin_read("nvd0", 0, 4096);
    bay.run_for(20 * SECOND);
    assert_eq!(read.outcome(), None);
    bay.until("it is done", |_| read.outcome().is_some());
    assert_eq!(read.outcome(), Some(Ok(4096)));
    let counted = bay.device.counted();
    assert_eq!((counted.aborts, counted.enabled), (1, 1), "no reset");
}

#[test]
fn a_request_that_gets_lost_twice_fails() {
    let (bay, _) = bay(2);
    bay.device.misbehave(|malice| malice.loses = 2);
    let read = bay.begin_read("nvd0", 0, 4096);
    bay.until("it is done", |_| read.outcome().is_some());
    assert_eq!(read.outcome(), Some(Err(Errno::Io)));
    bay.expect("nvd0", 0, &[7; 4096]);
}

#[test]
fn a_controller_that_does_not_abort_is_reset_and_what_it_had_is_done_once_more() {
    let (bay, disk) = bay(3);
    let held = bay.open("nvd0", Access::READ_WRITE);
    bay.device
        .misbehave(|malice| (malice.loses, malice.ignores_abort) = (3, true));
    let reads = [0, 4096].map(|at| bay.begin_read("nvd0", at, 4096));
    let written = bay.write("nvd0", 8192, &[9; 4096]);
    assert_eq!(written, Ok(()));
    assert_eq!(disk.bytes(8192, 4096), [9; 4096]);
    bay.until("they are done", |_| {
        reads.iter().all(|read| read.outcome() == Some(Ok(4096)))
    });
    assert_eq!(bay.device.counted().enabled, 2);
    assert_eq!(bay.plug.standing().map(|standing| standing.resets), Some(1));
    // Whoever holds the disk noticed nothing.
    let read = bay.ask(async move { held.read(0, 512).await });
    assert_eq!(read, Ok(vec![7; 512]));
    assert_eq!(bay.created_and_gone(), (1, 0));
}

#[test]
fn a_controller_that_reports_a_fatal_error_is_reset() {
    let (bay, _) = bay(4);
    bay.device.fail();
    bay.until("it is reset", |bay| bay.logged("resetting it"));
    bay.expect("nvd0", 0, &[7; 8192]);
    assert_eq!(bay.created_and_gone(), (1, 0));
}

#[test]
fn a_controller_that_fails_again_and_again_is_given_up() {
    let (bay, _) = bay(5);
    for round in 1..=3 {
        bay.device.fail();
        bay.until("it is reset", |bay| {
            bay.count_logged("resetting it") == round
        });
        bay.run_for(SECOND);
    }
    let read = bay.begin_read("nvd0", 0, 512);
    bay.until("that goes well", |_| read.outcome() == Some(Ok(512)));
    bay.device.fail();
    bay.until_left();
    assert_eq!(bay.count_logged("nvd0 gone"), 1);
    assert!(!bay.device.is_ready(), "it was stopped");
}

#[test]
fn a_controller_that_never_gets_ready_is_given_up_in_bounded_time() {
    let disk = Disk::new();
    let prepare =
        |device: &sim::nvme::NvmeDevice| device.misbehave(|malice| malice.never_ready = true);
    let bay = Bay::with(6, NvmeConfig::new(&disk, BLOCKS), prepare, true);
    bay.run_for(5 * SECOND);
    assert!(bay.plug.has_ended());
    assert!(bay.logged("enabling took longer than 500ms"));
    assert_eq!(bay.created_and_gone(), (0, 0));
}

#[test]
fn a_controller_that_answers_no_admin_command_is_given_up_in_bounded_time() {
    let disk = Disk::new();
    let prepare =
        |device: &sim::nvme::NvmeDevice| device.misbehave(|malice| malice.loses_admin = 100);
    let bay = Bay::with(7, NvmeConfig::new(&disk, BLOCKS), prepare, true);
    bay.run_for(60 * SECOND);
    assert!(bay.plug.has_ended());
    assert_eq!(bay.count_logged("no answer to Identify"), 4);
    assert_eq!(bay.driver.running_on(), 0);
}

#[test]
fn a_controller_that_is_pulled_out_loses_its_disk_exactly_once() {
    let (bay, _) = bay(8);
    bay.device.misbehave(|malice| malice.loses = 100);
    let reads: Vec<_> = (0..10)
        .map(|at| bay.begin_read("nvd0", at * 4096, 4096))
        .collect();
    bay.run_for(SECOND / 2);
    bay.device.pull();
    bay.until_left();
    assert!(
        reads
            .iter()
            .all(|read| read.outcome() == Some(Err(Errno::NoDevice)))
    );
    assert_eq!(bay.count_logged("nvd0 gone"), 1);
    assert_eq!(bay.driver.running_on(), 0, "what is not there cannot write");
}

#[test]
fn an_idle_controller_that_is_pulled_out_is_noticed() {
    let (bay, _) = bay(9);
    bay.device.pull();
    bay.run_for(11 * SECOND);
    assert!(bay.plug.has_ended());
}

#[test]
fn lost_interrupts_are_noticed_and_then_not_waited_for() {
    let (bay, _) = bay(10);
    bay.device.misbehave(|malice| malice.mute = true);
    for _ in 0..3 {
        bay.expect("nvd0", 0, &[7; 4096]);
    }
    assert_eq!(bay.count_logged("its interrupts get lost"), 1);
    let before = bay.world.now();
    for _ in 0..100 {
        bay.expect("nvd0", 0, &[7; 4096]);
    }
    assert!(bay.world.now().since(before) < SECOND);
    assert_eq!(bay.created_and_gone(), (1, 0));
}

#[test]
fn a_controller_that_is_mute_from_the_start_still_serves() {
    let disk = Disk::with(&[7; 4096]);
    let prepare = |device: &sim::nvme::NvmeDevice| device.misbehave(|malice| malice.mute = true);
    let bay = Bay::with(11, NvmeConfig::new(&disk, BLOCKS), prepare, true);
    bay.until("nvd0 is there", |bay| bay.is_ready("nvd0"));
    bay.expect("nvd0", 0, &[7; 4096]);
}

#[test]
fn a_controller_that_cannot_be_stopped_keeps_the_memory_it_was_given() {
    let (bay, _) = bay(12);
    bay.device.misbehave(|malice| {
        (malice.loses, malice.ignores_abort, malice.never_stops) = (1, true, true);
    });
    let read = bay.begin_read("nvd0", 0, 4096);
    bay.run_for(SECOND);
    let pages = bay.holdings().xen.pages;
    bay.plug.refuse(NotDone::Refused);
    bay.until_left();
    assert_eq!(read.outcome(), Some(Err(Errno::NoDevice)));
    assert_eq!(bay.driver.running_on(), 1);
    assert!(bay.holdings().xen.pages >= pages);
    assert!(bay.logged("the memory that it was given is not used again"));
}

#[test]
fn a_controller_that_says_that_it_has_stopped_is_not_believed() {
    let (bay, _) = bay(16);
    bay.plug.refuse(NotDone::Refused);
    bay.plug.remove();
    bay.until_left();
    assert!(!bay.device.is_ready(), "it says so");
    assert_eq!(bay.driver.running_on(), 1);
}

#[test]
fn a_controller_whose_bus_is_gone_is_believed_if_it_stops() {
    for (never_stops, running_on) in [(false, 0), (true, 1)] {
        let (bay, _) = bay(19);
        bay.device
            .misbehave(|malice| malice.never_stops = never_stops);
        bay.plug.refuse(NotDone::Unreachable);
        bay.plug.remove();
        bay.until_left();
        assert_eq!(bay.driver.running_on(), running_on);
    }
}

#[test]
fn a_namespace_that_is_another_of_the_same_size_is_not_written_to() {
    let (bay, disk) = bay(20);
    bay.device
        .misbehave(|malice| (malice.loses, malice.ignores_abort) = (1, true));
    let lost = bay.begin_read("nvd0", 4096, 4096);
    bay.run_for(SECOND);
    bay.device.reformat(Namespace {
        eui64: 0x1234,
        ..Namespace::new(1, &disk, BLOCKS)
    });
    bay.until("it is made anew", |bay| bay.created_and_gone().0 == 2);
    bay.until("it has ended", |_| lost.outcome().is_some());
    assert_eq!(lost.outcome(), Some(Err(Errno::NoDevice)));
}

#[test]
fn a_namespace_that_cannot_be_identified_this_once_stays() {
    let (bay, _) = bay(21);
    // Namespace not ready.
    bay.device.misbehave(|malice| malice.hides = (0x082, 1));
    bay.device.fail();
    bay.until("it is said", |bay| bay.logged("namespace 1, Identify"));
    bay.expect("nvd0", 0, &[7; 512]);
    assert_eq!(bay.created_and_gone(), (1, 0));
    // Invalid namespace.
    bay.device.misbehave(|malice| malice.hides = (0x00b, 1));
    bay.device.fail();
    bay.until("it is gone", |bay| bay.created_and_gone() == (1, 1));
}

#[test]
fn a_controller_is_kept_from_memory_before_its_pages_are_used_again() {
    let (bay, _) = bay(17);
    bay.device.fail();
    bay.plug.refuse(NotDone::Refused);
    bay.until_left();
    assert_eq!(bay.device.counted().enabled, 1, "it was not reset");
    assert_eq!(bay.driver.running_on(), 1);
}

#[test]
fn what_a_reset_finds_to_be_another_namespace_is_asked_for_nothing() {
    let (bay, disk) = bay(18);
    let held = bay.open("nvd0", Access::READ_WRITE);
    bay.device
        .misbehave(|malice| (malice.loses, malice.ignores_abort) = (1, true));
    let lost = bay.begin_read("nvd0", 4096, 4096);
    bay.run_for(SECOND);
    let reads = bay.device.counted().reads;
    bay.device.reformat(Namespace {
        shift: 12,
        ..Namespace::new(1, &disk, BLOCKS / 8)
    });
    bay.until("it is made anew", |bay| bay.created_and_gone().0 == 2);
    bay.until("it has ended", |_| lost.outcome().is_some());
    assert_eq!(lost.outcome(), Some(Err(Errno::NoDevice)));
    let read = bay.ask(async move { held.read(0, 512).await });
    assert_eq!(read, Err(Errno::NoDevice));
    assert_eq!(bay.device.counted().enabled, 2);
    bay.until("it is ready", |bay| bay.is_ready("nvd0"));
    assert!(bay.device.counted().reads > reads, "it was tasted");
    bay.expect("nvd0", 4096, &[7; 4096]);
}

#[test]
fn a_controller_that_the_bus_can_stop_leaves_nothing_behind() {
    let (bay, _) = bay(13);
    bay.device.misbehave(|malice| {
        (malice.loses, malice.ignores_abort, malice.never_stops) = (1, true, true);
    });
    let read = bay.begin_read("nvd0", 0, 4096);
    bay.until_left();
    assert!(matches!(read.outcome(), Some(Err(_))));
    assert!(!bay.device.is_master());
    assert_eq!(bay.driver.running_on(), 0);
}

#[test]
fn a_failure_that_may_pass_is_tried_once_more_and_one_that_may_not_is_told() {
    let (bay, _) = bay(14);
    // Namespace not ready.
    bay.device.misbehave(|malice| malice.fails = (0x082, 1));
    bay.expect("nvd0", 0, &[7; 512]);
    bay.device.misbehave(|malice| malice.fails = (0x082, 2));
    assert_eq!(bay.read("nvd0", 0, 512), Err(Errno::Io));
    // Unrecovered read error, not to be repeated.
    bay.device
        .misbehave(|malice| malice.fails = (0x281 | 1 << 14, 1));
    assert_eq!(bay.read("nvd0", 0, 512), Err(Errno::Io));
    bay.device
        .misbehave(|malice| malice.fails = (0x081 | 1 << 14, 1));
    assert_eq!(bay.write("nvd0", 0, &[1; 512]), Err(Errno::NoSpace));
    assert!(bay.logged("unrecovered read error"));
}

#[test]
fn without_memory_for_its_queues_a_controller_is_left_alone() {
    let disk = Disk::new();
    let bay = Bay::with(15, NvmeConfig::new(&disk, BLOCKS), |_| {}, true);
    bay.until("nvd0 is there", |bay| bay.is_ready("nvd0"));
    bay.plug.remove();
    bay.until_left();
    let pages = bay.holdings().xen.pages;
    let free = bay.guest.pv.hv.memory_use().free;
    let taken: Vec<_> = (0..free - 8)
        .map_while(|_| bay.guest.dom.alloc_page())
        .collect();
    let again = sim::nvme::Plug::connect(&bay.world, &bay.guest, &bay.driver, &bay.device);
    bay.until("it is given up", |_| again.has_ended());
    assert!(bay.logged("out of memory"));
    drop(taken);
    assert_eq!(bay.holdings().xen.pages, pages);
}
