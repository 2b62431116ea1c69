//! Exports that come and go, and who hears of their changes, with xenstored's default quotas.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use hv::DomId;
use sim::DriverDomain;
use sim::driver_domain::{DRIVER as ONE, EXPORTS};
use sim::xenstored::Permission;
use xenbus::{Backend, BackendEvent, BackendRoutes};

const TWO: DomId = DomId(2);
const SECOND: Duration = Duration::from_secs(1);

/// Counts how often a device's backend is told to look.
fn looks(
    setting: &DriverDomain,
    routes: &BackendRoutes,
    guest: u16,
    devid: u32,
) -> Rc<Cell<usize>> {
    let looks = Rc::new(Cell::new(0));
    let (count, routes) = (looks.clone(), routes.clone());
    let store = setting.guest.store.clone();
    setting.guest.pv.exec.spawn("backend", async move {
        let backend = Backend::open(&store, &routes, "vbd", DomId(guest), devid);
        let backend = backend.await.unwrap();
        while backend.changed().await.is_ok() {
            count.set(count.get() + 1);
            if backend.look().await.is_err() {
                break;
            }
        }
    });
    looks
}

fn added(guest: u16, devid: u32) -> BackendEvent {
    BackendEvent::Added(DomId(guest), devid)
}

fn removed(guest: u16, devid: u32) -> BackendEvent {
    BackendEvent::Removed(DomId(guest), devid)
}

#[test]
fn exports_are_announced_as_they_come_and_go_and_there_need_be_none() {
    let setting = DriverDomain::new(1);
    let (bus, none) = setting.events(setting.bus());
    assert_eq!(none, []);
    setting.attach(2, 51712);
    let (bus, first) = setting.events(bus);
    assert_eq!(first, [added(2, 51712)]);
    setting.attach(2, 51728);
    setting.attach(3, 51712);
    let (bus, more) = setting.events(bus);
    assert_eq!(more, [added(2, 51728), added(3, 51712)]);
    setting.remove(2, 51712);
    let (bus, gone) = setting.events(bus);
    assert_eq!(gone, [removed(2, 51712)]);
    // The last ones go with all that is above them.
    setting.remove(2, 51728);
    setting.remove(3, 51712);
    assert!(!setting.store().exists(EXPORTS));
    let (bus, gone) = setting.events(bus);
    assert_eq!(gone, [removed(2, 51728), removed(3, 51712)]);
    setting.attach(3, 51712);
    assert_eq!(setting.events(bus).1, [added(3, 51712)]);
}

#[test]
fn exports_that_are_there_at_boot_are_announced_in_any_state() {
    let setting = DriverDomain::new(2);
    for (guest, state) in [(2, "1"), (3, "4"), (4, "6")] {
        setting.attach(guest, 51712);
        let path = format!("{EXPORTS}/{guest}/51712/state");
        setting.store().write(&path, state);
    }
    let (_bus, events) = setting.events(setting.bus());
    assert_eq!(events, [added(2, 51712), added(3, 51712), added(4, 51712)]);
}

#[test]
fn directories_that_may_not_be_listed_count_as_empty() {
    let setting = DriverDomain::new(3);
    setting.attach(2, 51712);
    let hidden = Permission {
        dom: DomId(0),
        letter: 'n',
    };
    setting.store().set_permissions(EXPORTS, &[hidden]);
    let (bus, events) = setting.events(setting.bus());
    assert_eq!(events, []);
    assert_eq!(setting.guest.log_lines("denied"), 0);
    let shown = Permission {
        dom: DomId(0),
        letter: 'r',
    };
    setting.store().set_permissions(EXPORTS, &[shown]);
    assert_eq!(setting.events(bus).1, [added(2, 51712)]);
}

