//! The shipped network frontend against an honest backend: features, offloads, attach and detach.

use std::time::Duration;

use sim::frames;
use sim::layout::netif;
use sim::netback::{Checksum, Gso, checksum};
use sim::network::THERE;
use sim::{DomainConfig, NetbackConfig, Network, Packet, VifConfig};

const SECOND: Duration = Duration::from_secs(1);

/// Every combination of what a backend may offer that matters.
fn offers() -> Vec<NetbackConfig> {
    let mut all = Vec::new();
    for bits in 0..64u32 {
        let has = |bit: u32| bits & 1 << bit != 0;
        all.push(NetbackConfig {
            sg: has(0),
            gso_tcpv4: has(1),
            gso_tcpv6: has(1),
            no_csum: has(2),
            ipv6_csum: has(3),
            split: has(4),
            multicast: has(5),
            ..NetbackConfig::default()
        });
    }
    all
}

#[test]
fn frames_pass_both_ways_whatever_a_backend_offers() {
    for (seed, config) in (1..).zip(offers()) {
        let network = Network::new(seed);
        let netback = network.attach_ready(config.clone());
        for _ in 0..3 {
            network.expect_traffic(0);
        }
        let served = netback.served();
        assert_eq!(served.tx_errors + served.rx_errors, 0, "{config:?}");
        assert_eq!(netback.complaints(), Vec::<String>::new());
    }
}

#[test]
fn an_old_backend_that_says_nothing_but_that_it_copies_will_do() {
    let network = Network::new(70);
    let config = NetbackConfig {
        sg: false,
        gso_tcpv4: false,
        gso_tcpv6: false,
        ipv6_csum: false,
        multicast: false,
        split: false,
        queues: None,
        control_ring: false,
        ..NetbackConfig::default()
    };
    let _netback = network.attach_ready(config);
    network.expect_traffic(0);
}

#[test]
fn what_the_toolstack_says_of_a_vif_is_believed() {
    let network = Network::new(71);
    let keys = VifConfig {
        mac: Some([2, 0x11, 0x22, 0x33, 0x44, 0xff]),
        mtu: 9000,
        ip: Some("192.0.2.7 255.255.255.0 192.0.2.1".into()),
        ..VifConfig::default()
    };
    let _netback = network.attach(3, &keys, NetbackConfig::default());
    network.until("xn3 is up", |n| n.station.seen("xn3").is_some());
    let seen = network.station.seen("xn3").unwrap();
    assert_eq!(seen.mac, [2, 0x11, 0x22, 0x33, 0x44, 0xff]);
    assert_eq!(seen.mtu, 9000);
    assert_eq!(seen.hint, keys.ip);
    assert!(seen.carrier && !seen.filters_multicast);
}

/// A TCP packet as smoltcp leaves it to the device: without a checksum.
fn unfinished(length: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..length).map(|i| (i % 251).to_le_bytes()[0]).collect();
    let mut frame = frames::tcp((Network::address(0), 5), (THERE, 6), 77, &data);
    frame[50..52].fill(0);
    frame
}

#[test]
fn tcp_leaves_with_a_checksum_whoever_makes_it() {
    for no_csum in [false, true] {
        let network = Network::new(72);
        let netback = network.attach_ready(NetbackConfig {
            no_csum,
            ..NetbackConfig::default()
        });
        network.send("xn0", unfinished(1000));
        network.until("it arrives", |n| n.host.waiting() != 0);
        let came = network.host.take_all();
        checksum::check(&came[0].bytes).unwrap();
        assert_eq!(came[0].bytes[54..], unfinished(1000)[54..]);
        assert_eq!(netback.served().sent_blank, u64::from(!no_csum));
    }
}

#[test]
fn large_packets_are_left_to_the_backend_to_be_cut() {
    let network = Network::new(73);
    let netback = network.attach_ready(NetbackConfig::default());
    for length in [1449, 4042, 4096, 20_000, 65_000] {
        let frame = (unfinished(length), Some(1448));
        network
            .station
            .send_cut(&network.world, &network.guest, "xn0", frame);
        let count = length.div_ceil(1448);
        network.until("all pieces arrive", |n| n.host.waiting() == count);
        let mut data: Vec<u8> = Vec::new();
        for packet in network.host.take_all() {
            checksum::check(&packet.bytes).unwrap();
            data.extend(&packet.bytes[54..]);
        }
        assert_eq!(data, unfinished(length)[54..]);
    }
    assert_eq!(netback.served().sent_gso, 5);
    assert!(netback.served().most_pending <= 5);
}

#[test]
fn what_comes_in_many_pages_or_blank_or_large_is_received_as_it_was_sent() {
    let network = Network::new(74);
    let netback = network.attach_ready(NetbackConfig::default());
    for (chunk, offset) in [(4096, 0), (4096, 256), (1000, 3096), (4000, 96)] {
        netback.configure(|config| {
            config.rx_chunk = chunk;
            config.rx_offset = offset;
        });
        let mut bytes = frames::tcp((THERE, 6), (Network::address(0), 5), 1, &[7; 9000]);
        network.host.send(bytes.clone());
        network.until("it comes", |n| n.station.count("xn0") == 1);
        assert_eq!(network.station.take_all("xn0"), [bytes.clone()]);
        checksum::make_blank(&mut bytes).unwrap();
        let gso = Gso {
            size: 1448,
            kind: netif::GSO_TCPV4,
        };
        network.host.send_packet(Packet {
            bytes: bytes.clone(),
            checksum: Checksum::Blank,
            gso: Some(gso),
        });
        let before = network.station.count("xn0");
        network.until("it comes", |n| n.station.count("xn0") == before + 1);
        let came = network.station.take_all("xn0");
        assert_eq!(came[0][54..], bytes[54..]);
        network.station.forget("xn0");
    }
    assert_eq!(netback.served().received_gso, 4);
}

