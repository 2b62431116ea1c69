//! The backend of the next life takes less of a request, has a smaller ring or fewer queues (S51,
//! F26): what was asked for before is cut to what it takes.

use std::cell::Cell;
use std::rc::Rc;

use blkfront::Blkfront;
use geom::{Access, Device, Errno};
use hv::{Hypervisor, Resumed};
use sim::scene::pattern;
use sim::storage::{Storage, XVDA};
use sim::{Blkback, BlkbackConfig, Disk, DomainConfig, Xen};

use crate::setting::{ANEW, GUEST, Outcome, SECOND, Scene, honest};

const PAGE: usize = 4096;
/// Segments of the largest request that this frontend makes, and of one that is not indirect.
const MOST: usize = 64;
const DIRECT: usize = 11;

/// A backend without anything that need not be.
fn least() -> BlkbackConfig {
    BlkbackConfig {
        indirect_segments: None,
        ring_order: None,
        flush: false,
        barrier: false,
        discard: false,
        ..honest()
    }
}

/// Where each of some requests is, of so many pages each, and with what content.
fn places(pages: &[usize]) -> Vec<(u64, Vec<u8>)> {
    let mut offset = 0;
    let mut places = Vec::new();
    for (number, pages) in pages.iter().enumerate() {
        places.push((offset as u64, pattern(number, pages * PAGE)));
        offset += pages * PAGE;
    }
    places
}

/// Begins to write them all.
fn write_all(scene: &Scene, device: &Rc<Device>, places: &[(u64, Vec<u8>)]) -> Vec<Outcome> {
    let write = |(offset, bytes): &(u64, Vec<u8>)| {
        let (device, offset, bytes) = (device.clone(), *offset, bytes.clone());
        scene.ask(async move { device.write(offset, bytes).await })
    };
    places.iter().map(write).collect()
}

fn are_done(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| outcome.get() == Some(Ok(())))
}

#[test]
fn s51_f26_writes_that_wait_are_cut_to_what_the_next_backend_takes() {
    let scene = Scene::idle(30, honest());
    let device = Rc::new(scene.open(Access::READ_WRITE));
    let segments = [
        MOST,
        MOST,
        45,
        MOST,
        DIRECT,
        DIRECT + 1,
        MOST,
        2 * DIRECT,
        1,
        MOST,
    ];
    let places = places(&segments);
    let former = scene.backend();
    former.set_held(true);
    let written = write_all(&scene, &device, &places);
    scene.machine.run_for(SECOND);
    // What has no room in the pages for data waits in the driver, each as one piece.
    let taken = former.pending();
    assert_eq!(scene.handed_over(0), segments.len() as u32);
    assert!((1..4).contains(&taken), "{taken}");
    let generation = device.generation();
    scene.save(Some(least()));
    scene.ask_to_suspend();
    scene.machine.run_for(SECOND);
    former.set_held(false);
    scene.machine.until_shown(ANEW);
    assert!(!are_done(&written), "most of them waited");
    scene.machine.until("their end", |_| are_done(&written));
    for (offset, bytes) in &places {
        assert!(scene.disk.bytes(*offset, bytes.len()) == *bytes, "{offset}");
    }
    let (before, after) = (former.served(), scene.backend().served());
    assert_eq!(before.writes, taken as u64);
    let parts = segments[taken..].iter().map(|pages| pages.div_ceil(DIRECT));
    assert_eq!(after.requests, parts.sum::<usize>() as u64);
    assert_eq!((after.writes, after.errors), (after.requests, 0));
    assert_eq!((after.indirect, after.ring_entries), (0, 32));
    let limits = device.limits().expect("a disk's limits");
    assert_eq!(limits.max_io, (DIRECT * PAGE) as u64);
    assert!(!limits.can_flush && !limits.can_delete);
    assert!(device.generation() > generation, "who holds it is told");
    assert_eq!(scene.came_and_went(), (1, 0));
}

#[test]
fn s51_f26_reads_that_wait_are_cut_to_what_the_next_backend_takes() {
    let scene = Scene::idle(31, honest());
    let device = Rc::new(scene.open(Access::READ));
    let bytes = pattern(7, 10 * MOST * PAGE);
    scene.disk.write(0, &bytes);
    let former = scene.backend();
    scene.save(Some(least()));
    former.set_held(true);
    let read = |number: usize| {
        let (device, length) = (device.clone(), MOST * PAGE);
        let expected = bytes[number * length..][..length].to_vec();
        scene.ask(async move {
            let found = device.read((number * length) as u64, length).await?;
            if found == expected {
                Ok(())
            } else {
                Err(Errno::Invalid)
            }
        })
    };
    let reads: Vec<_> = (0..10).map(read).collect();
    scene.machine.run_for(SECOND);
    let taken = former.pending();
    assert!((1..4).contains(&taken), "{taken}");
    assert_eq!(scene.handed_over(0), 10);
    scene.ask_to_suspend();
    scene.machine.run_for(SECOND);
    former.set_held(false);
    scene.machine.until_shown(ANEW);
    scene.machine.run_for(5 * SECOND);
    assert!(are_done(&reads), "{reads:?}");
    let after = scene.backend().served();
    let parts = (10 - taken) * MOST.div_ceil(DIRECT);
    assert_eq!((after.reads, after.requests), (parts as u64, parts as u64));
}

