//! Peers that do not keep to the protocol (cases C01 to C07).

use std::cell::RefCell;
use std::rc::Rc;

use hv::{HeapMemory, SharedMem};
use xen_abi::io::ring::{ENTRIES, REQ_EVENT, REQ_PROD, RSP_EVENT, RSP_PROD};

use super::interposed::Interposed;
use crate::{BackRing, FrontRing, PeerFault, RingFull};

const ENTRY: usize = 8;

fn memory(entries: usize) -> HeapMemory {
    HeapMemory::new(ENTRIES + entries * ENTRY)
}

/// Small numbers and their neighbours at the far end.
fn odd_numbers() -> impl Iterator<Item = u32> {
    (0..20).flat_map(|n| [n, u32::MAX - n, 0x7fff_fff8 + n])
}

#[test]
fn c01_responses_never_asked_for() {
    for start in odd_numbers() {
        for asked in 0..=4 {
            for claimed in odd_numbers() {
                let memory = memory(4);
                let mut front = FrontRing::init_at(memory.clone(), ENTRY, start);
                for _ in 0..asked {
                    front.push(&[0; ENTRY]).unwrap();
                }
                let _ = front.publish();
                memory.store_u32(RSP_PROD, start.wrapping_add(claimed));
                let mut took = 0;
                let end = loop {
                    match front.take(&mut [0; ENTRY]) {
                        Ok(Some(())) => took += 1,
                        end => break end,
                    }
                };
                if claimed <= asked {
                    assert_eq!((end, took), (Ok(None), claimed));
                } else {
                    let theirs = start.wrapping_add(claimed);
                    let fault = PeerFault {
                        name: "rsp_prod",
                        theirs,
                        ours: start,
                        limit: asked,
                    };
                    assert_eq!((end, took), (Err(fault), 0));
                    // One fault for good, also when the peer takes it back.
                    memory.store_u32(RSP_PROD, start);
                    assert_eq!(front.take(&mut [0; ENTRY]), Err(fault));
                    assert_eq!(front.final_check(), Err(fault));
                }
            }
        }
    }
}

#[test]
fn c01_a_response_to_a_request_not_yet_shown() {
    let memory = memory(4);
    let mut front = FrontRing::init(memory.clone(), ENTRY);
    front.push(&[0; ENTRY]).unwrap();
    memory.store_u32(RSP_PROD, 1);
    assert!(front.take(&mut [0; ENTRY]).is_err());
}

#[test]
fn c01_requests_beyond_the_ring() {
    for start in odd_numbers() {
        for claimed in odd_numbers() {
            let memory = memory(4);
            let _front = FrontRing::init_at(memory.clone(), ENTRY, start);
            let back = BackRing::attach(memory.clone(), ENTRY).unwrap();
            memory.store_u32(REQ_PROD, start.wrapping_add(claimed));
            let result = back.take(&mut [0; ENTRY]);
            assert_eq!(result.is_err(), claimed > 4, "{start} {claimed}");
            assert_eq!(back.final_check().is_err(), claimed > 4);
        }
    }
}

#[test]
fn c01_requests_beside_those_unanswered() {
    let memory = memory(4);
    let mut front = FrontRing::init(memory.clone(), ENTRY);
    let back = BackRing::attach(memory.clone(), ENTRY).unwrap();
    for _ in 0..3 {
        front.push(&[0; ENTRY]).unwrap();
    }
    let _ = front.publish();
    while back.take(&mut [0; ENTRY]).unwrap().is_some() {}
    memory.store_u32(REQ_PROD, 5);
    let fault = PeerFault {
        name: "req_prod",
        theirs: 5,
        ours: 3,
        limit: 1,
    };
    assert_eq!(back.take(&mut [0; ENTRY]), Err(fault));
}

#[test]
fn c02_a_producer_that_goes_back() {
    let memory = memory(4);
    let mut front = FrontRing::init_at(memory.clone(), ENTRY, u32::MAX);
    for _ in 0..4 {
        front.push(&[0; ENTRY]).unwrap();
    }
    assert_eq!(front.push(&[0; ENTRY]), Err(RingFull));
    let _ = front.publish();
    // Exactly the whole ring, across the wrap: legal.
    memory.store_u32(RSP_PROD, 3);
    for _ in 0..4 {
        assert_eq!(front.take(&mut [0; ENTRY]), Ok(Some(())));
    }
    memory.store_u32(RSP_PROD, 2);
    let fault = PeerFault {
        name: "rsp_prod",
        theirs: 2,
        ours: 3,
        limit: 0,
    };
    assert_eq!(front.take(&mut [0; ENTRY]), Err(fault));
}

