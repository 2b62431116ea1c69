//! A good client of a driver domain beside one that is up to something: the good one must not
//! notice, and what the other leaves behind is nothing.

use std::cell::Cell;
use std::time::Duration;

use hv::Access;

use crate::blkback::request::{OKAY, READ};
use crate::frontend::{Abi, Answer, Ask, Frontend, bytes, whole};
use crate::guest::Holdings;
use crate::scene::pattern;
use crate::{Exports, Guest, RamConfig, RamDisk};

/// The client that is up to something.
const PEER: u16 = 2;
/// Lines that one hostile act may add to the driver domain's log, and many of them in ten seconds.
const LINES: u64 = 24;

/// The good client's `xbd0` is over `ram1`, the other's vbd over `ram0`.
pub struct Neighbours {
    /// The machine.
    pub exports: Exports,
    /// The good client.
    pub good: Guest,
    /// What is on its disk.
    pub bytes: Vec<u8>,
    /// The good client's disk.
    pub other_disk: RamDisk,
    /// The other client: nothing but its nodes is there yet.
    pub peer: Frontend,
    before: Holdings,
    lines: Cell<u64>,
}

impl Neighbours {
    /// The good client is connected, the other is about to be.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, RamConfig::default(), Abi::X86_64)
    }

    /// The same with another disk for the one that is up to something, and another layout.
    #[must_use]
    pub fn with(seed: u64, config: RamConfig, abi: Abi) -> Self {
        let exports = Exports::with(seed, config);
        let bytes = pattern(1, 1 << 16);
        let small = RamConfig {
            size: 1 << 18,
            ..RamConfig::default()
        };
        let other_disk = RamDisk::create(&exports.driver, 1, small);
        other_disk.put(0, &bytes);
        let good = exports.guest(1);
        exports.attach(&Exports::xvda(1), "ram1");
        exports.until("the good client has its disk", || {
            good.geom.provider("xbd0").is_some() && good.geom.is_settled()
        });
        // What it reads over and over stays mapped from the first time on.
        let read = exports.read(&good, 0, bytes.len());
        assert!(read.as_ref() == Ok(&bytes), "the good client's disk");
        exports.run_for(Duration::from_secs(30));
        let before = exports.driver.holdings(&exports.toolstack);
        let lines = Cell::new(lines(&exports.driver));
        let peer = exports.peer_with(PEER, "ram0", abi);
        Self {
            exports,
            good,
            bytes,
            other_disk,
            peer,
            before,
            lines,
        }
    }

    /// The same, and the other one is connected as an honest frontend is.
    #[must_use]
    pub fn connected(seed: u64) -> Self {
        let scene = Self::new(seed);
        scene.connect();
        scene
    }

    /// Connects the other one as an honest frontend.
    pub fn connect(&self) {
        self.exports.connect(&self.peer);
    }

    /// Has the peer ask for one thing, and waits for the answer.
    ///
    /// # Panics
    /// If none comes.
    #[must_use]
    pub fn ask(&self, ask: &Ask) -> Answer {
        let ring = self.peer.ring();
        ring.submit(ask);
        self.until_answered(1);
        ring.take().expect("an answer is there")
    }

    /// What the peer asks for is answered with `status` and changes nothing, and the peer is served
    /// afterwards as ever.
    ///
    /// # Panics
    /// If it is not so.
    pub fn is_refused(&self, ask: &Ask, status: i16) {
        let disk = &self.exports.disk;
        let before = disk.bytes(0, disk.size());
        let answer = self.ask(ask);
        assert_eq!(
            (Some(answer.id), answer.status),
            (ask.id(), status),
            "{ask:?}"
        );
        assert!(
            disk.bytes(0, disk.size()) == before,
            "{ask:?} changed the disk"
        );
        self.peer_is_served();
    }

    /// The peer reads as an honest frontend does, and finds what is on the disk: the ring is in
    /// step.
    ///
    /// # Panics
    /// If it does not.
    pub fn peer_is_served(&self) {
        let page = self.peer.page(Access::ReadWrite, 0xee);
        let answer = self.ask(&Ask::new(READ, 0x5e7, 8, &[whole(&page)]));
        let (id, operation, status) = (answer.id, answer.operation, answer.status);
        assert_eq!((id, operation, status), (0x5e7, READ, OKAY));
        assert!(bytes(&page) == self.exports.disk.bytes(4096, 4096));
    }

    /// Waits until the peer's first ring has `count` answers.
    pub fn until_answered(&self, count: u32) {
        let ring = self.peer.ring();
        self.exports
            .until("the answers are there", || ring.answered() >= count);
    }

    /// The good client reads, and finds what it should.
    ///
    /// # Panics
    /// If it does not.
    pub fn good_client_goes_on(&self) {
        let read = self.exports.read(&self.good, 0, self.bytes.len());
        assert!(read.as_ref() == Ok(&self.bytes), "the good client's disk");
        assert!(self.good.geom.provider("xbd0").is_some());
    }

    /// The peer's export has failed alone: it is Closed, says why, and little of it.
    ///
    /// # Panics
    /// If it is not so.
    pub fn has_failed_alone(&self, why: &str) {
        let peer = &self.peer;
        self.exports.until("the export is Closed", || {
            matches!(peer.backend_state(), Some(6) | None)
        });
        let text = peer.backend("hotplug-error").unwrap_or_default();
        let log = self.exports.driver.log().join("\n");
        assert!(text.contains(why), "{text:?} does not say {why:?}\n{log}");
        self.is_as_before();
    }

    /// The peer's device is taken away, and everything is as it was before the peer came.
    ///
    /// # Panics
    /// If it is not so.
    pub fn is_as_before(&self) {
        self.good_client_goes_on();
        let exports = &self.exports;
        let detach = exports.toolstack.detach(self.peer.vbd(), true);
        exports.detached(&detach);
        self.peer.drop_rings();
        exports.run_for(Duration::from_secs(5));
        self.good_client_goes_on();
        let after = exports.driver.holdings(&exports.toolstack);
        let log = exports.driver.log().join("\n");
        assert_eq!(after, self.before, "{log}");
        self.has_logged_little();
    }

    /// The driver domain has logged little since the peer came, or since this was asked last.
    ///
    /// # Panics
    /// If it is not so.
    pub fn has_logged_little(&self) {
        let driver = &self.exports.driver;
        let now = lines(driver);
        let said = now - self.lines.replace(now);
        assert!(said <= LINES, "{said} lines\n{}", driver.log().join("\n"));
    }
}

/// How many lines a guest has ever logged.
fn lines(guest: &Guest) -> u64 {
    let last = guest.pv.log.lines_from(0).last();
    last.map_or(0, |line| line.number + 1)
}
