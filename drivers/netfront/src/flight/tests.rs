use xen_abi::io::netif::{RSP_DROPPED, RSP_ERROR, RSP_NULL, RSP_OKAY, TxResponse};

use super::{Answered, Flight, index};
use crate::misbehaviour::Misbehaviour;

fn okay(id: u16) -> TxResponse {
    TxResponse {
        id,
        status: RSP_OKAY,
    }
}

#[test]
fn a_packet_is_answered_when_all_its_slots_are_in_any_order() {
    let mut flight = Flight::new(256);
    let first = flight.take(None).unwrap();
    let packet = index(first);
    let others: Vec<u16> = (0..3).map(|_| flight.take(Some(packet)).unwrap()).collect();
    assert_eq!(flight.answer(okay(first)), Ok(None));
    assert_eq!(flight.answer(okay(others[2])), Ok(None));
    let dropped = TxResponse {
        id: others[0],
        status: RSP_DROPPED,
    };
    assert_eq!(flight.answer(dropped), Ok(None));
    // The first slot's index names the packet: it is not given to another one.
    while let Some(id) = flight.take(None) {
        assert_ne!(index(id), packet);
    }
    let answered = Answered {
        first: packet,
        status: RSP_DROPPED,
    };
    assert_eq!(flight.answer(okay(others[1])), Ok(Some(answered)));
    assert_eq!(flight.free(), 2);
}

#[test]
fn every_slot_can_be_used_again_and_again() {
    let mut flight = Flight::new(256);
    for _ in 0..2000 {
        let id = flight.take(None).unwrap();
        assert!(flight.answer(okay(id)).unwrap().is_some());
    }
    assert_eq!(flight.free(), 256);
}

#[test]
fn f21_an_answer_twice_is_known() {
    let mut flight = Flight::new(256);
    let id = flight.take(None).unwrap();
    flight.answer(okay(id)).unwrap();
    let fault = Err(Misbehaviour::TransmitId(id));
    assert_eq!(flight.answer(okay(id)), fault);
    // Also when the slot is in use again.
    let next = flight.take(None).unwrap();
    assert_eq!(index(next), index(id));
    assert_eq!(flight.answer(okay(id)), fault);
    assert!(flight.answer(okay(next)).is_ok());
}

#[test]
fn f21_an_answer_to_what_was_not_sent_is_known() {
    let mut flight = Flight::new(128);
    let sent = flight.take(None).unwrap();
    for id in (0..=u16::MAX).filter(|id| *id != sent) {
        let answer = flight.answer(okay(id));
        assert_eq!(answer, Err(Misbehaviour::TransmitId(id)));
    }
}

#[test]
fn f21_null_answers_extras_and_nothing_else() {
    let mut flight = Flight::new(256);
    let null = |id| TxResponse {
        id,
        status: RSP_NULL,
    };
    let id = flight.take(None).unwrap();
    assert_eq!(flight.answer(null(id)), Err(Misbehaviour::Null));
    flight.take_extra();
    assert_eq!(flight.answer(null(0xdead)), Ok(None));
    assert_eq!(flight.answer(null(0xdead)), Err(Misbehaviour::Null));
}

#[test]
fn f21_other_statuses_mean_nothing() {
    let mut flight = Flight::new(256);
    let id = flight.take(None).unwrap();
    for status in [2, 3, -3, i16::MAX, i16::MIN] {
        let answer = flight.answer(TxResponse { id, status });
        assert_eq!(answer, Err(Misbehaviour::Status(status)));
    }
    let status = RSP_ERROR;
    assert!(flight.answer(TxResponse { id, status }).unwrap().is_some());
}
