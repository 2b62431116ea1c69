use std::time::Duration;

use hv::SharedMem;
use xen_abi::io::xs_wire::{
    CONNECTION, ERROR, FEATURE_ERROR, FEATURE_RECONNECTION, RECONNECT, RSP_PROD, SERVER_FEATURES,
    kind,
};

use super::daemon::{Rig, Slot};
use crate::error::{ProtocolError, StoreError};
use crate::store::Store;

fn read(rig: &Rig, path: &'static str) -> Slot<Result<String, StoreError>> {
    let store = rig.store.clone();
    rig.start(async move { store.read(path).await })
}

#[test]
fn a_request_has_the_protocol_s_bytes() {
    let mut rig = Rig::new();
    let store = rig.store.clone();
    rig.start(async move { store.write("device/x", "12").await });
    let request = rig.request();
    assert_eq!((request.kind, request.transaction), (kind::WRITE, 0));
    assert_ne!(request.request, 0);
    assert_eq!(request.payload, b"device/x\x0012");
}

#[test]
fn answers_out_of_order_find_their_requests() {
    let mut rig = Rig::new();
    let slots = ["a", "b", "c"].map(|path| read(&rig, path));
    let requests = rig.requests();
    assert_eq!(requests.len(), 3);
    for request in requests.iter().rev() {
        rig.answer(request, &request.payload[..1]);
    }
    for (slot, value) in slots.iter().zip(["a", "b", "c"]) {
        assert_eq!(*slot.borrow(), Some(Ok(value.to_string())));
    }
}

#[test]
fn no_more_than_eight_requests_wait_for_answers() {
    let mut rig = Rig::new();
    let slots: Vec<_> = (0..30).map(|_| read(&rig, "a")).collect();
    let mut served = 0;
    while served < 30 {
        let requests = rig.requests();
        assert!(!requests.is_empty() && requests.len() <= 8);
        for request in requests {
            rig.answer(&request, b"1");
            served += 1;
        }
    }
    assert!(
        slots
            .iter()
            .all(|slot| *slot.borrow() == Some(Ok("1".into())))
    );
}

#[test]
fn a_call_dropped_before_its_request_was_sent_is_never_sent() {
    let mut rig = Rig::new();
    let slots: Vec<_> = (0..8).map(|_| read(&rig, "a")).collect();
    let first = rig.requests();
    let (store, exec) = (rig.store.clone(), rig.exec.clone());
    rig.start(async move {
        exec.timeout(Duration::from_secs(1), store.remove("b"))
            .await
    });
    rig.turn().unwrap();
    rig.pass(Duration::from_secs(2));
    for request in &first {
        rig.answer(request, b"1");
    }
    assert!(rig.requests().is_empty());
    assert!(
        slots
            .iter()
            .all(|slot| *slot.borrow() == Some(Ok("1".into())))
    );
}

#[test]
fn x01_values_of_every_length_arrive() {
    let mut rig = Rig::new();
    for value in [String::new(), "\0".into(), "x".repeat(4096)] {
        let slot = read(&rig, "a");
        let request = rig.request();
        rig.answer(&request, value.as_bytes());
        assert_eq!(*slot.borrow(), Some(Ok(value)));
    }
    let slot = read(&rig, "a");
    let request = rig.request();
    rig.answer(&request, b"\xff");
    assert_eq!(*slot.borrow(), Some(Err(StoreError::NotText)));
}

#[test]
fn x02_bad_paths_and_long_values_are_refused_unsent() {
    let mut rig = Rig::new();
    assert_eq!(
        *start_read(&mut rig, "../x").borrow(),
        Some(Err(StoreError::BadPath))
    );
    let store = rig.store.clone();
    let slot = rig.start(async move { store.write("a", vec![0; 4095]).await });
    assert!(rig.requests().is_empty());
    assert_eq!(*slot.borrow(), Some(Err(StoreError::TooLong)));
}

fn start_read(rig: &mut Rig, path: &'static str) -> Slot<Result<String, StoreError>> {
    let slot = read(rig, path);
    rig.turn().unwrap();
    slot
}

