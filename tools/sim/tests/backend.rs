//! The backend's side of xenbus: one export's nodes on both sides, with the toolstack at work.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::rc::Rc;
use std::time::Duration;

use hv::DomId;
use sim::toolstack::Vbd;
use sim::xenstored::Permission;
use sim::{DomainConfig, Guest, Toolstack, World, Xenstored};
use xenbus::{
    Backend, BackendBus, BackendEvent, BackendRoutes, KeyError, KeyFault, Looked, Store,
    StoreError, XenbusState,
};

const ONE: DomId = DomId(1);
const TWO: DomId = DomId(2);
const SECOND: Duration = Duration::from_secs(1);
const FRONT: &str = "/local/domain/2/device/vbd/51712";
const BACK: &str = "/local/domain/1/backend/vbd/2/51712";
const ERROR: &str = "/local/domain/1/error";
const VBD: Vbd = Vbd {
    guest: TWO,
    backend: ONE,
    devid: 51712,
};

/// A driver domain with one export.
struct Setting {
    world: World,
    toolstack: Toolstack,
    guest: Guest,
}

impl Setting {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, ONE, DomainConfig::default());
        toolstack.create_vbd(&VBD, false);
        Self {
            world,
            toolstack,
            guest,
        }
    }

    fn store(&self) -> &Xenstored {
        self.toolstack.store()
    }

    fn own(&self, key: &str) -> Option<String> {
        self.store().read(&format!("{BACK}/{key}"))
    }

    fn ask<T: 'static>(&self, ask: impl AsyncFnOnce(Store) -> T + 'static) -> T {
        let store = self.guest.store.clone();
        self.guest
            .run(&self.world, async move { ask(store).await })
            .unwrap()
    }

    /// The export as a driver opens it whose bus goes on in a task of its own.
    fn try_open(&self) -> Result<Rc<Backend>, KeyError> {
        let routes = self.ask(async |store| {
            let mut bus = BackendBus::open(&store, "vbd").await.unwrap();
            let routes = bus.routes();
            assert_eq!(bus.next().await, Ok(BackendEvent::Added(TWO, 51712)));
            store
                .exec()
                .clone()
                .spawn("bus", async move { while bus.next().await.is_ok() {} });
            routes
        });
        self.ask(async move |store| open(&store, &routes).await)
            .map(Rc::new)
    }

    fn open(&self) -> Rc<Backend> {
        self.try_open().unwrap()
    }

    /// What libxl writes when it wants the device to end.
    fn ask_to_close(&self) {
        let (online, state) = (format!("{BACK}/online"), format!("{BACK}/state"));
        self.store()
            .together(&[(&online, Some(b"0")), (&state, Some(b"5"))]);
    }

    fn make_anew(&self) {
        self.store().together(&[(FRONT, None), (BACK, None)]);
        self.toolstack.create_vbd(&VBD, false);
    }
}

async fn open(store: &Store, routes: &BackendRoutes) -> Result<Backend, KeyError> {
    Backend::open(store, routes, "vbd", TWO, 51712).await
}

#[test]
fn a_backend_knows_its_frontend_and_publishes_all_at_once() {
    let setting = Setting::new(1);
    let backend = setting.open();
    assert_eq!((backend.frontend_domain(), backend.device()), (TWO, 51712));
    let paths = (backend.path(), backend.frontend_path());
    assert_eq!(paths, ("backend/vbd/2/51712", FRONT));
    assert_eq!(backend.state(), XenbusState::Initialising);
    let ends = setting.ask({
        let backend = backend.clone();
        async move |_| {
            assert_eq!(backend.read_text("params").await.unwrap(), "/dev/vg/disk");
            assert_eq!(backend.read::<u8>("removable").await, Ok(0));
            assert_eq!(backend.read_or("sectors", 7u64).await, Ok(7));
            let vdev = backend.read_frontend::<u32>("virtual-device").await;
            assert_eq!(vdev, Ok(51712));
            let keys = [("sectors", "2048".to_string()), ("info", "0".to_string())];
            backend.publish(&keys, XenbusState::InitWait).await.unwrap();
            backend.look().await.unwrap()
        }
    });
    let expected = Looked {
        own: XenbusState::InitWait,
        frontend: Some(XenbusState::Initialising),
        online: true,
    };
    assert_eq!(ends, expected);
    assert_eq!(
        ["sectors", "info", "state"].map(|key| setting.own(key)),
        ["2048", "0", "2"].map(|value| Some(value.to_string()))
    );
}

