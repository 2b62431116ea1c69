//! Disks that a domain gets from one domain and serves to another: s46.

use std::time::Duration;

use geom::Errno;
use hv::{Access, DomId, SharedMem};
use pv::Pv;
use sim::blkback::request::{ERROR, OKAY, READ, Segment, WRITE};
use sim::exports::DRIVER;
use sim::frontend::{Abi, Ask, whole};
use sim::scene::pattern;
use sim::storage::{Pending, XVDA};
use sim::{DomainConfig, Exports, Frontend, Guest, Rng, Vbd};

const SECOND: Duration = Duration::from_secs(1);
/// Who serves what it was served.
const MIDDLE: u16 = 20;
const CLIENT: u16 = 30;

/// The driver domain serves `ram0` to the middle, which serves it to the client.
struct Chain {
    exports: Exports,
    middle: Option<Guest>,
    client: Option<Guest>,
}

const LOWER: Vbd = Vbd {
    guest: DomId(MIDDLE),
    backend: DRIVER,
    devid: XVDA,
};
const UPPER: Vbd = Vbd {
    guest: DomId(CLIENT),
    backend: DomId(MIDDLE),
    devid: XVDA,
};

impl Chain {
    fn new(seed: u64) -> Self {
        let exports = Exports::new(seed);
        let (world, toolstack) = (&exports.world, &exports.toolstack);
        let config = DomainConfig::default();
        let middle = Guest::with_exports(world, toolstack, DomId(MIDDLE), config);
        let client = exports.guest(CLIENT);
        let chain = Self {
            exports,
            middle: Some(middle),
            client: Some(client),
        };
        chain.exports.run_for(SECOND);
        chain
    }

    fn attach(&self) {
        self.exports.attach(&LOWER, "ram0");
        self.exports.attach(&UPPER, "xbd0");
        self.exports.until("the client has its disk", || {
            let client = self.client();
            client.geom.provider("xbd0").is_some() && client.geom.is_settled()
        });
    }

    fn client(&self) -> &Guest {
        self.client.as_ref().expect("the client lives")
    }

    /// Requests of the client, for which the disk takes its time.
    fn busy(&self) -> Vec<Pending> {
        self.exports.disk.set_latency(Duration::from_millis(2));
        let (exports, client) = (&self.exports, self.client());
        let begin = |index: u64| match index % 2 {
            0 => exports.begin_read(client, index << 14, 1 << 14),
            _ => exports.begin_write(client, index << 14, vec![7; 1 << 14]),
        };
        (0..20).map(begin).collect()
    }

    /// One of the ways in which a part of the chain goes.
    fn tear(&mut self, way: usize) {
        let toolstack = &self.exports.toolstack;
        match way {
            0 => drop(toolstack.detach(&UPPER, false)),
            1 => drop(toolstack.detach(&UPPER, true)),
            2 => drop(toolstack.detach(&LOWER, false)),
            3 => drop(toolstack.detach(&LOWER, true)),
            4 => self.exports.disk.pull(),
            5 => {
                toolstack.destroy_domain(DomId(CLIENT));
                self.client = None;
                drop(self.exports.toolstack.detach(&UPPER, true));
            }
            _ => {
                toolstack.destroy_domain(DomId(MIDDLE));
                self.middle = None;
                drop(self.exports.toolstack.detach(&UPPER, true));
                drop(self.exports.toolstack.detach(&LOWER, true));
            }
        }
    }

