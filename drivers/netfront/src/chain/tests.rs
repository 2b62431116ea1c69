use xen_abi::io::netif::{
    Extra, RX_CSUM_BLANK, RX_DATA_VALIDATED, RX_EXTRA_INFO, RX_GSO_PREFIX, RX_MORE_DATA,
    RxResponse, SLOTS_MIN, extra,
};

use super::{Chain, Packet, Slot};
use crate::misbehaviour::Misbehaviour;

fn data(id: u16, offset: u16, flags: u16, status: i16) -> [u8; 8] {
    RxResponse {
        id,
        offset,
        flags,
        status,
    }
    .encode()
}

/// A chain that has taken one slot with `flags`.
fn begun(flags: u16) -> Chain {
    let mut chain = Chain::default();
    chain.take(&data(0, 0, flags, 100), 0).unwrap();
    chain
}

const GSO: Extra = Extra::Gso {
    size: 1448,
    kind: extra::GSO_TCPV4,
};

#[test]
fn a_packet_is_put_together_from_its_slots() {
    let mut chain = Chain::default();
    let flags = RX_MORE_DATA | RX_EXTRA_INFO | RX_CSUM_BLANK;
    let first = chain.take(&data(7, 64, flags, 4032), 7).unwrap();
    assert_eq!(
        first,
        Slot {
            offset: 64,
            length: 4032,
            packet: None
        }
    );
    let extra = chain.take(&GSO.encode(false), 8).unwrap();
    assert_eq!(extra, Slot::default());
    assert_eq!(
        chain
            .take(&data(9, 0, RX_MORE_DATA, 4096), 9)
            .unwrap()
            .packet,
        None
    );
    let last = chain.take(&data(10, 0, 0, 1), 10).unwrap();
    let packet = Packet {
        refused: false,
        blank: true,
        validated: true,
    };
    assert_eq!((last.length, last.packet), (1, Some(packet)));
    // The next one knows nothing of it.
    let next = chain.take(&data(11, 0, RX_DATA_VALIDATED, 60), 11).unwrap();
    assert_eq!(
        next.packet,
        Some(Packet {
            validated: true,
            ..Packet::default()
        })
    );
}

#[test]
fn a_refused_part_refuses_the_whole_packet_and_no_other() {
    let mut chain = begun(RX_MORE_DATA);
    chain.take(&data(1, 9999, RX_MORE_DATA, -1), 1).unwrap();
    let packet = chain.take(&data(2, 0, 0, 5), 2).unwrap().packet.unwrap();
    assert!(packet.refused);
    let packet = chain.take(&data(3, 0, 0, 5), 3).unwrap().packet.unwrap();
    assert!(!packet.refused);
}

#[test]
fn f18_a_part_must_lie_in_its_page() {
    let taken = |offset, status| Chain::default().take(&data(0, offset, 0, status), 0);
    assert!(taken(0, 4096).is_ok() && taken(4095, 1).is_ok() && taken(4096, 0).is_ok());
    for (offset, length) in [
        (0, 4097),
        (4095, 2),
        (4096, 1),
        (1, i16::MAX),
        (u16::MAX, 1),
    ] {
        let fault = Misbehaviour::Range { offset, length };
        assert_eq!(taken(offset, length), Err(fault));
    }
    let refused = taken(u16::MAX, i16::MIN).unwrap();
    assert!(refused.length == 0 && refused.packet.unwrap().refused);
}

#[test]
fn f18_a_chain_ends() {
    for status in [100, -1] {
        let mut chain = Chain::default();
        for id in 0..u16::try_from(SLOTS_MIN).unwrap() {
            chain.take(&data(id, 0, RX_MORE_DATA, status), id).unwrap();
        }
        let end = chain.take(&data(18, 0, 0, status), 18);
        assert_eq!(end, Err(Misbehaviour::LongChain));
    }
}

#[test]
fn f19_extras_end() {
    let mut chain = begun(RX_EXTRA_INFO);
    for id in 1..=4 {
        chain.take(&GSO.encode(true), id).unwrap();
    }
    assert_eq!(
        chain.take(&GSO.encode(false), 5),
        Err(Misbehaviour::ManyExtras)
    );
}

#[test]
fn f19_extras_are_what_a_backend_may_say() {
    let taken = |extra: Extra| begun(RX_EXTRA_INFO).take(&extra.encode(false), 1);
    for kind in [0, 5, 9, 255] {
        let fault = Misbehaviour::UnknownExtra(kind);
        assert_eq!(taken(Extra::Unknown(kind)), Err(fault));
    }
    let address = [1, 0, 0x5e, 0, 0, 1];
    for add in [false, true] {
        assert!(taken(Extra::Multicast { add, address }).is_err());
    }
    for (size, kind) in [(0, 1), (1448, 0), (1448, 3), (1448, 9), (0, 2)] {
        let fault = Misbehaviour::Segments { size, kind };
        assert_eq!(taken(Extra::Gso { size, kind }), Err(fault));
    }
    assert!(taken(Extra::Hash).is_ok() && taken(GSO).is_ok());
}

#[test]
fn f19_a_large_packet_may_come_without_saying_so() {
    let mut chain = begun(RX_MORE_DATA | RX_CSUM_BLANK);
    for id in 1..16 {
        chain.take(&data(id, 0, RX_MORE_DATA, 4096), id).unwrap();
    }
    let packet = chain.take(&data(16, 0, 0, 9), 16).unwrap().packet;
    assert!(packet.is_some_and(|packet| packet.blank && !packet.validated));
}

#[test]
fn f19_nobody_asked_for_prefixes() {
    let mut chain = Chain::default();
    let prefix = data(0, 1448, RX_GSO_PREFIX, 0);
    assert_eq!(chain.take(&prefix, 0), Err(Misbehaviour::Prefix));
}

#[test]
fn f20_slots_are_answered_in_their_order() {
    let taken = Chain::default().take(&data(5, 0, 0, 60), 4);
    let fault = Misbehaviour::ReceiveId {
        due: 4,
        answered: 5,
    };
    assert_eq!(taken, Err(fault));
    let fault = Misbehaviour::ReceiveId {
        due: 1,
        answered: 0,
    };
    assert_eq!(begun(RX_MORE_DATA).take(&data(0, 0, 0, 60), 1), Err(fault));
}
