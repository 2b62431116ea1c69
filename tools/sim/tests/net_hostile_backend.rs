//! A network backend whose nodes and states lie: F13, F14, F22, F25. That device alone fails, or
//! does without.

use std::time::Duration;

use sim::netback::Malice;
use sim::{DomainConfig, Netback, NetbackConfig, Network, VifConfig};

const SECOND: Duration = Duration::from_secs(1);

/// Attaches a backend whose directory says these things, whatever is true.
fn claims(network: &Network, keys: &[(&str, Option<&str>)]) -> Netback {
    let keys = keys.iter();
    let keys = keys.map(|(key, value)| ((*key).into(), value.map(Into::into)));
    let config = NetbackConfig {
        malice: Malice {
            keys: keys.collect(),
            ..Malice::default()
        },
        ..NetbackConfig::default()
    };
    network.attach(0, &VifConfig::default(), config)
}

/// Attaches `xn0` with one of its own nodes changed before the guest can see it.
fn with_key(network: &Network, key: &str, value: Option<&str>) -> Netback {
    let netback = network.attach(0, &VifConfig::default(), NetbackConfig::default());
    let path = format!("{}/{key}", Network::vif(0).frontend_path());
    network
        .toolstack
        .store()
        .together(&[(&path, value.map(str::as_bytes))]);
    netback
}

#[test]
fn f22_a_mac_that_is_none_is_an_error_of_that_device() {
    let long = "00:".repeat(400);
    for mac in [
        Some(""),
        Some("00:16:3e:00:01"),
        Some("00:16:3e:00:01:zz"),
        Some("00163e000100"),
        Some("01:00:5e:00:00:01"),
        Some("ff:ff:ff:ff:ff:ff"),
        Some("00:00:00:00:00:00"),
        Some(long.as_str()),
        None,
    ] {
        let network = Network::beside_a_good_vif(1);
        let _netback = with_key(&network, "mac", mac);
        network.until("an error", |n| n.front_error(0).is_some());
        assert_eq!(network.station.ups("xn0"), 0, "{mac:?}");
        network.expect_traffic(1);
        network.detach(0);
        let _again = network.attach_ready(NetbackConfig::default());
        network.expect_traffic(0);
    }
}

#[test]
fn f22_an_mtu_that_cannot_be_is_as_if_it_were_not_said() {
    for mtu in [
        Some("0"),
        Some("1"),
        Some("67"),
        Some("65536"),
        Some("4294967296"),
        Some("-1"),
        Some("1500 "),
        Some("x"),
        Some(""),
        None,
    ] {
        let network = Network::new(2);
        let _netback = with_key(&network, "mtu", mtu);
        network.until("xn0 is up", |n| n.station.seen("xn0").is_some());
        let seen = network.station.seen("xn0").map(|seen| seen.mtu);
        assert_eq!(seen, Some(1500), "{mtu:?}");
        network.expect_traffic(0);
    }
}

#[test]
fn f22_a_carrier_that_flips_and_one_that_is_no_number() {
    let network = Network::beside_a_good_vif(3);
    let netback = network.attach_ready(NetbackConfig::default());
    let lines = network.guest.log().len();
    for _ in 0..1000 {
        netback.set_carrier(false);
        netback.set_carrier(true);
        network.run_for(Duration::from_millis(1));
    }
    for value in ["", "2", "-1", "up", "18446744073709551616"] {
        netback.write_key("carrier", value);
        network.run_for(SECOND);
        network.expect_traffic(0);
    }
    let more = network.guest.log().len() - lines;
    assert!(more < 50, "{more} lines");
    network.expect_traffic(1);
    assert_eq!(network.front_error(0), None);
}

#[test]
fn f22_without_rx_copy_there_is_no_connection() {
    for value in [None, Some("0"), Some("no"), Some("")] {
        let network = Network::beside_a_good_vif(4);
        let _netback = claims(&network, &[("feature-rx-copy", value)]);
        network.until("an error", |n| n.front_error(0).is_some());
        assert!(network.logged("feature-rx-copy"), "{value:?}");
        assert_eq!(network.station.ups("xn0"), 0);
        network.expect_traffic(1);
        network.detach(0);
        let _again = network.attach_ready(NetbackConfig::default());
        network.expect_traffic(0);
    }
}

