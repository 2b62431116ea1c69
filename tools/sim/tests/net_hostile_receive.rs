//! A backend that lies about what it delivers: F18 to F20. The vif fails alone, or the packet is
//! not received and the vif goes on.

use std::time::Duration;

use sim::frames;
use sim::layout::netif;
use sim::netback::RxTamper;
use sim::netback::slot::Extra;
use sim::network::THERE;
use sim::{Netback, NetbackConfig, Network};

const SECOND: Duration = Duration::from_secs(1);

fn to_guest(length: usize) -> Vec<u8> {
    frames::udp((THERE, 4), (Network::address(0), 3), &vec![7; length])
}

/// A guest with a good vif and `xn0`, over which some packets have come already.
fn scene(seed: u64) -> (Network, Netback) {
    let network = Network::beside_a_good_vif(seed);
    let netback = network.attach_ready(NetbackConfig::default());
    for _ in 0..3 {
        network.expect_traffic(0);
        network.expect_traffic(1);
    }
    network.station.forget("xn0");
    (network, netback)
}

/// One packet falsified so ends the vif, for this reason.
fn ends_the_vif(tamper: &RxTamper, length: usize, why: &str) {
    let (network, netback) = scene(1);
    netback.tamper_next_received(tamper.clone());
    network.host.send(to_guest(length));
    network.has_failed_alone(why);
    assert_eq!(
        network.guest.log_lines("breaks the protocol"),
        1,
        "{tamper:?}"
    );
}

/// One packet falsified so is received in `count` packets, and the vif goes on.
fn is_survived(tamper: &RxTamper, length: usize, count: u64) {
    let (network, netback) = scene(2);
    let posted = netback.posted();
    netback.tamper_next_received(tamper.clone());
    network.host.send(to_guest(length));
    network.run_for(SECOND);
    assert_eq!(network.front_error(0), None, "{tamper:?}");
    assert_eq!(network.station.count("xn0"), count, "{tamper:?}");
    // Whatever the packet has begun is over with those that follow.
    network.host.send(to_guest(10));
    network.run_for(SECOND);
    network.expect_traffic(0);
    network.expect_traffic(1);
    // Each page is offered again.
    assert_eq!(netback.posted(), posted, "{tamper:?}");
}

/// One packet falsified so ends the vif or does not, but nothing else happens.
fn does_no_harm(tamper: &RxTamper, length: usize) {
    for seed in 0..6 {
        let (network, netback) = scene(seed);
        netback.tamper_next_received(tamper.clone());
        for _ in 0..20 {
            network.host.send(to_guest(length));
        }
        network.run_for(SECOND * 30);
        network.expect_traffic(1);
        network.detach(0);
        network.run_for(SECOND * 120);
        assert_eq!(network.guest.pv.grants.usage().parked, 0);
        let _again = network.attach_ready(NetbackConfig::default());
        network.expect_traffic(0);
    }
}

#[test]
fn f18_a_piece_that_leaves_its_page_ends_the_vif() {
    for (offset, status) in [
        (4000, 97),
        (4096, 1),
        (1, 4096),
        (0, 4097),
        (0, i16::MAX),
        (u16::MAX, 1),
        (u16::MAX, i16::MAX),
    ] {
        ends_the_vif(
            &RxTamper::Piece { offset, status },
            100,
            "do not lie in a page",
        );
    }
}

#[test]
fn f18_a_last_piece_that_leaves_its_page_ends_the_vif() {
    ends_the_vif(&RxTamper::Last(5000), 9000, "do not lie in a page");
}

#[test]
fn f18_a_piece_up_to_the_end_of_its_page_is_legal() {
    let piece = |offset, status| RxTamper::Piece { offset, status };
    is_survived(&piece(0, 4096), 100, 1);
    is_survived(&piece(4096 - 60, 60), 100, 1);
}

#[test]
fn f18_a_piece_with_an_error_or_nothing_is_not_received() {
    for status in [-1, -2, i16::MIN, 0, 1, 13] {
        is_survived(&RxTamper::Piece { offset: 0, status }, 100, 0);
    }
    for status in [-1, i16::MIN] {
        is_survived(&RxTamper::Last(status), 9000, 0);
    }
}

#[test]
fn f18_a_packet_of_too_many_pieces_ends_the_vif() {
    for count in [19, 20, 40] {
        ends_the_vif(&RxTamper::Pieces(count), 100, "too many parts");
    }
}

#[test]
fn f18_a_packet_of_as_many_pieces_as_one_may_have_is_received() {
    is_survived(&RxTamper::Pieces(18), 100, 1);
    is_survived(&RxTamper::Cut(18), 1000, 1);
}

