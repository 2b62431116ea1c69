//! A vif's link as its user has it: what it may take in a turn, what it asks for, what it shows.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]
#![expect(
    clippy::await_holding_refcell_ref,
    reason = "the link is the waiting task's alone"
)]

use std::cell::{Cell, RefCell};
use std::num::NonZeroU16;
use std::rc::Rc;
use std::time::Duration;

use balloon::{Balloon, plan};
use hv::{DomId, Hypervisor};
use netfront::{Event, Link, Netfront};
use sim::frames::{self, Address};
use sim::netback::{Malice, TxTamper};
use sim::{
    Dom, DomainConfig, Guest, Netback, NetbackConfig, Packet, Toolstack, Vif, VifConfig, World,
};
use smoltcp::phy::{Device, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

const GUEST: DomId = DomId(1);
const HERE: Address = Address {
    mac: [0, 0x16, 0x3e, 0, 1, 0],
    ip: [10, 0, 0, 1],
};
const THERE: Address = Address {
    mac: [2, 0, 0, 0, 0, 2],
    ip: [10, 0, 0, 2],
};

/// A guest with one vif, whose link is the test's.
struct Setting {
    link: Rc<RefCell<Link<Dom>>>,
    netback: Netback,
    guest: Guest,
    toolstack: Toolstack,
    world: World,
}

impl Setting {
    fn new(keys: &VifConfig, config: NetbackConfig, filter: bool) -> Self {
        let world = World::new(5);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, GUEST, DomainConfig::default());
        let netfront = Netfront::start(&guest.pv, &guest.store);
        if filter {
            netfront.filter_multicast();
        }
        let vif = Vif {
            guest: GUEST,
            backend: DomId(0),
            devid: 0,
        };
        let netback = Netback::attach(&world, &toolstack, vif, keys, config);
        let event = guest.run(&world, async move { netfront.event().await });
        let Ok(Event::Up(link)) = event else {
            panic!("it does not come up");
        };
        Self {
            link: Rc::new(RefCell::new(link)),
            netback,
            guest,
            toolstack,
            world,
        }
    }

    fn run(&self) {
        self.world.run_for(Duration::from_millis(50)).unwrap();
    }

    fn deliver(&self, count: u16) {
        for number in 0..count {
            let frame = frames::udp((THERE, 1), (HERE, 2), &number.to_be_bytes());
            self.netback.deliver(Packet::new(frame));
        }
    }

    fn send(&self, frame: &[u8]) {
        let mut link = self.link.borrow_mut();
        let token = link.transmit(Instant::from_millis(0)).unwrap();
        token.consume(frame.len(), |room| room.copy_from_slice(frame));
    }
}

fn take_all(link: &mut Link<Dom>) -> usize {
    let mut count = 0;
    while let Some((frame, _)) = link.receive(Instant::from_millis(0)) {
        frame.consume(|_| ());
        count += 1;
    }
    count
}

#[test]
fn c05_a_flood_takes_its_share_of_a_turn_and_no_more() {
    let setting = Setting::new(&VifConfig::default(), NetbackConfig::default(), false);
    setting.deliver(1000);
    setting.run();
    // Somebody else's turns pass meanwhile.
    let (exec, link) = (setting.guest.pv.exec.clone(), setting.link.clone());
    let taken = Rc::new(RefCell::new(Vec::new()));
    let shares = taken.clone();
    setting.guest.pv.exec.spawn("user", async move {
        loop {
            link.borrow().changed().await;
            let before = exec.turns();
            let mut count = take_all(&mut link.borrow_mut());
            // Not even who asks again gets more in the same turn.
            count += take_all(&mut link.borrow_mut());
            assert_eq!(exec.turns(), before);
            shares.borrow_mut().push((before, count));
        }
    });
    setting.world.wake_domain(GUEST);
    setting.world.run_for(Duration::from_secs(1)).unwrap();
    let shares = taken.borrow();
    let total: usize = shares.iter().map(|(_, count)| count).sum();
    assert_eq!(total, 1000);
    assert!(shares.iter().all(|(_, count)| *count <= 64), "{shares:?}");
    assert!(
        shares.windows(2).all(|two| two[0].0 < two[1].0),
        "{shares:?}"
    );
}