#[test]
fn f24_an_answer_to_no_request_is_ignored_and_counted() {
    let mut rig = Rig::new();
    let slot = read(&rig, "a");
    let request = rig.request();
    for id in [0, request.request.wrapping_add(1), u32::MAX] {
        let mut stray = request.clone();
        stray.request = id;
        rig.answer(&stray, b"lie");
    }
    assert_eq!(rig.store.usage().stray_answers, 3);
    rig.answer(&request, b"truth");
    rig.answer(&request, b"again");
    assert_eq!(*slot.borrow(), Some(Ok("truth".into())));
    assert_eq!(rig.store.usage().stray_answers, 4);
}

#[test]
fn f24_an_answer_of_another_kind_fails_its_request_alone() {
    let mut rig = Rig::new();
    let slots = [read(&rig, "a"), read(&rig, "b")];
    let requests = rig.requests();
    let mut odd = requests[0].clone();
    odd.kind = kind::WRITE;
    rig.answer(&odd, b"OK\0");
    rig.answer(&requests[1], b"1");
    assert_eq!(*slots[0].borrow(), Some(Err(StoreError::BadReply)));
    assert_eq!(*slots[1].borrow(), Some(Ok("1".into())));
}

#[test]
fn f24_error_names_of_any_kind() {
    let mut rig = Rig::new();
    let cases = [
        ("ENOENT", StoreError::NoEntry),
        ("EACCES", StoreError::Denied),
        ("ENOSPC", StoreError::Quota),
        ("E2BIG", StoreError::TooLong),
        ("ENOTAWORD", StoreError::Refused),
        ("", StoreError::Refused),
    ];
    for (name, error) in cases {
        let slot = read(&rig, "a");
        let request = rig.request();
        rig.refuse(&request, name);
        assert_eq!(*slot.borrow(), Some(Err(error)));
    }
    // Without its NUL, and with bytes that are no text.
    for payload in [&b"ENOENT"[..], b"\xff\xff", b""] {
        let slot = read(&rig, "a");
        let mut request = rig.request();
        request.kind = kind::ERROR;
        rig.answer(&request, payload);
        assert!(matches!(
            *slot.borrow(),
            Some(Err(StoreError::NoEntry | StoreError::Refused))
        ));
    }
}

#[test]
fn f24_a_long_message_ends_the_connection_with_a_clear_error() {
    let mut rig = Rig::new();
    let slot = read(&rig, "a");
    let mut header = rig.request().encode();
    header.truncate(16);
    header[12..16].copy_from_slice(&5000u32.to_le_bytes());
    let error = ProtocolError::TooLong { length: 5000 };
    assert_eq!(rig.send(&header), Err(error));
    rig.lose(error);
    let text = slot.borrow().clone().unwrap().unwrap_err().to_string();
    assert_eq!(text, "the store is lost: a message of 5000 bytes");
    // Whoever asks later is told at once.
    let later = read(&rig, "b");
    rig.exec.turn(hv::Instant(0));
    assert_eq!(*later.borrow(), Some(Err(StoreError::Lost(error))));
}

#[test]
fn f24_indices_that_cannot_be_true_end_the_connection() {
    for ahead in [1025, 4096, u32::MAX - 1] {
        let mut rig = Rig::starting_at(0);
        rig.page.store_u32(RSP_PROD, ahead);
        assert!(matches!(rig.turn(), Err(ProtocolError::Ring(fault)) if fault.name == "rsp_prod"));
    }
}

#[test]
fn f24_the_error_field_counts_only_where_the_daemon_has_it() {
    let mut rig = Rig::new();
    rig.page.store_u32(ERROR, 2);
    assert_eq!(rig.turn(), Ok(()));
    rig.page.store_u32(SERVER_FEATURES, FEATURE_ERROR);
    assert_eq!(rig.turn(), Err(ProtocolError::Server(2)));
}

