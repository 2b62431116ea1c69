//! The simulated network backend itself, against a frontend that the test drives by hand: it does
//! what Linux's does, so that what it says of the shipped frontend can be believed.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::time::Duration;

use hv::{Access, DomId};
use sim::frames::{self, Address};
use sim::layout::netif;
use sim::netback::slot::{Extra, RxResponse};
use sim::netback::{Checksum, Gso, checksum};
use sim::{
    DomainConfig, Guest, NetPeer, Netback, NetbackConfig, Packet, Switch, SwitchConfig, Toolstack,
    Vif, VifConfig, World,
};

const GUEST: DomId = DomId(1);
const HERE: Address = Address {
    mac: [0, 0x16, 0x3e, 0, 1, 0],
    ip: [10, 0, 0, 1],
};
const THERE: Address = Address {
    mac: [2, 0, 0, 0, 0, 2],
    ip: [10, 0, 0, 2],
};

struct Setting {
    peer: NetPeer,
    netback: Netback,
    toolstack: Toolstack,
    vif: Vif,
    guest: Guest,
    world: World,
}

impl Setting {
    fn new(seed: u64, config: NetbackConfig) -> Self {
        Self::publishing(seed, config, &[])
    }

    /// One whose faults are no broken laws, connected with these keys.
    fn publishing(seed: u64, config: NetbackConfig, keys: &[(&str, Option<&str>)]) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, GUEST, DomainConfig::default());
        let vif = Vif {
            guest: GUEST,
            backend: DomId(0),
            devid: 0,
        };
        let config = NetbackConfig {
            strict: false,
            ..config
        };
        let netback = Netback::attach(&world, &toolstack, vif, &VifConfig::default(), config);
        let peer = NetPeer::new(&toolstack, &guest.pv, vif);
        let setting = Self {
            peer,
            netback,
            toolstack,
            vif,
            guest,
            world,
        };
        setting.run();
        assert_eq!(setting.peer.backend("state").as_deref(), Some("2"));
        setting.peer.publish(keys);
        setting.run();
        setting
    }

    fn run(&self) {
        self.world.run_for(Duration::from_millis(50)).unwrap();
    }

    /// Sends pieces and says what was thought of them.
    fn verdict(&self, pieces: &[&[u8]], flags: u16, extras: &[Extra]) -> (Vec<i16>, Vec<String>) {
        self.peer.send_pieces(pieces, flags, extras);
        self.run();
        let answers = self.peer.answers().into_iter().map(|(_, status)| status);
        (answers.collect(), self.netback.complaints())
    }
}

fn datagram(length: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..length).map(|i| (i % 251).to_le_bytes()[0]).collect();
    frames::udp((HERE, 7), (THERE, 9), &data)
}

fn large(length: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..length).map(|i| (i % 241).to_le_bytes()[0]).collect();
    frames::tcp((HERE, 7), (THERE, 9), 1000, &data)
}

fn blank(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    checksum::make_blank(&mut frame).unwrap();
    frame
}

#[test]
fn a_handshake_goes_through_the_states_and_a_detach_leaves_nothing() {
    let setting = Setting::new(1, NetbackConfig::default());
    let peer = &setting.peer;
    assert_eq!(peer.backend("state").as_deref(), Some("4"));
    for key in ["feature-sg", "feature-gso-tcpv4", "feature-rx-copy"] {
        assert_eq!(peer.backend(key).as_deref(), Some("1"), "{key}");
    }
    assert!(setting.netback.is_connected());
    let detach = setting.toolstack.detach_vif(&setting.vif);
    setting.run();
    assert_eq!(peer.backend("state").as_deref(), Some("5"));
    setting.peer.set_state(6);
    setting.run();
    assert!(matches!(detach.outcome(), Some(Ok(_))));
    assert!(!setting.netback.is_connected());
    let store = setting.toolstack.store();
    assert!(!store.exists(&setting.vif.frontend_path()));
    assert!(!store.exists(&setting.vif.backend_path()));
    assert_eq!(setting.guest.dom.xen().usage(DomId(0)).mappings, 0);
}

#[test]
fn a_vif_that_does_not_close_is_taken_away_by_force_after_ten_seconds() {
    let setting = Setting::new(2, NetbackConfig::default());
    let detach = setting.toolstack.detach_vif(&setting.vif);
    setting.world.run_for(Duration::from_secs(9)).unwrap();
    assert_eq!(detach.outcome(), None);
    setting.world.run_for(Duration::from_secs(12)).unwrap();
    assert!(matches!(detach.outcome(), Some(Ok(_))));
    assert!(!setting.netback.is_connected());
}