#[test]
fn x02_names_that_are_no_number_are_complained_of_once_and_passed_over() {
    let setting = DriverDomain::new(4);
    for domain in ["x", "-1", "02", "32752", "65538"] {
        let path = format!("{EXPORTS}/{domain}/51712/state");
        setting.store().write(&path, "1");
    }
    setting.attach(2, 51712);
    for device in ["x", "-1", "051712", "4294967296"] {
        setting
            .store()
            .write(&format!("{EXPORTS}/2/{device}/state"), "1");
    }
    let (bus, events) = setting.events(setting.bus());
    assert_eq!(events, [added(2, 51712)]);
    // Once more, and again; but one that went and came back is new.
    for _ in 0..3 {
        let path = format!("{EXPORTS}/x/51712/state");
        setting.store().write(&path, "1");
        setting.store().write(&format!("{EXPORTS}/2/x/state"), "1");
    }
    let (_bus, events) = setting.events(bus);
    assert_eq!(events, []);
    assert_eq!(setting.guest.log_lines("not a domain's number"), 5);
    assert_eq!(setting.guest.log_lines("not a device's number"), 4);
}

#[test]
fn a_device_that_is_made_anew_at_once_is_announced_when_its_driver_lets_go() {
    let setting = DriverDomain::new(5);
    setting.attach(2, 51712);
    let (bus, first) = setting.events(setting.bus());
    assert_eq!(first, [added(2, 51712)]);
    // Gone and back before the bus looks.
    setting.remove(2, 51712);
    setting.attach(2, 51712);
    let (bus, unseen) = setting.events(bus);
    assert_eq!(unseen, []);
    bus.release().release(TWO, 51712);
    let (bus, again) = setting.events(bus);
    assert_eq!(again, [added(2, 51712)]);
    // A driver that closed its device is not given it again while the nodes stay closed.
    let state = format!("{EXPORTS}/2/51712/state");
    setting.store().write(&state, "6");
    bus.release().release(TWO, 51712);
    let (bus, closed) = setting.events(bus);
    assert_eq!(closed, []);
    setting.remove(2, 51712);
    let (bus, gone) = setting.events(bus);
    assert_eq!(gone, [], "it had been let go of");
    setting.attach(2, 51712);
    assert_eq!(setting.events(bus).1, [added(2, 51712)]);
}

#[test]
fn what_is_let_go_of_while_its_successor_waits_to_be_announced_was_the_one_before() {
    let setting = DriverDomain::new(14);
    setting.attach(2, 51728);
    let (bus, first) = setting.events(setting.bus());
    assert_eq!(first, [added(2, 51728)]);
    setting.remove(2, 51728);
    let (mut bus, gone) = setting.events(bus);
    assert_eq!(gone, [removed(2, 51728)]);
    setting.attach(2, 51712);
    setting.attach(2, 51728);
    let bus = setting.ask(async move |_| {
        assert_eq!(bus.next().await, Ok(added(2, 51712)));
        bus
    });
    bus.release().release(TWO, 51728);
    assert_eq!(setting.events(bus).1, [added(2, 51728)]);
}

#[test]
fn a_backend_is_told_of_its_own_two_ends_only() {
    let setting = DriverDomain::new(7);
    let devices = [(2, 51712), (2, 51728), (3, 51712)];
    for (guest, devid) in devices {
        setting.attach(guest, devid);
    }
    let (bus, _) = setting.events(setting.bus());
    let looks = devices.map(|(guest, devid)| looks(&setting, &bus.routes(), guest, devid));
    setting.leave_running(bus);
    setting.run_for(SECOND);
    let told = || looks.each_ref().map(|looks| looks.replace(0));
    assert_eq!(told(), [1, 1, 1], "the first wait ends at once");
    for (index, (guest, devid)) in devices.into_iter().enumerate() {
        let mut expected = [0; 3];
        expected[index] = 1;
        setting.set_frontend(guest, devid, "3");
        setting.run_for(SECOND);
        assert_eq!(told(), expected, "the frontend of {guest} {devid}");
        let own = DriverDomain::vbd(guest, devid).backend_path();
        setting.store().write(&format!("{own}/online"), "1");
        setting.run_for(SECOND);
        assert_eq!(told(), expected, "the own end of {guest} {devid}");
    }
    // A directory above both may have taken both along.
    setting.store().write(&format!("{EXPORTS}/2"), "");
    setting.run_for(SECOND);
    assert_eq!(told(), [1, 1, 0]);
    setting.store().write(EXPORTS, "");
    setting.run_for(SECOND);
    assert_eq!(told(), [1, 1, 1]);
    // One that lets go is not told, and the others still are.
    setting.remove(2, 51712);
    setting.run_for(SECOND);
    assert_eq!(told(), [1, 0, 0]);
    setting.set_frontend(2, 51728, "4");
    setting.run_for(SECOND);
    assert_eq!(told(), [0, 1, 0]);
}