#[test]
fn f22_features_that_are_no_yes_are_a_no() {
    for value in ["2", "-1", "yes", "", "18446744073709551616", "0x1"] {
        let network = Network::new(5);
        let keys = [
            "feature-sg",
            "feature-gso-tcpv4",
            "feature-gso-tcpv6",
            "feature-ipv6-csum-offload",
            "feature-multicast-control",
            "feature-split-event-channels",
        ]
        .map(|key| (key, Some(value)));
        let netback = claims(&network, &keys);
        // What is said is as good as what is not: it would complain of what it did not offer.
        netback.configure(|config| {
            config.sg = false;
            config.gso_tcpv4 = false;
            config.gso_tcpv6 = false;
            config.ipv6_csum = false;
            config.multicast = false;
            config.split = false;
        });
        network.until("xn0 is up", |n| n.station.is_up("xn0"));
        network.expect_traffic(0);
    }
}

#[test]
fn f22_an_address_hint_is_whatever_it_is() {
    let long = "1".repeat(2000);
    for hint in ["", "x", "10.0.0.1", "10.0.0.1 \u{7f}\u{1}", long.as_str()] {
        let network = Network::new(6);
        let _netback = claims(&network, &[("ip", Some(hint))]);
        network.until("xn0 is up", |n| n.station.seen("xn0").is_some());
        let seen = network.station.seen("xn0").and_then(|seen| seen.hint);
        assert!(seen.is_none_or(|seen| seen == hint && seen.len() <= 256));
        network.expect_traffic(0);
    }
}

#[test]
fn f13_queue_offers_are_clamped() {
    for (offer, queues) in [
        ("0", 1),
        ("1", 1),
        ("3", 3),
        ("4294967296", 4),
        ("8", 4),
        ("-1", 1),
        ("many", 1),
    ] {
        let network = Network::with(7, DomainConfig::default(), 4);
        let netback = claims(&network, &[("multi-queue-max-queues", Some(offer))]);
        netback.configure(|config| config.queues = Some(8));
        network.until("xn0 is up", |n| n.station.is_up("xn0"));
        assert_eq!(netback.served().queues, queues, "{offer}");
        network.expect_traffic(0);
    }
}

#[test]
fn f13_f26_fewer_queues_and_features_after_a_reconnect() {
    let network = Network::with(8, DomainConfig::default(), 4);
    let netback = network.attach_ready(NetbackConfig {
        queues: Some(4),
        ..NetbackConfig::default()
    });
    for (round, queues) in (2..).zip([Some(2), None, Some(3), Some(1)]) {
        let poor = round % 2 == 1;
        netback.configure(|config| {
            config.queues = queues;
            config.sg = !poor;
            config.gso_tcpv4 = !poor;
            config.gso_tcpv6 = !poor;
            config.no_csum = poor;
            config.ipv6_csum = !poor;
            config.split = !poor;
            config.multicast = !poor;
        });
        netback.close();
        network.until("it is up again", |n| {
            n.station.ups("xn0") == round && n.station.is_up("xn0")
        });
        assert_eq!(netback.served().queues, queues.unwrap_or(1));
        network.expect_traffic(0);
    }
}

/// Attaches a backend that goes through these states and then either goes on honestly or is silent.
fn goes_through(network: &Network, states: &[u32], then_silent: bool) -> Netback {
    let config = NetbackConfig {
        malice: Malice {
            keys: vec![("feature-rx-copy".into(), Some("1".into()))],
            states: states.to_vec(),
            state_time: Duration::from_millis(5),
            then_silent,
            ..Malice::default()
        },
        ..NetbackConfig::default()
    };
    network.attach(0, &VifConfig::default(), config)
}

fn leaves_nothing(network: &Network) {
    network.expect_traffic(1);
    network.detach(0);
    network.run_for(SECOND * 120);
    assert_eq!(network.guest.pv.grants.usage().parked, 0);
    let _again = network.attach_ready(NetbackConfig::default());
    network.expect_traffic(0);
    network.expect_traffic(1);
}

#[test]
fn f14_a_backend_that_never_answers_is_detached() {
    for states in [
        &[1][..],
        &[1, 2],
        &[1, 7],
        &[0],
        &[1, 2, 3],
        &[1, 2, 5],
        &[6],
        &[1, 2, 4],
    ] {
        let network = Network::beside_a_good_vif(60);
        let netback = goes_through(&network, states, true);
        network.run_for(SECOND * 60);
        drop(netback);
        leaves_nothing(&network);
    }
}