    /// Every request has ended, and everybody who lives holds nothing any more.
    fn is_over(&self, pending: &[Pending], way: &str) {
        let exports = &self.exports;
        exports.run_for(150 * SECOND);
        if let Some(client) = &self.client {
            let ended = pending.iter().all(|one| one.outcome().is_some());
            assert!(ended, "{way}: a request never ended");
            let counters = client.geom.counters();
            assert_eq!(counters.disks_created, counters.disks_gone, "{way}");
            assert_eq!(counters.requests, 0, "{way}");
            assert_eq!(client.pv.grants.usage().parked, 0, "{way}");
        }
        for guest in [&self.middle, &self.client].into_iter().flatten() {
            let usage = exports.world.usage(guest.dom.id());
            assert_eq!((usage.mappings, usage.mapped_by_peers), (0, 0), "{way}");
            assert!(guest.geom.counters().dropped_bios == 0, "{way}");
        }
        assert_eq!(exports.world.usage(DRIVER).mappings, 0, "{way}");
        let left = exports
            .driver
            .blkback
            .as_ref()
            .map(|one| one.exports().len());
        assert_eq!(left, Some(0), "{way}");
    }
}

#[test]
fn what_the_last_one_writes_is_on_the_first_one_s_disk() {
    let chain = Chain::new(1);
    chain.exports.disk.put(0, &pattern(3, 1 << 20));
    chain.attach();
    let (exports, client) = (&chain.exports, chain.client());
    let read = exports.read(client, 0, 1 << 20);
    assert!(read == Ok(pattern(3, 1 << 20)));
    let bytes = pattern(9, 1 << 19);
    assert_eq!(exports.write(client, 1 << 18, &bytes), Ok(()));
    assert!(exports.disk.bytes(1 << 18, 1 << 19) == bytes);
    exports.disk.resize(1 << 19);
    exports.until("the new size is passed on twice", || {
        client
            .geom
            .provider("xbd0")
            .is_some_and(|xbd0| xbd0.media_size == 1 << 19)
    });
}

#[test]
fn s46_a_chain_is_torn_down_in_every_order() {
    for first in 0..7 {
        for second in 0..7 {
            let seed = (first * 7 + second) as u64;
            let way = format!("{first} {second}");
            let mut chain = Chain::new(seed);
            chain.attach();
            let pending = chain.busy();
            let rng = Rng::new(seed);
            chain
                .exports
                .run_for(Duration::from_micros(rng.below(4000)));
            for step in [first, second] {
                // Who is gone cannot be destroyed again.
                let gone = match step {
                    5 => chain.client.is_none(),
                    6 => chain.middle.is_none(),
                    _ => false,
                };
                if !gone {
                    chain.tear(step);
                }
                chain
                    .exports
                    .run_for(Duration::from_micros(rng.below(4000)));
            }
            // The rest goes in the end, by force.
            chain.exports.run_for(30 * SECOND);
            chain.tear(1);
            chain.exports.run_for(30 * SECOND);
            chain.tear(3);
            chain.is_over(&pending, &way);
        }
    }
}

#[test]
fn s46_a_chain_goes_and_comes_again_and_again() {
    let long = std::env::var_os("XENOLITH_LONG").is_some();
    let chain = Chain::new(46);
    let mut holdings = None;
    for round in 0..if long { 1000 } else { 30 } {
        chain.attach();
        let (exports, client) = (&chain.exports, chain.client());
        let bytes = pattern(round, 4096);
        assert_eq!(exports.write(client, 0, &bytes), Ok(()), "{round}");
        assert!(exports.disk.bytes(0, 4096) == bytes);
        let vbds = if round % 2 == 0 {
            [LOWER, UPPER]
        } else {
            [UPPER, LOWER]
        };
        let detaches = vbds.map(|vbd| exports.toolstack.detach(&vbd, round % 3 == 0));
        detaches.iter().for_each(|detach| exports.detached(detach));
        exports.run_for(70 * SECOND);
        let middle = chain.middle.as_ref().expect("it lives");
        let held = [middle, &exports.driver, client].map(|g| g.holdings(&exports.toolstack));
        if round > 1 {
            assert_eq!(*holdings.get_or_insert(held), held, "round {round}");
        }
    }
}

