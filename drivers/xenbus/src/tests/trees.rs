use std::collections::BTreeSet;

use xen_abi::io::xs_wire::kind;

use super::daemon::{Rig, Slot};
use crate::changes::{Changes, DISTINCT};
use crate::error::{ProtocolError, StoreError};
use crate::watch::TreeWatch;

/// Registers a watch on `path`; its token.
fn watch(rig: &mut Rig, path: &'static str, depth: usize) -> (TreeWatch, String) {
    let store = rig.store.clone();
    let slot = rig.start(async move { store.watch_tree(path, depth).await });
    let request = rig.request();
    assert_eq!(request.kind, kind::WATCH);
    rig.answer(&request, b"OK\0");
    let watch = slot.borrow_mut().take().unwrap().unwrap();
    let payload = String::from_utf8(request.payload).unwrap();
    let (watched, token) = payload.split_once('\0').unwrap();
    assert_eq!(watched, path);
    (watch, token.trim_end_matches('\0').to_string())
}

fn event(rig: &mut Rig, path: &str, token: &str) {
    rig.event(format!("{path}\0{token}\0").as_bytes()).unwrap();
}

type Waited = (TreeWatch, Result<Changes, StoreError>);

fn wait(rig: &mut Rig, watch: TreeWatch) -> Slot<Waited> {
    let slot = rig.start(async move {
        let changes = watch.changed().await;
        (watch, changes)
    });
    rig.turn().unwrap();
    slot
}

/// What a wait brings that must end at once.
fn changes(rig: &mut Rig, watch: TreeWatch) -> (TreeWatch, Changes) {
    let slot = wait(rig, watch);
    let (watch, changes) = slot.borrow_mut().take().expect("the wait ends at once");
    (watch, changes.unwrap())
}

fn below(places: &[&str]) -> Changes {
    Changes::Below(places.iter().map(ToString::to_string).collect())
}

#[test]
fn the_first_wait_ends_with_everything_and_the_next_with_what_changed() {
    let mut rig = Rig::new();
    let (watch, token) = watch(&mut rig, "backend/vbd", 2);
    event(&mut rig, "backend/vbd", &token);
    let (watch, first) = changes(&mut rig, watch);
    assert_eq!(first, Changes::Everything);
    let slot = wait(&mut rig, watch);
    assert!(slot.borrow().is_none(), "nothing has changed");
    event(&mut rig, "backend/vbd/3/51712/state", &token);
    let (_watch, second) = slot.borrow_mut().take().unwrap();
    assert_eq!(second, Ok(below(&["3/51712"])));
}

#[test]
fn changes_are_told_apart_down_to_the_depth_and_no_further() {
    let paths = ["a/1/x/y", "a/1/x/z", "a/1/w", "a/2", "a/2/x"];
    let depths: [(usize, &[&str]); 4] = [
        (1, &["1", "2"]),
        (2, &["1/w", "1/x", "2", "2/x"]),
        (3, &["1/w", "1/x/y", "1/x/z", "2", "2/x"]),
        (9, &["1/w", "1/x/y", "1/x/z", "2", "2/x"]),
    ];
    for (depth, expected) in depths {
        let mut rig = Rig::new();
        let (watch, token) = watch(&mut rig, "a", depth);
        for path in paths {
            event(&mut rig, path, &token);
        }
        assert_eq!(changes(&mut rig, watch).1, below(expected), "{depth}");
    }
}

#[test]
fn a_watch_on_the_root_and_on_an_absolute_path_says_what_changed_too() {
    for (watched, path, place) in [
        ("/", "/local/domain", "local"),
        ("/local", "/local/domain/3", "domain"),
    ] {
        let mut rig = Rig::new();
        let (watch, token) = watch(&mut rig, watched, 1);
        event(&mut rig, path, &token);
        assert_eq!(changes(&mut rig, watch).1, below(&[place]));
    }
}

