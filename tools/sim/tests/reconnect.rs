//! The shipped xenstore client when its connection breaks: case F24, with a daemon that the test
//! plays on the ring page until the simulated one takes over.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hv::{DomId, Hypervisor, Port, SharedMem};
use pv::Pv;
use sim::xenstored::Permission;
use sim::{Dom, DomainConfig, Memory, World, Xenstored};
use xenbus::{ProtocolError, Store, StoreError};

const ONE: DomId = DomId(1);
const DOM0: DomId = DomId(0);
const SECOND: Duration = Duration::from_secs(1);

// struct xenstore_domain_interface
const RSP: usize = 1024;
const INDICES: [usize; 4] = [2048, 2052, 2056, 2060];
const RSP_PROD: usize = 2060;
const SERVER_FEATURES: usize = 2064;
const CONNECTION: usize = 2068;
const ERROR: usize = 2072;
const RECONNECTION: u32 = 1;
const ERROR_FIELD: u32 = 2;

type Answer = Rc<RefCell<Option<Result<String, StoreError>>>>;

struct Setting {
    world: World,
    daemon: Xenstored,
    page: Memory,
    port: Port,
    pv: Pv<Dom>,
    store: Store,
}

impl Setting {
    fn new(seed: u64, features: u32) -> Self {
        let world = World::new(seed);
        let daemon = Xenstored::start(&world);
        let home = "/local/domain/1";
        daemon.write(home, "");
        let entries = [(DOM0, 'n'), (ONE, 'r')].map(|(dom, letter)| Permission { dom, letter });
        daemon.set_permissions(home, &entries);
        daemon.write(&format!("{home}/domid"), "1");
        let dom = world.create_domain(ONE, DomainConfig::default());
        let (page, remote) = world.xenstore_ring_of(ONE, DOM0);
        page.store_u32(SERVER_FEATURES, features);
        let port = world.evtchn_bind_interdomain(DOM0, ONE, remote).unwrap();
        let pv = Pv::new(dom.clone());
        let store = Store::start(&pv);
        let running = pv.clone();
        world.run_domain(&dom, move || {
            running.events.dispatch();
            running.exec.turn(running.hv.now());
            running.exec.next_deadline()
        });
        Self {
            world,
            daemon,
            page,
            port,
            pv,
            store,
        }
    }

    fn read(&self) -> Answer {
        let (answer, store) = (Answer::default(), self.store.clone());
        let slot = answer.clone();
        self.pv.exec.spawn("reader", async move {
            let value = store.read("domid").await;
            *slot.borrow_mut() = Some(value);
        });
        self.run(Duration::from_millis(10));
        answer
    }

    fn run(&self, time: Duration) {
        self.world.wake_domain(ONE);
        self.world.run_for(time).unwrap();
    }

    fn kick(&self) {
        self.world.evtchn_send(DOM0, self.port).unwrap();
        self.run(Duration::from_millis(10));
    }

    /// The header of a message that is far too long.
    fn say_nonsense(&self) {
        let produced = self.page.load_u32(RSP_PROD);
        for index in 0..16 {
            let at = RSP + (produced.wrapping_add(index) % 1024) as usize;
            self.page.write(at, &[0xff]);
        }
        self.page.store_u32(RSP_PROD, produced.wrapping_add(16));
        self.kick();
    }

    /// What the daemon does when a guest asks for a new connection.
    fn make_another(&self) {
        for index in INDICES {
            self.page.store_u32(index, 0);
        }
        self.page.store_u32(CONNECTION, 0);
        self.kick();
    }

    /// Lets the simulated daemon serve the page from now on.
    fn hand_over(&self) {
        self.world.evtchn_close(DOM0, self.port).unwrap();
        self.daemon.introduce(ONE);
        self.run(SECOND);
    }
}