#[test]
fn what_a_guest_sends_arrives_whole_and_each_entry_is_answered() {
    let setting = Setting::new(3, NetbackConfig::default());
    let frame = datagram(1400);
    setting.peer.send(&frame, 0);
    let (one, rest) = frame.split_at(100);
    let (two, three) = rest.split_at(700);
    setting.peer.send_pieces(&[one, two, three], 0, &[]);
    setting.run();
    let sent = setting.netback.take_sent();
    let whole: Vec<_> = sent.into_iter().map(|packet| packet.bytes).collect();
    assert_eq!(whole, [frame.clone(), frame]);
    let mut answers = setting.peer.answers();
    answers.sort_unstable();
    assert_eq!(answers, [(0, 0), (1, 0), (2, 0), (3, 0)]);
    assert!(setting.netback.complaints().is_empty());
}

#[test]
fn a_large_packet_with_its_extra_is_cut_with_right_checksums() {
    let setting = Setting::new(4, NetbackConfig::default());
    let frame = blank(&large(10_000));
    let pieces: Vec<_> = frame.chunks(4096).collect();
    let extra = Extra::gso(1448, netif::GSO_TCPV4);
    let (answers, complaints) = setting.verdict(&pieces, netif::TX_CSUM_BLANK, &[extra]);
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(answers.iter().filter(|status| **status == 0).count(), 3);
    assert_eq!(answers.iter().filter(|status| **status == 1).count(), 1);
    let sent = setting.netback.take_sent();
    let wire = sent[0].clone().on_wire().unwrap();
    assert_eq!(wire.len(), 7);
    let mut data: Vec<u8> = Vec::new();
    for frame in &wire {
        checksum::check(frame).unwrap();
        data.extend(&frame[54..]);
    }
    assert_eq!(data, &large(10_000)[54..]);
}

#[test]
fn what_linux_drops_or_shuts_the_vif_off_for_is_noticed() {
    let frame = datagram(1000);
    let piece = [0u8; 40];
    let many = |count: usize| {
        let mut pieces = vec![&frame[..]];
        pieces.resize(count, &piece[..]);
        pieces
    };
    let odd = |kind, flags| Extra {
        kind,
        flags,
        ..Extra::default()
    };
    let cases = [
        (many(19), vec![], "too many slots: 19", false),
        (many(20), vec![], "malicious frontend using 20 slots", true),
        (vec![&frame[..10]], vec![], "a first piece of 10", false),
        (
            vec![&frame],
            vec![Extra::gso(0, netif::GSO_TCPV4)],
            "GSO size",
            true,
        ),
        (vec![&frame], vec![Extra::gso(9, 7)], "bad GSO type 7", true),
        (vec![&frame], vec![odd(9, 0)], "invalid extra type 9", true),
        (
            vec![&frame],
            vec![odd(1, netif::EXTRA_MORE)],
            "missing extra info",
            true,
        ),
    ];
    for (pieces, extras, why, fatal) in cases {
        let setting = Setting::new(5, NetbackConfig::default());
        let (_, complaints) = setting.verdict(&pieces, 0, &extras);
        assert!(
            complaints.iter().any(|line| line.contains(why)),
            "{why}: {complaints:?}"
        );
        assert_eq!(setting.netback.disabled().is_some(), fatal, "{why}");
        assert_eq!(setting.netback.take_sent(), []);
        assert_eq!(
            setting.world.usage(DomId(0)).mappings,
            2,
            "{why}: the rings"
        );
    }
}

#[test]
fn pieces_that_leave_their_page_or_their_packet_are_noticed() {
    for (offset, size, first, why) in [
        (4000, 200, 300, "cross page boundary"),
        (0, 200, 100, "larger than the packet"),
    ] {
        let setting = Setting::new(6, NetbackConfig::default());
        let peer = &setting.peer;
        let page = peer.page(&datagram(1000), Access::ReadOnly);
        let mut request = peer.request(page, first, netif::TX_MORE_DATA);
        peer.tx.put(&request.encode());
        (request.offset, request.size, request.flags) = (offset, size, 0);
        peer.tx.put(&request.encode());
        peer.tx.publish();
        setting.run();
        let complaints = setting.netback.complaints();
        assert!(complaints[0].contains(why), "{complaints:?}");
    }
}

