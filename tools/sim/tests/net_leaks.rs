//! Vifs that come and go in the middle of traffic, again and again: nothing is left behind, and
//! pages are not touched after their grant has ended (the world says so, law L15).

use std::time::Duration;

use sim::frames;
use sim::netback::Malice;
use sim::network::THERE;
use sim::{Netback, NetbackConfig, Network, Packet, Rng, VifConfig};

const SECOND: Duration = Duration::from_secs(1);

fn rounds() -> u64 {
    if std::env::var_os("XENOLITH_LONG").is_some() {
        2000
    } else {
        200
    }
}

/// Traffic both ways, of all sizes and kinds, in the middle of which something is to happen.
fn busy(network: &Network, netback: &Netback, rng: &Rng) {
    let here = Network::address(0);
    for _ in 0..1 + rng.below(40) {
        let length = usize::try_from(rng.below(1400)).unwrap_or(0);
        network.send("xn0", frames::udp((here, 1), (THERE, 2), &vec![7; length]));
        if rng.one_in(4) {
            let large = frames::tcp((here, 1), (THERE, 2), 1, &vec![7; length * 40 + 1]);
            let cut = (large, Some(1448));
            network
                .station
                .send_cut(&network.world, &network.guest, "xn0", cut);
        }
        let frame = frames::udp((THERE, 2), (here, 1), &vec![9; length * 6]);
        netback.deliver(Packet::new(frame));
    }
    network.run_for(Duration::from_micros(rng.below(300)));
}

/// What takes the vif away, or its connection.
fn ends(network: &Network, netback: &Netback, how: u64) {
    let vif = netback.vif();
    match how {
        0 => network.detach(0),
        1 => {
            let detach = network.toolstack.force_detach_vif(&vif);
            network.until("it is detached", |_| detach.outcome().is_some());
        }
        2 => {
            // The backend dies, and then both directories go.
            netback.crash();
            network.run_for(Duration::from_micros(network.world.rng().below(500)));
            let store = network.toolstack.store();
            let (front, back) = (vif.frontend_path(), vif.backend_path());
            store.together(&[(&front, None), (&back, None)]);
        }
        _ => {
            netback.close();
            network.run_for(Duration::from_micros(network.world.rng().below(500)));
            network.detach(0);
        }
    }
    network.run_for(Duration::from_millis(1));
}

#[test]
fn attached_and_detached_over_and_over_in_the_middle_of_traffic() {
    let network = Network::new(1);
    let rng = Rng::new(1);
    let before = network.holdings();
    for round in 0..rounds() {
        let large = !rng.one_in(4);
        let config = NetbackConfig {
            split: rng.one_in(2),
            sg: large || rng.one_in(2),
            gso_tcpv4: large,
            gso_tcpv6: large,
            latency: Duration::from_micros(1 + rng.below(500)),
            ..NetbackConfig::default()
        };
        let netback = network.attach_ready(config);
        for _ in 0..rng.below(4) {
            busy(&network, &netback, &rng);
        }
        ends(&network, &netback, rng.below(4));
        assert_eq!(netback.complaints(), Vec::<String>::new());
        if round % 10 == 0 {
            network.run_for(SECOND * 120);
            assert_eq!(network.holdings(), before, "round {round}");
        }
    }
    network.run_for(SECOND * 120);
    assert_eq!(network.holdings(), before);
    assert_eq!(network.world.usage(hv::DomId(0)).mappings, 0);
}

#[test]
fn reconnected_over_and_over_in_the_middle_of_traffic() {
    let network = Network::new(2);
    let rng = Rng::new(2);
    let netback = network.attach_ready(NetbackConfig::default());
    let mut connected = None;
    for round in 1..rounds() {
        busy(&network, &netback, &rng);
        netback.close();
        network.until("it is up again", |n| {
            n.station.ups("xn0") > round && n.station.is_up("xn0")
        });
        if round % 20 == 0 {
            network.until("nothing is left to be sent", |n| {
                n.station.unsent("xn0") == 0
            });
            network.expect_traffic(0);
            network.run_for(SECOND * 120);
            let counts = |network: &Network| {
                let holdings = network.holdings();
                (
                    holdings.tasks,
                    holdings.store,
                    holdings.xen.ports,
                    holdings.parked,
                )
            };
            let now = counts(&network);
            assert_eq!(*connected.get_or_insert(now), now, "round {round}");
        }
    }
    let before = network.holdings().tasks;
    network.detach(0);
    network.run_for(SECOND * 120);
    let after = network.holdings();
    assert!(after.tasks < before);
    assert_eq!((after.granted, after.parked), (0, 0));
}