#[test]
fn a_packet_with_a_wrong_tcp_checksum_is_not_received() {
    let network = Network::new(75);
    let _netback = network.attach_ready(NetbackConfig::default());
    let mut frame = frames::tcp((THERE, 6), (Network::address(0), 5), 1, b"abc");
    frame[55] ^= 1;
    network.host.send(frame);
    network.run_for(SECOND);
    assert_eq!(network.station.count("xn0"), 0);
    let seen = network.station.seen("xn0").unwrap();
    assert_eq!(seen.counters.received.errors, 1);
}

#[test]
fn several_queues_carry_traffic_and_keep_each_flow_in_order() {
    let network = Network::with(76, DomainConfig::default(), 4);
    let netback = network.attach_ready(NetbackConfig {
        queues: Some(4),
        ..NetbackConfig::default()
    });
    assert_eq!(netback.served().queues, 4);
    let here = Network::address(0);
    for number in 0..400u16 {
        let (flow, data) = (number % 7, number.to_be_bytes());
        network.send("xn0", frames::udp((here, flow), (THERE, 1), &data));
        network
            .host
            .send(frames::udp((THERE, flow), (here, 1), &data));
    }
    network.until("all came", |n| {
        n.host.waiting() == 400 && n.station.count("xn0") == 400
    });
    let in_order = |frames: Vec<Vec<u8>>| {
        let mut last = [None; 7];
        for frame in frames {
            let flow = usize::from(frame[35]);
            let number = Some(u16::from_be_bytes([frame[42], frame[43]]));
            assert!(last[flow] < number, "flow {flow}");
            last[flow] = number;
        }
    };
    let sent = network.host.take_all().into_iter();
    in_order(sent.map(|packet| packet.bytes).collect());
    in_order(network.station.take_all("xn0"));
}

#[test]
fn a_full_ring_loses_nothing_of_what_waits_for_it() {
    // One with memory for more packets than fit the ring.
    let config = DomainConfig {
        pages: 16384,
        ..DomainConfig::default()
    };
    let network = Network::with(77, config, 1);
    let netback = network.attach_ready(NetbackConfig {
        latency: Duration::from_millis(2),
        ..NetbackConfig::default()
    });
    let here = Network::address(0);
    for number in 0..2000u16 {
        let frame = frames::udp((here, 1), (THERE, 2), &number.to_be_bytes());
        network.send("xn0", frame);
    }
    network.until("all came", |n| n.host.waiting() == 2000);
    assert!(netback.served().most_pending > 230);
}

#[test]
fn the_carrier_is_followed() {
    let network = Network::new(78);
    let netback = network.attach_ready(NetbackConfig {
        carrier: Some(false),
        ..NetbackConfig::default()
    });
    let carrier = |n: &Network| n.station.seen("xn0").is_some_and(|seen| seen.carrier);
    network.run_for(SECOND);
    assert!(!carrier(&network));
    for up in [true, false, true] {
        netback.set_carrier(up);
        network.until("it is seen", |n| carrier(n) == up);
    }
    network.expect_traffic(0);
}

#[test]
fn a_carrier_that_changes_while_its_backend_says_something_else_is_followed() {
    let network = Network::new(77);
    let config = NetbackConfig {
        carrier: Some(true),
        ..NetbackConfig::default()
    };
    let netback = network.attach_ready(config);
    let carrier = |n: &Network| n.station.seen("xn0").is_some_and(|seen| seen.carrier);
    for round in 0..200u32 {
        let up = round % 2 == 1;
        // The state first, or after some time in which the carrier may just be read.
        let pause = Duration::from_micros((round / 2).into());
        if round % 4 < 2 {
            netback.write_key("state", "4");
            network.run_for(pause);
            netback.set_carrier(up);
        } else {
            netback.set_carrier(up);
            network.run_for(pause);
            netback.write_key("state", "4");
        }
        network.run_for(Duration::from_millis(10));
        assert_eq!(carrier(&network), up, "round {round}");
    }
}

#[test]
fn a_vif_is_unplugged_and_another_one_plugged_in() {
    let network = Network::new(79);
    let before = network.holdings();
    for round in 1..4 {
        let netback = network.attach_ready(NetbackConfig::default());
        network.expect_traffic(0);
        let detach = network.toolstack.detach_vif(&netback.vif());
        network.until("it is detached", |_| detach.outcome().is_some());
        let took = detach.outcome().unwrap().unwrap();
        assert!(took < SECOND, "{took:?}");
        network.until("it is said", |n| n.station.removed().len() == round);
        assert!(!network.station.is_up("xn0"));
        network.run_for(SECOND * 5);
        assert_eq!(network.holdings(), before);
    }
}

#[test]
fn a_backend_that_starts_anew_is_connected_to_anew() {
    let network = Network::new(80);
    let first = network.attach_ready(NetbackConfig::default());
    network.expect_traffic(0);
    first.close();
    network.until("it is up again", |n| {
        n.station.ups("xn0") == 2 && n.station.is_up("xn0")
    });
    network.expect_traffic(0);
    assert_eq!(first.connections(), 2);
}

#[test]
fn many_vifs_do_not_know_of_each_other() {
    let network = Network::new(81);
    let mut backends = Vec::new();
    for devid in 0..8 {
        backends.push(network.attach(devid, &VifConfig::default(), NetbackConfig::default()));
    }
    for devid in 0..8 {
        let name = format!("xn{devid}");
        network.until("it is up", |n| n.station.is_up(&name));
        network.expect_traffic(devid);
    }
    backends[3].crash();
    for devid in [0, 2, 4, 7] {
        network.expect_traffic(devid);
    }
}