#[test]
fn a_link_that_is_gone_says_so_once_a_turn() {
    let setting = Setting::new(&VifConfig::default(), NetbackConfig::default(), false);
    setting.netback.crash();
    setting.netback.write_key("state", "6");
    setting.run();
    assert!(setting.link.borrow().is_gone());
    let (count, link) = (Rc::new(Cell::new(0)), setting.link.clone());
    let exec = setting.guest.pv.exec.clone();
    let told = count.clone();
    let done = setting.guest.run(&setting.world, async move {
        let before = exec.turns();
        for _ in 0..10 {
            link.borrow().changed().await;
            told.set(told.get() + 1);
        }
        exec.turns() - before
    });
    assert!(done.unwrap() >= 9 && count.get() == 10);
    // What is sent is lost, and nothing else.
    let mut link = setting.link.borrow_mut();
    assert!(link.transmit(Instant::from_millis(0)).is_none());
    assert_eq!(take_all(&mut link), 0);
}

#[test]
fn multicast_addresses_are_asked_for_and_given_up() {
    let setting = Setting::new(&VifConfig::default(), NetbackConfig::default(), true);
    let (one, two, three) = ([0x33, 0x33, 0, 0, 0, 1], [1, 0, 0x5e, 0, 0, 251], [1; 6]);
    assert!(setting.link.borrow().filters_multicast());
    setting.link.borrow_mut().set_multicast(&[one, two]);
    setting.run();
    let known = || {
        let mut known = setting.netback.multicast();
        known.sort_unstable();
        known
    };
    assert_eq!(known(), [two, one]);
    setting.link.borrow_mut().set_multicast(&[three, one]);
    setting.run();
    assert_eq!(known(), [three, one]);
    assert_eq!(setting.netback.complaints(), Vec::<String>::new());
    // The answers are understood: packets go on.
    let frame = frames::udp((HERE, 1), (THERE, 2), b"abc");
    setting.send(&frame);
    setting.run();
    assert_eq!(setting.netback.take_sent().len(), 1);
    assert!(!setting.link.borrow().is_gone());
}

#[test]
fn f07_who_is_not_trusted_sees_the_bytes_of_packets_and_no_others() {
    for trusted in [false, true] {
        let keys = VifConfig {
            trusted,
            ..VifConfig::default()
        };
        let config = NetbackConfig {
            malice: Malice {
                spy: true,
                ..Malice::default()
            },
            ..NetbackConfig::default()
        };
        let setting = Setting::new(&keys, config, false);
        let data = [0xaa; 1400];
        setting.send(&frames::udp((HERE, 1), (THERE, 2), &data));
        setting.run();
        setting.send(&frames::udp((HERE, 1), (THERE, 2), b"abc"));
        setting.run();
        let seen = setting.netback.spied().contains(&0xaa);
        assert_eq!(seen, trusted, "the test sees what there is to see");
    }
}

#[test]
fn f07_headers_are_zero_before_they_are_written() {
    let setting = Setting::new(&VifConfig::default(), NetbackConfig::default(), false);
    setting.send(&frames::udp((HERE, 1), (THERE, 2), &[0xaa; 1400]));
    setting.run();
    // As smoltcp writes what an ICMP message has no use for: not at all.
    let mut link = setting.link.borrow_mut();
    let token = link.transmit(Instant::from_millis(0)).unwrap();
    token.consume(1000, |room| {
        assert!(room[..128].iter().all(|byte| *byte == 0));
        assert!(room[128..].contains(&0xaa), "it is the same room");
    });
}

#[test]
fn f21_who_takes_nothing_more_is_still_received_from() {
    let config = NetbackConfig {
        malice: Malice {
            all_sent: Some(TxTamper::Lost),
            ..Malice::default()
        },
        ..NetbackConfig::default()
    };
    let setting = Setting::new(&VifConfig::default(), config, false);
    let frame = frames::udp((HERE, 1), (THERE, 2), b"abc");
    let mut sent = 0;
    while let Some(token) = setting.link.borrow_mut().transmit(Instant::from_millis(0)) {
        token.consume(frame.len(), |room| room.copy_from_slice(&frame));
        sent += 1;
    }
    setting.run();
    setting.deliver(300);
    let (link, answer) = (setting.link.clone(), frame);
    let taken = setting.guest.run(&setting.world, async move {
        let mut taken = 0;
        while taken < 300 {
            link.borrow().changed().await;
            let mut link = link.borrow_mut();
            while let Some((_, token)) = link.receive(Instant::from_millis(0)) {
                token.consume(answer.len(), |room| room.copy_from_slice(&answer));
                taken += 1;
            }
        }
        taken
    });
    assert_eq!(taken.unwrap(), 300);
    // Some answers find slots that are too few for a long packet; all others are dropped.
    let counted = setting.link.borrow().counters().sent;
    assert_eq!(counted.packets + counted.drops, sent + 300);
    assert!(counted.drops >= 250, "{counted:?}");
}