#[test]
fn f25_a_frontend_link_to_anywhere_else_is_refused_by_name() {
    let links = [
        "/local/domain/3/device/vbd/51712",
        "/local/domain/2/device/vbd/51728",
        "/local/domain/2/device/vif/51712",
        "/local/domain/02/device/vbd/51712",
        "/local/domain/2/device/vbd/51712/",
        "/local/domain/2/device/vbd/../vbd/51712",
        "/local/domain/1/backend/vbd/2/51712",
        "device/vbd/51712",
        "..",
        "",
    ];
    for link in links {
        let setting = Setting::new(2);
        setting.store().write(&format!("{BACK}/frontend"), link);
        let error = setting.try_open().err().unwrap();
        let names = matches!(error.fault, KeyFault::NotTheFrontend { .. });
        assert!(names, "{error}");
        assert!(error.to_string().contains("is not this device's frontend"));
        assert_eq!(setting.own("state").as_deref(), Some("1"));
    }
}

#[test]
fn f25_a_directory_that_names_another_domain_is_refused_by_name() {
    for id in ["3", "0", "1", "", "-2", "02", "32752", "65538", "x"] {
        let setting = Setting::new(3);
        setting.store().write(&format!("{BACK}/frontend-id"), id);
        let error = setting.try_open().err().unwrap();
        let other = ["3", "0", "1"].contains(&id);
        let names = matches!(error.fault, KeyFault::NotTheFrontend { .. });
        let number = matches!(error.fault, KeyFault::Number { .. });
        assert_eq!((names, number), (other, !other), "{error}");
        assert!(error.path.ends_with("/frontend-id"));
    }
    let setting = Setting::new(3);
    setting.store().remove(&format!("{BACK}/frontend-id"));
    let error = setting.try_open().err().unwrap();
    assert_eq!(error.fault, KeyFault::Store(StoreError::NoEntry));
}

#[test]
fn x01_values_of_the_frontend_that_are_no_numbers_are_named() {
    for value in ["", "-1", "+8", "0x8", "08", "8 ", "4294967296"] {
        let setting = Setting::new(4);
        setting.store().write(&format!("{FRONT}/ring-ref"), value);
        let backend = setting.open();
        let (read, or) = setting.ask(async move |_| {
            (
                backend.read_frontend::<u32>("ring-ref").await,
                backend.read_frontend_or::<u32>("ring-ref", 1).await,
            )
        });
        let path = format!("{FRONT}/ring-ref");
        assert!(read.as_ref().unwrap_err().to_string().starts_with(&path));
        assert_eq!(or, read, "what is there and wrong is not absent");
    }
    let setting = Setting::new(4);
    let backend = setting.open();
    let absent = setting.ask(async move |_| {
        let text = backend.read_frontend_text("queue-0/ring-ref").await;
        assert_eq!(
            text.unwrap_err().fault,
            KeyFault::Store(StoreError::NoEntry)
        );
        backend.read_frontend_or::<u32>("queue-0/ring-ref", 1).await
    });
    assert_eq!(absent, Ok(1));
}

#[test]
fn b13_odd_states_and_an_odd_online_are_read_as_what_they_are() {
    let states = [
        ("4", Some(XenbusState::Connected)),
        ("0", Some(XenbusState::Unknown)),
        ("9", Some(XenbusState::Unknown)),
        ("-1", Some(XenbusState::Unknown)),
        ("04", Some(XenbusState::Unknown)),
        ("", Some(XenbusState::Unknown)),
    ];
    for (text, state) in states {
        let setting = Setting::new(5);
        let backend = setting.open();
        setting.store().write(&format!("{FRONT}/state"), text);
        let looked = setting.ask(async move |_| backend.look().await.unwrap());
        assert_eq!(looked.frontend, state, "{text:?}");
    }
    for (text, online) in [("1", true), ("0", false), ("2", false), ("", false)] {
        let setting = Setting::new(5);
        let backend = setting.open();
        setting.store().write(&format!("{BACK}/online"), text);
        let looked = setting.ask(async move |_| backend.look().await.unwrap());
        assert_eq!(looked.online, online, "{text:?}");
    }
    let setting = Setting::new(5);
    let backend = setting.open();
    setting.store().remove(&format!("{BACK}/online"));
    assert!(!setting.ask(async move |_| backend.look().await.unwrap().online));
}