/// The middle serves its disk to two frontends driven by hand.
fn two_clients(chain: &Chain) -> [Frontend; 2] {
    let exports = &chain.exports;
    exports.attach(&LOWER, "ram0");
    let peers = [40, 41].map(|id| {
        let config = DomainConfig::default();
        let dom = exports.toolstack.create_domain(DomId(id), "peer", config);
        let vbd = Vbd {
            guest: DomId(id),
            ..UPPER
        };
        exports.toolstack.create_vbd_of(&vbd, "xbd0", "w!");
        Frontend::new(&exports.toolstack, &Pv::new(dom), vbd, Abi::X86_64)
    });
    peers.iter().for_each(|peer| exports.connect(peer));
    peers
}

/// Has a peer ask for one thing; the answer's status.
fn ask(chain: &Chain, peer: &Frontend, ask: &Ask) -> i16 {
    let ring = peer.ring();
    ring.submit(ask);
    chain.exports.until("the answer", || ring.answered() == 1);
    ring.take().expect("an answer").status
}

#[test]
fn b04_a_write_from_a_page_that_is_not_there_writes_nobody_else_s_bytes() {
    let chain = Chain::new(4);
    let [one, other] = two_clients(&chain);
    let secret = one.page(Access::ReadOnly, 0x5e);
    assert_eq!(
        ask(&chain, &one, &Ask::new(WRITE, 1, 0, &[whole(&secret)])),
        OKAY
    );
    let nowhere = Segment {
        page: hv::GrantRef(4000),
        first: 0,
        last: 7,
    };
    let page = other.page(Access::ReadOnly, 0x77);
    for segments in [vec![nowhere], vec![nowhere; 3], vec![whole(&page), nowhere]] {
        let write = Ask::new(WRITE, 2, 64, &segments);
        assert_eq!(ask(&chain, &other, &write), ERROR);
    }
    let there = chain.exports.disk.bytes(64 * 512, 3 * 4096);
    assert!(!there.contains(&0x5e), "another client's bytes");
}

#[test]
fn b10_a_write_whose_frontend_has_left_writes_nobody_else_s_bytes() {
    let chain = Chain::new(10);
    let [one, other] = two_clients(&chain);
    let exports = &chain.exports;
    let pages: Vec<_> = (0..11).map(|_| one.page(Access::ReadOnly, 0x5e)).collect();
    let secret: Vec<_> = pages.iter().map(whole).collect();
    let page = other.page(Access::ReadOnly, 0x77);
    // The middle's own ring to the driver domain is full: what the other asks for waits behind.
    exports.disk.set_held(true);
    let ring = one.ring();
    for id in 0..32 {
        ring.put(&Ask::new(WRITE, id, 0, &secret));
    }
    ring.publish();
    ring.notify();
    exports.run_for(SECOND);
    let ring = other.ring();
    for id in 0..32 {
        ring.put(&Ask::new(WRITE, id, 1024, &[whole(&page); 11]));
    }
    ring.publish();
    ring.notify();
    exports.run_for(SECOND);
    other.set_state(6);
    exports.until("the export is Closed", || other.backend_state() == Some(6));
    exports.disk.set_held(false);
    exports.run_for(SECOND);
    assert_eq!(exports.disk.bytes(0, 4096), [0x5e; 4096]);
    let there = exports.disk.bytes(1024 * 512, 11 * 4096);
    assert!(!there.contains(&0x5e), "another client's bytes");
}

#[test]
fn what_the_middle_serves_fails_when_what_it_is_served_fails() {
    let chain = Chain::new(5);
    let [one, _other] = two_clients(&chain);
    let page = one.page(Access::ReadWrite, 0xee);
    chain.exports.disk.fail(Some(Errno::Io));
    for operation in [READ, WRITE] {
        assert_eq!(
            ask(&chain, &one, &Ask::new(operation, 1, 0, &[whole(&page)])),
            ERROR
        );
    }
    chain.exports.disk.fail(None);
    chain.exports.disk.put(0, &pattern(4, 4096));
    assert_eq!(
        ask(&chain, &one, &Ask::new(READ, 1, 0, &[whole(&page)])),
        OKAY
    );
    let mut bytes = [0; 4096];
    page.read(0, &mut bytes);
    assert!(bytes[..] == pattern(4, 4096)[..]);
}