#[test]
fn unplugged_at_any_step_of_the_handshake() {
    for step in 0..120 {
        let network = Network::new(3);
        let before = network.holdings();
        let netback = network.attach(0, &VifConfig::default(), NetbackConfig::default());
        for _ in 0..step {
            network.world.step().expect("a step");
        }
        network.send(
            "xn0",
            frames::udp((Network::address(0), 1), (THERE, 2), b"x"),
        );
        let detach = match step % 2 {
            0 => network.toolstack.force_detach_vif(&netback.vif()),
            _ => network.toolstack.detach_vif(&netback.vif()),
        };
        network.until("it is detached", |_| detach.outcome().is_some());
        network.run_for(SECOND * 120);
        let error = format!("/local/domain/{}/error", netback.vif().guest);
        network.toolstack.store().remove(&error);
        network.run_for(SECOND);
        let mut after = network.holdings();
        // What it complained of before its nodes were gone is no leak.
        after.store.nodes = before.store.nodes;
        assert_eq!(after, before, "step {step}");
        let _again = network.attach_ready(NetbackConfig::default());
        network.expect_traffic(0);
    }
}

#[test]
fn unplugged_at_any_step_of_traffic() {
    for step in 0..200 {
        let network = Network::new(4);
        let before = network.holdings();
        let netback = network.attach_ready(NetbackConfig::default());
        let rng = Rng::new(step);
        busy(&network, &netback, &rng);
        for _ in 0..step {
            // When there is nothing left to do, that is a moment too.
            let _idle = network.world.step();
        }
        ends(&network, &netback, step % 4);
        network.run_for(SECOND * 120);
        assert_eq!(network.holdings(), before, "step {step}");
    }
}

#[test]
fn a_guest_without_memory_for_another_vif_keeps_those_it_has() {
    let config = sim::DomainConfig {
        pages: 500,
        ..sim::DomainConfig::default()
    };
    let network = Network::with(5, config, 1);
    let _netback = network.attach_ready(NetbackConfig::default());
    for devid in 1..30 {
        let _other = network.attach(devid, &VifConfig::default(), NetbackConfig::default());
        network.run_for(SECOND);
        network.expect_traffic(0);
    }
    assert!(network.logged("no page for rings or data"));
    for devid in 1..30 {
        network.detach(devid);
    }
    network.run_for(SECOND * 120);
    network.expect_traffic(0);
    let _last = network.attach(31, &VifConfig::default(), NetbackConfig::default());
    network.until("xn31 is up", |n| n.station.is_up("xn31"));
    network.expect_traffic(31);
}

/// All bytes that a backend found beside those of the packets.
fn spied(trusted: bool) -> (Vec<u8>, Vec<u8>) {
    let network = Network::new(6);
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
    let netback = network.attach(0, &keys, config);
    network.until("xn0 is up", |n| n.station.is_up("xn0"));
    let here = Network::address(0);
    let rng = Rng::new(7);
    for _ in 0..400 {
        // What the guest sends is in the upper half, what it receives in the lower one.
        let length = usize::try_from(rng.below(1400)).unwrap_or(0);
        let [low, ..] = rng.next().to_le_bytes();
        let out = frames::udp((here, 0xd1d2), (THERE, 0xd3d4), &vec![low | 0x80; length]);
        network.send("xn0", out);
        if rng.one_in(8) {
            let data = vec![low | 0x80; 1500 + length * 10];
            let large = frames::tcp((here, 0xd1d2), (THERE, 0xd3d4), 1, &data);
            let cut = (large, Some(1448));
            network
                .station
                .send_cut(&network.world, &network.guest, "xn0", cut);
        }
        let frame = frames::udp((THERE, 2), (here, 1), &vec![low & 0x7f; length]);
        netback.deliver(Packet::new(frame));
        network.run_for(Duration::from_micros(rng.below(200)));
    }
    network.run_for(SECOND);
    assert!(netback.served().sent > 400 && netback.served().received > 300);
    (netback.spied(), netback.spied_posted())
}

#[test]
fn f07_a_backend_that_is_not_trusted_sees_no_bytes_but_those_of_the_packets() {
    let (sent, posted) = spied(false);
    assert_eq!(sent, Vec::<u8>::new(), "beside packets that were sent");
    let runs = posted
        .windows(8)
        .filter(|bytes| bytes.iter().all(|byte| *byte >= 0x80));
    assert_eq!(runs.count(), 0, "what was sent, in pages to receive into");
}

#[test]
fn f07_pages_to_receive_into_hold_nothing_of_the_guest_whoever_is_trusted() {
    let (_, posted) = spied(true);
    let runs = posted
        .windows(8)
        .filter(|bytes| bytes.iter().all(|byte| *byte >= 0x80));
    assert_eq!(runs.count(), 0);
}