#[test]
fn s59_a_frontend_that_is_gone_or_hidden_is_seen_to_be() {
    for hidden in [false, true] {
        let setting = Setting::new(6);
        let backend = setting.open();
        if hidden {
            let only = Permission {
                dom: TWO,
                letter: 'n',
            };
            let store = setting.store();
            store.set_permissions(&format!("{FRONT}/state"), &[only]);
        } else {
            setting.store().remove("/local/domain/2");
        }
        let looked = setting.ask(async move |_| backend.look().await.unwrap());
        assert_eq!((looked.frontend, looked.online), (None, true));
    }
}

#[test]
fn s47_a_removed_device_is_not_made_again() {
    let setting = Setting::new(7);
    let backend = setting.open();
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
        let setting = Setting::new(delay);
        let daemon = setting.store().clone();
        let backend = setting.open();
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
    let setting = Setting::new(8);
    let backend = setting.open();
    let backend = setting.ask(async move |_| {
        backend.set_state(XenbusState::InitWait).await.unwrap();
        backend
    });
    setting.make_anew();
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
    assert_eq!(setting.own("state").as_deref(), Some("1"));
    assert!(setting.own("params").is_some());
    assert_eq!(setting.own("hotplug-status"), None);
}

#[test]
fn x06_the_toolstack_s_closing_is_never_written_over() {
    let mut after = [0, 0];
    for delay in 0..60 {
        let setting = Setting::new(delay);
        let daemon = setting.store().clone();
        let backend = setting.open();
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
        assert_eq!(setting.own("state").as_deref(), Some("5"), "{delay}");
        after[usize::from(left == XenbusState::Closing)] += 1;
    }
    // It came both before and after the end of the publications.
    assert!(after[0] > 5 && after[1] > 5, "{after:?}");
}

#[test]
fn x06_a_backend_asked_to_close_goes_closing_and_closed_and_nowhere_else() {
    let setting = Setting::new(9);
    let backend = setting.open();
    setting.ask_to_close();
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
    assert_eq!(setting.own("state").as_deref(), Some("6"));
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
        let setting = Setting::new(10);
        setting.store().write(&format!("{BACK}/state"), stored);
        let backend = setting.open();
        assert_eq!(backend.state(), state, "{stored}");
        assert_eq!(setting.own("state").as_deref(), Some(left), "{stored}");
    }
}

#[test]
fn refusals_are_written_where_the_administrator_looks_and_taken_back() {
    let setting = Setting::new(11);
    let backend = setting.open();
    let backend = setting.ask(async move |_| {
        backend.refuse("xbdback", "params: no such disk").await;
        backend
    });
    let text = Some("params: no such disk");
    let reported = format!("{ERROR}/backend/vbd/2/51712/error");
    assert_eq!(setting.store().read(&reported).as_deref(), text);
    assert_eq!(setting.own("hotplug-error").as_deref(), text);
    assert_eq!(setting.own("hotplug-status").as_deref(), Some("error"));
    assert_eq!(setting.own("state").as_deref(), Some("1"));
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
    let setting = Setting::new(12);
    let backend = setting.open();
    setting.ask_to_close();
    let done = setting.guest.spawn(&setting.world, async move {
        backend.set_state(XenbusState::Closed).await.unwrap();
        backend.remove().await
    });
    setting.world.run_for(Duration::from_millis(1900)).unwrap();
    assert_eq!(setting.own("state").as_deref(), Some("6"));
    setting.world.run_for(Duration::from_millis(200)).unwrap();
    assert_eq!(*done.borrow(), Some(Ok(())));
    assert!(!setting.store().exists(BACK));
    // What is above it is the toolstack's.
    assert!(setting.store().exists("/local/domain/1/backend/vbd/2"));
}