#[test]
fn wrong_checksums_and_what_was_not_offered_are_noticed() {
    let mut wrong = datagram(100);
    wrong[60] ^= 1;
    let mut half = blank(&datagram(100));
    half[40] ^= 1;
    let gso = Extra::gso(1448, netif::GSO_TCPV4);
    let frame = blank(&large(4000));
    let cases: [(&[u8], u16, &[Extra], &str); 5] = [
        (&wrong, 0, &[], "checksum of protocol 17 is wrong"),
        (&half, netif::TX_CSUM_BLANK, &[], "pseudo header's sum"),
        (&frame, netif::TX_CSUM_BLANK, &[gso], "was not offered"),
        (&frame, netif::TX_CSUM_BLANK, &[], "more than 1514"),
        (
            &blank(&datagram(9)),
            netif::TX_CSUM_BLANK,
            &[],
            "was not offered",
        ),
    ];
    for (frame, flags, extras, why) in cases {
        let config = NetbackConfig {
            gso_tcpv4: false,
            no_csum: why == "was not offered" && extras.is_empty(),
            ..NetbackConfig::default()
        };
        let setting = Setting::new(7, config);
        let pieces: Vec<_> = frame.chunks(4096).collect();
        let (_, complaints) = setting.verdict(&pieces, flags, extras);
        assert!(
            complaints.iter().any(|line| line.contains(why)),
            "{why}: {complaints:?}"
        );
    }
}

#[test]
fn c01_a_producer_that_cannot_be_shuts_the_vif_off() {
    for rx in [false, true] {
        let setting = Setting::new(8, NetbackConfig::default());
        let ring = if rx {
            &setting.peer.rx
        } else {
            &setting.peer.tx
        };
        ring.claim(ring.entries() + 1);
        setting.run();
        assert!(setting.netback.disabled().is_some());
    }
}

#[test]
fn packets_fill_posted_pages_in_order_and_wait_for_those_that_are_not() {
    let setting = Setting::publishing(
        9,
        NetbackConfig::default(),
        &[("feature-gso-tcpv4", Some("1"))],
    );
    let (small, chain) = (datagram(100), datagram(9000));
    setting.netback.deliver(Packet::new(small.clone()));
    setting.netback.deliver(Packet::new(chain.clone()));
    let gso = Packet {
        bytes: blank(&large(5000)),
        checksum: Checksum::Blank,
        gso: Some(Gso {
            size: 1448,
            kind: netif::GSO_TCPV4,
        }),
    };
    setting.netback.deliver(gso.clone());
    setting.run();
    assert_eq!(setting.peer.received().len(), 0);
    setting.peer.post(3);
    setting.run();
    let one = setting.peer.received();
    assert_eq!(one.len(), 1, "the chain needs three");
    let first = RxResponse::decode(&one[0]);
    assert_eq!((first.id, first.flags), (0, 0));
    assert_eq!(setting.peer.piece(&first), small);
    setting.peer.post(4);
    setting.run();
    let rest = setting.peer.received();
    let pieces: Vec<_> = rest.iter().map(|bytes| RxResponse::decode(bytes)).collect();
    assert_eq!(pieces.len(), 6);
    let bytes: Vec<u8> = pieces[..3]
        .iter()
        .flat_map(|piece| setting.peer.piece(piece))
        .collect();
    assert_eq!(bytes, chain);
    let flags: Vec<_> = pieces[..3].iter().map(|piece| piece.flags).collect();
    assert_eq!(flags, [netif::RX_MORE_DATA, netif::RX_MORE_DATA, 0]);
    let wanted = netif::RX_MORE_DATA
        | netif::RX_EXTRA_INFO
        | netif::RX_CSUM_BLANK
        | netif::RX_DATA_VALIDATED;
    assert_eq!((pieces[3].id, pieces[3].flags), (4, wanted));
    assert_eq!(Extra::decode(&rest[4]), Extra::gso(1448, netif::GSO_TCPV4));
    assert_eq!((pieces[5].id, pieces[5].flags), (6, 0));
    let bytes = [
        setting.peer.piece(&pieces[3]),
        setting.peer.piece(&pieces[5]),
    ]
    .concat();
    assert_eq!(bytes, gso.bytes);
}