#[test]
fn c03_an_entry_is_read_once() {
    let heap = memory(4);
    let memory = Interposed::new(heap.clone());
    let mut front = FrontRing::init(memory.clone(), ENTRY);
    front.push(&[1; ENTRY]).unwrap();
    let _ = front.publish();
    let back = BackRing::attach(heap.clone(), ENTRY).unwrap();
    back.take(&mut [0; ENTRY]).unwrap();
    back.push(&[2; ENTRY]).unwrap();
    let _ = back.publish();
    let mut response = [0; ENTRY];
    assert_eq!(front.take(&mut response), Ok(Some(())));
    heap.write(ENTRIES, &[3; ENTRY]);
    assert_eq!(response, [2; ENTRY]);
    let reads = memory.reads.borrow();
    assert_eq!(reads[ENTRIES..ENTRIES + ENTRY], [1; ENTRY]);
    assert!(reads[ENTRIES + ENTRY..].iter().all(|&reads| reads == 0));
}

#[test]
fn c04_event_fields_of_any_value() {
    for event in odd_numbers() {
        let memory = memory(4);
        let mut front = FrontRing::init(memory.clone(), ENTRY);
        let back = BackRing::attach(memory.clone(), ENTRY).unwrap();
        let mut events = 0;
        for n in 0..8 {
            memory.store_u32(REQ_EVENT, event);
            memory.store_u32(RSP_EVENT, event);
            front.push(&[n; ENTRY]).unwrap();
            events += u32::from(front.publish());
            let mut entry = [0; ENTRY];
            assert_eq!(back.take(&mut entry), Ok(Some(())));
            back.push(&entry).unwrap();
            events += u32::from(back.publish());
            assert_eq!(front.take(&mut entry), Ok(Some(())));
            assert_eq!(entry, [n; ENTRY]);
        }
        assert!(events <= 16, "no more events than publications");
    }
}

#[test]
fn c06_no_wake_up_is_lost_at_any_interleaving() {
    let mut at = 0;
    loop {
        let heap = memory(4);
        let memory = Interposed::new(heap.clone());
        let mut front = FrontRing::init(memory.clone(), ENTRY);
        let back = BackRing::attach(heap, ENTRY).unwrap();
        front.push(&[0; ENTRY]).unwrap();
        let _ = front.publish();
        let notified = Rc::new(RefCell::new(None));
        let verdict = notified.clone();
        memory.interpose(at, move || {
            back.take(&mut [0; ENTRY]).unwrap();
            back.push(&[0; ENTRY]).unwrap();
            *verdict.borrow_mut() = Some(back.publish());
        });
        let more = front.final_check().unwrap();
        if !memory.acted() {
            break;
        }
        assert!(
            more || *notified.borrow() == Some(true),
            "asleep at access {at}"
        );
        at += 1;
    }
    assert!(at >= 3, "final_check looks, asks and looks again");
}

#[test]
fn c07_a_page_full_of_noise_at_first_contact() {
    for seed in 0..=255u8 {
        let memory = memory(4);
        let noise: Vec<u8> = (0..memory.len())
            .map(|n| (n as u8).wrapping_mul(seed | 1).wrapping_add(seed))
            .collect();
        memory.write(0, &noise);
        // The back refuses or starts at what is there; the front starts afresh.
        let (theirs, ours) = (memory.load_u32(REQ_PROD), memory.load_u32(RSP_PROD));
        let attached = BackRing::attach(memory.clone(), ENTRY);
        assert_eq!(attached.is_ok(), theirs.wrapping_sub(ours) <= 4);
        let mut front = FrontRing::init(memory.clone(), ENTRY);
        assert_eq!(front.take(&mut [0; ENTRY]), Ok(None));
        assert!(
            memory.snapshot()[16..].iter().all(|&byte| byte == 0),
            "nothing old is shown"
        );
    }
}

#[test]
fn c07_a_back_goes_on_where_another_stopped() {
    let memory = memory(4);
    let mut front = FrontRing::init_at(memory.clone(), ENTRY, u32::MAX - 1);
    front.push(&[7; ENTRY]).unwrap();
    let _ = front.publish();
    let back = BackRing::attach(memory, ENTRY).unwrap();
    let mut entry = [0; ENTRY];
    assert_eq!(back.take(&mut entry), Ok(Some(())));
    assert_eq!(entry, [7; ENTRY]);
}
