//! Memory of another domain, over Xen's own rules for copies.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::convert::Infallible;
use std::rc::Rc;

use geom::{Buffer, Errno, Memory as _};
use hv::{Access, DomId, Hypervisor, Page, SharedMem};
use iobuf::{Copies, IoPage, PeerMemory, PersistentGrants, Segment};
use pv::{Granted, Pv};
use sim::{Dom, DomainConfig, Toolstack, World};

const FRONT: DomId = DomId(1);
const BACK: DomId = DomId(2);

/// Two domains: the pages of one are the memory of the other's requests.
struct Pair {
    front: Pv<Dom>,
    back: Dom,
    copies: Copies<Dom>,
    _toolstack: Toolstack,
    _world: World,
}

impl Pair {
    fn new() -> Self {
        Self::with_pages(DomainConfig::default().pages)
    }

    fn with_pages(pages: usize) -> Self {
        let world = World::new(1);
        let toolstack = Toolstack::start(&world);
        let config = DomainConfig {
            pages,
            ..DomainConfig::default()
        };
        let front = Pv::new(toolstack.create_domain(FRONT, "front", config));
        let back = toolstack.create_domain(BACK, "back", config);
        Self {
            front,
            copies: Copies::new(back.clone()),
            back,
            _toolstack: toolstack,
            _world: world,
        }
    }

    fn granted(&self, access: Access) -> Granted<Dom> {
        let page = self.front.hv.alloc_page().unwrap();
        self.front.grants.grant(page, BACK, access).unwrap()
    }

    fn page(&self) -> Rc<dyn geom::Memory> {
        Rc::new(IoPage::<Dom>::new(self.back.alloc_page().unwrap()))
    }

    fn memory(&self, segments: &[Segment]) -> PeerMemory<Dom> {
        let memory = PeerMemory::new(&self.copies, FRONT, None);
        reset(&memory, segments);
        memory
    }
}

fn reset(memory: &PeerMemory<Dom>, segments: &[Segment]) {
    let segments = segments.iter().copied();
    let Ok(()) = memory.reset(segments.map(Ok::<_, Infallible>));
}

fn segment(page: &Granted<Dom>, offset: u16, length: u16) -> Segment {
    Segment {
        reference: page.reference(),
        offset,
        length,
    }
}

fn bytes(memory: &impl SharedMem, at: usize, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    memory.read(at, &mut bytes);
    bytes
}

#[test]
fn pages_go_to_the_peer_and_back_in_few_hypercalls() {
    let pair = Pair::new();
    let theirs: Vec<_> = (0..3).map(|_| pair.granted(Access::ReadWrite)).collect();
    let memory = pair.memory(&[
        segment(&theirs[0], 512, 1024),
        segment(&theirs[1], 0, 4096),
        segment(&theirs[2], 1024, 512),
    ]);
    assert_eq!(memory.len(), 5632);
    let page = pair.page();
    page.copy_in(0, &[7; 4096]);
    memory.copy_from(0, &page, 0, 4096);
    memory.copy_from(4096, &page, 100, 1536);
    assert_eq!(bytes(&theirs[0], 512, 1024), [0; 1024], "it was put off");
    assert_eq!(memory.settle(), Ok(()));
    assert_eq!(bytes(&theirs[0], 512, 1024), [7; 1024]);
    assert_eq!(bytes(&theirs[0], 0, 512), [0; 512]);
    assert_eq!(bytes(&theirs[1], 0, 4096), [7; 4096]);
    assert_eq!(bytes(&theirs[2], 1024, 512), [7; 512]);
    assert_eq!(bytes(&theirs[2], 1536, 512), [0; 512]);
    let usage = pair.copies.usage();
    assert_eq!((usage.copies, usage.batches, usage.refused), (4, 1, 0));

    theirs[1].write(4, b"stone");
    memory.copy_to(1028, &page, 40, 5);
    assert_eq!(memory.settle(), Ok(()));
    let mut word = [0; 5];
    page.copy_out(40, &mut word);
    assert_eq!(&word, b"stone");
}