#[test]
fn a_guest_that_takes_neither_large_packets_nor_blank_checksums_gets_neither() {
    let keys = [("feature-no-csum-offload", Some("1"))];
    let setting = Setting::publishing(10, NetbackConfig::default(), &keys);
    setting.peer.post(20);
    setting.netback.deliver(Packet {
        bytes: blank(&large(4000)),
        checksum: Checksum::Blank,
        gso: Some(Gso {
            size: 1448,
            kind: netif::GSO_TCPV4,
        }),
    });
    setting.netback.deliver(Packet {
        bytes: blank(&datagram(50)),
        checksum: Checksum::Blank,
        gso: None,
    });
    setting.run();
    let received = setting.peer.received();
    assert_eq!(received.len(), 4);
    for bytes in received {
        let piece = RxResponse::decode(&bytes);
        assert_eq!(piece.flags & !netif::RX_DATA_VALIDATED, 0);
        checksum::check(&setting.peer.piece(&piece)).unwrap();
    }
}

#[test]
fn packets_that_find_no_room_for_ten_seconds_are_given_up() {
    let setting = Setting::new(11, NetbackConfig::default());
    for _ in 0..2000 {
        setting.netback.deliver(Packet::new(datagram(100)));
    }
    setting.run();
    assert_eq!(setting.netback.served().overflowed, 2000 - 1024);
    setting.world.run_for(Duration::from_secs(11)).unwrap();
    assert_eq!(setting.netback.served().overflowed, 2000);
    setting.peer.post(1);
    setting.run();
    assert_eq!(setting.peer.received().len(), 0);
    setting.netback.deliver(Packet::new(datagram(100)));
    setting.run();
    assert_eq!(setting.peer.received().len(), 1);
}

#[test]
fn multicast_packets_come_when_they_were_asked_for() {
    let keys = [("request-multicast-control", Some("1"))];
    let setting = Setting::publishing(12, NetbackConfig::default(), &keys);
    let group = [1, 0, 0x5e, 0, 0, 5];
    let mut frame = datagram(60);
    frame[..6].copy_from_slice(&group);
    setting.peer.post(4);
    setting.netback.deliver(Packet::new(frame.clone()));
    setting.run();
    assert_eq!(setting.peer.received().len(), 0);
    for (wanted, count) in [(true, 1), (false, 0)] {
        let mut request = setting.peer.request(0, 0, netif::TX_EXTRA_INFO);
        request.page = hv::GrantRef(0);
        setting.peer.tx.put(&request.encode());
        setting
            .peer
            .tx
            .put(&Extra::multicast(wanted, group).encode());
        setting.peer.tx.publish();
        setting.run();
        let answers = setting.peer.answers();
        assert_eq!(answers[0], (0, netif::OKAY));
        assert_eq!(answers[1].1, netif::NULL);
        setting.netback.deliver(Packet::new(frame.clone()));
        setting.run();
        assert_eq!(setting.peer.received().len(), count);
    }
}

#[test]
fn a_switch_learns_and_a_bad_one_loses_repeats_and_reorders() {
    let setting = Setting::new(13, NetbackConfig::default());
    let switch = Switch::start(&setting.world, SwitchConfig::default());
    switch.plug(&setting.netback);
    let (one, other) = (switch.host(), switch.host());
    setting.peer.post(100);
    let to_guest = frames::udp((THERE, 9), (HERE, 7), b"x");
    // Nobody knows where it is: it goes everywhere.
    one.send(to_guest.clone());
    setting.run();
    assert_eq!(
        (setting.peer.received().len(), other.take_all().len()),
        (1, 1)
    );
    setting.peer.send(&datagram(10), 0);
    setting.run();
    assert_eq!((one.take_all().len(), other.take_all().len()), (1, 0));
    one.send(to_guest);
    setting.run();
    assert_eq!(
        (setting.peer.received().len(), other.take_all().len()),
        (1, 0)
    );

    switch.configure(SwitchConfig {
        loss: 100,
        duplicates: 100,
        overtaken: 200,
        ..SwitchConfig::bad()
    });
    let total: u16 = 1000;
    for number in 0..total {
        other.send(frames::udp((HERE, 1), (THERE, 2), &number.to_be_bytes()));
        setting.world.run_for(Duration::from_micros(100)).unwrap();
    }
    setting.run();
    let came = one.take_all();
    let number = |packet: &Packet| u16::from_be_bytes([packet.bytes[42], packet.bytes[43]]);
    let numbers: Vec<_> = came.iter().map(number).collect();
    let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
    let passed = switch.passed();
    assert!((50..150).contains(&passed.lost), "{passed:?}");
    assert_eq!(distinct.len() as u64, u64::from(total) - passed.lost);
    assert_eq!(
        numbers.len() as u64,
        distinct.len() as u64 + passed.repeated
    );
    let backwards = numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(backwards > 50, "{backwards}");
}
