use std::cell::Cell;
use std::rc::Rc;

use xen_abi::io::xs_wire::kind;

use super::daemon::Rig;
use crate::error::{ProtocolError, StoreError};
use crate::watch::Watch;
use crate::wire::Message;

/// Registers a watch on `path`.
fn watch(rig: &mut Rig, path: &'static str) -> (Watch, Message) {
    let store = rig.store.clone();
    let slot = rig.start(async move { store.watch(path).await });
    let request = rig.request();
    assert_eq!(request.kind, kind::WATCH);
    rig.answer(&request, b"OK\0");
    let watch = slot.borrow_mut().take().unwrap().unwrap();
    (watch, request)
}

/// Counts how often the watch ends a wait.
fn looker(rig: &Rig, watch: Watch) -> Rc<Cell<usize>> {
    let looks = Rc::new(Cell::new(0));
    let count = looks.clone();
    rig.start(async move {
        while watch.changed().await.is_ok() {
            count.set(count.get() + 1);
        }
    });
    looks
}

#[test]
fn x04_a_storm_on_one_path_is_one_look() {
    let mut rig = Rig::new();
    let (watch, request) = watch(&mut rig, "device/vbd");
    for _ in 0..10_000 {
        rig.event(&request.payload).unwrap();
    }
    let looks = looker(&rig, watch);
    rig.turn().unwrap();
    assert_eq!(looks.get(), 1);
    assert_eq!(rig.store.usage().events, 10_000);
    rig.event(&request.payload).unwrap();
    assert_eq!(looks.get(), 2);
}

#[test]
fn x04_a_storm_does_not_starve_another_watch_nor_requests() {
    let mut rig = Rig::new();
    let (storm, storm_request) = watch(&mut rig, "device/vbd");
    let (control, control_request) = watch(&mut rig, "control/shutdown");
    let (_storm_looks, looks) = (looker(&rig, storm), looker(&rig, control));
    for _ in 0..100 {
        for _ in 0..100 {
            rig.event(&storm_request.payload).unwrap();
        }
        let before = looks.get();
        rig.event(&control_request.payload).unwrap();
        assert_eq!(looks.get(), before + 1);
    }
    let store = rig.store.clone();
    let slot = rig.start(async move { store.read("a").await });
    let request = rig.request();
    rig.event(&storm_request.payload).unwrap();
    rig.answer(&request, b"1");
    assert_eq!(*slot.borrow(), Some(Ok("1".into())));
}

#[test]
fn s57_an_owner_that_needs_another_event_does_not_hold_the_others() {
    let mut rig = Rig::new();
    let (first, first_request) = watch(&mut rig, "a");
    let (second, second_request) = watch(&mut rig, "b");
    // On an event of the first, its owner waits for one of the second.
    let slot = rig.start(async move {
        first.changed().await?;
        second.changed().await
    });
    rig.event(&first_request.payload).unwrap();
    assert_eq!(*slot.borrow(), None);
    rig.event(&second_request.payload).unwrap();
    assert_eq!(*slot.borrow(), Some(Ok(())));
}

#[test]
fn a_dropped_watch_is_taken_back_once() {
    let mut rig = Rig::new();
    let (watch, request) = watch(&mut rig, "a");
    assert_eq!(rig.store.usage().watches, 1);
    drop(watch);
    let unwatch = rig.request();
    assert_eq!(
        (unwatch.kind, &unwatch.payload),
        (kind::UNWATCH, &request.payload)
    );
    // An event that was on its way belongs to nobody.
    rig.event(&request.payload).unwrap();
    rig.answer(&unwatch, b"OK\0");
    rig.event(&request.payload).unwrap();
    assert_eq!(
        (rig.store.usage().watches, rig.store.usage().stray_events),
        (0, 1)
    );
    assert!(rig.requests().is_empty());
}

#[test]
fn a_watch_dropped_while_it_is_registered_is_taken_back() {
    let mut rig = Rig::new();
    let (store, exec) = (rig.store.clone(), rig.exec.clone());
    rig.start(async move {
        exec.timeout(std::time::Duration::from_secs(1), store.watch("a"))
            .await
            .map(|_| ())
    });
    let request = rig.request();
    rig.pass(std::time::Duration::from_secs(2));
    assert!(rig.requests().is_empty(), "nothing to take back yet");
    rig.answer(&request, b"OK\0");
    assert_eq!(rig.request().kind, kind::UNWATCH);
}

#[test]
fn x03_no_watch_beyond_the_quota() {
    for refusal in ["E2BIG", "ENOSPC"] {
        let mut rig = Rig::new();
        let store = rig.store.clone();
        let slot = rig.start(async move { store.watch("a").await.map(|_| ()) });
        let request = rig.request();
        rig.refuse(&request, refusal);
        assert_eq!(*slot.borrow(), Some(Err(StoreError::Quota)));
        assert_eq!(rig.store.usage().watches, 0);
        assert!(rig.requests().is_empty());
    }
}

#[test]
fn f24_events_without_path_and_token_end_the_connection() {
    for payload in [&b""[..], b"\0", b"path\0", b"path\x001"] {
        let mut rig = Rig::new();
        let (watch, _) = watch(&mut rig, "a");
        let slot = rig.start(async move { watch.changed().await });
        rig.turn().unwrap();
        assert_eq!(
            rig.event(payload),
            Err(ProtocolError::WatchEvent),
            "{payload:?}"
        );
        rig.lose(ProtocolError::WatchEvent);
        assert_eq!(
            *slot.borrow(),
            Some(Err(StoreError::Lost(ProtocolError::WatchEvent)))
        );
    }
}

#[test]
fn f24_events_of_unknown_tokens_are_counted() {
    let mut rig = Rig::new();
    for token in ["0", "77", "-1", "x", "", "99999999999"] {
        rig.event(format!("path\0{token}\0").as_bytes()).unwrap();
    }
    assert_eq!(rig.store.usage().stray_events, 6);
}