#[test]
fn x06_a_device_made_anew_while_its_directory_lingers_stays() {
    for anew in [true, false] {
        let setting = Setting::new(13);
        let backend = setting.open();
        let done = setting.guest.spawn(&setting.world, async move {
            backend.set_state(XenbusState::Closed).await.unwrap();
            backend.remove().await
        });
        setting.world.run_for(Duration::from_millis(500)).unwrap();
        if anew {
            setting.make_anew();
        } else {
            setting.store().remove(BACK);
        }
        setting.world.run_for(Duration::from_millis(500)).unwrap();
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
fn keys_of_a_former_connection_are_withdrawn() {
    let setting = Setting::new(14);
    let backend = setting.open();
    let left = setting.ask(async move |_| {
        let keys = [("sectors", "8".to_string()), ("info", "4".to_string())];
        backend.publish(&keys, XenbusState::InitWait).await.unwrap();
        let none = backend.withdraw(&["never-written"]).await;
        assert_eq!(none, Ok(()));
        backend.withdraw(&["sectors", "never-written"]).await
    });
    assert_eq!(left, Ok(()));
    assert_eq!(setting.own("sectors"), None);
    assert_eq!(setting.own("info").as_deref(), Some("4"));
    assert_eq!(setting.own("state").as_deref(), Some("2"));
}

#[test]
fn x03_a_publication_that_always_conflicts_fails_its_device_alone() {
    let setting = Setting::new(15);
    let backend = setting.open();
    setting.store().refuse_commits(100);
    let outcome = setting.ask(async move |_| {
        let outcome = backend.set_state(XenbusState::InitWait).await;
        (outcome, backend.state())
    });
    assert_eq!(outcome, (Err(StoreError::Again), XenbusState::Initialising));
    setting.store().refuse_commits(0);
    assert_eq!(setting.own("state").as_deref(), Some("1"));
}

#[test]
fn x03_a_publication_beyond_the_quota_writes_nothing() {
    let setting = Setting::new(16);
    let backend = setting.open();
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
    assert_eq!(setting.own("sectors"), None);
    assert_eq!(setting.own("state").as_deref(), Some("6"));
}

#[test]
fn changes_of_either_end_end_the_wait_and_the_first_ends_at_once() {
    let setting = Setting::new(17);
    let backend = setting.open();
    let wait = || {
        let backend = backend.clone();
        let changed = async move { backend.changed().await };
        let slot = setting.guest.spawn(&setting.world, changed);
        setting.world.run_for(10 * SECOND).unwrap();
        slot
    };
    assert_eq!(*wait().borrow(), Some(Ok(())));
    for path in [
        format!("{FRONT}/state"),
        format!("{FRONT}/queue-0/ring-ref"),
        format!("{BACK}/state"),
        format!("{BACK}/online"),
    ] {
        let waiting = wait();
        assert!(waiting.borrow().is_none(), "{path}");
        setting.store().write(&path, "1");
        setting.world.run_for(SECOND).unwrap();
        assert_eq!(*waiting.borrow(), Some(Ok(())), "{path}");
    }
    for removed in [FRONT, BACK] {
        let waiting = wait();
        assert!(waiting.borrow().is_none(), "{removed}");
        setting.store().remove(removed);
        setting.world.run_for(SECOND).unwrap();
        assert_eq!(*waiting.borrow(), Some(Ok(())), "{removed}");
    }
}

#[test]
fn without_a_bus_a_backend_looks_each_second() {
    let setting = Setting::new(18);
    let waits = setting.ask(async |store| {
        let bus = BackendBus::open(&store, "vbd").await.unwrap();
        let backend = open(&store, &bus.routes()).await.unwrap();
        drop(bus);
        let start = store.exec().now();
        for _ in 0..6 {
            backend.changed().await.unwrap();
        }
        store.exec().now().since(start)
    });
    assert!((5 * SECOND..6 * SECOND).contains(&waits), "{waits:?}");
}