#[test]
fn f24_a_broken_connection_is_made_anew_and_requests_and_watches_repeated() {
    let setting = Setting::new(1, RECONNECTION);
    let answer = setting.read();
    let store = setting.store.clone();
    let watched = Rc::new(RefCell::new(0));
    let count = watched.clone();
    setting.pv.exec.spawn("watcher", async move {
        let watch = store.watch("domid").await.unwrap();
        while watch.changed().await.is_ok() {
            *count.borrow_mut() += 1;
        }
    });
    setting.say_nonsense();
    assert_eq!(
        setting.page.load_u32(CONNECTION),
        1,
        "a new connection is asked for"
    );
    assert_eq!(*answer.borrow(), None);
    setting.make_another();
    setting.hand_over();
    assert_eq!(*answer.borrow(), Some(Ok("1".into())));
    assert_eq!(*watched.borrow(), 1);
    setting.daemon.write("/local/domain/1/domid", "1");
    setting.run(SECOND);
    assert_eq!(*watched.borrow(), 2);
    assert_eq!(setting.store.usage().reconnects, 1);
}

#[test]
fn f24_a_daemon_that_cannot_reconnect_fails_the_store_and_nothing_else() {
    let setting = Setting::new(2, 0);
    let answer = setting.read();
    setting.say_nonsense();
    let lost = StoreError::Lost(ProtocolError::TooLong { length: u32::MAX });
    assert_eq!(*answer.borrow(), Some(Err(lost)));
    // Whoever asks later is told at once, and the domain lives.
    assert_eq!(*setting.read().borrow(), Some(Err(lost)));
    assert_eq!(setting.world.ended(ONE), None);
}

#[test]
fn f24_a_reconnect_that_never_comes_is_waited_for_ten_seconds() {
    let setting = Setting::new(3, RECONNECTION);
    let answer = setting.read();
    setting.say_nonsense();
    setting.run(9 * SECOND);
    assert_eq!(*answer.borrow(), None);
    setting.run(2 * SECOND);
    assert!(matches!(*answer.borrow(), Some(Err(StoreError::Lost(_)))));
}

#[test]
fn f24_a_daemon_that_always_breaks_is_given_up() {
    let setting = Setting::new(4, RECONNECTION);
    let answer = setting.read();
    let mut connections = 0;
    while answer.borrow().is_none() {
        setting.say_nonsense();
        setting.make_another();
        connections += 1;
        assert!(connections < 100, "it goes on for ever");
    }
    assert!(matches!(*answer.borrow(), Some(Err(StoreError::Lost(_)))));
    assert_eq!(setting.store.usage().reconnects, 8);
}

#[test]
fn f24_the_daemon_reports_an_error_of_its_own() {
    let setting = Setting::new(5, RECONNECTION | ERROR_FIELD);
    let answer = setting.read();
    setting.page.store_u32(ERROR, 3);
    setting.kick();
    assert_eq!(setting.page.load_u32(CONNECTION), 1);
    setting.make_another();
    setting.hand_over();
    assert_eq!(*answer.borrow(), Some(Ok("1".into())));
}

#[test]
fn f24_the_daemon_starts_anew_by_itself() {
    let setting = Setting::new(6, RECONNECTION);
    let answer = setting.read();
    setting.page.store_u32(CONNECTION, 1);
    setting.kick();
    assert_eq!(*answer.borrow(), None);
    setting.make_another();
    setting.hand_over();
    assert_eq!(*answer.borrow(), Some(Ok("1".into())));
}

#[test]
fn f24_indices_that_cannot_be_true_break_the_connection_alone() {
    for produced in [1025, 4096, u32::MAX] {
        let setting = Setting::new(7, RECONNECTION);
        let answer = setting.read();
        setting.page.store_u32(RSP_PROD, produced);
        setting.kick();
        setting.make_another();
        setting.hand_over();
        assert_eq!(*answer.borrow(), Some(Ok("1".into())), "{produced}");
    }
}

#[test]
fn c05_a_storm_of_events_without_bytes_backs_off() {
    let setting = Setting::new(8, 0);
    setting.run(SECOND);
    let before = setting.pv.exec.polls();
    for _ in 0..10_000 {
        setting.world.evtchn_send(DOM0, setting.port).unwrap();
        setting.world.run_for(Duration::from_micros(50)).unwrap();
    }
    let polls = setting.pv.exec.polls() - before;
    assert!(
        polls < 1000,
        "{polls} polls for 10000 events in half a second"
    );
}
