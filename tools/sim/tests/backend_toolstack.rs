//! One export's nodes while the toolstack is at work on them, or the store refuses.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::time::Duration;

use hv::DomId;
use sim::DriverDomain;
use xenbus::{Backend, BackendEvent, Looked, StoreError, XenbusState};

const TWO: DomId = DomId(2);
const SECOND: Duration = Duration::from_secs(1);
const BACK: &str = "/local/domain/1/backend/vbd/2/51712";
const ERROR: &str = "/local/domain/1/error";
/// A driver domain with one export.
fn exported(seed: u64) -> DriverDomain {
    let setting = DriverDomain::new(seed);
    setting.attach(2, 51712);
    setting
}

/// The export as a driver opens it whose bus goes on in a task of its own.
fn open(setting: &DriverDomain) -> Backend {
    let (bus, events) = setting.events(setting.bus());
    assert_eq!(events, [BackendEvent::Added(TWO, 51712)]);
    let routes = bus.routes();
    setting.leave_running(bus);
    let opened =
        setting.ask(async move |store| Backend::open(&store, &routes, "vbd", TWO, 51712).await);
    opened.unwrap()
}

/// What libxl writes when it wants the device to end.
fn ask_to_close(setting: &DriverDomain) {
    let (online, state) = (format!("{BACK}/online"), format!("{BACK}/state"));
    setting
        .store()
        .together(&[(&online, Some(b"0")), (&state, Some(b"5"))]);
}

#[test]
fn s47_a_removed_device_is_not_made_again() {
    let setting = exported(7);
    let backend = open(&setting);
    setting.store().remove(BACK);
    let outcomes = setting.ask(async move |_| {
        let keys = [("sectors", "8".to_string())];
        let published = backend.publish(&keys, XenbusState::InitWait).await;
        backend.refuse("xbdback", "no such disk").await;
        let looked = backend.look().await.map(drop);
        (published, looked, backend.remove().await)
    });
    let gone = Err(StoreError::NoEntry);
    assert_eq!(outcomes, (gone, gone, Ok(())));
    assert!(!setting.store().exists(BACK));
}

#[test]
fn s47_a_removal_at_any_moment_of_a_publication_is_final() {
    let mut outcomes = [0, 0];
    for delay in 0..60 {
        let setting = exported(delay);
        let daemon = setting.store().clone();
        let backend = open(&setting);
        let exec = setting.guest.pv.exec.clone();
        setting.guest.pv.exec.spawn("toolstack", async move {
            exec.sleep(Duration::from_micros(delay * 10)).await;
            daemon.remove(BACK);
        });
        let outcome = setting.ask(async move |_| {
            let keys = ["a", "b", "c", "d", "e"].map(|key| (key, "8".to_string()));
            backend.publish(&keys, XenbusState::InitWait).await
        });
        setting.world.run_for(SECOND).unwrap();
        assert!(!setting.store().exists(BACK), "made again, {delay}");
        let expected = matches!(outcome, Ok(()) | Err(StoreError::NoEntry));
        assert!(expected, "{outcome:?}");
        outcomes[usize::from(outcome.is_ok())] += 1;
    }
    assert!(outcomes[0] > 5 && outcomes[1] > 5, "{outcomes:?}");
}

#[test]
fn s47_a_device_made_in_a_removed_one_s_place_is_not_touched() {
    let setting = exported(8);
    let backend = open(&setting);
    let backend = setting.ask(async move |_| {
        backend.set_state(XenbusState::InitWait).await.unwrap();
        backend
    });
    setting.attach(2, 51712);
    let outcomes = setting.ask(async move |_| {
        backend.refuse("xbdback", "no such disk").await;
        [
            backend.set_state(XenbusState::Closed).await,
            backend.withdraw(&["params"]).await,
            backend.look().await.map(drop),
            backend.remove().await,
        ]
    });
    assert_eq!(outcomes, [Err(StoreError::Replaced); 4]);
    assert_eq!(setting.own(2, 51712, "state").as_deref(), Some("1"));
    assert!(setting.own(2, 51712, "params").is_some());
    assert_eq!(setting.own(2, 51712, "hotplug-status"), None);
}

#[test]
fn x06_the_toolstack_s_closing_is_never_written_over() {
    let mut after = [0, 0];
    for delay in 0..60 {
        let setting = exported(delay);
        let daemon = setting.store().clone();
        let backend = open(&setting);
        let exec = setting.guest.pv.exec.clone();
        setting.guest.pv.exec.spawn("toolstack", async move {
            exec.sleep(Duration::from_micros(delay * 10)).await;
            let (online, state) = (format!("{BACK}/online"), format!("{BACK}/state"));
            daemon.together(&[(&online, Some(b"0")), (&state, Some(b"5"))]);
        });
        let (left, looked) = setting.ask(async move |store| {
            let keys = [("sectors", "8".to_string())];
            let offered = backend.publish(&keys, XenbusState::InitWait).await;
            assert_eq!(offered, Ok(()));
            let connected = backend.publish(&keys, XenbusState::Connected).await;
            assert_eq!(connected, Ok(()));
            let left = backend.state();
            store.exec().sleep(SECOND).await;
            (left, backend.look().await)
        });
        let expected = Looked {
            own: XenbusState::Closing,
            frontend: Some(XenbusState::Initialising),
            online: false,
        };
        assert_eq!(looked, Ok(expected), "{delay}");
        assert_eq!(
            setting.own(2, 51712, "state").as_deref(),
            Some("5"),
            "{delay}"
        );
        after[usize::from(left == XenbusState::Closing)] += 1;
    }
    // It came both before and after the end of the publications.
    assert!(after[0] > 5 && after[1] > 5, "{after:?}");
}

