//! A vbd that is served to another domain: what is read and written is that domain's memory, and
//! Xen copies it between there and the pages that the backend sees.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::rc::Rc;

use geom::{Access as Open, Buffer, Device, Errno};
use hv::{Access, DomId, Hypervisor, SharedMem};
use iobuf::{Copies, PeerMemory, Segment};
use pv::{Granted, Pv};
use sim::scene::pattern;
use sim::storage::GUEST;
use sim::{Blkback, BlkbackConfig, Disk, Dom, DomainConfig, Storage};

/// Who is served.
const CLIENT: DomId = DomId(2);
/// What the pages that the backend sees hold of somebody else's.
const SECRET: u8 = 0x5e;

/// A disk of the guest's, and a domain that the guest serves it to.
struct Scene {
    storage: Storage,
    backend: Blkback,
    disk: Disk,
    client: Pv<Dom>,
    copies: Copies<Dom>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        Self::with(seed, DomainConfig::default())
    }

    fn with(seed: u64, guest: DomainConfig) -> Self {
        let storage = Storage::with(seed, guest);
        let disk = Disk::with(&pattern(1, 1 << 20));
        let backend = storage.attach_ready(&disk, BlkbackConfig::default());
        let config = DomainConfig::default();
        let client = storage.toolstack.create_domain(CLIENT, "client", config);
        Self {
            copies: Copies::new(storage.guest.dom.clone()),
            client: Pv::new(client),
            storage,
            backend,
            disk,
        }
    }

    /// A page of the client's that the guest may use.
    fn page(&self, fill: u8) -> Granted<Dom> {
        let page = self.client.hv.alloc_page().unwrap();
        page.fill(0, 4096, fill);
        let granted = self.client.grants.grant(page, GUEST, Access::ReadWrite);
        granted.unwrap()
    }

    /// Whole pages of the client's in a row.
    fn memory(&self, pages: &[Granted<Dom>]) -> Buffer {
        let memory = PeerMemory::new(&self.copies, CLIENT);
        memory.reset(pages.iter().map(|page| Segment {
            reference: page.reference(),
            offset: 0,
            length: 4096,
        }));
        Buffer::over(Rc::new(memory))
    }

    /// The disk, after every page that the backend sees has been filled with somebody's secret.
    fn after_a_secret(&self) -> Device {
        let device = self.storage.open("xbd0", Open::READ_WRITE);
        let secret = vec![SECRET; 1 << 18];
        assert_eq!(self.storage.write("xbd0", 1 << 20, &secret), Ok(()));
        device
    }
}

fn content(page: &Granted<Dom>) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    page.read(0, &mut bytes);
    bytes
}

#[test]
fn b04_what_xen_does_not_copy_is_not_written() {
    let scene = Scene::new(1);
    let device = scene.after_a_secret();
    let before = (scene.disk.bytes(0, 1 << 18), scene.backend.served().writes);
    // The second page is taken back before the request is served.
    let mut pages: Vec<_> = (0..40).map(|_| scene.page(7)).collect();
    let data = scene.memory(&pages);
    assert!(pages.remove(1).end().is_some());
    let write = scene
        .storage
        .ask(async move { device.write(0, data).await });
    assert_eq!(write, Err(Errno::Io));
    assert_eq!(scene.backend.served().writes, before.1);
    assert!(scene.disk.bytes(0, 1 << 18) == before.0);
    assert_eq!(scene.copies.usage().refused, 1);
}

#[test]
fn b04_the_requests_beside_one_that_cannot_be_copied_are_done() {
    let scene = Scene::new(2);
    let device = scene.after_a_secret();
    let mut pages: Vec<_> = (0..8).map(|index| scene.page(index)).collect();
    let buffers: Vec<_> = pages
        .iter()
        .map(|page| scene.memory(std::slice::from_ref(page)))
        .collect();
    assert!(pages.remove(3).end().is_some());
    let writes = scene.storage.ask(async move {
        let writes: Vec<_> = (0..)
            .zip(buffers)
            .map(|(index, data)| device.write(index * 4096, data))
            .collect();
        let mut results = Vec::new();
        for write in writes {
            results.push(write.await);
        }
        results
    });
    for (index, result) in (0u8..).zip(writes) {
        let here = scene.disk.bytes(u64::from(index) * 4096, 4096);
        if index == 3 {
            assert_eq!(result, Err(Errno::Io));
            assert!(here == pattern(1, 1 << 20)[3 * 4096..4 * 4096]);
        } else {
            assert_eq!(result, Ok(()));
            assert!(here == [index; 4096]);
        }
    }
    let usage = scene.copies.usage();
    assert_eq!(
        (usage.copies, usage.batches),
        (8, 1),
        "all in one hypercall"
    );
}

#[test]
fn b04_a_read_into_pages_taken_back_shows_nothing_and_fails_alone() {
    let scene = Scene::new(3);
    let device = scene.after_a_secret();
    let pages: Vec<_> = (0..4).map(|_| scene.page(0xaa)).collect();
    let mut buffers = vec![scene.memory(&pages[..2]), scene.memory(&pages[2..])];
    let taken_back = scene.page(0xaa);
    buffers.push(scene.memory(std::slice::from_ref(&taken_back)));
    // It is taken back while the backend reads.
    scene.backend.set_held(true);
    let reads = scene.storage.guest.spawn(&scene.storage.world, async move {
        let reads: Vec<_> = (0..)
            .zip(buffers)
            .map(|(index, data)| device.read_into(index * 8192, data))
            .collect();
        let mut results = Vec::new();
        for read in reads {
            results.push(read.await);
        }
        results
    });
    let backend = &scene.backend;
    scene
        .storage
        .until("the reads are out", |_| backend.pending() == 3);
    let page = taken_back.end().unwrap();
    backend.set_held(false);
    scene
        .storage
        .until("the reads have ended", |_| reads.borrow().is_some());
    assert_eq!(reads.take(), Some(vec![Ok(()), Ok(()), Err(Errno::Io)]));
    let bytes = pattern(1, 1 << 20);
    for (page, expected) in pages.iter().zip(bytes.chunks(4096)) {
        assert!(content(page) == expected, "it is there when the read ends");
    }
    let mut untouched = vec![0; 4096];
    page.read(0, &mut untouched);
    assert!(untouched == [0xaa; 4096]);
}

#[test]
fn no_page_is_used_again_before_what_was_read_is_copied_from_it() {
    // Pages for two of the largest requests, so that they change hands all the time.
    let guest = DomainConfig {
        pages: 220,
        ..DomainConfig::default()
    };
    let scene = Scene::with(4, guest);
    let device = scene.storage.open("xbd0", Open::READ_WRITE);
    let pages: Vec<_> = (0..256).map(|_| scene.page(0xaa)).collect();
    let buffers: Vec<_> = pages.chunks(4).map(|pages| scene.memory(pages)).collect();
    let read = scene.storage.ask(async move {
        let reads: Vec<_> = (0..)
            .zip(buffers)
            .map(|(index, data)| device.read_into(index * 16384, data))
            .collect();
        for read in reads {
            read.await?;
        }
        Ok::<_, Errno>(())
    });
    assert_eq!(read, Ok(()));
    for (index, (page, expected)) in pages
        .iter()
        .zip(pattern(1, 1 << 20).chunks(4096))
        .enumerate()
    {
        assert!(content(page) == expected, "page {index}");
    }
    let usage = scene.copies.usage();
    assert_eq!((usage.copies, usage.refused), (256, 0));
}