#[test]
fn f14_a_backend_that_never_connects_is_complained_of_once() {
    let network = Network::beside_a_good_vif(61);
    let _netback = goes_through(&network, &[1, 2], true);
    network.run_for(SECOND * 600);
    assert_eq!(network.guest.log_lines("does not connect"), 1);
}

#[test]
fn f14_connected_without_initwait_is_no_connection_of_ours() {
    let network = Network::beside_a_good_vif(62);
    let _netback = goes_through(&network, &[4], true);
    network.run_for(SECOND * 60);
    assert_eq!(network.station.ups("xn0"), 0);
    let state = network.front_state(0);
    assert!(matches!(state.as_deref(), Some("5" | "6")), "{state:?}");
    assert!(network.logged("the backend is not new"));
    leaves_nothing(&network);
}

#[test]
fn f14_a_state_that_oscillates_ends_in_peace() {
    let pairs = [[2, 4], [4, 5], [2, 6], [5, 6], [1, 4], [4, 6]];
    for (seed, pair) in (70..).zip(pairs) {
        let network = Network::beside_a_good_vif(seed);
        let states: Vec<_> = (0..1000).map(|index| pair[index % 2]).collect();
        let _netback = goes_through(&network, &states, true);
        network.run_for(SECOND * 600);
        let lines = network.guest.log().len();
        assert!(lines < 200, "{pair:?}: {lines} lines");
        leaves_nothing(&network);
    }
}

#[test]
fn f14_a_backend_that_closes_each_connection_is_met_ever_more_rarely() {
    let network = Network::beside_a_good_vif(64);
    let netback = network.attach_ready(NetbackConfig::default());
    let mut closed = 0;
    for _ in 0..6000 {
        network.run_for(Duration::from_millis(10));
        if netback.state() == 4 {
            netback.close();
            closed += 1;
        }
    }
    // A minute: pauses of 20 ms, 40 ms and so on up to 10 s.
    assert!((8..25).contains(&closed), "{closed} connections");
    leaves_nothing(&network);
}

#[test]
fn f14_closing_and_then_silence_is_let_go() {
    let network = Network::beside_a_good_vif(63);
    let netback = network.attach_ready(NetbackConfig::default());
    netback.close();
    netback.set_frozen(true);
    network.until("the frontend is closed", |n| {
        n.front_state(0).as_deref() == Some("6")
    });
    assert!(!network.station.is_up("xn0"));
    network.expect_traffic(1);
    netback.set_frozen(false);
    network.until("it is up again", |n| n.station.is_up("xn0"));
    network.expect_traffic(0);
}

#[test]
fn f25_a_backend_link_to_elsewhere_is_reported() {
    for link in [
        "/local/domain/0/backend/vif/1/1",
        "..",
        "",
        "/local/domain/0/backend/vbd/1/0",
    ] {
        let network = Network::beside_a_good_vif(90);
        let front = Network::vif(0).frontend_path();
        let store = network.toolstack.store();
        let keys = [
            ("backend", link),
            ("backend-id", "0"),
            ("mac", "x"),
            ("state", "1"),
        ];
        for (key, value) in keys {
            store.write(&format!("{front}/{key}"), value);
        }
        network.until("an error", |n| n.front_error(0).is_some());
        let error = network.front_error(0).unwrap_or_default();
        assert!(error.contains("is not this device's backend"), "{error}");
        network.expect_traffic(1);
    }
}

#[test]
fn f25_a_backend_directory_that_vanishes_ends_the_connection() {
    let network = Network::beside_a_good_vif(91);
    let netback = network.attach_ready(NetbackConfig::default());
    network.expect_traffic(0);
    let store = network.toolstack.store();
    store.remove(&netback.vif().backend_path());
    network.until("xn0 is down", |n| !n.station.is_up("xn0"));
    network.expect_traffic(1);
    netback.crash();
    store.remove(&netback.vif().frontend_path());
    network.run_for(SECOND * 120);
    assert_eq!(network.guest.pv.grants.usage().parked, 0);
    let _again = network.attach_ready(NetbackConfig::default());
    network.expect_traffic(0);
}