#[test]
fn pages_that_stay_mapped_are_copied_to_and_from_at_once() {
    let pair = Pair::new();
    let theirs: Vec<_> = (0..3).map(|_| pair.granted(Access::ReadWrite)).collect();
    let persistent = Rc::new(PersistentGrants::new(pair.back.clone(), FRONT, 2));
    let memory = PeerMemory::new(&pair.copies, FRONT, Some(&persistent));
    let segments = [
        segment(&theirs[0], 512, 1024),
        segment(&theirs[1], 0, 4096),
        segment(&theirs[2], 1024, 512),
    ];
    for _ in 0..2 {
        reset(&memory, &segments);
        assert_eq!(persistent.mapped(), 2, "and the third is Xen's");
    }
    let page = pair.page();
    page.copy_in(0, &[7; 4096]);
    memory.copy_from(100, &page, 0, 4096);
    memory.copy_from(4196, &page, 10, 1436);
    assert_eq!(bytes(&theirs[0], 512, 100), [0; 100]);
    assert_eq!(bytes(&theirs[0], 612, 924), [7; 924]);
    assert_eq!(bytes(&theirs[0], 1536, 512), [0; 512]);
    assert_eq!(bytes(&theirs[1], 0, 4096), [7; 4096]);
    assert_eq!(bytes(&theirs[2], 1024, 512), [0; 512], "not settled");
    assert_eq!(memory.settle(), Ok(()));
    assert_eq!(bytes(&theirs[2], 1024, 512), [7; 512]);
    assert_eq!(pair.copies.usage().copies, 1);

    theirs[1].write(4, b"stone");
    memory.copy_to(1028, &page, 40, 5);
    let mut word = [0; 5];
    page.copy_out(40, &mut word);
    assert_eq!(&word, b"stone");
    memory.copy_in(1028, b"paper");
    assert_eq!(bytes(&theirs[1], 4, 5), b"paper");
    drop((memory, persistent));
    assert!(!theirs[0].is_mapped() && !theirs[1].is_mapped());
}

#[test]
fn what_was_put_off_is_copied_before_what_is_copied_at_once() {
    let pair = Pair::new();
    let [mapped, other] = [0; 2].map(|_| pair.granted(Access::ReadWrite));
    let persistent = Rc::new(PersistentGrants::new(pair.back.clone(), FRONT, 1));
    let memory = PeerMemory::new(&pair.copies, FRONT, Some(&persistent));
    reset(
        &memory,
        &[segment(&mapped, 0, 4096), segment(&other, 0, 4096)],
    );
    assert_eq!(persistent.mapped(), 1);
    let page = pair.page();

    // From both to the same bytes of ours: the one at once comes last.
    mapped.write(0, b"first");
    other.write(0, b"other");
    memory.copy_to(4096, &page, 0, 5);
    memory.copy_to(0, &page, 0, 5);
    assert_eq!(memory.settle(), Ok(()));
    let mut word = [0; 5];
    page.copy_out(0, &mut word);
    assert_eq!(&word, b"first");

    // From the same bytes of ours, which the one at once overwrites.
    page.copy_in(0, b"paper");
    memory.copy_from(4096, &page, 0, 5);
    memory.copy_to(0, &page, 0, 5);
    assert_eq!(memory.settle(), Ok(()));
    assert_eq!(bytes(&other, 0, 5), b"paper");
    assert_eq!(pair.copies.usage().refused, 0);
}

#[test]
fn b09_of_pages_with_like_references_few_stay_mapped_and_the_rest_is_copied() {
    let pair = Pair::with_pages(512 * 18);
    // References are given out in order.
    let all: Vec<_> = (0..512 * 17)
        .map(|_| pair.granted(Access::ReadWrite))
        .collect();
    let like: Vec<_> = all.iter().step_by(512).collect();
    let persistent = Rc::new(PersistentGrants::new(pair.back.clone(), FRONT, 1000));
    let memory = PeerMemory::new(&pair.copies, FRONT, Some(&persistent));
    let segments: Vec<_> = like.iter().map(|page| segment(page, 0, 4096)).collect();
    for _ in 0..2 {
        reset(&memory, &segments);
        assert_eq!(persistent.mapped(), 16);
    }
    let page = pair.page();
    page.copy_in(0, &[7; 4096]);
    for at in (0..17).map(|index| index * 4096) {
        memory.copy_from(at, &page, 0, 4096);
    }
    assert_eq!(memory.settle(), Ok(()));
    assert!(like.iter().all(|page| bytes(*page, 0, 4096) == [7; 4096]));
    assert_eq!(pair.copies.usage().copies, 1);
}