#[test]
fn multicast_addresses_too_many_are_no_lost_packets() {
    let setting = Setting::new(&VifConfig::default(), NetbackConfig::default(), true);
    let all: Vec<_> = (0..70).map(|number| [1, 0, 0x5e, 0, 0, number]).collect();
    setting.link.borrow_mut().set_multicast(&all);
    setting.run();
    setting.send(&frames::udp((HERE, 1), (THERE, 2), b"abc"));
    setting.run();
    assert!(
        setting
            .link
            .borrow_mut()
            .transmit(Instant::from_millis(0))
            .is_some()
    );
    assert_eq!(setting.netback.multicast().len(), 64);
    let sent = setting.link.borrow().counters().sent;
    assert_eq!((sent.packets, sent.errors), (1, 0));
}

#[test]
fn frames_that_do_not_fit_this_connection_are_dropped() {
    let config = NetbackConfig {
        sg: false,
        ..NetbackConfig::default()
    };
    let setting = Setting::new(&VifConfig::default(), config, false);
    // As an interface made over a former connection would send them.
    let long = frames::tcp((HERE, 1), (THERE, 2), 7, &[0; 1600]);
    setting.send(&long);
    setting.send(&long[..1514]);
    setting.run();
    assert_eq!(setting.netback.take_sent().len(), 1);
    let sent = setting.link.borrow().counters().sent;
    assert_eq!((sent.packets, sent.drops), (1, 1));
    assert_eq!(setting.netback.complaints(), Vec::<String>::new());
}

#[test]
fn long_packets_wait_for_their_pages_and_short_answers_do_not() {
    let setting = Setting::new(&VifConfig::default(), NetbackConfig::default(), false);
    let long = frames::tcp((HERE, 1), (THERE, 2), 7, &[3; 60_000]);
    let mut sent = 0;
    for _ in 0..5 {
        // The backend takes nothing meanwhile: it has no turn.
        let mut round = 0;
        while let Some(mut token) = setting.link.borrow_mut().transmit(Instant::from_millis(0)) {
            let mut meta = PacketMeta::default();
            meta.segmentation_offload_size = NonZeroU16::new(1400);
            token.set_meta(meta);
            token.consume(long.len(), |room| room.copy_from_slice(&long));
            round += 1;
            assert!(round < 16, "long packets take a share of memory");
        }
        assert!(round > 0);
        sent += round;
        // What comes is received all the same.
        setting.deliver(3);
        let link = setting.link.clone();
        let taken = setting.guest.run(&setting.world, async move {
            let mut taken = 0;
            while taken < 3
                || link
                    .borrow_mut()
                    .transmit(Instant::from_millis(0))
                    .is_none()
            {
                link.borrow().changed().await;
                taken += take_all(&mut link.borrow_mut());
            }
            taken
        });
        assert_eq!(taken.unwrap(), 3);
    }
    setting.run();
    let served = setting.netback.served();
    assert_eq!((served.sent_gso, served.tx_errors), (sent, 0));
    assert_eq!(setting.netback.complaints(), Vec::<String>::new());
}

#[test]
fn the_pages_of_an_idle_link_give_way_before_a_target_is_refused() {
    let setting = Setting::new(&VifConfig::default(), NetbackConfig::default(), false);
    let Setting { guest, world, .. } = &setting;
    let _balloon = Balloon::start(&guest.pv, &guest.store);
    let granted = || guest.pv.grants.usage().granted;
    let frame = frames::udp((HERE, 1), (THERE, 2), &[7; 1000]);
    let burst = || {
        for _ in 0..100 {
            setting.send(&frame);
        }
        setting.run();
        granted()
    };
    let many = burst();
    // Nobody looks at the link, not even at the answers to what it has sent.
    let target = plan::floor(&guest.dom.memory_use()) - 80 * 8 / 7;
    setting.toolstack.set_memory(GUEST, target * 4);
    let so = world.run_until(
        |_| world.reservation(GUEST) == target,
        Duration::from_secs(120),
    );
    so.unwrap();
    assert!(granted() + 80 <= many, "{} and {many}", granted());
    assert_eq!(guest.log_lines("refused"), 0);
    setting.run();
    assert_eq!(burst(), many);
    assert_eq!(setting.netback.take_sent().len(), 200);
}
