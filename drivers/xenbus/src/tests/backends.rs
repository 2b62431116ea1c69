use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hv::DomId;
use xen_abi::io::xs_wire::kind;

use super::daemon::{Rig, Slot};
use crate::backend::Backend;
use crate::backend_bus::{BackendBus, BackendEvent};
use crate::error::{ProtocolError, StoreError};

const SECOND: Duration = Duration::from_secs(1);
const FRONTENDS: &str = "/local/domain/2/device/vbd";

/// Answers as a daemon does that has one device, until nothing more is asked for. It refuses a
/// watch on `unwatched`.
fn serve(rig: &mut Rig, unwatched: &str) {
    loop {
        let requests = rig.requests();
        if requests.is_empty() {
            return;
        }
        for request in requests {
            let payload = String::from_utf8(request.payload.clone()).unwrap();
            let path = payload.split('\0').next().unwrap();
            let answer = match (request.kind, path) {
                (kind::WATCH, path) if path == unwatched => {
                    rig.refuse(&request, "E2BIG");
                    continue;
                }
                (kind::WATCH, _) => "OK\0",
                (kind::DIRECTORY, "backend/vbd") => "2\0",
                (kind::DIRECTORY, "backend/vbd/2") => "51712\0",
                (kind::READ, "backend/vbd/2/51712/frontend-id") => "2",
                (kind::READ, "backend/vbd/2/51712/frontend") => "/local/domain/2/device/vbd/51712",
                (kind::READ, "backend/vbd/2/51712/state") => "1",
                other => panic!("{other:?}"),
            };
            rig.answer(&request, answer.as_bytes());
            if request.kind == kind::WATCH {
                rig.event(payload.as_bytes()).unwrap();
            }
        }
    }
}

/// What goes on in a driver with one export.
struct Driver {
    announced: Rc<Cell<u32>>,
    bus: Slot<StoreError>,
    looks: Rc<Cell<u32>>,
    backend: Slot<StoreError>,
}

impl Driver {
    fn start(rig: &mut Rig) -> Self {
        let store = rig.store.clone();
        let opened = rig.start(async move { BackendBus::open(&store, "vbd").await.ok() });
        serve(rig, "");
        let mut bus = opened.borrow_mut().take().unwrap().unwrap();
        let (store, routes) = (rig.store.clone(), bus.routes());
        let announced = Rc::new(Cell::new(0));
        let count = announced.clone();
        let bus = rig.start(async move {
            loop {
                match bus.next().await {
                    Ok(event) => assert_eq!(event, BackendEvent::Added(DomId(2), 51712)),
                    Err(error) => return error,
                }
                count.set(count.get() + 1);
            }
        });
        let looks = Rc::new(Cell::new(0));
        let count = looks.clone();
        let backend = rig.start(async move {
            let backend = Backend::open(&store, &routes, "vbd", DomId(2), 51712);
            let backend = backend.await.unwrap();
            loop {
                if let Err(error) = backend.changed().await {
                    return error;
                }
                count.set(count.get() + 1);
            }
        });
        serve(rig, "");
        Self {
            announced,
            bus,
            looks,
            backend,
        }
    }

    /// How often the backend looks in ten seconds.
    fn looks(&self, rig: &mut Rig) -> u32 {
        self.looks.set(0);
        for _ in 0..10 {
            rig.pass(SECOND);
            serve(rig, "");
        }
        self.looks.get()
    }
}

#[test]
fn f24_a_new_connection_that_refuses_a_watch_is_made_up_for() {
    let mut rig = Rig::starting_at(0);
    let driver = Driver::start(&mut rig);
    assert_eq!(driver.looks(&mut rig), 0);
    rig.make_another();
    driver.looks.set(0);
    serve(&mut rig, FRONTENDS);
    assert!(driver.looks.get() >= 1, "anything may have changed");
    // The bus has asked once more at its look, in vain.
    assert_eq!(rig.store.usage().watches, 1);
    assert!((9..=10).contains(&driver.looks(&mut rig)));
    // Whatever changes in the own directory, it asks again.
    let token = "1";
    rig.event(format!("backend/vbd/2/51712/online\0{token}\0").as_bytes())
        .unwrap();
    serve(&mut rig, "");
    assert_eq!(rig.store.usage().watches, 2);
    assert!(driver.looks(&mut rig) <= 1);
    assert_eq!(driver.looks(&mut rig), 0);
    assert_eq!(driver.announced.get(), 1);
}

#[test]
fn f24_a_lost_store_ends_the_bus_and_its_backends() {
    let mut rig = Rig::new();
    let driver = Driver::start(&mut rig);
    assert!(driver.bus.borrow().is_none() && driver.backend.borrow().is_none());
    rig.lose(ProtocolError::Closed);
    let lost = StoreError::Lost(ProtocolError::Closed);
    assert_eq!(*driver.bus.borrow(), Some(lost));
    assert_eq!(*driver.backend.borrow(), Some(lost));
}
