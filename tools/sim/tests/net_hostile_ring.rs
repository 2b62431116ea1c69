//! A network backend that misuses rings, events and grants, and a world that refuses: C03 to C13.

use std::time::Duration;

use hv::{DomId, Errno, GrantRef};
use sim::frames;
use sim::netback::{Malice, TxTamper};
use sim::network::{GUEST, THERE};
use sim::{Call, DomainConfig, Fault, Netback, NetbackConfig, Network, Vif, VifConfig, When};

const SECOND: Duration = Duration::from_secs(1);

fn is_long() -> bool {
    std::env::var_os("XENOLITH_LONG").is_some()
}

fn with_malice(malice: Malice) -> NetbackConfig {
    NetbackConfig {
        malice,
        ..NetbackConfig::default()
    }
}

fn from_guest() -> Vec<u8> {
    frames::udp((Network::address(0), 3), (THERE, 4), &[7; 100])
}

#[test]
fn c03_what_changes_after_it_was_read_does_not_matter() {
    for seed in 0..5 {
        let network = Network::new(seed);
        let netback = network.attach_ready(with_malice(Malice {
            flip_after_read: true,
            ..Malice::default()
        }));
        for _ in 0..20 {
            network.expect_traffic(0);
        }
        let long = frames::udp((THERE, 4), (Network::address(0), 3), &[9; 9000]);
        network.host.send(long.clone());
        network.until("it comes", |n| n.station.take_all("xn0").contains(&long));
        assert_eq!(network.front_error(0), None);
        assert_eq!(netback.served().tx_errors, 0);
    }
}

#[test]
fn c04_random_event_fields_cost_no_more_than_events() {
    let network = Network::new(4);
    let netback = network.attach_ready(with_malice(Malice {
        scribble_events: true,
        ..Malice::default()
    }));
    let before = network.guest.pv.exec.polls();
    for _ in 0..100 {
        network.expect_traffic(0);
    }
    let polls = network.guest.pv.exec.polls() - before;
    let packets = netback.served().sent + netback.served().received;
    assert!(polls < 20 * packets, "{polls} polls for {packets} packets");
}

#[test]
fn c05_an_event_storm_costs_little_and_starves_nobody() {
    let network = Network::beside_a_good_vif(5);
    let netback = network.attach_ready(NetbackConfig::default());
    netback.set_malice(Malice {
        storm: Some(Duration::from_micros(10)),
        ..Malice::default()
    });
    let before = network.guest.pv.exec.polls();
    network.run_for(SECOND);
    let polls = network.guest.pv.exec.polls() - before;
    assert!(polls < 2000, "{polls} polls in a second of storm");
    network.expect_traffic(1);
    network.expect_traffic(0);
    assert_eq!(network.front_error(0), None);
}

#[test]
fn c05_a_flood_of_packets_does_not_keep_others_from_running() {
    let network = Network::beside_a_good_vif(6);
    let netback = network.attach_ready(NetbackConfig::default());
    let frame = frames::udp((THERE, 4), (Network::address(0), 3), &[9; 60]);
    for _ in 0..20 {
        for _ in 0..2000 {
            netback.deliver(sim::Packet::new(frame.clone()));
        }
        network.expect_traffic(1);
    }
}

#[test]
fn c06_a_backend_that_never_raises_an_event_stops_itself_alone() {
    let network = Network::beside_a_good_vif(7);
    let netback = network.attach_ready(with_malice(Malice {
        mute: true,
        ..Malice::default()
    }));
    let frame = frames::udp((THERE, 4), (Network::address(0), 3), &[9; 60]);
    for _ in 0..500 {
        network.send("xn0", from_guest());
        network.host.send(frame.clone());
    }
    network.run_for(SECOND * 30);
    network.expect_traffic(1);
    // When it begins to speak, what it did meanwhile is found.
    netback.set_malice(Malice {
        storm: Some(Duration::from_millis(100)),
        ..Malice::default()
    });
    network.host.send(frame.clone());
    network.until("all is sent", |n| n.station.unsent("xn0") == 0);
    network.expect_traffic(0);
    network.detach(0);
    network.expect_traffic(1);
}