#[test]
fn x04_when_more_changes_than_is_kept_apart_each_backend_is_told() {
    let setting = DriverDomain::new(15);
    for devid in 0..100 {
        setting.attach(2, devid);
    }
    setting.attach(3, 0);
    let (bus, _) = setting.events(setting.bus());
    let routes = bus.routes();
    let devices = [(2, 0), (2, 99), (3, 0)];
    let looks = devices.map(|(guest, devid)| looks(&setting, &routes, guest, devid));
    setting.run_for(SECOND);
    let told = || looks.each_ref().map(|looks| looks.replace(0));
    assert_eq!(told(), [1, 1, 1]);
    for devid in 0..100 {
        setting.set_frontend(2, devid, "3");
    }
    // All of it comes while the bus is busy elsewhere.
    setting.run_for(SECOND);
    assert_eq!(told(), [0, 0, 0]);
    let (_bus, events) = setting.events(bus);
    assert_eq!((told(), events.len()), ([1, 1, 0], 0));
}

#[test]
fn x06_two_hundred_frontends_are_served_with_the_default_quota_of_watches() {
    let setting = DriverDomain::new(8);
    let control = setting.ask(async |store| store.watch("control/shutdown").await.unwrap());
    let guests: Vec<u16> = (2..202).collect();
    for guest in &guests {
        setting.attach(*guest, 51712);
    }
    let (bus, events) = setting.events(setting.bus());
    let all: Vec<_> = guests.iter().map(|guest| added(*guest, 51712)).collect();
    assert_eq!(events, all);
    assert_eq!(setting.store().usage(ONE).watches, 128);
    let unwatched = 200 - 126;
    let said = setting.guest.log_lines("are not watched");
    assert!((1..=unwatched).contains(&said), "{said}");
    // The first one has a watch, the last one looks each second; both see what there is to see.
    let routes = bus.routes();
    let [first, last] = [2, 201].map(|guest| looks(&setting, &routes, guest, 51712));
    setting.leave_running(bus);
    setting.run_for(10 * SECOND);
    assert_eq!(first.replace(0), 1);
    let looks = last.replace(0);
    assert!((10..=12).contains(&looks), "{looks}");
    // What is heard of any other makes it look at once, too.
    setting.run_for(SECOND / 2);
    last.set(0);
    setting.set_frontend(2, 51712, "3");
    setting.run_for(Duration::from_millis(10));
    assert_eq!((first.replace(0), last.replace(0)), (1, 1));
    // Those with a watch leave: then the others get theirs, and look no longer by themselves.
    for guest in 3..100 {
        setting.remove(guest, 51712);
        // A few at a time, so that the bus hears of each.
        if guest % 10 == 0 {
            setting.run_for(SECOND);
        }
    }
    setting.run_for(5 * SECOND);
    assert_eq!(setting.store().usage(ONE).watches, 2 + 200 - 97);
    last.set(0);
    setting.run_for(10 * SECOND);
    assert_eq!(last.get(), 0);
    setting.set_frontend(201, 51712, "3");
    setting.run_for(SECOND);
    assert_eq!(last.get(), 1);
    drop(control);
}

#[test]
fn no_more_than_1024_devices_are_announced_until_others_leave() {
    let setting = DriverDomain::new(9);
    for guest in 2..13 {
        for devid in 0..100 {
            setting.attach(guest, devid);
        }
    }
    let (bus, events) = setting.events(setting.bus());
    let first: BTreeSet<_> = events.iter().map(|event| format!("{event:?}")).collect();
    assert_eq!((events.len(), first.len()), (1024, 1024));
    for devid in 0..50 {
        setting.remove(2, devid);
    }
    let (bus, events) = setting.events(bus);
    let came = |event: &&BackendEvent| matches!(event, BackendEvent::Added(..));
    assert_eq!(events.iter().filter(came).count(), 50);
    assert_eq!(events.len(), 100);
    for devid in 50..100 {
        setting.remove(2, devid);
    }
    let (_bus, events) = setting.events(bus);
    assert_eq!(events.iter().filter(came).count(), 1100 - 1024 - 50);
}

