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
    /// What the frontend changes is to be heard of too.
    both_ends: bool,
    /// Either end may have changed.
    pub(crate) changed: Notify,
}

/// Hears of changes at this end of a device that no [`Backend`](crate::Backend) here serves.
pub struct Listener(Rc<Route>);

impl Listener {
    /// Waits until this end may have changed since the last wait. The first one ends at once.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl BackendRoutes {
    /// Listens to this end of a device of that domain's.
    #[must_use]
    pub fn listen(&self, frontend: DomId, device: u32) -> Listener {
        Listener(self.add_route(frontend, device, false))
    }

    /// A new way, to a backend that has not looked yet.
    pub(crate) fn add(&self, frontend: DomId, device: u32) -> Rc<Route> {
        self.add_route(frontend, device, true)
    }

    fn add_route(&self, frontend: DomId, device: u32, both_ends: bool) -> Rc<Route> {
        let route = Rc::new(Route {
            frontend,
            device,
            both_ends,
            changed: Notify::new(),
        });
        route.changed.notify();
        let mut routes = self.0.routes.borrow_mut();
        routes.retain(|route| route.strong_count() > 0);
        routes.push(Rc::downgrade(&route));
        route
    }

    /// Tells those that hear of one of the devices named that this end may have changed.
    pub(crate) fn tell(&self, concerns: impl Fn(DomId, u32) -> bool) {
        self.tell_each(|route| concerns(route.frontend, route.device));
    }

    /// Tells the backends that serve one of the devices named that its frontend may have changed.
    pub(crate) fn tell_of_frontend(&self, concerns: impl Fn(DomId, u32) -> bool) {
        self.tell_each(|route| route.both_ends && concerns(route.frontend, route.device));
    }

    fn tell_each(&self, concerns: impl Fn(&Route) -> bool) {
        for route in self.0.routes.borrow().iter().filter_map(Weak::upgrade) {
            if concerns(&route) {
                route.changed.notify();
            }
        }
    }

    /// Tells the backends whose frontends are not watched.
    pub(crate) fn tell_unwatched(&self) {
        let unwatched = self.0.unwatched.borrow();
        if !unwatched.is_empty() {
            self.tell_of_frontend(|frontend, _| unwatched.contains(&frontend));
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
            self.tell_of_frontend(|frontend, _| frontend == domain);
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