#[test]
fn s51_f26_what_the_next_backend_does_not_know_fails_and_all_else_is_done() {
    let scene = Scene::idle(32, honest());
    let device = Rc::new(scene.open(Access::READ_WRITE));
    let former = scene.backend();
    former.set_held(true);
    let before = write_all(&scene, &device, &places(&[1]));
    scene.machine.run_for(SECOND);
    scene.save(Some(least()));
    scene.ask_to_suspend();
    scene.machine.run_for(SECOND);
    let (deleting, flushing) = (device.clone(), device.clone());
    let delete = scene.ask(async move { deleting.delete(0, 1 << 20).await });
    let write = write_all(&scene, &device, &places(&[2]));
    let flush = scene.ask(async move { flushing.flush().await });
    scene.machine.run_for(SECOND);
    assert_eq!(scene.handed_over(0), 3, "the flush waits in GEOM for them");
    assert_eq!(former.pending(), 1, "two of them wait in the driver");
    former.set_held(false);
    scene.machine.until_shown(ANEW);
    scene.machine.run_for(SECOND);
    assert!(are_done(&before) && are_done(&write));
    let unknown = Some(Err(Errno::NotSupported));
    assert_eq!((delete.get(), flush.get()), (unknown, unknown));
    let after = scene.backend().served();
    assert_eq!((after.requests, after.writes, after.errors), (1, 1, 0));
}

#[test]
fn s51_f26_a_disk_can_less_in_one_life_and_more_in_the_next() {
    let scene = Scene::new(3, honest());
    let device = scene.open(Access::READ);
    scene.save(Some(least()));
    scene.suspend(ANEW);
    scene.works();
    let limits = device.limits().expect("a disk's limits");
    assert_eq!(limits.max_io, (DIRECT * PAGE) as u64);
    assert!(!limits.can_flush && !limits.can_delete);
    scene.save(Some(honest()));
    scene.suspend(ANEW);
    scene.works();
    let limits = device.limits().expect("a disk's limits");
    assert_eq!(limits.max_io, (MOST * PAGE) as u64);
    assert!(limits.can_flush && limits.can_delete);
    scene.is_whole();
}

/// What the whole domain does around a suspension (`app::suspend`), for one that makes several
/// queues for a disk, as the whole domain does not.
async fn suspend(
    pv: pv::Pv<sim::Dom>,
    store: xenbus::Store,
    disks: Blkfront<sim::Dom>,
) -> Result<Resumed, hv::Errno> {
    disks.bus().hold().await;
    store.hold().await.expect("a store");
    let resumed = pv.hv.suspend()?;
    assert_eq!(pv.begin_anew(), []);
    store.release(resumed);
    disks.bus().release(resumed);
    Ok(resumed)
}

#[test]
fn s51_f26_a_backend_with_fewer_queues_gets_all_that_waited() {
    let offering = |queues| BlkbackConfig { queues, ..least() };
    let storage = Storage::with_queues(33, DomainConfig::default(), 4);
    let disk = Disk::new();
    let mut backend = storage.attach_ready(&disk, offering(Some(4)));
    let device = Rc::new(storage.open("xbd0", Access::READ_WRITE));
    let mut expected = Vec::new();
    for (life, offer, queues) in [(1, Some(2), 2), (2, None, 1), (3, Some(4), 4)] {
        let entries = backend.served().ring_entries as usize;
        backend.set_held(true);
        // Two more than the rings have entries.
        expected = pattern(life, (entries + 2) * PAGE);
        let write = |(number, bytes): (usize, &[u8])| {
            let (device, bytes) = (device.clone(), bytes.to_vec());
            let write = async move { device.write((number * PAGE) as u64, bytes).await };
            storage.guest.spawn(&storage.world, write)
        };
        let written: Vec<_> = expected.chunks(PAGE).enumerate().map(write).collect();
        storage.until("full rings", |_| backend.pending() == entries);
        storage.run_for(SECOND);
        assert_eq!(backend.pending(), entries);
        assert_eq!(
            storage.guest.geom.disks()[0].in_flight as usize,
            entries + 2
        );
        let next = Rc::new(Cell::new(None));
        let (made, former) = (next.clone(), backend.clone());
        let (toolstack, same) = (storage.toolstack.clone(), disk.clone());
        storage.world.at_suspension(GUEST, move |xen: &Xen| {
            assert_eq!(former.pending(), 0, "requests are out");
            former.crash();
            toolstack.renew_domain(GUEST, "guest", DomainConfig::default());
            let vbd = Storage::vbd(XVDA);
            let backend = Blkback::attach(xen, &toolstack, vbd, &same, offering(offer));
            made.set(Some(backend));
            Resumed::Anew
        });
        let guest = &storage.guest;
        let frontend = guest.blkfront.as_ref().expect("it has disks");
        let suspended = suspend(guest.pv.clone(), guest.store.clone(), frontend.clone());
        let suspended = guest.spawn(&storage.world, suspended);
        storage.run_for(SECOND);
        assert_eq!((*suspended.borrow(), backend.pending()), (None, entries));
        backend.set_held(false);
        storage.until("the next life", |_| suspended.borrow().is_some());
        assert_eq!(*suspended.borrow(), Some(Ok(Resumed::Anew)));
        backend = next.take().expect("it was suspended");
        storage.until("the end of the writes", |_| {
            written.iter().all(|write| *write.borrow() == Some(Ok(())))
        });
        assert_eq!(backend.served().queues, queues, "life {life}");
        assert_eq!(backend.served().writes, 2, "what waited came to this life");
        assert!(disk.bytes(0, expected.len()) == expected, "life {life}");
        assert_eq!(storage.created_and_gone(), (1, 0));
    }
    storage.expect("xbd0", 0, &expected);
    assert_eq!(storage.world.violations(), Vec::<String>::new());
}
