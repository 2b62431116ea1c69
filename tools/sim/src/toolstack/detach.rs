//! `xl block-detach` and `xl network-detach`, plain and forced, with libxl's deadlines
//! (`libxl_device.c`).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hv::{DomId, Instant};

use super::{DOM0, Pci, Vbd, Vif};
use crate::xenstored::Watching;
use crate::{Actor, Next, Xen, Xenstored};

/// How long libxl waits for the backend to be Closed (`LIBXL_DESTROY_TIMEOUT`).
const DESTROY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it then waits for a driver domain to remove the backend's directory, which is not the
/// toolstack's.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a device was not detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetachError {
    /// The backend did not become Closed in time; everything was left as it was then.
    Timeout,
    /// The driver domain did not remove the backend's directory in time.
    NotRemoved,
}

/// A detach under way; clones are the same one.
#[derive(Clone)]
pub struct Detach(Rc<RefCell<Option<Result<Duration, DetachError>>>>);

/// Where a device's directories are.
pub(super) struct Place {
    name: String,
    backend: DomId,
    frontend_path: String,
    backend_path: String,
}

impl Place {
    pub(super) fn of_vbd(vbd: &Vbd) -> Self {
        Self {
            name: format!("detach {}", vbd.devid),
            backend: vbd.backend,
            frontend_path: vbd.frontend_path(),
            backend_path: vbd.backend_path(),
        }
    }

    pub(super) fn of_pci(pci: &Pci) -> Self {
        Self {
            name: format!("detach pci {}", pci.guest),
            backend: DOM0,
            frontend_path: pci.frontend_path(),
            backend_path: pci.backend_path(),
        }
    }

    pub(super) fn of_vif(vif: &Vif) -> Self {
        Self {
            name: format!("detach vif{}.{}", vif.guest, vif.devid),
            backend: vif.backend,
            frontend_path: vif.frontend_path(),
            backend_path: vif.backend_path(),
        }
    }
}

impl Detach {
    pub(super) fn start(xen: &Xen, store: &Xenstored, place: Place, force: bool) -> Self {
        Self::start_as(xen, store, place, (force, false))
    }

    /// Plain, and if that does not come to an end in time, forced.
    pub(super) fn start_auto(xen: &Xen, store: &Xenstored, place: Place) -> Self {
        Self::start_as(xen, store, place, (false, true))
    }

    fn start_as(
        xen: &Xen,
        store: &Xenstored,
        place: Place,
        (force, then_force): (bool, bool),
    ) -> Self {
        let name = place.name.clone();
        let path = format!("{}/state", place.backend_path);
        let outcome = Rc::new(RefCell::new(None));
        let task = Task {
            store: store.clone(),
            place,
            force,
            then_force,
            began: xen.now(),
            started: xen.now(),
            closed: None,
            watch: None,
            outcome: outcome.clone(),
        };
        task.ask();
        let task = Rc::new(RefCell::new(task));
        let actor = xen.spawn(name, task.clone());
        task.borrow_mut().watch = Some(store.watch(&path, actor));
        Self(outcome)
    }

    /// What came of it: how long it took, or why it failed. `None` while it is under way.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<Duration, DetachError>> {
        *self.0.borrow()
    }
}

struct Task {
    store: Xenstored,
    place: Place,
    force: bool,
    /// To be forced if the time is up.
    then_force: bool,
    began: Instant,
    /// When this attempt began.
    started: Instant,
    /// When the backend was seen to be Closed.
    closed: Option<Instant>,
    watch: Option<Watching>,
    outcome: Rc<RefCell<Option<Result<Duration, DetachError>>>>,
}

impl Task {
    fn backend_state(&self) -> Option<String> {
        self.store
            .read(&format!("{}/state", self.place.backend_path))
    }

    /// Tells the backend to close; forced, the frontend's directory goes at the same time.
    fn ask(&self) {
        let back = &self.place.backend_path;
        let (online, state) = (format!("{back}/online"), format!("{back}/state"));
        let front = &self.place.frontend_path;
        let mut edits: Vec<(&str, Option<&[u8]>)> = Vec::new();
        if self.force {
            edits.push((front, None));
        }
        let now = self.backend_state();
        if now.is_some() {
            edits.push((&online, Some(b"0")));
        }
        if now.is_some_and(|state| state != "6") {
            edits.push((&state, Some(b"5")));
        }
        self.store.together(&edits);
    }

    fn end(&self, outcome: Result<Duration, DetachError>) -> Next {
        *self.outcome.borrow_mut() = Some(outcome);
        Next::Finished
    }

    /// Removes what is left of the device, and the directories above that are empty now.
    fn clean(&self) {
        for path in [&self.place.frontend_path, &self.place.backend_path] {
            self.store.remove(path);
            let mut above = path.as_str();
            while let Some(at) = above.rfind('/') {
                above = &above[..at];
                let kept = above.ends_with("/device") || above.ends_with("/backend");
                if kept || !self.store.list(above).is_empty() {
                    break;
                }
                self.store.remove(above);
            }
        }
    }
}

impl Actor for Task {
    fn turn(&mut self, xen: &Xen) -> Next {
        if let Some(watch) = &self.watch {
            let _ = watch.drain();
        }
        let took = xen.now().since(self.started);
        let closed = self.backend_state().is_none_or(|state| state == "6");
        let late = took >= DESTROY_TIMEOUT;
        if !closed && !late {
            return Next::At(self.started.after(DESTROY_TIMEOUT));
        }
        if !closed && std::mem::take(&mut self.then_force) {
            self.force = true;
            self.started = xen.now();
            self.ask();
            return Next::Again;
        }
        if !closed && !self.force {
            return self.end(Err(DetachError::Timeout));
        }
        // A backend in domain 0 leaves its directory to the toolstack.
        if self.place.backend != DOM0 && self.store.exists(&self.place.backend_path) {
            let seen = *self.closed.get_or_insert(xen.now());
            let limit = seen.after(REMOVAL_TIMEOUT);
            if xen.now() < limit {
                return Next::At(limit);
            }
            return self.end(Err(DetachError::NotRemoved));
        }
        self.clean();
        self.end(Ok(xen.now().since(self.began)))
    }
}