#[test]
fn c06_no_answer_and_no_packet_is_overslept() {
    // One at a time: each needs the event that the last look asked for.
    for seed in 0..40 {
        let network = Network::new(seed);
        let _netback = network.attach_ready(NetbackConfig {
            latency: Duration::from_micros(1 + seed % 30),
            split: seed % 2 == 0,
            ..NetbackConfig::default()
        });
        network.station.set_echo(true);
        let frame = frames::udp((THERE, 4), (Network::address(0), 3), &[9; 60]);
        for _ in 0..40 {
            network.host.send(frame.clone());
            network.until("the echo", |n| n.host.take().is_some());
        }
    }
}

#[test]
fn c07_rings_that_are_dirty_at_first_contact() {
    for seed in 0..10 {
        let network = Network::beside_a_good_vif(seed);
        let _netback = network.attach(
            0,
            &VifConfig::default(),
            with_malice(Malice {
                dirty_ring: true,
                ..Malice::default()
            }),
        );
        network.run_for(SECOND);
        network.send("xn0", from_guest());
        network.has_failed_alone("rsp_prod");
    }
}

#[test]
fn c08_ports_closed_under_our_feet() {
    let network = Network::beside_a_good_vif(8);
    let netback = network.attach_ready(NetbackConfig::default());
    netback.set_malice(Malice {
        close_port_after: Some(netback.answered() + 1),
        ..Malice::default()
    });
    for _ in 0..600 {
        network.send("xn0", from_guest());
    }
    network.run_for(SECOND * 60);
    network.expect_traffic(1);
    network.detach(0);
    network.run_for(SECOND * 120);
    assert_eq!(network.guest.pv.grants.usage().parked, 0);
    let _again = network.attach_ready(NetbackConfig::default());
    network.until("what waited is sent", |n| n.station.unsent("xn0") == 0);
    network.expect_traffic(0);
}

#[test]
fn c08_no_port_no_page_no_grant_at_the_handshake_is_an_error_of_that_device() {
    let faults = [
        (Call::AllocUnbound, Errno::ENOSPC),
        (Call::AllocPage, Errno::ENOMEM),
        (Call::NextGrantTablePage, Errno::ENOMEM),
    ];
    for (call, error) in faults {
        let network = Network::new(9);
        let before = network.holdings();
        let fault = Fault::new(GUEST, call, When::From(1), error);
        network.world.plan_fault(fault);
        let _netback = network.attach(0, &VifConfig::default(), NetbackConfig::default());
        network.until("an error", |n| n.front_error(0).is_some());
        assert_eq!(network.station.ups("xn0"), 0, "{call:?}");
        network.world.clear_faults();
        network.detach(0);
        // What the guest complained of stays in the store until somebody has read it.
        let complaints = format!("/local/domain/{GUEST}/error/device");
        network.toolstack.store().remove(&complaints);
        network.run_for(SECOND * 120);
        assert_eq!(network.holdings(), before, "{call:?}");
        let _again = network.attach_ready(NetbackConfig::default());
        network.expect_traffic(0);
    }
}

#[test]
fn c08_whichever_call_fails_the_device_fails_alone_or_does_without() {
    for call in [
        Call::AllocUnbound,
        Call::AllocPage,
        Call::NextGrantTablePage,
        Call::Send,
    ] {
        for number in 1..90 {
            let network = Network::beside_a_good_vif(number);
            let fault = Fault::new(GUEST, call, When::Nth(number), Errno::ENOMEM);
            network.world.plan_fault(fault);
            let _netback = network.attach(0, &VifConfig::default(), NetbackConfig::default());
            network.until("it is up or has failed", |n| {
                n.station.is_up("xn0") || n.front_error(0).is_some()
            });
            network.world.clear_faults();
            network.expect_traffic(1);
            network.detach(0);
            let _again = network.attach_ready(NetbackConfig::default());
            network.expect_traffic(0);
        }
    }
}

#[test]
fn c08_a_grant_that_the_backend_cannot_map_is_the_end_of_that_connection() {
    for number in 1..3 {
        let network = Network::beside_a_good_vif(10);
        let fault = Fault::new(DomId(0), Call::GrantMap, When::Nth(number), Errno::EINVAL);
        network.world.plan_fault(fault);
        let config = NetbackConfig {
            strict: false,
            ..NetbackConfig::default()
        };
        let _netback = network.attach(0, &VifConfig::default(), config);
        network.run_for(SECOND * 60);
        network.expect_traffic(1);
        network.detach(0);
        let _again = network.attach_ready(NetbackConfig::default());
        network.expect_traffic(0);
    }
}

