//! The frontend's side of xenbus: one device's nodes, and devices that come and go.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::time::Duration;

use hv::DomId;
use sim::toolstack::Vbd;
use sim::{DomainConfig, Guest, Toolstack, World, Xenstored};
use xenbus::{BusEvent, Frontend, FrontendBus, KeyFault, Store, StoreError, XenbusState};

const ONE: DomId = DomId(1);
const SECOND: Duration = Duration::from_secs(1);
const FRONT: &str = "/local/domain/1/device/vbd/51712";
const BACK: &str = "/local/domain/0/backend/vbd/1/51712";

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
        Self {
            world,
            toolstack,
            guest,
        }
    }

    /// One with `xvda`.
    fn with_disk(seed: u64) -> Self {
        let setting = Self::new(seed);
        setting.attach(51712);
        setting
    }

    fn vbd(devid: u32) -> Vbd {
        Vbd {
            guest: ONE,
            backend: DomId(0),
            devid,
        }
    }

    fn attach(&self, devid: u32) {
        self.toolstack.create_vbd(&Self::vbd(devid), false);
    }

    fn remove(&self, devid: u32) {
        self.store().remove(&Self::vbd(devid).frontend_path());
        self.store().remove(&Self::vbd(devid).backend_path());
    }

    fn store(&self) -> &Xenstored {
        self.toolstack.store()
    }

    fn ask<T: 'static>(&self, ask: impl AsyncFnOnce(Store) -> T + 'static) -> T {
        let store = self.guest.store.clone();
        self.guest
            .run(&self.world, async move { ask(store).await })
            .unwrap()
    }

    fn open(&self) -> Frontend {
        self.ask(async |store| Frontend::open(&store, "vbd", 51712).await.unwrap())
    }

    fn settle(&self) {
        self.world.wake_domain(ONE);
        self.world.run_for(SECOND).unwrap();
    }
}

#[test]
fn a_frontend_knows_its_backend_and_publishes_all_at_once() {
    let setting = Setting::with_disk(1);
    let daemon = setting.store().clone();
    let seen = setting.ask(async move |store| {
        let frontend = Frontend::open(&store, "vbd", 51712).await.unwrap();
        assert_eq!(frontend.backend_domain(), DomId(0));
        assert_eq!(
            (frontend.path(), frontend.backend_path()),
            ("device/vbd/51712", BACK)
        );
        assert_eq!(frontend.state(), XenbusState::Initialising);
        assert_eq!(frontend.read::<u32>("virtual-device").await, Ok(51712));
        let keys = [
            ("ring-ref", "8".to_string()),
            ("event-channel", "5".to_string()),
        ];
        frontend
            .publish(&keys, XenbusState::Initialised)
            .await
            .unwrap();
        assert_eq!(frontend.state(), XenbusState::Initialised);
        ["ring-ref", "event-channel", "state"].map(|key| daemon.read(&format!("{FRONT}/{key}")))
    });
    assert_eq!(seen, ["8", "5", "3"].map(|value| Some(value.to_string())));
}