#[test]
fn a_memory_that_is_no_page_is_reached_through_one() {
    let pair = Pair::new();
    let theirs: Vec<_> = (0..2).map(|_| pair.granted(Access::ReadWrite)).collect();
    let memory = pair.memory(&[segment(&theirs[0], 0, 4096), segment(&theirs[1], 0, 4096)]);
    let all = Buffer::over(Rc::new(memory));
    let pattern: Vec<u8> = (0..8192u32).map(|i| (i / 7).to_le_bytes()[0]).collect();
    assert_eq!(all.copy_from(0, &Buffer::from(pattern.clone())), Ok(()));
    assert_eq!(all.settle(), Ok(()));
    assert_eq!(bytes(&theirs[0], 0, 4096), pattern[..4096]);
    assert_eq!(bytes(&theirs[1], 0, 4096), pattern[4096..]);
    let part = Buffer::zeroed(5000);
    assert_eq!(all.copy_to(3000, &part), Ok(()));
    assert_eq!(part.to_vec(), pattern[3000..8000]);
    assert_eq!(all.to_vec(), pattern);
}

#[test]
fn b04_a_page_not_granted_or_taken_back_fails_its_own_request_alone() {
    let pair = Pair::new();
    let (good, read_only) = (
        pair.granted(Access::ReadWrite),
        pair.granted(Access::ReadOnly),
    );
    let revoked = pair.granted(Access::ReadWrite);
    let page = pair.page();
    page.copy_in(0, &[9; 4096]);
    let fine = pair.memory(&[segment(&good, 0, 4096)]);
    let forbidden = pair.memory(&[segment(&read_only, 0, 4096)]);
    let gone = pair.memory(&[segment(&revoked, 0, 4096)]);
    let before = pair.copies.usage().refused;
    for memory in [&forbidden, &gone, &fine] {
        memory.copy_from(0, &page, 0, 4096);
    }
    assert!(revoked.end().is_some());
    assert_eq!(fine.settle(), Ok(()));
    assert_eq!(forbidden.settle(), Err(Errno::Io));
    assert_eq!(gone.settle(), Err(Errno::Io));
    assert_eq!(pair.copies.usage().refused - before, 2);
    assert_eq!(bytes(&good, 0, 4096), [9; 4096]);
    assert_eq!(bytes(&read_only, 0, 4096), [0; 4096]);

    reset(&forbidden, &[segment(&read_only, 0, 4096)]);
    forbidden.copy_to(0, &page, 0, 4096);
    assert_eq!(forbidden.settle(), Ok(()), "it may be read");
}

#[test]
fn b04_what_another_copied_through_the_same_page_never_shows() {
    let pair = Pair::new();
    let (secret, revoked) = (
        pair.granted(Access::ReadWrite),
        pair.granted(Access::ReadWrite),
    );
    secret.write(0, &[0x5e; 4096]);
    let first = pair.memory(&[segment(&secret, 0, 4096)]);
    let second = pair.memory(&[segment(&revoked, 0, 4096)]);
    let mut read = [0; 4096];
    first.copy_out(0, &mut read);
    assert_eq!(read, [0x5e; 4096]);
    assert!(revoked.end().is_some());
    let target = Buffer::zeroed(4096);
    let second = Buffer::over(Rc::new(second));
    assert_eq!(second.copy_to(0, &target), Ok(()));
    assert_eq!(second.settle(), Err(Errno::Io));
    assert_eq!(target.to_vec(), [0; 4096]);
    assert_eq!(second.to_vec(), [0; 4096]);
}

#[test]
fn a_page_stays_until_what_was_put_off_is_made() {
    let pair = Pair::new();
    let theirs = pair.granted(Access::ReadWrite);
    let memory = pair.memory(&[segment(&theirs, 0, 4096)]);
    let page = IoPage::<Dom>::new(pair.back.alloc_page().unwrap());
    let frame = page.page().mfn();
    let page: Rc<dyn geom::Memory> = Rc::new(page);
    page.copy_in(0, &[3; 4096]);
    memory.copy_from(0, &page, 0, 4096);
    drop(page);
    let other = pair.back.alloc_page().unwrap();
    assert_ne!(other.mfn(), frame);
    assert_eq!(memory.settle(), Ok(()), "the page was not freed before");
    assert_eq!(bytes(&theirs, 0, 4096), [3; 4096]);
}
