//! Exports from their appearance to their removal, served by a driver that has no rings: what the
//! two states ask for is done, whatever toolstack and frontend do.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hv::DomId;
use sim::driver_domain::DRIVER as ONE;
use sim::{DomainConfig, DriverDomain, Guest};
use xenbus::state::next_back_step;
use xenbus::{BackStep, Backend, BackendEvent, BackendRoutes, Store, XenbusState};

const TWO: DomId = DomId(2);
const SECOND: Duration = Duration::from_secs(1);

/// Opens a device, says that there is no such disk, and lets go of it.
async fn turn_away(store: Store, routes: BackendRoutes, domain: DomId, device: u32) {
    let backend = Backend::open(&store, &routes, "vbd", domain, device);
    let backend = backend.await.unwrap();
    backend.refuse("xbdback", "no such disk").await;
    backend.set_state(XenbusState::Closed).await.unwrap();
    backend.remove().await.unwrap();
}

#[test]
fn s46_a_thousand_attaches_and_detaches_leave_nothing_behind() {
    let setting = DriverDomain::new(6);
    let before = setting.store().usage(ONE);
    let announced = Rc::new(Cell::new(0u16));
    let (count, mut bus) = (announced.clone(), setting.bus());
    let store = setting.guest.store.clone();
    let stop = Rc::new(Cell::new(false));
    let stopped = stop.clone();
    setting.guest.pv.exec.spawn("bus", async move {
        let (routes, release) = (bus.routes(), bus.release());
        while let (BackendEvent::Added(domain, device), false) =
            (bus.next().await.unwrap(), stopped.get())
        {
            count.set(count.get() + 1);
            let (store, routes, release) = (store.clone(), routes.clone(), release.clone());
            store.exec().clone().spawn("backend", async move {
                turn_away(store, routes, domain, device).await;
                release.release(domain, device);
            });
        }
    });
    for number in 1..=1000 {
        // Domains' numbers do not come again.
        setting.attach(number + 1, 51712);
        setting.run_for(3 * SECOND);
        assert_eq!(announced.get(), number);
        let own = DriverDomain::vbd(number + 1, 51712).backend_path();
        assert!(!setting.store().exists(&own));
        setting.remove(number + 1, 51712);
    }
    stop.set(true);
    setting.attach(2000, 51712);
    setting.run_for(SECOND);
    setting.remove(2000, 51712);
    setting.run_for(SECOND);
    assert_eq!(setting.store().usage(ONE), before);
    assert_eq!(setting.guest.store.usage().watches, 0);
}

/// A driver without rings: does what the two states ask for, until the device is gone.
async fn serve(store: Store, routes: BackendRoutes, domain: DomId, device: u32) {
    let backend = Backend::open(&store, &routes, "vbd", domain, device);
    let Ok(backend) = backend.await else {
        return;
    };
    while backend.changed().await.is_ok() {
        let Ok(ends) = backend.look().await else {
            return;
        };
        let done = match next_back_step(ends.own, ends.frontend, ends.online) {
            BackStep::Wait | BackStep::Serve => Ok(()),
            BackStep::Offer | BackStep::Reopen => backend.set_state(XenbusState::InitWait).await,
            BackStep::Connect => backend.set_state(XenbusState::Connected).await,
            BackStep::Close => backend.set_state(XenbusState::Closing).await,
            BackStep::Disconnect => match backend.set_state(XenbusState::Closing).await {
                Ok(()) => backend.set_state(XenbusState::Closed).await,
                error => error,
            },
            BackStep::Finish => {
                backend.remove().await.unwrap();
                return;
            }
        };
        if done.is_err() {
            return;
        }
    }
}

/// Serves every export by [`serve`].
fn serve_all(setting: &DriverDomain) {
    let mut bus = setting.bus();
    let store = setting.guest.store.clone();
    setting.guest.pv.exec.spawn("bus", async move {
        let (routes, release) = (bus.routes(), bus.release());
        while let Ok(event) = bus.next().await {
            if let BackendEvent::Added(domain, device) = event {
                let (store, routes, release) = (store.clone(), routes.clone(), release.clone());
                store.exec().clone().spawn("backend", async move {
                    serve(store, routes, domain, device).await;
                    release.release(domain, device);
                });
            }
        }
    });
}