#[test]
fn x06_a_backend_asked_to_close_goes_closing_and_closed_and_nowhere_else() {
    let setting = exported(9);
    let backend = open(&setting);
    ask_to_close(&setting);
    let states = setting.ask(async move |_| {
        let mut states = Vec::new();
        for state in [
            XenbusState::InitWait,
            XenbusState::Connected,
            XenbusState::Closing,
            XenbusState::InitWait,
            XenbusState::Closed,
        ] {
            backend.set_state(state).await.unwrap();
            states.push(backend.state());
        }
        states
    });
    let closing = XenbusState::Closing;
    assert_eq!(states[..4], [closing; 4]);
    assert_eq!(states[4], XenbusState::Closed);
    assert_eq!(setting.own(2, 51712, "state").as_deref(), Some("6"));
}

#[test]
fn a_device_that_a_former_life_left_is_closed_first_if_it_was_connected() {
    let lives = [
        ("2", XenbusState::Initialising, "2"),
        ("4", XenbusState::Closing, "5"),
        ("5", XenbusState::Closing, "5"),
        ("6", XenbusState::Closed, "6"),
    ];
    for (stored, state, left) in lives {
        let setting = exported(10);
        setting.store().write(&format!("{BACK}/state"), stored);
        let backend = open(&setting);
        assert_eq!(backend.state(), state, "{stored}");
        assert_eq!(
            setting.own(2, 51712, "state").as_deref(),
            Some(left),
            "{stored}"
        );
    }
}

#[test]
fn refusals_are_written_where_the_administrator_looks_and_taken_back() {
    let setting = exported(11);
    let backend = open(&setting);
    let backend = setting.ask(async move |_| {
        backend.refuse("xbdback", "params: no such disk").await;
        backend
    });
    let text = Some("params: no such disk");
    let reported = format!("{ERROR}/backend/vbd/2/51712/error");
    assert_eq!(setting.store().read(&reported).as_deref(), text);
    assert_eq!(setting.own(2, 51712, "hotplug-error").as_deref(), text);
    assert_eq!(
        setting.own(2, 51712, "hotplug-status").as_deref(),
        Some("error")
    );
    assert_eq!(setting.own(2, 51712, "state").as_deref(), Some("1"));
    assert_eq!(setting.guest.log_lines("params: no such disk"), 1);
    // Another device's report keeps its directory.
    let other = format!("{ERROR}/backend/vbd/3/51712/error");
    setting.store().write(&other, "x");
    let removed = setting.ask(async move |_| backend.remove().await);
    assert_eq!(removed, Ok(()));
    assert!(!setting.store().exists(&format!("{ERROR}/backend/vbd/2")));
    assert!(setting.store().exists(&other));
}

#[test]
fn x06_the_directory_is_removed_once_the_toolstack_can_have_read_closed() {
    let setting = exported(12);
    let backend = open(&setting);
    ask_to_close(&setting);
    let done = setting.guest.spawn(&setting.world, async move {
        backend.set_state(XenbusState::Closed).await.unwrap();
        backend.remove().await
    });
    setting.world.run_for(Duration::from_millis(250)).unwrap();
    assert_eq!(setting.own(2, 51712, "state").as_deref(), Some("6"));
    setting.world.run_for(Duration::from_millis(100)).unwrap();
    assert_eq!(*done.borrow(), Some(Ok(())));
    assert!(!setting.store().exists(BACK));
    // What is above it is the toolstack's.
    assert!(setting.store().exists("/local/domain/1/backend/vbd/2"));
}

#[test]
fn x06_a_device_made_anew_while_its_directory_lingers_stays() {
    for anew in [true, false] {
        let setting = exported(13);
        let backend = open(&setting);
        let done = setting.guest.spawn(&setting.world, async move {
            backend.set_state(XenbusState::Closed).await.unwrap();
            backend.remove().await
        });
        setting.world.run_for(Duration::from_millis(150)).unwrap();
        if anew {
            setting.attach(2, 51712);
        } else {
            setting.store().remove(BACK);
        }
        setting.world.run_for(Duration::from_millis(150)).unwrap();
        // Either is seen at once.
        let expected = if anew {
            Err(StoreError::Replaced)
        } else {
            Ok(())
        };
        assert_eq!(*done.borrow(), Some(expected));
        setting.world.run_for(5 * SECOND).unwrap();
        assert_eq!(setting.store().exists(BACK), anew);
    }
}

#[test]
fn x03_a_publication_that_always_conflicts_fails_its_device_alone() {
    let setting = exported(15);
    let backend = open(&setting);
    setting.store().refuse_commits(100);
    let outcome = setting.ask(async move |_| {
        let outcome = backend.set_state(XenbusState::InitWait).await;
        (outcome, backend.state())
    });
    assert_eq!(outcome, (Err(StoreError::Again), XenbusState::Initialising));
    setting.store().refuse_commits(0);
    assert_eq!(setting.own(2, 51712, "state").as_deref(), Some("1"));
}

#[test]
fn x03_a_publication_beyond_the_quota_writes_nothing() {
    let setting = exported(16);
    let backend = open(&setting);
    let outcome = setting.ask(async move |store| {
        for number in 0..1100 {
            if store.write(&format!("data/n{number}"), "").await.is_err() {
                break;
            }
        }
        let keys = [("sectors", "8".to_string())];
        let outcome = backend.publish(&keys, XenbusState::InitWait).await;
        // Closing needs no new node.
        let closed = backend.set_state(XenbusState::Closed).await;
        (outcome, closed)
    });
    assert_eq!(outcome, (Err(StoreError::Quota), Ok(())));
    assert_eq!(setting.own(2, 51712, "sectors"), None);
    assert_eq!(setting.own(2, 51712, "state").as_deref(), Some("6"));
}
