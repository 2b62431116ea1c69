//! The simulated backend does what Linux's does, seen by a frontend that is nothing but a ring.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::time::Duration;

use hv::{Access, DomId, Hypervisor, Port, SharedMem};
use pv::Granted;
use ring::{FrontRing, Pages};
use sim::{
    Blkback, BlkbackConfig, Detach, DetachError, Disk, Dom, DomainConfig, Guest, Toolstack, Vbd,
    World,
};
use xen_abi::io::blkif::{Direct, Request, Response, Segment};

const ONE: DomId = DomId(1);
const BACK: DomId = DomId(0);
const SECOND: Duration = Duration::from_secs(1);
const VBD: Vbd = Vbd {
    guest: ONE,
    backend: BACK,
    devid: 51712,
};

/// A ring and a port, published by hand.
struct Front {
    world: World,
    toolstack: Toolstack,
    guest: Guest,
    back: Blkback,
    disk: Disk,
    ring: FrontRing<Pages<Granted<Dom>>>,
    port: Port,
}

fn granted(guest: &Guest) -> Granted<Dom> {
    let page = guest.dom.alloc_page().unwrap();
    let granted = guest.pv.grants.grant(page, BACK, Access::ReadWrite);
    granted.map_err(|error| error.refusal).unwrap()
}

impl Front {
    fn connect(config: BlkbackConfig, order: u32) -> Self {
        let world = World::new(1);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, ONE, DomainConfig::default());
        let disk = Disk::new();
        let back = Blkback::attach(&world, &toolstack, VBD, &disk, config);
        world.run_for(SECOND).unwrap();
        assert_eq!(back.state(), 2, "InitWait");
        let pages: Vec<_> = (0..1 << order).map(|_| granted(&guest)).collect();
        let references: Vec<_> = pages.iter().map(|page| page.reference().0).collect();
        let ring = FrontRing::init(Pages::new(pages), 112);
        let port = guest.dom.evtchn_alloc_unbound(BACK).unwrap();
        let front = Self {
            world,
            toolstack,
            guest,
            back,
            disk,
            ring,
            port,
        };
        if order == 0 {
            front.write("ring-ref", references[0]);
        } else {
            front.write("ring-page-order", order);
            for (index, reference) in references.iter().enumerate() {
                front.write(&format!("ring-ref{index}"), *reference);
            }
        }
        front.write("event-channel", port.0);
        front.write("state", 3);
        front.world.run_for(SECOND).unwrap();
        front
    }

    fn write(&self, key: &str, value: u32) {
        let path = format!("{}/{key}", VBD.frontend_path());
        self.toolstack.store().write(&path, value.to_string());
    }

    fn back_key(&self, key: &str) -> Option<String> {
        let path = format!("{}/{key}", VBD.backend_path());
        self.toolstack.store().read(&path)
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, request: &Request) -> Response {
        self.send(request);
        self.world.run_for(SECOND).unwrap();
        self.answer().unwrap()
    }

    fn send(&mut self, request: &Request) {
        let mut entry = [0; 112];
        request.encode(&mut entry);
        self.ring.push(&entry).unwrap();
        if self.ring.publish() {
            self.guest.dom.evtchn_send(self.port).unwrap();
        }
    }

    fn answer(&mut self) -> Option<Response> {
        let mut entry = [0; 16];
        let taken = self.ring.take(&mut entry).unwrap();
        taken.map(|()| Response::decode(&entry))
    }

    fn detach(&self, force: bool) -> Detach {
        self.toolstack.detach(&VBD, force)
    }
}

fn request(operation: u8, id: u64, sector: u64, pages: &[&Granted<Dom>]) -> Request {
    let segments: Vec<_> = pages.iter().map(|page| segment(page)).collect();
    Request::Direct(Direct::new(operation, 0, id, sector, &segments).unwrap())
}

fn segment(page: &Granted<Dom>) -> Segment {
    Segment {
        gref: page.reference().0,
        first_sect: 0,
        last_sect: 7,
    }
}

#[test]
fn what_is_written_is_read_again_and_lies_on_the_disk() {
    let mut front = Front::connect(BlkbackConfig::default(), 0);
    assert_eq!(front.back.state(), 4);
    assert_eq!(front.back_key("sectors").as_deref(), Some("32768"));
    let (out, back) = (granted(&front.guest), granted(&front.guest));
    out.fill(0, 4096, 0x5a);
    let written = front.ask(&request(1, 77, 8, &[&out]));
    assert_eq!((written.id, written.operation, written.status), (77, 1, 0));
    assert_eq!(front.disk.bytes(4096, 4096), vec![0x5a; 4096]);
    assert_eq!(front.ask(&request(0, 78, 8, &[&back])).status, 0);
    let mut bytes = [0; 4096];
    back.read(0, &mut bytes);
    assert_eq!(bytes, [0x5a; 4096]);
    assert!(
        !back.is_mapped() && !out.is_mapped(),
        "data pages are let go"
    );
    assert_eq!(front.ask(&request(3, 79, 0, &[])).status, 0);
}