#[test]
fn c08_pages_that_the_backend_cannot_use_now_and_then_lose_packets_only() {
    let network = Network::new(11);
    let netback = network.attach_ready(NetbackConfig::default());
    let fault = Fault::new(DomId(0), Call::GrantMap, When::OneIn(5), Errno::EINVAL);
    network.world.plan_fault(fault);
    let frame = frames::udp((THERE, 4), (Network::address(0), 3), &[9; 9000]);
    for _ in 0..300 {
        network.send("xn0", from_guest());
        network.host.send(frame.clone());
        network.run_for(Duration::from_millis(1));
    }
    network.run_for(SECOND);
    let served = netback.served();
    assert!(served.tx_errors > 20 && served.rx_errors > 20, "{served:?}");
    let seen = network.station.seen("xn0").map(|seen| seen.counters);
    let errors = seen.map(|seen| (seen.sent.errors, seen.received.errors));
    assert!(errors.is_some_and(|(sent, received)| sent > 20 && received > 20));
    network.world.clear_faults();
    network.expect_traffic(0);
    assert_eq!(network.front_error(0), None);
}

#[test]
fn c09_pages_still_mapped_at_teardown_are_parked() {
    let network = Network::new(12);
    let before = network.holdings();
    let netback = network.attach_ready(with_malice(Malice {
        keep_mapped: true,
        ..Malice::default()
    }));
    for _ in 0..5 {
        network.expect_traffic(0);
    }
    assert!(netback.kept() >= 10);
    let detach = network.toolstack.force_detach_vif(&netback.vif());
    network.until("it is detached", |_| detach.outcome().is_some());
    network.run_for(SECOND * 120);
    assert!(network.guest.pv.grants.usage().parked > 0);
    // They are none of the guest's: whoever writes there harms nobody.
    netback.scribble_kept(0xee);
    let again = network.attach_ready(NetbackConfig::default());
    for _ in 0..20 {
        network.expect_traffic(0);
        netback.scribble_kept(0xdd);
    }
    assert_eq!(again.complaints(), Vec::<String>::new());
    network.detach(0);
    netback.release_kept();
    network.run_for(SECOND * 120);
    assert_eq!(network.holdings(), before);
}

#[test]
fn c09_what_a_frozen_backend_may_still_come_to_is_not_used_again() {
    for seed in 13..17 {
        // One that can spare the pages of a vif for ever.
        let config = DomainConfig {
            pages: 16384,
            ..DomainConfig::default()
        };
        let network = Network::with(seed, config, 1);
        let before = network.holdings();
        let netback = network.attach_ready(NetbackConfig::default());
        netback.set_frozen(true);
        for _ in 0..40 {
            network.send("xn0", from_guest());
        }
        network.run_for(SECOND);
        let detach = network.toolstack.force_detach_vif(&netback.vif());
        network.until("it is detached", |_| detach.outcome().is_some());
        network.run_for(SECOND * 120);
        // Another vif of the same backend domain: its pages get the references that are free.
        let _other = network.attach(2, &VifConfig::default(), NetbackConfig::default());
        network.until("xn2 is up", |n| n.station.is_up("xn2"));
        network.expect_traffic(2);
        // It sends what it had not come to, and receives what came for it.
        let frame = frames::udp((THERE, 4), (Network::address(0), 3), &[9; 60]);
        for _ in 0..40 {
            netback.deliver(sim::Packet::new(frame.clone()));
        }
        netback.set_frozen(false);
        for _ in 0..10 {
            network.expect_traffic(2);
        }
        network.detach(2);
        network.run_for(SECOND * 120);
        assert_eq!(network.holdings(), before);
    }
}

#[test]
fn c10_a_backend_domain_that_dies_takes_its_vif_along_and_no_other() {
    const DRIVER_DOMAIN: DomId = DomId(7);
    for seed in 20..30 {
        let network = Network::beside_a_good_vif(seed);
        let before = network.holdings();
        let toolstack = &network.toolstack;
        toolstack.create_domain(DRIVER_DOMAIN, "network", DomainConfig::default());
        let vif = Vif {
            backend: DRIVER_DOMAIN,
            ..Network::vif(0)
        };
        let keys = VifConfig::default();
        let config = NetbackConfig::default();
        let netback = Netback::attach(&network.world, toolstack, vif, &keys, config);
        let port = network.switch.plug(&netback);
        network.until("xn0 is up", |n| n.station.is_up("xn0"));
        network.expect_traffic(0);
        for _ in 0..40 {
            network.send("xn0", from_guest());
        }
        network.run_for(Duration::from_micros(50 * (seed - 19)));
        netback.crash();
        network.switch.unplug(port);
        toolstack.destroy_domain(DRIVER_DOMAIN);
        network.until("xn0 is down", |n| !n.station.is_up("xn0"));
        network.expect_traffic(1);
        let front = vif.frontend_path();
        toolstack.store().remove(&front);
        network.run_for(SECOND * 120);
        assert_eq!(network.holdings(), before);
    }
}