#[test]
fn f24_a_reconnect_in_the_middle_of_requests_repeats_them() {
    let mut rig = Rig::starting_at(0);
    let slot = read(&rig, "a");
    let watch_store = rig.store.clone();
    let watch = rig.start(async move { watch_store.watch("w").await.map(|_| ()) });
    let store = rig.store.clone();
    let tried = rig.start(async move {
        store
            .transaction(async |inside: &Store| inside.read("t").await)
            .await
    });
    let first = rig.requests();
    let started = first
        .iter()
        .find(|request| request.kind == kind::TRANSACTION_START)
        .unwrap();
    rig.answer(started, b"5\0");
    let inside = rig.request();
    assert_eq!((inside.kind, inside.transaction), (kind::READ, 5));
    // Half an answer is on its way when the connection breaks.
    rig.send(&[9; 7]).unwrap();

    assert!(
        !rig.connection.ask_for_another(),
        "the daemon does not offer it"
    );
    rig.page.store_u32(SERVER_FEATURES, FEATURE_RECONNECTION);
    assert!(rig.connection.ask_for_another());
    assert_eq!(rig.page.load_u32(CONNECTION), RECONNECT);
    assert!(!rig.connection.take_another());
    assert_eq!(rig.turn(), Err(ProtocolError::Closed));
    rig.make_another();

    let again = rig.requests();
    let kinds: Vec<_> = again
        .iter()
        .map(|request| (request.kind, request.transaction))
        .collect();
    assert!(
        kinds.contains(&(kind::WATCH, 0)) && kinds.contains(&(kind::READ, 0)),
        "{kinds:?}"
    );
    assert!(
        kinds.contains(&(kind::TRANSACTION_START, 0)),
        "the transaction is tried again"
    );
    assert!(
        kinds.iter().all(|(_, transaction)| *transaction == 0),
        "{kinds:?}"
    );
    for request in &again {
        let payload: &[u8] = if request.kind == kind::TRANSACTION_START {
            b"6\0"
        } else {
            b"v"
        };
        rig.answer(request, payload);
    }
    assert_eq!(*slot.borrow(), Some(Ok("v".into())));
    assert_eq!(*watch.borrow(), Some(Ok(())));
    for request in rig.requests() {
        assert_ne!(request.transaction, 5);
        rig.answer(&request, b"w");
    }
    for request in rig.requests() {
        rig.answer(&request, b"OK\0");
    }
    assert_eq!(*tried.borrow(), Some(Ok("w".into())));
    assert_eq!(rig.store.usage().reconnects, 1);
}

#[test]
fn x03_a_transaction_that_always_conflicts_ends_with_an_error() {
    let mut rig = Rig::new();
    let store = rig.store.clone();
    let slot = rig.start(async move {
        store
            .transaction(async |inside: &Store| inside.write("a", "1").await)
            .await
    });
    let mut commits = 0;
    for _ in 0..100 {
        for request in rig.requests() {
            match request.kind {
                kind::TRANSACTION_START => rig.answer(&request, b"3\0"),
                kind::TRANSACTION_END => {
                    assert_eq!(request.payload, b"T\0");
                    commits += 1;
                    rig.refuse(&request, "EAGAIN");
                }
                _ => rig.answer(&request, b"OK\0"),
            }
        }
        rig.pass(Duration::from_millis(100));
    }
    assert_eq!(*slot.borrow(), Some(Err(StoreError::Again)));
    assert_eq!(commits, 16);
}

#[test]
fn x03_a_full_quota_ends_a_transaction_without_its_changes() {
    let mut rig = Rig::new();
    let store = rig.store.clone();
    let slot = rig.start(async move {
        store
            .transaction(async |inside: &Store| inside.write("a", "1").await)
            .await
    });
    let start = rig.request();
    rig.answer(&start, b"3\0");
    let write = rig.request();
    rig.refuse(&write, "ENOSPC");
    assert_eq!(*slot.borrow(), Some(Err(StoreError::Quota)));
    let end = rig.request();
    let seen = (end.kind, end.transaction, end.payload.as_slice());
    assert_eq!(seen, (kind::TRANSACTION_END, 3, &b"F\0"[..]));
}