#[test]
fn x04_b13_a_storm_of_one_frontend_costs_the_others_nothing() {
    let setting = DriverDomain::new(10);
    setting.attach(2, 51712);
    setting.attach(3, 51712);
    let (bus, _) = setting.events(setting.bus());
    let routes = bus.routes();
    let [storm, calm] = [2, 3].map(|guest| looks(&setting, &routes, guest, 51712));
    setting.leave_running(bus);
    setting.run_for(SECOND);
    storm.set(0);
    calm.set(0);
    let before = setting.guest.store.usage();
    let mut answered = 0;
    for _ in 0..100 {
        for number in 0..100 {
            let state = if number % 2 == 0 { "6" } else { "1" };
            setting.set_frontend(2, 51712, state);
            let path = DriverDomain::vbd(2, 51712).frontend_path();
            setting.store().write(&format!("{path}/n{number}"), "");
        }
        // Somebody else's request is answered in the middle of it.
        let domid = setting.ask(async |store| store.read("domid").await);
        answered += usize::from(domid == Ok("1".into()));
    }
    setting.run_for(SECOND);
    let after = setting.guest.store.usage();
    assert_eq!(answered, 100);
    assert!(after.events - before.events >= 20_000);
    // Three nodes are read at each look, and many changes are one look.
    assert_eq!(calm.get(), 0);
    assert!((1..=10_000).contains(&storm.get()), "{}", storm.get());
    let requests = after.requests - before.requests;
    assert!(requests <= 3 * storm.get() as u64 + 200, "{requests}");
}

#[test]
fn a_silent_store_is_waited_for_and_asked_again() {
    for settled in [false, true] {
        let setting = DriverDomain::new(11);
        let mut bus = setting.bus();
        if settled {
            (bus, _) = setting.events(bus);
        }
        setting.attach(2, 51712);
        setting.run_for(Duration::from_millis(1));
        setting.store().set_silent(true);
        let daemon = setting.store().clone();
        let exec = setting.guest.pv.exec.clone();
        setting.guest.pv.exec.spawn("xenstored", async move {
            exec.sleep(90 * SECOND).await;
            daemon.set_silent(false);
        });
        let (bus, event) = setting.ask(async move |_| {
            let event = bus.next().await;
            (bus, event)
        });
        assert_eq!(event, Ok(added(2, 51712)));
        let said = setting.guest.log_lines("backend/vbd: the store does not");
        assert_eq!(said, 1);
        setting.remove(2, 51712);
        assert_eq!(setting.events(bus).1, [removed(2, 51712)]);
    }
}

#[test]
fn a_wait_that_is_dropped_at_any_moment_loses_nothing() {
    for patience in 1..60 {
        let setting = DriverDomain::new(patience);
        let latency = Duration::from_micros(100);
        setting.store().set_latency(latency);
        let bus = setting.bus();
        for guest in 2..5 {
            setting.attach(guest, 51712);
        }
        let events = setting.ask(async move |store| {
            let mut bus = bus;
            let mut events = Vec::new();
            let exec = store.exec().clone();
            let end = exec.now().after(SECOND);
            while exec.now() < end {
                let patience = Duration::from_micros(patience * 20);
                if let Ok(event) = exec.timeout(patience, bus.next()).await {
                    events.push(event.unwrap());
                }
            }
            // The shortest waits bring a look to no end: this one may.
            while let Ok(event) = exec.timeout(SECOND, bus.next()).await {
                events.push(event.unwrap());
            }
            events
        });
        let all = [2, 3, 4].map(|guest| added(guest, 51712));
        assert_eq!(events, all, "{patience}");
    }
}