#[test]
fn indirect_requests_and_large_rings_work() {
    let mut front = Front::connect(BlkbackConfig::default(), 4);
    assert_eq!(front.back.served().ring_entries, 512);
    let pages: Vec<_> = (0..20).map(|_| granted(&front.guest)).collect();
    let list = granted(&front.guest);
    for (index, page) in pages.iter().enumerate() {
        page.fill(0, 4096, u8::try_from(index).unwrap());
        list.write(index * 8, &segment(page).encode());
    }
    let mut grefs = [0; 8];
    grefs[0] = list.reference().0;
    let answer = front.ask(&Request::Indirect {
        operation: 1,
        handle: 0,
        id: 5,
        sector: 16,
        segments: 20,
        grefs,
    });
    assert_eq!((answer.id, answer.operation, answer.status), (5, 6, 0));
    assert_eq!(front.disk.bytes(8192 + 19 * 4096, 1), [19]);
    assert_eq!(front.back.served().indirect, 1);
}

#[test]
fn what_was_not_offered_or_lies_beyond_the_end_is_refused() {
    let config = BlkbackConfig {
        flush: false,
        read_only: true,
        sectors: 16,
        ..BlkbackConfig::default()
    };
    let mut front = Front::connect(config, 0);
    let page = granted(&front.guest);
    assert_eq!(front.back_key("info").as_deref(), Some("4"));
    assert_eq!(front.ask(&request(3, 1, 0, &[])).status, -2);
    assert_eq!(front.ask(&request(1, 2, 0, &[&page])).status, -1);
    assert_eq!(front.ask(&request(0, 3, 16, &[&page])).status, -1);
    assert_eq!(front.ask(&request(0, 4, 8, &[&page])).status, 0);
}

#[test]
fn a_barrier_divides_what_is_before_from_what_is_after() {
    let config = BlkbackConfig {
        latency: Duration::from_millis(50),
        ..BlkbackConfig::default()
    };
    let mut front = Front::connect(config, 0);
    let page = granted(&front.guest);
    for id in 0..20 {
        let operation = if id == 10 { 2 } else { 0 };
        front.send(&request(operation, id, 0, &[&page]));
    }
    front.world.run_for(SECOND).unwrap();
    let order: Vec<_> = std::iter::from_fn(|| front.answer())
        .map(|r| r.id)
        .collect();
    assert_eq!(order.len(), 20);
    assert_eq!(order[10], 10, "{order:?}");
    assert!(order[..10].iter().all(|id| *id < 10), "{order:?}");
    assert_ne!(
        order[..10],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        "any other order will do"
    );
}

#[test]
fn a_held_backend_answers_nothing_and_detach_gives_up_after_ten_seconds() {
    let mut front = Front::connect(BlkbackConfig::default(), 0);
    let page = granted(&front.guest);
    front.back.set_held(true);
    front.send(&request(0, 1, 0, &[&page]));
    let detach = front.detach(false);
    front.world.run_for(SECOND).unwrap();
    assert_eq!(front.back_key("state").as_deref(), Some("5"));
    assert_eq!(front.back.pending(), 1);
    // The frontend says Closed, but the backend cannot let go of a page that is being read into.
    front.write("state", 6);
    front.world.run_for(8 * SECOND).unwrap();
    assert_eq!(detach.outcome(), None);
    front.world.run_for(2 * SECOND).unwrap();
    assert_eq!(detach.outcome(), Some(Err(DetachError::Timeout)));
    assert!(page.is_mapped());
    front.back.set_held(false);
    front.world.run_for(SECOND).unwrap();
    assert!(!page.is_mapped() && !front.back.is_connected());
    assert_eq!(front.answer().map(|response| response.id), Some(1), "late");
    assert_eq!(front.back_key("state").as_deref(), Some("6"));
}

#[test]
fn a_forced_detach_takes_the_nodes_at_once_and_a_plain_one_when_the_backend_is_closed() {
    for force in [false, true] {
        let front = Front::connect(BlkbackConfig::default(), 0);
        let detach = front.detach(force);
        assert_eq!(front.toolstack.store().exists(&VBD.frontend_path()), !force);
        if !force {
            front.write("state", 6);
        }
        front.world.run_for(SECOND).unwrap();
        assert!(matches!(detach.outcome(), Some(Ok(took)) if took < SECOND));
        assert!(!front.toolstack.store().exists(&VBD.frontend_path()));
        assert!(!front.toolstack.store().exists(&VBD.backend_path()));
        assert_eq!(front.world.usage(ONE).mapped_by_peers, 0);
    }
}

#[test]
fn a_resize_writes_the_sectors_and_the_state_again() {
    let front = Front::connect(BlkbackConfig::default(), 0);
    front.back.resize(64);
    assert_eq!(front.back_key("sectors").as_deref(), Some("64"));
    assert_eq!(front.back_key("state").as_deref(), Some("4"));
}