#[test]
fn f24_transaction_ids_are_checked() {
    for payload in [&b"0\0"[..], b"", b"3", b"-3\0", b"x\0", b"4294967296\0"] {
        let mut rig = Rig::new();
        let store = rig.store.clone();
        let slot = rig.start(async move { store.transaction(async |_: &Store| Ok(())).await });
        let start = rig.request();
        rig.answer(&start, payload);
        assert_eq!(
            *slot.borrow(),
            Some(Err(StoreError::BadReply)),
            "{payload:?}"
        );
    }
}

#[test]
fn a_dropped_call_leaves_no_transaction_behind() {
    let mut rig = Rig::new();
    let (store, exec) = (rig.store.clone(), rig.exec.clone());
    rig.start(async move {
        let never = store.transaction(async |_: &Store| Ok(()));
        exec.timeout(Duration::from_secs(1), never).await
    });
    let start = rig.request();
    rig.pass(Duration::from_secs(2));
    rig.answer(&start, b"3\0");
    let end = rig.request();
    assert_eq!((end.kind, end.transaction), (kind::TRANSACTION_END, 3));
    assert_eq!(end.payload, b"F\0");
}

#[test]
fn a_daemon_that_never_answers_is_waited_for_a_minute() {
    let mut rig = Rig::new();
    let slot = read(&rig, "a");
    let request = rig.request();
    rig.pass(Duration::from_secs(59));
    assert_eq!(*slot.borrow(), None);
    rig.pass(Duration::from_secs(1));
    assert_eq!(*slot.borrow(), Some(Err(StoreError::TimedOut)));
    // The late answer belongs to nobody, and harms nobody.
    rig.answer(&request, b"1");
    assert_eq!(rig.store.usage().stray_answers, 0);
}

#[test]
fn a_long_list_is_fetched_in_parts_and_again_if_it_changes() {
    let mut rig = Rig::new();
    let store = rig.store.clone();
    let slot = rig.start(async move { store.list("d").await });
    let request = rig.request();
    rig.refuse(&request, "E2BIG");
    let script: [(&str, &[u8]); 5] = [
        ("0", b"1\0ab\0c\0"),
        ("5", b"2\0d\0\0"),
        ("0", b"2\0ab\0c\0"),
        ("5", b"2\0dd\0"),
        ("8", b"2\0\0"),
    ];
    for (offset, part) in script {
        let request = rig.request();
        assert_eq!(request.kind, kind::DIRECTORY_PART);
        assert_eq!(request.payload, format!("d\0{offset}\0").into_bytes());
        rig.answer(&request, part);
    }
    let names = ["ab", "c", "dd"].map(String::from).to_vec();
    assert_eq!(*slot.borrow(), Some(Ok(names)));
}

#[test]
fn f24_a_list_that_never_ends_is_given_up() {
    // Always the same part; a part without names; a list that always changes.
    type Script = fn(usize) -> Vec<u8>;
    let endless: [(Script, StoreError); 3] = [
        (
            |_| [&b"1\0"[..], &[b'x'; 4000], b"\0"].concat(),
            StoreError::TooLong,
        ),
        (|_| b"1\0".to_vec(), StoreError::BadReply),
        (|n| format!("{n}\0x\0").into_bytes(), StoreError::Again),
    ];
    for (part, error) in endless {
        let mut rig = Rig::new();
        let store = rig.store.clone();
        let slot = rig.start(async move { store.list("d").await });
        let request = rig.request();
        rig.refuse(&request, "E2BIG");
        for n in 0..1000 {
            let Some(request) = rig.requests().pop() else {
                break;
            };
            rig.answer(&request, &part(n));
        }
        assert_eq!(*slot.borrow(), Some(Err(error)));
    }
}

#[test]
fn f24_names_that_are_none_are_refused() {
    for payload in [&b"a\0..\0"[..], b"a/b\0", b"\0", b"a", b"\xff\0"] {
        let mut rig = Rig::new();
        let store = rig.store.clone();
        let slot = rig.start(async move { store.list("d").await });
        let request = rig.request();
        rig.answer(&request, payload);
        assert_eq!(
            *slot.borrow(),
            Some(Err(StoreError::BadReply)),
            "{payload:?}"
        );
    }
}