#[test]
fn s59_a_domain_destroyed_at_any_moment_takes_its_exports_along() {
    for delay in 0..100 {
        let setting = DriverDomain::new(delay);
        serve_all(&setting);
        let config = DomainConfig::default();
        let _frontend = Guest::start(&setting.world, &setting.toolstack, TWO, config);
        setting.attach(2, 51712);
        let (at, connects) = (Duration::from_micros(delay * 40), delay % 2 == 0);
        setting.run_for(at);
        if connects {
            setting.set_frontend(2, 51712, "3");
        }
        setting.run_for(at);
        // libxl: the frontend's directory goes as the backend is asked to close; then the domain.
        let detach = setting.toolstack.detach(&DriverDomain::vbd(2, 51712), true);
        setting.toolstack.destroy_domain(TWO);
        setting.run_for(5 * SECOND);
        let took = detach.outcome().unwrap().unwrap();
        assert!(took < SECOND, "{delay}: {took:?}");
        assert!(
            !setting
                .store()
                .exists(&DriverDomain::vbd(2, 51712).backend_path())
        );
        assert_eq!(setting.store().usage(ONE).watches, 1, "{delay}");
    }
}

#[test]
fn s59_a_frontend_s_domain_that_vanishes_without_a_word_is_noticed() {
    // xenstored itself removes what a dead domain owned (`domain_tree_remove`).
    let setting = DriverDomain::new(12);
    serve_all(&setting);
    setting.attach(2, 51712);
    setting.run_for(SECOND);
    setting.set_frontend(2, 51712, "3");
    setting.run_for(SECOND);
    let own = DriverDomain::vbd(2, 51712).backend_path();
    let state = |setting: &DriverDomain| setting.store().read(&format!("{own}/state"));
    assert_eq!(state(&setting).as_deref(), Some("4"));
    setting
        .store()
        .remove(&DriverDomain::vbd(2, 51712).frontend_path());
    setting.run_for(SECOND / 5);
    assert_eq!(state(&setting).as_deref(), Some("6"));
    setting.run_for(SECOND);
    assert!(!setting.store().exists(&own));
}

#[test]
fn x06_a_detach_at_any_moment_of_a_connection_is_answered_within_a_second() {
    for delay in 0..100 {
        let setting = DriverDomain::new(delay);
        serve_all(&setting);
        setting.attach(2, 51712);
        let store = setting.store().clone();
        let exec = setting.guest.pv.exec.clone();
        // A frontend that publishes when it sees the offer, and closes when it is asked to.
        setting.guest.pv.exec.spawn("frontend", async move {
            let (front, back) = (
                DriverDomain::vbd(2, 51712).frontend_path(),
                DriverDomain::vbd(2, 51712).backend_path(),
            );
            loop {
                exec.sleep(Duration::from_micros(100)).await;
                let own = store.read(&format!("{front}/state"));
                let next = match store.read(&format!("{back}/state")).as_deref() {
                    Some("2") if own.as_deref() == Some("1") => "3",
                    Some("4") if own.as_deref() == Some("3") => "4",
                    Some("5" | "6") if own.as_deref() != Some("6") => "6",
                    None => return,
                    _ => continue,
                };
                store.write(&format!("{front}/state"), next);
            }
        });
        setting.run_for(Duration::from_micros(delay * 30));
        let detach = setting
            .toolstack
            .detach(&DriverDomain::vbd(2, 51712), false);
        setting.run_for(5 * SECOND);
        let took = detach.outcome().unwrap().unwrap();
        assert!(took < SECOND, "{delay}: {took:?}");
        assert!(
            !setting
                .store()
                .exists(&DriverDomain::vbd(2, 51712).backend_path())
        );
        assert_eq!(setting.store().usage(ONE).watches, 1, "{delay}");
    }
}

#[test]
fn b13_ten_thousand_turns_of_a_frontend_out_of_its_mind_end_in_a_connection() {
    let setting = DriverDomain::new(13);
    serve_all(&setting);
    setting.attach(2, 51712);
    let rng = setting.world.rng();
    for _ in 0..10_000 {
        let states = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "", "x"];
        let index = usize::try_from(rng.below(states.len() as u64)).unwrap();
        setting.set_frontend(2, 51712, states[index]);
        setting.run_for(Duration::from_micros(rng.below(1000)));
    }
    let own = DriverDomain::vbd(2, 51712).backend_path();
    for (frontend, expected) in [("6", "6"), ("1", "2"), ("3", "4"), ("4", "4")] {
        setting.set_frontend(2, 51712, frontend);
        setting.run_for(SECOND);
        let state = setting.store().read(&format!("{own}/state"));
        assert_eq!(state.as_deref(), Some(expected), "{frontend}");
    }
}
