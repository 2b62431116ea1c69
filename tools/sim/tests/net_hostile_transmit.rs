//! A backend that lies about what it was sent: F21, and F01 and F02 as they are for the network.

use std::time::Duration;

use sim::frames;
use sim::netback::{Malice, TxTamper};
use sim::network::THERE;
use sim::{DomainConfig, Netback, NetbackConfig, Network};

const SECOND: Duration = Duration::from_secs(1);

fn from_guest() -> Vec<u8> {
    frames::udp((Network::address(0), 3), (THERE, 4), &[7; 100])
}

/// A large packet for the backend to cut: three entries and an extra.
fn large() -> (Vec<u8>, Option<u16>) {
    let frame = frames::tcp((Network::address(0), 3), (THERE, 4), 1, &[7; 10_000]);
    (frame, Some(1448))
}

fn scene(seed: u64) -> (Network, Netback) {
    let network = Network::beside_a_good_vif(seed);
    let netback = network.attach_ready(NetbackConfig::default());
    for _ in 0..3 {
        network.expect_traffic(0);
        network.expect_traffic(1);
    }
    (network, netback)
}

/// Falsifies the next answer; the one after it does not come, so that there is room for one more.
fn tamper_next(netback: &Netback, tamper: TxTamper) {
    let next = netback.answered() + 1;
    netback.set_malice(Malice {
        sent: vec![(next, tamper), (next + 1, TxTamper::Lost)],
        ..Malice::default()
    });
}

fn ends_the_vif(tamper: TxTamper, why: &str) {
    for long in [false, true] {
        let (network, netback) = scene(1);
        tamper_next(&netback, tamper);
        for _ in 0..8 {
            if long {
                let station = &network.station;
                station.send_cut(&network.world, &network.guest, "xn0", large());
            } else {
                network.send("xn0", from_guest());
            }
        }
        // A frontend that sends on looks at the answers.
        network.run_for(SECOND);
        network.send("xn0", from_guest());
        network.has_failed_alone(why);
        assert_eq!(
            network.guest.log_lines("breaks the protocol"),
            1,
            "{tamper:?}"
        );
    }
}

#[test]
fn f01_an_answer_to_what_is_not_outstanding_ends_the_vif() {
    for id in [255, 256, 0x7fff, 0xfffe, u16::MAX] {
        ends_the_vif(TxTamper::Id(id), "which is not outstanding");
        ends_the_vif(TxTamper::Before(id), "which is not outstanding");
    }
}

#[test]
fn f21_an_answer_given_twice_ends_the_vif() {
    ends_the_vif(TxTamper::Twice, "which is not outstanding");
}

#[test]
fn f21_an_answer_given_again_when_the_slot_is_in_use_again_ends_the_vif() {
    let (network, netback) = scene(2);
    for _ in 0..600 {
        network.send("xn0", from_guest());
    }
    network.until("all are sent", |_| {
        netback.served().sent >= 600 && netback.pending() == 0
    });
    netback.set_frozen(true);
    for _ in 0..8 {
        network.send("xn0", from_guest());
    }
    network.run_for(SECOND);
    // Each slot was used more than once: this is a former id of one of them.
    tamper_next(&netback, TxTamper::Before(0x0100));
    netback.set_frozen(false);
    network.run_for(SECOND);
    network.send("xn0", from_guest());
    network.has_failed_alone("it answered transmit slot 0x100, which is not outstanding");
}

#[test]
fn f21_a_status_for_extras_where_none_are_ends_the_vif() {
    let (network, netback) = scene(3);
    netback.tamper_next_sent(TxTamper::Status(1));
    network.send("xn0", from_guest());
    network.run_for(SECOND);
    network.send("xn0", from_guest());
    network.has_failed_alone("extra information that was not sent");
}

#[test]
fn f21_such_a_status_for_data_beside_an_extra_ends_the_vif() {
    let (network, netback) = scene(4);
    netback.tamper_next_sent(TxTamper::Status(1));
    let station = &network.station;
    station.send_cut(&network.world, &network.guest, "xn0", large());
    network.run_for(SECOND);
    network.send("xn0", from_guest());
    network.has_failed_alone("extra information that was not sent");
}

#[test]
fn f04_a_status_that_nobody_knows_ends_the_vif() {
    for status in [2, -3, i16::MAX, i16::MIN] {
        ends_the_vif(TxTamper::Status(status), "has status");
    }
}

#[test]
fn f04_packets_that_were_refused_or_dropped_are_counted_and_nothing_else() {
    for (status, drops, errors) in [(-2, 1, 0), (-1, 0, 1)] {
        let (network, netback) = scene(5);
        netback.tamper_next_sent(TxTamper::Status(status));
        network.send("xn0", from_guest());
        network.run_for(SECOND);
        network.expect_traffic(0);
        network.run_for(SECOND);
        let counters = network.station.seen("xn0").map(|seen| seen.counters.sent);
        let counted = counters.map(|sent| (sent.drops, sent.errors));
        assert_eq!(counted, Some((drops, errors)));
        assert_eq!(network.front_error(0), None);
    }
}

#[test]
fn f21_answers_that_never_come_stop_that_direction_alone() {
    let (network, netback) = scene(6);
    let before = network.guest.pv.grants.usage().granted;
    netback.set_malice(Malice {
        all_sent: Some(TxTamper::Lost),
        ..Malice::default()
    });
    for _ in 0..1000 {
        network.send("xn0", from_guest());
    }
    network.run_for(SECOND * 60);
    assert!(network.station.unsent("xn0") > 500);
    network.expect_traffic(1);
    let grown = network.guest.pv.grants.usage().granted - before;
    assert!(grown <= 512, "{grown} pages more");
    // Nothing more is accepted, but nothing hangs either.
    network.detach(0);
    network.run_for(SECOND * 120);
    assert_eq!(network.guest.pv.grants.usage().parked, 0);
    let _again = network.attach_ready(NetbackConfig::default());
    network.until("what waited is sent", |n| n.station.unsent("xn0") == 0);
    network.expect_traffic(0);
}

#[test]
fn f02_an_answer_on_another_queue_ends_the_vif() {
    let network = Network::with(7, DomainConfig::default(), 2);
    let netback = network.attach_ready(NetbackConfig {
        queues: Some(2),
        ..NetbackConfig::default()
    });
    network.expect_traffic(0);
    netback.tamper_next_sent(TxTamper::OtherQueue);
    network.send("xn0", from_guest());
    network.run_for(SECOND);
    network.send("xn0", from_guest());
    network.until("an error", |n| n.front_error(0).is_some());
    assert!(network.logged("breaks the protocol"));
    network.detach(0);
    let _again = network.attach_ready(NetbackConfig::default());
    network.expect_traffic(0);
}

#[test]
fn c01_a_producer_far_ahead_of_what_was_sent_ends_the_vif() {
    for by in [257, 1 << 20, 1 << 31] {
        ends_the_vif(TxTamper::ProducerAhead(by), "rsp_prod");
    }
}

#[test]
fn c02_a_producer_that_goes_back_ends_the_vif() {
    for by in [5, 300] {
        ends_the_vif(TxTamper::ProducerBack(by), "rsp_prod");
    }
}
