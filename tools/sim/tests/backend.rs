//! The backend's side of xenbus: one export's nodes on both sides.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::rc::Rc;
use std::time::Duration;

use hv::DomId;
use sim::DriverDomain;
use sim::xenstored::Permission;
use xenbus::{
    Backend, BackendBus, BackendEvent, KeyError, KeyFault, Looked, StoreError, XenbusState,
};

const TWO: DomId = DomId(2);
const SECOND: Duration = Duration::from_secs(1);
const BACK: &str = "/local/domain/1/backend/vbd/2/51712";
const FRONT: &str = "/local/domain/2/device/vbd/51712";
/// A driver domain with one export.
fn exported(seed: u64) -> DriverDomain {
    let setting = DriverDomain::new(seed);
    setting.attach(2, 51712);
    setting
}

/// The export as a driver opens it whose bus goes on in a task of its own.
fn try_open(setting: &DriverDomain) -> Result<Rc<Backend>, KeyError> {
    let (bus, events) = setting.events(setting.bus());
    assert_eq!(events, [BackendEvent::Added(TWO, 51712)]);
    let routes = bus.routes();
    setting.leave_running(bus);
    setting
        .ask(async move |store| Backend::open(&store, &routes, "vbd", TWO, 51712).await)
        .map(Rc::new)
}

fn open(setting: &DriverDomain) -> Rc<Backend> {
    try_open(setting).unwrap()
}

#[test]
fn a_backend_knows_its_frontend_and_publishes_all_at_once() {
    let setting = exported(1);
    let backend = open(&setting);
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
        ["sectors", "info", "state"].map(|key| setting.own(2, 51712, key)),
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
        let setting = exported(2);
        setting.store().write(&format!("{BACK}/frontend"), link);
        let error = try_open(&setting).err().unwrap();
        let names = matches!(error.fault, KeyFault::NotTheFrontend { .. });
        assert!(names, "{error}");
        assert!(error.to_string().contains("is not this device's frontend"));
        assert_eq!(setting.own(2, 51712, "state").as_deref(), Some("1"));
    }
}

#[test]
fn f25_a_directory_that_names_another_domain_is_refused_by_name() {
    for id in ["3", "0", "1", "", "-2", "02", "32752", "65538", "x"] {
        let setting = exported(3);
        setting.store().write(&format!("{BACK}/frontend-id"), id);
        let error = try_open(&setting).err().unwrap();
        let other = ["3", "0", "1"].contains(&id);
        let names = matches!(error.fault, KeyFault::NotTheFrontend { .. });
        let number = matches!(error.fault, KeyFault::Number { .. });
        assert_eq!((names, number), (other, !other), "{error}");
        assert!(error.path.ends_with("/frontend-id"));
    }
    let setting = exported(3);
    setting.store().remove(&format!("{BACK}/frontend-id"));
    let error = try_open(&setting).err().unwrap();
    assert_eq!(error.fault, KeyFault::Store(StoreError::NoEntry));
}

#[test]
fn x01_values_of_the_frontend_that_are_no_numbers_are_named() {
    for value in ["", "-1", "+8", "0x8", "08", "8 ", "4294967296"] {
        let setting = exported(4);
        setting.store().write(&format!("{FRONT}/ring-ref"), value);
        let backend = open(&setting);
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
    let setting = exported(4);
    let backend = open(&setting);
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
        let setting = exported(5);
        let backend = open(&setting);
        setting.store().write(&format!("{FRONT}/state"), text);
        let looked = setting.ask(async move |_| backend.look().await.unwrap());
        assert_eq!(looked.frontend, state, "{text:?}");
    }
    for (text, online) in [("1", true), ("0", false), ("2", false), ("", false)] {
        let setting = exported(5);
        let backend = open(&setting);
        setting.store().write(&format!("{BACK}/online"), text);
        let looked = setting.ask(async move |_| backend.look().await.unwrap());
        assert_eq!(looked.online, online, "{text:?}");
    }
    let setting = exported(5);
    let backend = open(&setting);
    setting.store().remove(&format!("{BACK}/online"));
    assert!(!setting.ask(async move |_| backend.look().await.unwrap().online));
}

#[test]
fn s59_a_frontend_that_is_gone_or_hidden_is_seen_to_be() {
    for hidden in [false, true] {
        let setting = exported(6);
        let backend = open(&setting);
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
fn keys_of_a_former_connection_are_withdrawn() {
    let setting = exported(14);
    let backend = open(&setting);
    let left = setting.ask(async move |_| {
        let keys = [("sectors", "8".to_string()), ("info", "4".to_string())];
        backend.publish(&keys, XenbusState::InitWait).await.unwrap();
        let none = backend.withdraw(&["never-written"]).await;
        assert_eq!(none, Ok(()));
        backend.withdraw(&["sectors", "never-written"]).await
    });
    assert_eq!(left, Ok(()));
    assert_eq!(setting.own(2, 51712, "sectors"), None);
    assert_eq!(setting.own(2, 51712, "info").as_deref(), Some("4"));
    assert_eq!(setting.own(2, 51712, "state").as_deref(), Some("2"));
}

#[test]
fn changes_of_either_end_end_the_wait_and_the_first_ends_at_once() {
    let setting = exported(17);
    let backend = open(&setting);
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
    let setting = exported(18);
    let waits = setting.ask(async |store| {
        let bus = BackendBus::open(&store, "vbd").await.unwrap();
        let backend = Backend::open(&store, &bus.routes(), "vbd", TWO, 51712)
            .await
            .unwrap();
        drop(bus);
        let start = store.exec().now();
        for _ in 0..6 {
            backend.changed().await.unwrap();
        }
        store.exec().now().since(start)
    });
    assert!((5 * SECOND..6 * SECOND).contains(&waits), "{waits:?}");
}