#[test]
fn f18_packets_that_never_end_end_the_vif() {
    let (network, netback) = scene(3);
    netback.set_malice(sim::netback::Malice {
        all_received: Some(RxTamper::Endless),
        ..Default::default()
    });
    for _ in 0..40 {
        network.host.send(to_guest(100));
    }
    network.has_failed_alone("too many parts");
}

#[test]
fn f18_a_packet_that_goes_on_where_nothing_follows_waits_for_more() {
    let (network, netback) = scene(4);
    netback.tamper_next_received(RxTamper::Endless);
    network.host.send(to_guest(100));
    network.run_for(SECOND);
    assert_eq!(network.station.count("xn0"), 0);
    // The next one is its end.
    network.host.send(to_guest(100));
    network.run_for(SECOND);
    assert_eq!(network.station.count("xn0"), 1);
    network.expect_traffic(0);
}

#[test]
fn f18_the_smallest_pieces_make_one_packet() {
    let (network, netback) = scene(5);
    netback.configure(|config| config.rx_chunk = 11);
    let frame = to_guest(150);
    network.host.send(frame.clone());
    network.until("it comes", |n| n.station.count("xn0") == 1);
    assert_eq!(network.station.take_all("xn0"), [frame]);
}

#[test]
fn f19_extras_that_do_not_end_end_the_vif() {
    let hash = Extra {
        kind: 4,
        flags: netif::EXTRA_MORE,
        body: [0; 6],
    };
    for count in [5, 8, 40] {
        ends_the_vif(
            &RxTamper::Extras(vec![hash; count]),
            100,
            "too much extra information",
        );
    }
}

#[test]
fn f19_an_extra_of_a_kind_that_is_not_known_ends_the_vif() {
    for kind in [0, 5, 6, 9, 255] {
        let extra = Extra {
            kind,
            ..Extra::default()
        };
        ends_the_vif(
            &RxTamper::Extras(vec![extra]),
            100,
            "extra information of type",
        );
    }
    for wanted in [true, false] {
        let extra = Extra::multicast(wanted, [1; 6]);
        ends_the_vif(
            &RxTamper::Extras(vec![extra]),
            100,
            "extra information of type",
        );
    }
}

#[test]
fn f19_segments_of_nothing_or_of_no_known_kind_end_the_vif() {
    for (size, kind) in [(0, 1), (0, 2), (1448, 0), (1448, 3), (1448, 9), (1, 255)] {
        let extra = Extra::gso(size, kind);
        ends_the_vif(
            &RxTamper::Extras(vec![extra]),
            100,
            "a packet of segments of",
        );
    }
}

#[test]
fn f19_any_segment_size_is_received() {
    for (size, kind) in [(1, 1), (u16::MAX, 1), (1448, 2)] {
        is_survived(&RxTamper::Extras(vec![Extra::gso(size, kind)]), 100, 1);
    }
    let hash = Extra {
        kind: 4,
        ..Extra::default()
    };
    is_survived(&RxTamper::Extras(vec![hash]), 100, 1);
}

#[test]
fn f19_extras_that_were_not_announced_or_do_not_come_do_no_harm() {
    does_no_harm(&RxTamper::Unannounced(vec![Extra::gso(1448, 1)]), 100);
    does_no_harm(&RxTamper::Unannounced(vec![Extra::default(); 3]), 100);
    does_no_harm(&RxTamper::NoExtras, 100);
    does_no_harm(&RxTamper::NoExtras, 9000);
}

#[test]
fn f19_a_prefix_that_was_not_asked_for_ends_the_vif() {
    ends_the_vif(
        &RxTamper::Flags(16),
        100,
        "a prefix that it was not asked for",
    );
}

#[test]
fn f19_flags_that_nobody_knows_do_no_harm() {
    is_survived(&RxTamper::Flags(0xffe0), 100, 1);
}

#[test]
fn f20_an_answer_under_another_id_ends_the_vif() {
    for id in [0, 1, 255, 256, 0x7fff, u16::MAX] {
        ends_the_vif(&RxTamper::Id(id), 100, "it answered receive slot");
    }
}

#[test]
fn f20_answers_out_of_the_order_of_the_slots_end_the_vif() {
    ends_the_vif(&RxTamper::Swapped, 9000, "it answered receive slot");
    ends_the_vif(&RxTamper::Twice, 100, "it answered receive slot");
    ends_the_vif(&RxTamper::Unposted(3), 100, "it answered receive slot");
}

#[test]
fn f20_answers_to_what_was_never_posted_end_the_vif() {
    for by in [257, 1000, 1 << 20, 1 << 31] {
        ends_the_vif(&RxTamper::ProducerAhead(by), 100, "rsp_prod");
    }
    for by in [2, 300] {
        ends_the_vif(&RxTamper::ProducerBack(by), 100, "rsp_prod");
    }
    does_no_harm(&RxTamper::ProducerAhead(1), 100);
    does_no_harm(&RxTamper::ProducerAhead(200), 100);
}