#[test]
fn what_cannot_be_placed_is_everything() {
    let long = format!("a/{}", "x".repeat(65));
    let odd: [&[u8]; 8] = [
        b"a",
        b"",
        b"b/1",
        b"ab/1",
        b"/a/1",
        b"a//1",
        b"a/\xff",
        long.as_bytes(),
    ];
    for path in odd {
        let mut rig = Rig::new();
        let (watch, token) = watch(&mut rig, "a", 1);
        event(&mut rig, "a/1", &token);
        rig.event(&[path, b"\0", token.as_bytes(), b"\0"].concat())
            .unwrap();
        event(&mut rig, "a/2", &token);
        let seen = changes(&mut rig, watch).1;
        assert_eq!(seen, Changes::Everything, "{path:?}");
    }
    let mut rig = Rig::new();
    let (watch, token) = watch(&mut rig, "a", 0);
    event(&mut rig, "a/1", &token);
    assert_eq!(changes(&mut rig, watch).1, Changes::Everything);
}

#[test]
fn x04_a_storm_on_many_paths_is_bounded_and_one_on_few_is_exact() {
    let mut rig = Rig::new();
    let (mut watch, token) = watch(&mut rig, "a", 2);
    for distinct in [1, DISTINCT - 1, DISTINCT, DISTINCT + 1, 10_000] {
        for number in 0..10_000 {
            let path = format!("a/{}/state", number % distinct);
            event(&mut rig, &path, &token);
        }
        let seen;
        (watch, seen) = changes(&mut rig, watch);
        let expected: BTreeSet<_> = (0..distinct).map(|n| format!("{n}/state")).collect();
        let expected = if distinct <= DISTINCT {
            Changes::Below(expected)
        } else {
            Changes::Everything
        };
        assert_eq!(seen, expected, "{distinct}");
    }
    // After a storm it begins anew.
    event(&mut rig, "a/7/state", &token);
    assert_eq!(changes(&mut rig, watch).1, below(&["7/state"]));
}

#[test]
fn what_a_watch_and_another_saw_is_what_either_saw_and_bounded() {
    let mut seen = Changes::none();
    for (other, sum) in [
        (below(&["1/state"]), below(&["1/state"])),
        (below(&["2", "1/state"]), below(&["1/state", "2"])),
        (Changes::none(), below(&["1/state", "2"])),
        (Changes::Everything, Changes::Everything),
        (below(&["3"]), Changes::Everything),
    ] {
        seen.add(&other);
        assert_eq!(seen, sum);
    }
    let mut seen = Changes::none();
    for number in 0..DISTINCT {
        seen.add(&below(&[&number.to_string()]));
        assert!(matches!(&seen, Changes::Below(places) if places.len() == number + 1));
    }
    seen.add(&below(&["x"]));
    assert_eq!(seen, Changes::Everything);
}

#[test]
fn f24_a_new_connection_may_have_changed_everything() {
    let mut rig = Rig::starting_at(0);
    let (watch, token) = watch(&mut rig, "a", 1);
    event(&mut rig, "a/1", &token);
    let (watch, _) = changes(&mut rig, watch);
    let slot = wait(&mut rig, watch);
    rig.make_another();
    let again = rig.request();
    assert_eq!(again.kind, kind::WATCH);
    rig.answer(&again, b"OK\0");
    assert!(slot.borrow().is_none());
    event(&mut rig, "a", &token);
    let (_watch, seen) = slot.borrow_mut().take().unwrap();
    assert_eq!(seen, Ok(Changes::Everything));
}

#[test]
fn f24_a_lost_store_ends_the_wait() {
    let mut rig = Rig::new();
    let (watch, _) = watch(&mut rig, "a", 1);
    let slot = wait(&mut rig, watch);
    rig.lose(ProtocolError::Closed);
    let (_watch, seen) = slot.borrow_mut().take().unwrap();
    assert_eq!(seen, Err(StoreError::Lost(ProtocolError::Closed)));
}

#[test]
fn a_wait_that_is_dropped_loses_nothing() {
    let mut rig = Rig::new();
    let (watch, token) = watch(&mut rig, "a", 1);
    let exec = rig.exec.clone();
    let slot = rig.start(async move {
        let second = std::time::Duration::from_secs(1);
        let early = exec.timeout(second, watch.changed()).await.is_err();
        exec.sleep(second).await;
        (early, watch.changed().await)
    });
    rig.turn().unwrap();
    rig.pass(std::time::Duration::from_millis(1500));
    event(&mut rig, "a/1", &token);
    rig.pass(std::time::Duration::from_secs(1));
    assert_eq!(*slot.borrow(), Some((true, Ok(below(&["1"])))));
}