#[test]
fn f25_a_backend_link_to_anywhere_else_is_refused_by_name() {
    let links = [
        "/local/domain/2/backend/vbd/1/51712",
        "/local/domain/0/backend/vbd/2/51712",
        "/local/domain/0/backend/vbd/1/51728",
        "/local/domain/0/backend/vif/1/51712",
        "/local/domain/0/backend/vbd/../vbd/1/51712",
        "/local/domain/1/device/vbd/51712",
        "..",
        "",
    ];
    for link in links {
        let setting = Setting::with_disk(2);
        setting.store().write(&format!("{FRONT}/backend"), link);
        let error = setting.ask(async |store| Frontend::open(&store, "vbd", 51712).await.err());
        let error = error.unwrap();
        assert!(
            matches!(error.fault, KeyFault::NotTheBackend { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("is not this device's backend"));
    }
}

#[test]
fn x01_values_that_are_no_numbers_are_named() {
    let setting = Setting::with_disk(3);
    setting.store().write(&format!("{BACK}/sectors"), "-1");
    let frontend = setting.open();
    let (sectors, absent, default) = setting.ask(async move |_| {
        let sectors = frontend.read_backend::<u64>("sectors").await;
        let absent = frontend.read_backend::<u32>("sector-size").await;
        (
            sectors,
            absent,
            frontend.read_backend_or("sector-size", 512u32).await,
        )
    });
    let path = format!("{BACK}/sectors");
    assert_eq!(
        sectors.unwrap_err().to_string(),
        format!("{path}: \"-1\" is not a decimal number")
    );
    assert_eq!(
        absent.unwrap_err().fault,
        KeyFault::Store(StoreError::NoEntry)
    );
    assert_eq!(default, Ok(512));
    for id in ["", "-1", "32752", "65536", "x"] {
        let setting = Setting::with_disk(3);
        setting.store().write(&format!("{FRONT}/backend-id"), id);
        let error = setting.ask(async |store| Frontend::open(&store, "vbd", 51712).await.err());
        assert!(
            matches!(error.unwrap().fault, KeyFault::Number { .. }),
            "{id}"
        );
    }
}

#[test]
fn s47_a_removed_device_is_not_made_again() {
    let setting = Setting::with_disk(4);
    let frontend = setting.open();
    setting.store().remove(FRONT);
    let outcome = setting.ask(async move |_| {
        let keys = [("ring-ref", "8".to_string())];
        let published = frontend.publish(&keys, XenbusState::Initialised).await;
        frontend.fatal("xbd0", "no good").await;
        (published, frontend.set_state(XenbusState::Closed).await)
    });
    assert_eq!(
        outcome,
        (Err(StoreError::NoEntry), Err(StoreError::NoEntry))
    );
    assert!(!setting.store().exists(FRONT));
}

#[test]
fn s47_a_removal_at_any_moment_of_a_publication_is_final() {
    let mut outcomes = [0, 0];
    for delay in 0..60 {
        let setting = Setting::with_disk(delay);
        let daemon = setting.store().clone();
        let frontend = setting.open();
        let keys: Vec<(&str, String)> = (0..10).map(|_| ("ring-ref", "8".to_string())).collect();
        let exec = setting.guest.pv.exec.clone();
        setting.guest.pv.exec.spawn("toolstack", async move {
            exec.sleep(Duration::from_micros(delay * 10)).await;
            daemon.remove(FRONT);
        });
        let outcome =
            setting.ask(async move |_| frontend.publish(&keys, XenbusState::Initialised).await);
        setting.settle();
        assert!(!setting.store().exists(FRONT), "made again, {delay}");
        assert!(
            matches!(outcome, Ok(()) | Err(StoreError::NoEntry)),
            "{outcome:?}"
        );
        outcomes[usize::from(outcome.is_ok())] += 1;
    }
    // The removal came both before and after the end of the publication.
    assert!(outcomes[0] > 5 && outcomes[1] > 5, "{outcomes:?}");
}

#[test]
fn s47_a_device_made_in_a_removed_one_s_place_is_not_written_to() {
    let setting = Setting::with_disk(6);
    let frontend = setting.open();
    let outcome = setting.ask(async move |_| {
        frontend.set_state(XenbusState::Connected).await.unwrap();
        frontend
    });
    setting.remove(51712);
    setting.attach(51712);
    let result = setting.ask(async move |_| outcome.set_state(XenbusState::Closed).await);
    assert_eq!(result, Err(StoreError::Replaced));
    assert_eq!(
        setting.store().read(&format!("{FRONT}/state")).as_deref(),
        Some("1")
    );
}

#[test]
fn x03_a_publication_that_always_conflicts_fails_its_device_alone() {
    let setting = Setting::with_disk(7);
    let frontend = setting.open();
    setting.store().refuse_commits(100);
    let outcome = setting.ask(async move |_| frontend.set_state(XenbusState::Initialised).await);
    assert_eq!(outcome, Err(StoreError::Again));
    setting.store().refuse_commits(0);
    assert_eq!(
        setting.ask(async |store| store.read("domid").await),
        Ok("1".into())
    );
}

#[test]
fn x03_a_publication_beyond_the_quota_writes_nothing() {
    let setting = Setting::with_disk(8);
    let frontend = setting.open();
    let outcome = setting.ask(async move |store| {
        for number in 0..1100 {
            if store.write(&format!("data/n{number}"), "").await.is_err() {
                break;
            }
        }
        let keys = [("ring-ref", "8".to_string())];
        let outcome = frontend.publish(&keys, XenbusState::Initialised).await;
        (outcome, frontend.state())
    });
    assert_eq!(outcome, (Err(StoreError::Quota), XenbusState::Initialising));
    assert_eq!(
        setting.store().read(&format!("{FRONT}/state")).as_deref(),
        Some("1")
    );
    assert!(!setting.store().exists(&format!("{FRONT}/ring-ref")));
}

#[test]
fn errors_are_written_where_the_administrator_looks() {
    let setting = Setting::with_disk(9);
    let frontend = setting.open();
    setting.ask(async move |_| frontend.fatal("xbd0", "sector-size is 511").await);
    let node = setting
        .store()
        .read("/local/domain/1/error/device/vbd/51712/error");
    assert_eq!(node.as_deref(), Some("sector-size is 511"));
    assert_eq!(
        setting.store().read(&format!("{FRONT}/state")).as_deref(),
        Some("5")
    );
    assert_eq!(setting.guest.log_lines("sector-size is 511"), 1);
}

#[test]
fn f25_a_backend_that_vanishes_is_seen_to() {
    let setting = Setting::with_disk(10);
    let frontend = setting.open();
    let watch = setting.ask(async move |_| {
        let watch = frontend.watch_backend().await.unwrap();
        assert_eq!(watch.next().await, Ok(Some(XenbusState::Initialising)));
        watch
    });
    setting.store().remove(BACK);
    let state = setting.ask(async move |_| watch.next().await);
    assert_eq!(state, Ok(None));
}

#[test]
fn f14_a_backend_that_oscillates_is_seen_in_its_last_state() {
    let setting = Setting::with_disk(11);
    let frontend = setting.open();
    let watch = setting.ask(async move |_| frontend.watch_backend().await.unwrap());
    for number in 0..1000 {
        let state = if number % 2 == 0 { "2" } else { "6" };
        setting.store().write(&format!("{BACK}/state"), state);
    }
    for odd in ["9", "-1", "", "\u{1b}", "04"] {
        setting.store().write(&format!("{BACK}/state"), odd);
    }
    let exec = setting.guest.pv.exec.clone();
    let seen = setting.ask(async move |_| {
        let mut seen = Vec::new();
        while let Ok(state) = exec.timeout(SECOND, watch.next()).await {
            seen.push(state.unwrap());
        }
        seen
    });
    assert_eq!(seen.last(), Some(&Some(XenbusState::Unknown)));
    assert!(seen.len() <= 1005);
}

#[test]
fn s53_connected_once_more_is_announced_again() {
    let setting = Setting::with_disk(12);
    setting.store().write(&format!("{BACK}/state"), "4");
    let frontend = setting.open();
    let watch = setting.ask(async move |_| {
        let watch = frontend.watch_backend().await.unwrap();
        assert_eq!(watch.next().await, Ok(Some(XenbusState::Connected)));
        watch
    });
    setting.settle();
    setting.store().write(&format!("{BACK}/state"), "4");
    let state = setting.ask(async move |_| watch.next().await);
    assert_eq!(state, Ok(Some(XenbusState::Connected)));
}

/// The bus's next event within a second.
async fn next(bus: &mut FrontendBus, store: &Store) -> Option<BusEvent> {
    store
        .exec()
        .timeout(SECOND, bus.next())
        .await
        .ok()
        .map(Result::unwrap)
}

#[test]
fn devices_are_announced_at_boot_and_as_they_come_and_go() {
    let setting = Setting::new(13);
    setting.attach(51712);
    setting.attach(51728);
    let (bus, events) = setting.ask(async |store| {
        let mut bus = FrontendBus::open(&store, "vbd").await.unwrap();
        let events = bus.settle().await.unwrap();
        assert_eq!(next(&mut bus, &store).await, None);
        (bus, events)
    });
    assert_eq!(events, [BusEvent::Added(51712), BusEvent::Added(51728)]);
    setting.attach(51744);
    setting.remove(51712);
    let events = setting.ask(async move |store| {
        let mut bus = bus;
        let mut events = Vec::new();
        while let Some(event) = next(&mut bus, &store).await {
            events.push(event);
        }
        events
    });
    assert!(events.contains(&BusEvent::Added(51744)));
    assert!(events.contains(&BusEvent::Removed(51712)));
    assert_eq!(events.len(), 2);
}

#[test]
fn x02_names_that_are_no_device_are_complained_of_once_and_passed_over() {
    let setting = Setting::with_disk(14);
    for odd in ["x", "-1", "4294967296", "051712", "2147483649"] {
        setting
            .store()
            .write(&format!("/local/domain/1/device/vbd/{odd}"), "");
    }
    let events = setting.ask(async |store| {
        let mut bus = FrontendBus::open(&store, "vbd").await.unwrap();
        let events = bus.settle().await.unwrap();
        bus.settle().await.unwrap();
        events
    });
    // 2147483649 is a number: its driver finds what is wrong with it.
    assert_eq!(
        events,
        [BusEvent::Added(51712), BusEvent::Added(2_147_483_649)]
    );
    assert_eq!(setting.guest.log_lines("not a device's number"), 4);
}

#[test]
fn a_device_that_is_made_anew_at_once_is_announced_when_its_driver_lets_go() {
    let setting = Setting::with_disk(15);
    let (bus, store) = setting.ask(async |store| {
        let mut bus = FrontendBus::open(&store, "vbd").await.unwrap();
        bus.settle().await.unwrap();
        (bus, store)
    });
    // Gone and back before the bus looks.
    setting.remove(51712);
    setting.attach(51712);
    let release = bus.release();
    let (event, bus) = setting.ask(async move |store| {
        let mut bus = bus;
        assert_eq!(next(&mut bus, &store).await, None);
        release.release(51712);
        (next(&mut bus, &store).await, bus)
    });
    assert_eq!(event, Some(BusEvent::Added(51712)));
    // A driver that closed its device is not given it again while the nodes stay closed.
    setting.store().write(&format!("{FRONT}/state"), "6");
    let release = bus.release();
    let (closed, bus) = setting.ask(async move |store| {
        let mut bus = bus;
        release.release(51712);
        (next(&mut bus, &store).await, bus)
    });
    assert_eq!(closed, None);
    setting.attach(51712);
    let event = setting.ask(async move |_| {
        let mut bus = bus;
        next(&mut bus, &store).await
    });
    assert_eq!(event, Some(BusEvent::Added(51712)));
}

#[test]
fn s46_a_thousand_attaches_and_detaches_leave_nothing_behind() {
    let setting = Setting::new(16);
    let before = setting.store().usage(ONE);
    let mut bus = setting.ask(async |store| FrontendBus::open(&store, "vbd").await.unwrap());
    for _ in 0..1000 {
        setting.attach(51712);
        bus = setting.ask(async move |store| {
            let mut bus = bus;
            assert_eq!(next(&mut bus, &store).await, Some(BusEvent::Added(51712)));
            let frontend = Frontend::open(&store, "vbd", 51712).await.unwrap();
            let _watch = frontend.watch_backend().await.unwrap();
            frontend.set_state(XenbusState::Closed).await.unwrap();
            bus.release().release(51712);
            bus
        });
        setting.remove(51712);
        bus = setting.ask(async move |store| {
            let mut bus = bus;
            assert_eq!(next(&mut bus, &store).await, None);
            bus
        });
    }
    drop(bus);
    setting.settle();
    assert_eq!(setting.store().usage(ONE), before);
    assert_eq!(setting.guest.store.usage().watches, 0);
}

#[test]
fn a_silent_store_is_waited_for_and_asked_again() {
    let setting = Setting::new(17);
    let bus = setting.ask(async |store| {
        let mut bus = FrontendBus::open(&store, "vbd").await.unwrap();
        bus.settle().await.unwrap();
        bus
    });
    setting.attach(51712);
    setting.world.run_for(Duration::from_millis(1)).unwrap();
    setting.store().set_silent(true);
    let daemon = setting.store().clone();
    let exec = setting.guest.pv.exec.clone();
    setting.guest.pv.exec.spawn("xenstored", async move {
        exec.sleep(90 * SECOND).await;
        daemon.set_silent(false);
    });
    let event = setting.ask(async move |_| {
        let mut bus = bus;
        bus.next().await
    });
    assert_eq!(event, Ok(BusEvent::Added(51712)));
    assert_eq!(setting.guest.log_lines("the store does not answer"), 1);
}
