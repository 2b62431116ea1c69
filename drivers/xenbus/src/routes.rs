//! Who is to be told that something changed at a device's two ends.

use alloc::collections::BTreeSet;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use exec::Notify;
use hv::DomId;

/// The way from a [`BackendBus`](crate::BackendBus), which hears of all changes, to the
/// [`Backend`](crate::Backend)s that they concern. Clones are the same one.
#[derive(Clone, Default)]
pub struct BackendRoutes(Rc<Routes>);

#[derive(Default)]
struct Routes {
    routes: RefCell<Vec<Weak<Route>>>,
    /// Domains whose frontends the store does not watch for us.
    unwatched: RefCell<BTreeSet<DomId>>,
    /// The bus has gone: nothing is heard any more.
    closed: Cell<bool>,
}

/// The way to one backend, as long as it is held.
pub(crate) struct Route {
    frontend: DomId,
    device: u32,
    /// Either end may have changed.
    pub(crate) changed: Notify,
}

impl BackendRoutes {
    /// A new way, to a backend that has not looked yet.
    pub(crate) fn add(&self, frontend: DomId, device: u32) -> Rc<Route> {
        let route = Rc::new(Route {
            frontend,
            device,
            changed: Notify::new(),
        });
        route.changed.notify();
        let mut routes = self.0.routes.borrow_mut();
        routes.retain(|route| route.strong_count() > 0);
        routes.push(Rc::downgrade(&route));
        route
    }

    /// Tells the backends that serve one of the devices named.
    pub(crate) fn tell(&self, concerns: impl Fn(DomId, u32) -> bool) {
        for route in self.0.routes.borrow().iter().filter_map(Weak::upgrade) {
            if concerns(route.frontend, route.device) {
                route.changed.notify();
            }
        }
    }

    /// Tells the backends whose frontends are not watched.
    pub(crate) fn tell_unwatched(&self) {
        let unwatched = self.0.unwatched.borrow();
        if !unwatched.is_empty() {
            self.tell(|frontend, _| unwatched.contains(&frontend));
        }
    }

    /// Whether a change of a frontend in `domain` would be heard.
    pub(crate) fn is_watched(&self, domain: DomId) -> bool {
        !self.0.closed.get() && !self.0.unwatched.borrow().contains(&domain)
    }

    /// Notes that frontends in `domain` are not watched; whether that is new.
    pub(crate) fn note_unwatched(&self, domain: DomId) -> bool {
        let new = self.0.unwatched.borrow_mut().insert(domain);
        if new {
            self.tell(|frontend, _| frontend == domain);
        }
        new
    }

    /// Notes that frontends in `domain` are watched, or that there are none.
    pub(crate) fn note_watched(&self, domain: DomId) {
        self.0.unwatched.borrow_mut().remove(&domain);
    }

    /// The domains whose frontends are not watched.
    pub(crate) fn unwatched(&self) -> BTreeSet<DomId> {
        self.0.unwatched.borrow().clone()
    }

    /// Notes that nothing will be heard any more.
    pub(crate) fn close(&self) {
        self.0.closed.set(true);
        self.tell(|_, _| true);
    }
}