#[test]
fn c11_rings_mapped_twice_or_never() {
    let network = Network::beside_a_good_vif(31);
    let before = network.holdings();
    let netback = network.attach_ready(with_malice(Malice {
        map_twice: true,
        ..Malice::default()
    }));
    network.expect_traffic(0);
    network.detach(0);
    network.run_for(SECOND * 120);
    assert!(network.guest.pv.grants.usage().parked > 0, "the rings'");
    netback.release_kept();
    network.run_for(SECOND * 5);
    assert_eq!(network.holdings(), before);

    let _never = network.attach(
        0,
        &VifConfig::default(),
        with_malice(Malice {
            never_map: true,
            ..Malice::default()
        }),
    );
    network.run_for(SECOND * 60);
    for _ in 0..600 {
        network.send("xn0", from_guest());
    }
    network.run_for(SECOND * 60);
    network.expect_traffic(1);
    network.detach(0);
    network.run_for(SECOND * 120);
    assert_eq!(network.holdings(), before);
}

#[test]
fn c12_reconnecting_over_and_over_grows_nothing() {
    let rounds = if is_long() { 10_000 } else { 1000 };
    let network = Network::new(32);
    let netback = network.attach_ready(NetbackConfig::default());
    network.expect_traffic(0);
    let mut connected = None;
    for round in 0..rounds {
        netback.close();
        network.until("it is up again", |n| {
            n.station.ups("xn0") == round + 2 && n.station.is_up("xn0")
        });
        if round % 10 == 0 {
            network.expect_traffic(0);
        }
        if round % 50 == 10 {
            network.run_for(SECOND * 120);
            let holdings = *connected.get_or_insert_with(|| network.holdings());
            assert_eq!(network.holdings(), holdings, "round {round}");
        }
    }
    assert_eq!(netback.connections(), rounds + 1);
}

#[test]
fn c13_hostile_acts_fill_no_log() {
    let network = Network::new(33);
    for _ in 0..200 {
        let netback = network.attach(
            0,
            &VifConfig::default(),
            with_malice(Malice {
                all_sent: Some(TxTamper::Id(u16::MAX)),
                ..Malice::default()
            }),
        );
        network.send("xn0", from_guest());
        network.until("an error", |n| n.front_error(0).is_some());
        let detach = network.toolstack.force_detach_vif(&netback.vif());
        network.until("it is detached", |_| detach.outcome().is_some());
        network.run_for(Duration::from_millis(1));
        let error = format!("/local/domain/{GUEST}/error/device/vif/0/error");
        network.toolstack.store().remove(&error);
    }
    let written = network.guest.log_lines("breaks the protocol") as u64;
    let seconds = network.world.now().since_start().as_secs();
    let most = 10 * (seconds / 10 + 1);
    assert!(written <= most, "{written} complaints in {seconds} s");
}

#[test]
fn c13_bad_packets_fill_no_log() {
    let network = Network::new(34);
    let netback = network.attach_ready(NetbackConfig::default());
    netback.set_malice(Malice {
        all_received: Some(sim::netback::RxTamper::Last(-1)),
        ..Malice::default()
    });
    let lines = network.guest.log().len();
    for _ in 0..3000 {
        network
            .host
            .send(frames::udp((THERE, 4), (Network::address(0), 3), &[9; 60]));
        network.run_for(Duration::from_micros(100));
    }
    let more = network.guest.log().len() - lines;
    assert!(more < 20, "{more} lines");
}

#[test]
fn a_stale_reference_is_the_guests_own_no_more() {
    let network = Network::new(35);
    let netback = network.attach_ready(NetbackConfig::default());
    network.expect_traffic(0);
    network.detach(0);
    network.run_for(SECOND * 60);
    drop(netback);
    for entry in 8..512 {
        let access = hv::Access::ReadOnly;
        let mapped = network
            .world
            .grant_map_one(DomId(0), GUEST, GrantRef(entry), access);
        assert!(mapped.is_err(), "grant {entry}");
    }
}
